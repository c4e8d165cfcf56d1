/*
 * doctor_net.c - tries what networks of VMs need: veth pairs, nftables, and qdiscs that shape traffic.
 *
 * Always in network namespaces of its own, which vanish with the trial: the host's network is never touched.
 */
#include "jailer/doctor.h"

#include <arpa/inet.h> /* the C library first: the kernel's headers then leave out what it has */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>

#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "jailer/netlink.h"

#define REQUEST_NEW    (NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL)
#define LOOPBACK_INDEX 1 /* the first interface of every network namespace */

static int own_network(const struct doctor_host *host, struct doctor_try *try)
{
    int rc = doctor_become_root(host, try);
    if (rc == 0 && unshare(CLONE_NEWNET) != 0)
        rc = doctor_fail(try, errno, "a network namespace");
    return rc;
}

/* ---- veth ---- */

/* A pair "bx0" here and "bx1" in the namespace `other`. */
static int make_pair(int other)
{
    struct netlink nl;
    int rc = netlink_open(&nl, NETLINK_ROUTE);
    if (rc != 0)
        return rc;
    struct ifinfomsg link = {.ifi_family = AF_UNSPEC};
    netlink_begin(&nl, RTM_NEWLINK, REQUEST_NEW, &link, sizeof link);
    netlink_put_text(&nl, IFLA_IFNAME, "bx0");
    struct nlattr *info = netlink_nest(&nl, IFLA_LINKINFO);
    netlink_put_text(&nl, IFLA_INFO_KIND, "veth");
    struct nlattr *data = netlink_nest(&nl, IFLA_INFO_DATA);
    struct nlattr *peer = netlink_nest(&nl, VETH_INFO_PEER);
    netlink_raw(&nl, &link, sizeof link);
    netlink_put_text(&nl, IFLA_IFNAME, "bx1");
    netlink_put_u32(&nl, IFLA_NET_NS_FD, (uint32_t)other);
    netlink_nest_end(&nl, peer);
    netlink_nest_end(&nl, data);
    netlink_nest_end(&nl, info);
    rc = netlink_talk(&nl);
    netlink_close(&nl);
    return rc;
}

static int bring_up(const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_UP};
    memcpy(request.ifr_name, name, strlen(name) + 1);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int rc = ioctl(fd, SIOCSIFFLAGS, &request) == 0 ? 0 : -errno;
    close(fd);
    return rc;
}

/* Asked of the driver: an interface's flags hear of a carrier up to seconds later. */
static bool has_carrier(const char *name)
{
    struct ethtool_value link = {.cmd = ETHTOOL_GLINK};
    struct ifreq request = {.ifr_data = (void *)&link};
    memcpy(request.ifr_name, name, strlen(name) + 1);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool alive = ioctl(fd, SIOCETHTOOL, &request) == 0 && link.data != 0;
    close(fd);
    return alive;
}

static int try_veth(const struct doctor_host *host, struct doctor_try *try)
{
    int rc = own_network(host, try);
    if (rc != 0)
        return rc;
    int first = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (first < 0 || unshare(CLONE_NEWNET) != 0)
        return doctor_fail(try, errno, "a second network namespace");
    rc = make_pair(first);
    if (rc != 0)
        return doctor_fail(try, -rc, "a veth pair between two network namespaces");
    rc = bring_up("bx0");
    if (rc != 0)
        return doctor_fail(try, -rc, "bring up one end of a veth pair");
    if (setns(first, CLONE_NEWNET) != 0)
        return doctor_fail(try, errno, "enter the namespace of the other end");
    rc = bring_up("bx1");
    if (rc != 0)
        return doctor_fail(try, -rc, "bring up the other end of a veth pair");
    return has_carrier("bx1") ? 0 : doctor_fail(try, ENOLINK, "a carrier between the ends of a veth pair");
}

/* ---- nftables ---- */

static void batch_mark(struct netlink *nl, uint16_t type)
{
    struct nfgenmsg header = {.nfgen_family = AF_UNSPEC, .res_id = htons(NFNL_SUBSYS_NFTABLES)};
    netlink_begin(nl, type, 0, &header, sizeof header);
}

static void nft_begin(struct netlink *nl, uint16_t type, uint16_t flags)
{
    struct nfgenmsg header = {.nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0};
    netlink_begin(nl, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type),
                  (uint16_t)(NLM_F_ACK | NLM_F_CREATE | flags), &header, sizeof header);
}

/* chain forward { type filter hook forward priority 0; policy drop; } */
static void nft_chain(struct netlink *nl)
{
    nft_begin(nl, NFT_MSG_NEWCHAIN, 0);
    netlink_put_text(nl, NFTA_CHAIN_TABLE, "bioxen");
    netlink_put_text(nl, NFTA_CHAIN_NAME, "forward");
    struct nlattr *hook = netlink_nest(nl, NFTA_CHAIN_HOOK);
    netlink_put_u32(nl, NFTA_HOOK_HOOKNUM, htonl(NF_INET_FORWARD));
    netlink_put_u32(nl, NFTA_HOOK_PRIORITY, htonl(0));
    netlink_nest_end(nl, hook);
    netlink_put_u32(nl, NFTA_CHAIN_POLICY, htonl(NF_DROP));
    netlink_put_text(nl, NFTA_CHAIN_TYPE, "filter");
}

/* A rule that loads the state of a connection: what "stateful" needs of connection tracking. */
static void nft_rule(struct netlink *nl)
{
    nft_begin(nl, NFT_MSG_NEWRULE, NLM_F_APPEND);
    netlink_put_text(nl, NFTA_RULE_TABLE, "bioxen");
    netlink_put_text(nl, NFTA_RULE_CHAIN, "forward");
    struct nlattr *list = netlink_nest(nl, NFTA_RULE_EXPRESSIONS);
    struct nlattr *element = netlink_nest(nl, NFTA_LIST_ELEM);
    netlink_put_text(nl, NFTA_EXPR_NAME, "ct");
    struct nlattr *data = netlink_nest(nl, NFTA_EXPR_DATA);
    netlink_put_u32(nl, NFTA_CT_KEY, htonl(NFT_CT_STATE));
    netlink_put_u32(nl, NFTA_CT_DREG, htonl(NFT_REG_1));
    netlink_nest_end(nl, data);
    netlink_nest_end(nl, element);
    netlink_nest_end(nl, list);
}

/* One batch is one transaction: the kernel keeps all of it or nothing. */
static int nft_transaction(void (*second)(struct netlink *), void (*third)(struct netlink *))
{
    struct netlink nl;
    int rc = netlink_open(&nl, NETLINK_NETFILTER);
    if (rc != 0)
        return rc;
    batch_mark(&nl, NFNL_MSG_BATCH_BEGIN);
    nft_begin(&nl, NFT_MSG_NEWTABLE, 0);
    netlink_put_text(&nl, NFTA_TABLE_NAME, "bioxen");
    if (second != NULL)
        second(&nl);
    if (third != NULL)
        third(&nl);
    batch_mark(&nl, NFNL_MSG_BATCH_END);
    rc = netlink_talk(&nl);
    netlink_close(&nl);
    return rc;
}

static int try_nftables(const struct doctor_host *host, struct doctor_try *try)
{
    int rc = own_network(host, try);
    if (rc != 0)
        return rc;
    rc = nft_transaction(NULL, NULL);
    if (rc != 0)
        return doctor_fail(try, -rc, "a table in nftables");
    rc = nft_transaction(nft_chain, NULL);
    return rc == 0 ? 0 : doctor_fail(try, -rc, "a chain in nftables that drops what is forwarded");
}

static int try_conntrack(const struct doctor_host *host, struct doctor_try *try)
{
    int rc = own_network(host, try);
    if (rc != 0)
        return rc;
    rc = nft_transaction(nft_chain, nft_rule);
    return rc == 0 ? 0 : doctor_fail(try, -rc, "a rule in nftables that looks at the state of a connection");
}

/* ---- qdiscs ---- */

static void qdisc_begin(struct netlink *nl, const char *kind)
{
    struct tcmsg header = {.tcm_family = AF_UNSPEC, .tcm_ifindex = LOOPBACK_INDEX, .tcm_parent = TC_H_ROOT};
    netlink_begin(nl, RTM_NEWQDISC, REQUEST_NEW, &header, sizeof header);
    netlink_put_text(nl, TCA_KIND, kind);
}

static int try_tbf(const struct doctor_host *host, struct doctor_try *try)
{
    struct netlink nl;
    int rc = own_network(host, try);
    if (rc != 0)
        return rc;
    rc = netlink_open(&nl, NETLINK_ROUTE);
    if (rc != 0)
        return doctor_fail(try, -rc, "a netlink socket");
    /* 10 Mbit/s: a rate of bytes a second, a bucket of 10 kB, a queue of 100 kB. */
    struct tc_tbf_qopt options = {.rate = {.linklayer = TC_LINKLAYER_ETHERNET, .rate = 1250000},
                                  .limit = 100000};
    qdisc_begin(&nl, "tbf");
    struct nlattr *nest = netlink_nest(&nl, TCA_OPTIONS);
    netlink_put(&nl, TCA_TBF_PARMS, &options, sizeof options);
    netlink_put_u32(&nl, TCA_TBF_BURST, 10000);
    netlink_nest_end(&nl, nest);
    rc = netlink_talk(&nl);
    return rc == 0 ? 0 : doctor_fail(try, -rc, "the tbf qdisc, which bounds a rate");
}

static int try_netem(const struct doctor_host *host, struct doctor_try *try)
{
    struct netlink nl;
    int rc = own_network(host, try);
    if (rc != 0)
        return rc;
    rc = netlink_open(&nl, NETLINK_ROUTE);
    if (rc != 0)
        return doctor_fail(try, -rc, "a netlink socket");
    struct tc_netem_qopt options = {.latency = 1000, .limit = 100};
    qdisc_begin(&nl, "netem");
    netlink_put(&nl, TCA_OPTIONS, &options, sizeof options);
    rc = netlink_talk(&nl);
    return rc == 0 ? 0 : doctor_fail(try, -rc, "the netem qdisc, which delays and loses packets");
}

const struct doctor_trial doctor_net_trials[] = {
    {"veth", "veth pair between two namespaces", "networks of VMs", false, DOCTOR_MISSING, ALWAYS, "net",
     "veth", try_veth},
    {"nftables", "nftables: tables and chains", "networks of VMs", false, DOCTOR_MISSING, ALWAYS, "net",
     "nf_tables", try_nftables},
    {"conntrack", "nftables: connection tracking", "networks of VMs", false, DOCTOR_MISSING, ALWAYS, "net",
     "nft_ct", try_conntrack},
    {"tbf", "qdisc tbf (bounds a rate)", "a wire's rate", false, DOCTOR_MISSING, ALWAYS, "net", "sch_tbf",
     try_tbf},
    {"netem", "qdisc netem (delay, jitter, loss)", "a wire's delay, jitter, loss", false, DOCTOR_MISSING,
     ALWAYS, "net", "sch_netem", try_netem},
    {0},
};
