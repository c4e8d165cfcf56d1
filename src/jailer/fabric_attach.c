/*
 * fabric_attach.c - the router and the cables: interfaces, addresses, routes, by rtnetlink.
 *
 * Both ends of a cable have fixed hardware addresses, no ARP, and a permanent neighbour; the router has no address at
 * all. So there is nothing that a VM could ask or forge on layer 2, and nothing of the router's to talk to.
 */
#include "jailer/fabric.h"

#include <arpa/inet.h> /* the C library first: the kernel's headers then leave out what it has */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

#include "jailer/nft.h"

#define LOOPBACK_INDEX 1
#define VM_INDEX       2 /* of eth0 in a VM's namespace */
#define COUNT(array)   (sizeof(array) / sizeof *(array))

/* An interface whose slot was used before may still be on its way out: then the next slot is tried. */
#define SLOT_TRIES 64

/* How long until a cable is seen to be alive at both ends: the kernel does that in a thread of its own. */
#define ALIVE_TRIES    2000
#define ALIVE_PAUSE_NS 200000

#define OPERATIVE 6 /* IF_OPER_UP */

static const uint8_t router_mac[6] = {2, 0, 0, 0, 0, 1}, vm_mac[6] = {2, 0, 0, 0, 0, 2};

/* ---- messages ---- */

static void link_begin(struct netlink *nl, uint16_t type, uint16_t flags, uint32_t index, uint32_t on, uint32_t off)
{
    struct ifinfomsg link = {
        .ifi_family = AF_UNSPEC, .ifi_index = (int)index, .ifi_flags = on, .ifi_change = on | off};
    netlink_begin(nl, type, flags, &link, sizeof link);
}

static void put_identity(struct netlink *nl, const char *name, const uint8_t *mac)
{
    netlink_put_text(nl, IFLA_IFNAME, name);
    netlink_put(nl, IFLA_ADDRESS, mac, 6);
    netlink_put_u32(nl, IFLA_NUM_TX_QUEUES, 1);
    netlink_put_u32(nl, IFLA_NUM_RX_QUEUES, 1);
}

/* The router's end here, and the VM's end in its namespace. */
static void put_cable(struct netlink *nl, uint32_t index, int ns)
{
    char name[IFNAMSIZ];
    snprintf(name, sizeof name, "v%u", index - FABRIC_FIRST_INDEX);
    link_begin(nl, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, index, IFF_UP | IFF_NOARP, IFF_MULTICAST);
    put_identity(nl, name, router_mac);
    struct nlattr *info = netlink_nest(nl, IFLA_LINKINFO);
    netlink_put_text(nl, IFLA_INFO_KIND, "veth");
    struct nlattr *data = netlink_nest(nl, IFLA_INFO_DATA);
    struct nlattr *peer = netlink_nest(nl, VETH_INFO_PEER);
    struct ifinfomsg other = {.ifi_index = VM_INDEX, .ifi_flags = IFF_NOARP, .ifi_change = IFF_NOARP | IFF_MULTICAST};
    netlink_raw(nl, &other, sizeof other);
    put_identity(nl, "eth0", vm_mac);
    netlink_put_u32(nl, IFLA_NET_NS_FD, (uint32_t)ns);
    netlink_nest_end(nl, peer);
    netlink_nest_end(nl, data);
    netlink_nest_end(nl, info);
}

/* What a new namespace takes over from the host's settings is set again, one way, for this interface. */
static void put_settings(struct netlink *nl, uint32_t index, bool forwards, bool ipv6)
{
    const struct {
        uint16_t setting;
        uint32_t value;
    } settings[] = {
        {IPV4_DEVCONF_FORWARDING, forwards}, {IPV4_DEVCONF_RP_FILTER, 1},    {IPV4_DEVCONF_ACCEPT_SOURCE_ROUTE, 0},
        {IPV4_DEVCONF_ACCEPT_REDIRECTS, 0},  {IPV4_DEVCONF_SEND_REDIRECTS, 0}, {IPV4_DEVCONF_ACCEPT_LOCAL, 0},
        {IPV4_DEVCONF_ROUTE_LOCALNET, 0},    {IPV4_DEVCONF_PROXY_ARP, 0},    {IPV4_DEVCONF_LOG_MARTIANS, 0},
    };
    link_begin(nl, RTM_SETLINK, 0, index, 0, 0);
    struct nlattr *families = netlink_nest(nl, IFLA_AF_SPEC);
    struct nlattr *inet = netlink_nest(nl, AF_INET), *list = netlink_nest(nl, IFLA_INET_CONF);
    for (unsigned i = 0; i < COUNT(settings); i++)
        netlink_put_u32(nl, settings[i].setting, settings[i].value);
    netlink_nest_end(nl, list);
    netlink_nest_end(nl, inet);
    if (ipv6) {
        struct nlattr *inet6 = netlink_nest(nl, AF_INET6);
        netlink_put_u8(nl, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
        netlink_nest_end(nl, inet6);
    }
    netlink_nest_end(nl, families);
}

static void put_neighbour(struct netlink *nl, uint32_t index, uint32_t address, const uint8_t *mac)
{
    struct ndmsg neighbour = {.ndm_family = AF_INET, .ndm_ifindex = (int)index, .ndm_state = NUD_PERMANENT};
    uint32_t to = htonl(address);
    netlink_begin(nl, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL, &neighbour, sizeof neighbour);
    netlink_put(nl, NDA_DST, &to, sizeof to);
    netlink_put(nl, NDA_LLADDR, mac, 6);
}

/* To one address, or with `length` 0 to everywhere; `hop` 0: it is right behind the interface. */
static void put_route(struct netlink *nl, uint32_t index, uint32_t address, uint8_t length, uint32_t hop)
{
    struct rtmsg route = {.rtm_family = AF_INET, .rtm_dst_len = length, .rtm_table = RT_TABLE_MAIN,
                          .rtm_protocol = RTPROT_STATIC, .rtm_type = RTN_UNICAST,
                          .rtm_scope = hop != 0 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
                          .rtm_flags = hop != 0 ? RTNH_F_ONLINK : 0};
    uint32_t to = htonl(address), over = htonl(hop);
    netlink_begin(nl, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &route, sizeof route);
    if (length > 0)
        netlink_put(nl, RTA_DST, &to, sizeof to);
    if (hop != 0)
        netlink_put(nl, RTA_GATEWAY, &over, sizeof over);
    netlink_put_u32(nl, RTA_OIF, index);
}

static void put_address(struct netlink *nl, uint32_t index, uint32_t address)
{
    struct ifaddrmsg message = {.ifa_family = AF_INET, .ifa_prefixlen = 32, .ifa_index = index};
    uint32_t own = htonl(address);
    netlink_begin(nl, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &message, sizeof message);
    netlink_put(nl, IFA_LOCAL, &own, sizeof own);
    netlink_put(nl, IFA_ADDRESS, &own, sizeof own);
}

static void put_up(struct netlink *nl, uint32_t index)
{
    link_begin(nl, RTM_SETLINK, 0, index, IFF_UP, 0);
}

/* ---- namespaces ---- */

int fabric_visit(const struct sb_host *host, const struct net *net, int *back, struct sb_error *err)
{
    int here = sb_host_hold_net(host, err);
    if (here < 0)
        return here;
    int rc = sb_host_enter_net(net->ns, err);
    if (rc == 0)
        *back = here;
    else
        close(here);
    return rc;
}

int fabric_return(int back, struct sb_error *err)
{
    int rc = sb_host_enter_net(back, err);
    close(back);
    return rc;
}

/* ---- the router ---- */

/*
 * An address that nobody has leads to the router's own loopback: only so does a packet for it come to the rules, and
 * is refused at once as any other.
 */
static int set_up_router(struct fabric *fabric)
{
    struct netlink *nl = &fabric->route;
    put_settings(nl, LOOPBACK_INDEX, false, true);
    int rc = netlink_talk(nl);
    fabric->ipv6 = rc != -EAFNOSUPPORT;
    if (rc == -EAFNOSUPPORT)
        rc = 0;
    put_settings(nl, LOOPBACK_INDEX, false, fabric->ipv6);
    put_up(nl, LOOPBACK_INDEX);
    put_route(nl, LOOPBACK_INDEX, 0, 0, 0);
    int rc2 = netlink_talk(nl);
    return rc != 0 ? rc : rc2;
}

/* Refusals by ICMP are for the VM that asked, and bounded by the rules. Where /proc/sys is read-only, they are few. */
static void allow_refusals(const struct sb_host *host)
{
    sb_host_net_setting(host, "ipv4/icmp_ratelimit", "0");
}

static int open_router(struct fabric *fabric, const struct sb_host *host, struct sb_error *err)
{
    int rc = sb_host_new_net(err);
    if (rc != 0)
        return rc;
    fabric->ns = sb_host_hold_net(host, err);
    if (fabric->ns < 0)
        return -err->code;
    rc = netlink_open(&fabric->route, NETLINK_ROUTE);
    if (rc == 0)
        rc = netlink_open(&fabric->filter, NETLINK_NETFILTER);
    if (rc != 0)
        return fabric_fail(err, -rc, "cannot open a netlink socket for the private network");
    rc = nft_install(&fabric->filter);
    if (rc != 0)
        return fabric_fail(err, -rc, "cannot install the rules of the private network (nftables; see bioxen doctor)");
    rc = set_up_router(fabric);
    if (rc != 0)
        return fabric_fail(err, -rc, "cannot set up the router of the private network");
    allow_refusals(host);
    return 0;
}

static int make_router(struct fabric *fabric, const struct sb_host *host, struct sb_error *err)
{
    struct sb_error ignored;
    int here = sb_host_hold_net(host, err);
    if (here < 0)
        return here;
    int rc = open_router(fabric, host, err);
    if (rc != 0)
        fabric_fini(fabric);
    int rc2 = fabric_return(here, rc == 0 ? err : &ignored);
    return rc != 0 ? rc : rc2;
}

/* ---- one net ---- */

static int add_cable(struct fabric *fabric, const struct net *net)
{
    put_cable(&fabric->route, FABRIC_FIRST_INDEX + net->slot, net->ns);
    return netlink_talk(&fabric->route);
}

static void remove_cable(struct fabric *fabric, const struct net *net)
{
    link_begin(&fabric->route, RTM_DELLINK, 0, FABRIC_FIRST_INDEX + net->slot, 0, 0);
    netlink_talk(&fabric->route);
}

static int set_up_way(struct fabric *fabric, const struct net *net)
{
    uint32_t index = FABRIC_FIRST_INDEX + net->slot;
    put_settings(&fabric->route, index, true, fabric->ipv6);
    put_neighbour(&fabric->route, index, fabric_address(net), vm_mac);
    put_route(&fabric->route, index, fabric_address(net), 32, 0);
    return netlink_talk(&fabric->route);
}

static int allow_member(struct fabric *fabric, const struct net *net)
{
    const uint32_t address = fabric_address(net), group = net->group;
    nft_begin(&fabric->filter);
    nft_add(&fabric->filter, NFT_MEMBERS, &(struct nft_element){{FABRIC_FIRST_INDEX + net->slot, address}, 0}, 1);
    nft_add(&fabric->filter, NFT_PACE, &(struct nft_element){{address}, 0}, 1);
    if (group != 0) {
        nft_add(&fabric->filter, NFT_GROUPS, &(struct nft_element){{address}, group}, 1);
        nft_add(&fabric->filter, NFT_TOGETHER, &(struct nft_element){{group, address}, 0}, 1);
    }
    return nft_commit(&fabric->filter);
}

static int set_up_vm(const struct fabric *fabric, const struct net *net)
{
    static struct netlink nl;
    int rc = netlink_open(&nl, NETLINK_ROUTE);
    if (rc == 0) {
        put_settings(&nl, LOOPBACK_INDEX, false, fabric->ipv6);
        put_up(&nl, LOOPBACK_INDEX);
        put_settings(&nl, VM_INDEX, false, fabric->ipv6);
        put_address(&nl, VM_INDEX, fabric_address(net));
        put_up(&nl, VM_INDEX);
        put_neighbour(&nl, VM_INDEX, FABRIC_HOP, router_mac);
        put_route(&nl, VM_INDEX, FABRIC_ADDRESS, FABRIC_BITS, FABRIC_HOP); /* and to nowhere else */
        put_route(&nl, VM_INDEX, FABRIC_REFUSER, 32, FABRIC_HOP); /* else what comes from there looks forged */
        rc = netlink_talk(&nl);
    }
    netlink_close(&nl);
    return rc;
}

/* Without this the first packet of a VM could be lost, and be sent again a second later. */
static int wait_until_alive(struct fabric *fabric, const struct net *net)
{
    for (int tries = 0; tries < ALIVE_TRIES; tries++) {
        link_begin(&fabric->route, RTM_GETLINK, 0, FABRIC_FIRST_INDEX + net->slot, 0, 0);
        int rc = netlink_talk(&fabric->route);
        if (rc != 0)
            return rc;
        const uint8_t *state = netlink_answer(&fabric->route, sizeof(struct ifinfomsg), IFLA_OPERSTATE, 1);
        if (state != NULL && *state == OPERATIVE)
            return 0;
        nanosleep(&(struct timespec){.tv_nsec = ALIVE_PAUSE_NS}, NULL);
    }
    return -ETIMEDOUT;
}

/* A port that the topology's author gave a VM may be one that else takes a capability, which no VM has. */
static int permit_low_ports(const struct sb_host *host, const struct net *net, struct sb_error *err)
{
    char text[16];
    if (net->low_port == 0)
        return 0;
    snprintf(text, sizeof text, "%u", net->low_port);
    int rc = sb_host_net_setting(host, "ipv4/ip_unprivileged_port_start", text);
    return rc == 0 ? 0 : fabric_fail(err, -rc, "cannot permit a port below 1024 (/proc/sys is not writable here)");
}

static int set_up_ends(struct fabric *fabric, const struct sb_host *host, const struct net *net, struct sb_error *err)
{
    int back;
    int rc = fabric_visit(host, net, &back, err);
    if (rc != 0)
        return rc;
    rc = set_up_vm(fabric, net);
    if (rc == 0)
        rc = permit_low_ports(host, net, err);
    int rc2 = fabric_return(back, err);
    if (rc == 0)
        rc = rc2;
    return rc == 0 ? wait_until_alive(fabric, net) : rc;
}

/* -EEXIST: the slot is not free, and nothing was changed. */
static int attach_to_slot(struct fabric *fabric, const struct sb_host *host, struct net *net, struct sb_error *err)
{
    int rc = add_cable(fabric, net);
    if (rc != 0)
        return rc == -EBUSY ? -EEXIST : rc;
    rc = set_up_way(fabric, net);
    if (rc == 0)
        rc = allow_member(fabric, net);
    if (rc == 0) {
        rc = set_up_ends(fabric, host, net, err);
        if (rc != 0)
            fabric_unwire(fabric, net);
    }
    if (rc != 0)
        remove_cable(fabric, net);
    return rc;
}

int fabric_attach(struct fabric *fabric, const struct sb_host *host, struct net *net, uint32_t group,
                  struct sb_error *err)
{
    if (net->slot != 0)
        return fabric_fail(err, EEXIST, "the VM is in the private network already");
    int rc = fabric->ns < 0 ? make_router(fabric, host, err) : 0;
    if (rc != 0)
        return rc;
    err->code = 0;
    net->group = group;
    rc = -EEXIST;
    for (int tries = 0; rc == -EEXIST && tries < SLOT_TRIES; tries++) {
        net->slot = fabric->last_slot = fabric->last_slot % FABRIC_SLOTS + 1;
        rc = attach_to_slot(fabric, host, net, err);
    }
    if (rc == 0)
        return 0;
    net->slot = net->group = 0;
    return err->code != 0 ? rc : fabric_fail(err, -rc, "cannot connect a VM to the private network");
}
