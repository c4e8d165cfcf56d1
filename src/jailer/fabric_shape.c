/*
 * fabric_shape.c - how a way behaves: its rate, delay, jitter and loss, by qdiscs on the router's interface to the
 * receiver.
 *
 * That interface gets one class for each sender whose way is shaped. The rules (nft.c) find the class by the pair of
 * addresses and write it into the packet, so that no filter is walked; a packet without a class passes as ever.
 *
 *   htb 7fff:          knows the classes by number, bounds nothing
 *     7fff:<sender>    tbf (rate; cuts large packets to size, so that loss hits single ones), in it netem (the rest)
 */
#include "jailer/fabric.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include "jailer/nft.h"

/* Numbers of qdiscs: senders' slots are below it, the kernel's own choices above. */
#define ROOT 0x7fffu
_Static_assert(FABRIC_SLOTS < ROOT, "the number of a sender's qdisc is its slot");

#define UNBOUND    (BX_RATE_MAX / 8) /* bytes a second */
#define BURST_MIN  16384u            /* bytes: ten packets */
#define QUEUE_MIN  65536u            /* bytes that wait for a slow way */
#define QUEUE_MAX  (8u << 20)
#define DELAYED_MIN 1000u            /* packets that a delayed way holds: 1 Gbit/s of full ones, within bounds */
#define DELAYED_MAX 10000u
#define DELAYED_PER_MS 84u
#define TICK_NS 64u                  /* the kernel's unit of time in old-style fields */

static uint64_t clamp(uint64_t value, uint64_t low, uint64_t high)
{
    return value < low ? low : value > high ? high : value;
}

static uint32_t interface_of(const struct net *net)
{
    return FABRIC_FIRST_INDEX + net->slot;
}

static uint32_t class_of(const struct between *shape)
{
    return ROOT << 16 | shape->from->slot;
}

/* ---- messages ---- */

static void begin(struct netlink *nl, uint16_t type, uint16_t flags, uint32_t index, uint32_t parent, uint32_t handle)
{
    struct tcmsg header = {
        .tcm_family = AF_UNSPEC, .tcm_ifindex = (int)index, .tcm_parent = parent, .tcm_handle = handle};
    netlink_begin(nl, type, flags, &header, sizeof header);
}

static void put_root(struct netlink *nl, uint32_t index)
{
    struct tc_htb_glob options = {.version = TC_HTB_PROTOVER, .rate2quantum = 10};
    begin(nl, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, index, TC_H_ROOT, ROOT << 16);
    netlink_put_text(nl, TCA_KIND, "htb");
    struct nlattr *nest = netlink_nest(nl, TCA_OPTIONS);
    netlink_put(nl, TCA_HTB_INIT, &options, sizeof options);
    netlink_nest_end(nl, nest);
}

static struct tc_ratespec rate_spec(uint64_t bytes)
{
    return (struct tc_ratespec){.linklayer = TC_LINKLAYER_ETHERNET,
                                .rate = bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX};
}

static void put_class(struct netlink *nl, const struct between *shape)
{
    struct tc_htb_opt options = {.rate = rate_spec(UNBOUND), .ceil = rate_spec(UNBOUND), .quantum = 65536};
    options.buffer = options.cbuffer = 1000000 / TICK_NS; /* a millisecond's worth of bytes */
    begin(nl, RTM_NEWTCLASS, NLM_F_CREATE | NLM_F_EXCL, interface_of(shape->to), ROOT << 16, class_of(shape));
    netlink_put_text(nl, TCA_KIND, "htb");
    struct nlattr *nest = netlink_nest(nl, TCA_OPTIONS);
    netlink_put(nl, TCA_HTB_PARMS, &options, sizeof options);
    netlink_put_u64(nl, TCA_HTB_RATE64, UNBOUND);
    netlink_put_u64(nl, TCA_HTB_CEIL64, UNBOUND);
    netlink_nest_end(nl, nest);
}

static void put_tbf(struct netlink *nl, const struct between *shape, uint64_t bytes)
{
    uint32_t burst = (uint32_t)clamp(bytes / 100, BURST_MIN, QUEUE_MAX);
    struct tc_tbf_qopt options = {.rate = rate_spec(bytes),
                                  .limit = (uint32_t)clamp(bytes / 10, QUEUE_MIN, QUEUE_MAX) + burst};
    begin(nl, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, interface_of(shape->to), class_of(shape),
          shape->from->slot << 16);
    netlink_put_text(nl, TCA_KIND, "tbf");
    struct nlattr *nest = netlink_nest(nl, TCA_OPTIONS);
    netlink_put(nl, TCA_TBF_PARMS, &options, sizeof options);
    netlink_put_u32(nl, TCA_TBF_BURST, burst);
    netlink_put_u64(nl, TCA_TBF_RATE64, bytes);
    netlink_nest_end(nl, nest);
}

static void put_netem(struct netlink *nl, const struct between *shape, const struct jw_shape *wanted)
{
    uint64_t held = (uint64_t)(wanted->delay_us + wanted->jitter_us) * DELAYED_PER_MS / 1000;
    struct tc_netem_qopt options = {
        .limit = (uint32_t)clamp(held, DELAYED_MIN, DELAYED_MAX),
        .loss = (uint32_t)((uint64_t)wanted->loss_ppm * UINT32_MAX / BX_LOSS_MAX_PPM),
    };
    begin(nl, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, interface_of(shape->to), shape->from->slot << 16 | 1, 0);
    netlink_put_text(nl, TCA_KIND, "netem");
    struct nlattr *nest = netlink_nest(nl, TCA_OPTIONS);
    netlink_raw(nl, &options, sizeof options);
    netlink_put_u64(nl, TCA_NETEM_LATENCY64, wanted->delay_us * 1000ull);
    netlink_put_u64(nl, TCA_NETEM_JITTER64, wanted->jitter_us * 1000ull);
    netlink_nest_end(nl, nest);
}

/* ---- one way ---- */

static bool has_effect(const struct jw_shape *wanted)
{
    return wanted->rate != 0 || wanted->delay_us != 0 || wanted->jitter_us != 0 || wanted->loss_ppm != 0;
}

static void remove_class(struct fabric *fabric, const struct between *shape)
{
    begin(&fabric->route, RTM_DELTCLASS, 0, interface_of(shape->to), ROOT << 16, class_of(shape));
    netlink_talk(&fabric->route);
}

static int missing(struct sb_error *err, int rc, const char *what)
{
    if (rc != -ENOENT && rc != -EOPNOTSUPP)
        return fabric_fail(err, -rc, "cannot shape the way between two VMs");
    err->code = ENOTSUP;
    strcpy(err->text, what);
    return -ENOTSUP;
}

static int prepare(struct fabric *fabric, struct net *to, struct sb_error *err)
{
    int rc = fabric->shaping ? 0 : nft_install_shaping(&fabric->filter);
    if (rc != 0)
        return fabric_fail(err, -rc, "cannot install the rules for shaped ways");
    fabric->shaping = true;
    if (to->classes)
        return 0;
    put_root(&fabric->route, interface_of(to));
    rc = netlink_talk(&fabric->route);
    if (rc != 0)
        return missing(err, rc,
                       "a wire's rate, delay and loss need the qdisc htb (module sch_htb), which this kernel lacks");
    to->classes = true;
    return 0;
}

static int add_class(struct fabric *fabric, const struct between *shape, const struct jw_shape *wanted,
                     struct sb_error *err)
{
    struct netlink *nl = &fabric->route;
    put_class(nl, shape);
    put_tbf(nl, shape, wanted->rate != 0 ? wanted->rate / 8 : UNBOUND);
    int rc = netlink_talk(nl);
    if (rc != 0)
        rc = missing(err, rc, "a wire's rate needs the qdisc tbf (module sch_tbf), which this kernel lacks");
    if (rc == 0 && (wanted->delay_us != 0 || wanted->jitter_us != 0 || wanted->loss_ppm != 0)) {
        put_netem(nl, shape, wanted);
        rc = netlink_talk(nl);
        if (rc != 0)
            rc = missing(err, rc,
                         "a wire's delay, jitter and loss need the qdisc netem (sch_netem), which this kernel lacks");
    }
    if (rc != 0)
        remove_class(fabric, shape);
    return rc;
}

static int mark(struct fabric *fabric, const struct between *shape, bool on)
{
    struct nft_element element = {{fabric_address(shape->from), fabric_address(shape->to)}, class_of(shape)};
    nft_begin(&fabric->filter);
    (on ? nft_add : nft_remove)(&fabric->filter, NFT_SHAPED, &element, 1);
    return nft_commit(&fabric->filter);
}

static void forget(struct fabric *fabric, struct between *shape)
{
    mark(fabric, shape, false);
    remove_class(fabric, shape);
    between_remove(shape);
    free(shape);
    fabric->shapes--;
}

static struct between *find(const struct net *from, const struct net *to)
{
    struct between *shape = from->shapes[LEAVING];
    while (shape != NULL && shape->to != to)
        shape = shape->next[LEAVING];
    return shape;
}

static int add(struct fabric *fabric, struct net *from, struct net *to, const struct jw_shape *wanted,
               struct sb_error *err)
{
    if (fabric->shapes >= FABRIC_SHAPES_MAX)
        return fabric_fail(err, ENOSPC, "too many shaped ways");
    struct between *shape = calloc(1, sizeof *shape);
    if (shape == NULL)
        return fabric_fail(err, ENOMEM, "the jailer cannot keep one shaped way more");
    *shape = (struct between){.from = from, .to = to};
    int rc = add_class(fabric, shape, wanted, err);
    if (rc == 0) {
        rc = mark(fabric, shape, true);
        if (rc != 0) {
            fabric_fail(err, -rc, "cannot change the rules for shaped ways");
            remove_class(fabric, shape);
        }
    }
    if (rc != 0) {
        free(shape);
        return rc;
    }
    between_insert(shape, &from->shapes[LEAVING], &to->shapes[ARRIVING]);
    fabric->shapes++;
    return 0;
}

int fabric_shape(struct fabric *fabric, const struct jw_shape *wanted, struct sb_error *err)
{
    struct net *from = fabric_find(fabric, wanted->from), *to = fabric_find(fabric, wanted->to);
    if (from == NULL || to == NULL || from->slot == 0 || to->slot == 0)
        return fabric_fail(err, ENOENT, "an end of the shaped way is not in the private network");
    struct between *shape = find(from, to);
    if (shape != NULL)
        forget(fabric, shape);
    if (!has_effect(wanted))
        return 0;
    int rc = prepare(fabric, to, err);
    return rc == 0 ? add(fabric, from, to, wanted, err) : rc;
}

void fabric_unshape(struct fabric *fabric, struct net *net)
{
    for (int side = 0; side < 2; side++)
        for (struct between *shape = net->shapes[side], *next; shape != NULL; shape = next) {
            next = shape->next[side];
            forget(fabric, shape);
        }
}
