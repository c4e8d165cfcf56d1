/*
 * nft.c - the ruleset, as a constant table, and its way into the kernel.
 *
 * Nothing is let through but what a rule names, in either direction; the router itself neither hears nor says anything
 * but refusals. A connection is looked up in the sets with each of its packets, by the addresses with which it began:
 * so a wire that is removed is cut at once, and a stale entry of connection tracking opens nothing.
 */
#include "jailer/nft.h"

#include <arpa/inet.h> /* the C library first: the kernel's headers then leave out what it has */
#include <errno.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#define TABLE "bioxen"
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Connections (or first datagrams) that one VM may begin: in a second, and at once. Each costs the router memory. */
#define PACE_RATE  2000
#define PACE_BURST 5000
/* ICMP refusals of the whole fabric in a second: the kernel has one budget of ICMP for everybody. TCP has resets. */
#define REFUSALS_RATE 500

/* ---- sets ---- */

/* Types as nft(8) numbers them, for whoever looks at the ruleset with it. Each field of a key is one word. */
enum { T_ADDRESS = 7, T_PROTOCOL = 12, T_SERVICE = 13, T_MARK = 19, T_INTERFACE = 20, T_CLASS = 23 };
#define CONCATENATED 6

static const struct {
    const char *name;
    uint8_t fields[4];
    uint8_t data;  /* type, for a map */
    bool paced;    /* elements carry a limit */
} sets[NFT_SETS] = {
    [NFT_MEMBERS] = {"members", {T_INTERFACE, T_ADDRESS}, 0, false},
    [NFT_PACE] = {"pace", {T_ADDRESS}, 0, true},
    [NFT_WIRES] = {"wires", {T_ADDRESS, T_ADDRESS, T_PROTOCOL, T_SERVICE}, 0, false},
    [NFT_GROUPS] = {"groups", {T_ADDRESS}, T_MARK, false},
    [NFT_TOGETHER] = {"together", {T_MARK, T_ADDRESS}, 0, false},
    [NFT_SHAPED] = {"shaped", {T_ADDRESS, T_ADDRESS}, T_CLASS, false},
};

static unsigned field_count(enum nft_set set)
{
    unsigned count = 0;
    while (count < COUNT(sets[set].fields) && sets[set].fields[count] != 0)
        count++;
    return count;
}

/* ---- rules ---- */

enum kind {
    END, META, PAYLOAD, CONNECTION, MASK, IS, IS_NOT, IN, MAPPED, LIMITED, PRIORITY, VERDICT, GOTO, RESET, REFUSE
};

/* Registers are words, numbered from 0. What is compared or masked is register 0. */
struct expression {
    enum kind kind;
    uint32_t key;      /* META, CONNECTION: which; PAYLOAD: base; IS: size; IN, MAPPED: set; VERDICT: which */
    uint32_t value;    /* PAYLOAD: offset; MASK, IS, IS_NOT: value */
    uint32_t size;     /* PAYLOAD: bytes */
    uint32_t to;       /* META, PAYLOAD, CONNECTION: register */
    const char *chain; /* GOTO */
};

#define EXPRESSIONS_MAX 8

static const struct {
    const char *chain;
    struct expression expressions[EXPRESSIONS_MAX];
} rules[] = {
    /* A packet has the address of the VM behind its interface, or is none: no other protocol, no other's address. */
    {"gate", {{META, .key = NFT_META_NFPROTO}, {IS, .key = 1, .value = NFPROTO_IPV4},
              {META, .key = NFT_META_IIF},
              {PAYLOAD, .key = NFT_PAYLOAD_NETWORK_HEADER, .value = 12, .size = 4, .to = 1},
              {IN, .key = NFT_MEMBERS}, {VERDICT, .key = NF_ACCEPT}}},

    {"forward", {{CONNECTION, .key = NFT_CT_STATE}, {MASK, .value = NF_CT_STATE_INVALID_BIT}, {IS_NOT, .key = 4},
                 {VERDICT, .key = NF_DROP}}},
    {"forward", {{CONNECTION, .key = NFT_CT_STATE}, {MASK, .value = NF_CT_STATE_BIT(IP_CT_NEW)}, {IS, .key = 4},
                 {GOTO, .chain = "wired"}}},
    {"forward", {{PAYLOAD, .key = NFT_PAYLOAD_NETWORK_HEADER, .value = 12, .size = 4}, {IN, .key = NFT_PACE},
                 {GOTO, .chain = "wired"}}},

    {"wired", {{CONNECTION, .key = NFT_CT_SRC_IP, .to = 0}, {CONNECTION, .key = NFT_CT_DST_IP, .to = 1},
               {CONNECTION, .key = NFT_CT_PROTOCOL, .to = 2}, {CONNECTION, .key = NFT_CT_PROTO_DST, .to = 3},
               {IN, .key = NFT_WIRES}, {VERDICT, .key = NF_ACCEPT}}},
    {"wired", {{CONNECTION, .key = NFT_CT_PROTOCOL}, {IS, .key = 1, .value = IPPROTO_TCP}, {GOTO, .chain = "grouped"}}},
    {"wired", {{CONNECTION, .key = NFT_CT_PROTOCOL}, {IS, .key = 1, .value = IPPROTO_UDP}, {GOTO, .chain = "grouped"}}},
    {"wired", {{GOTO, .chain = "refused"}}},

    {"grouped", {{CONNECTION, .key = NFT_CT_SRC_IP}, {MAPPED, .key = NFT_GROUPS},
                 {CONNECTION, .key = NFT_CT_DST_IP, .to = 1}, {IN, .key = NFT_TOGETHER},
                 {VERDICT, .key = NF_ACCEPT}}},
    {"grouped", {{GOTO, .chain = "refused"}}},

    {"refused", {{META, .key = NFT_META_L4PROTO}, {IS, .key = 1, .value = IPPROTO_TCP}, {RESET, .key = 0}}},
    {"refused", {{LIMITED, .key = 0}, {REFUSE, .key = 0}}},
    {"refused", {{VERDICT, .key = NF_DROP}}},

    /* The router says nothing but refusals: TCP with RST, ICMP "unreachable". */
    {"output", {{META, .key = NFT_META_L4PROTO}, {IS, .key = 1, .value = IPPROTO_TCP},
                {PAYLOAD, .key = NFT_PAYLOAD_TRANSPORT_HEADER, .value = 13, .size = 1}, {MASK, .value = 0x04},
                {IS_NOT, .key = 4}, {VERDICT, .key = NF_ACCEPT}}},
    {"output", {{META, .key = NFT_META_L4PROTO}, {IS, .key = 1, .value = IPPROTO_ICMP},
                {PAYLOAD, .key = NFT_PAYLOAD_TRANSPORT_HEADER, .value = 0, .size = 1},
                {IS, .key = 1, .value = 3}, {VERDICT, .key = NF_ACCEPT}}},
};

/* Behind everything else on the way out to a VM: which class of its interface (shape.c) a packet belongs to. */
static const struct expression shaping[EXPRESSIONS_MAX] = {
    {PAYLOAD, .key = NFT_PAYLOAD_NETWORK_HEADER, .value = 12, .size = 4, .to = 0},
    {PAYLOAD, .key = NFT_PAYLOAD_NETWORK_HEADER, .value = 16, .size = 4, .to = 1},
    {MAPPED, .key = NFT_SHAPED}, {PRIORITY, .key = 0}};

/* Base chains have a hook. The policy of each is to drop; but for the one that only marks. */
struct chain {
    const char *name;
    int hook; /* -1: none */
    int priority;
    uint32_t policy;
};

static const struct chain chains[] = {
    {"gate", NF_INET_PRE_ROUTING, -300, NF_DROP}, /* before connection tracking: what is forged costs no memory */
    {"input", NF_INET_LOCAL_IN, 0, NF_DROP},
    {"forward", NF_INET_FORWARD, 0, NF_DROP},
    {"output", NF_INET_LOCAL_OUT, 0, NF_DROP},
    {"wired", -1, 0, 0},
    {"grouped", -1, 0, 0},
    {"refused", -1, 0, 0},
};

static const struct chain shaping_chain = {"shape", NF_INET_POST_ROUTING, 0, NF_ACCEPT};

/* ---- into the kernel ---- */

static struct nfgenmsg family(void)
{
    return (struct nfgenmsg){.nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0};
}

static void message(struct netlink *nl, uint16_t type, uint16_t flags)
{
    struct nfgenmsg header = family();
    netlink_begin(nl, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, &header, sizeof header);
}

static void mark(struct netlink *nl, uint16_t type)
{
    struct nfgenmsg header = {.nfgen_family = AF_UNSPEC, .res_id = htons(NFNL_SUBSYS_NFTABLES)};
    netlink_begin(nl, type, 0, &header, sizeof header);
}

void nft_begin(struct netlink *nl)
{
    mark(nl, NFNL_MSG_BATCH_BEGIN);
}

int nft_commit(struct netlink *nl)
{
    mark(nl, NFNL_MSG_BATCH_END);
    return netlink_talk(nl);
}

static void put_set(struct netlink *nl, enum nft_set set)
{
    uint32_t type = 0;
    unsigned fields = field_count(set);
    for (unsigned i = 0; i < fields; i++)
        type = type << CONCATENATED | sets[set].fields[i];
    message(nl, NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL);
    netlink_put_text(nl, NFTA_SET_TABLE, TABLE);
    netlink_put_text(nl, NFTA_SET_NAME, sets[set].name);
    netlink_put_be32(nl, NFTA_SET_FLAGS,
                     (sets[set].data != 0 ? NFT_SET_MAP : 0) | (sets[set].paced ? NFT_SET_EVAL : 0));
    netlink_put_be32(nl, NFTA_SET_KEY_TYPE, type);
    netlink_put_be32(nl, NFTA_SET_KEY_LEN, fields * 4);
    netlink_put_be32(nl, NFTA_SET_ID, set + 1);
    if (sets[set].data == 0)
        return;
    netlink_put_be32(nl, NFTA_SET_DATA_TYPE, sets[set].data);
    netlink_put_be32(nl, NFTA_SET_DATA_LEN, 4);
}

static void put_chain(struct netlink *nl, const struct chain *chain)
{
    message(nl, NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL);
    netlink_put_text(nl, NFTA_CHAIN_TABLE, TABLE);
    netlink_put_text(nl, NFTA_CHAIN_NAME, chain->name);
    if (chain->hook < 0)
        return;
    struct nlattr *hook = netlink_nest(nl, NFTA_CHAIN_HOOK);
    netlink_put_be32(nl, NFTA_HOOK_HOOKNUM, (uint32_t)chain->hook);
    netlink_put_be32(nl, NFTA_HOOK_PRIORITY, (uint32_t)chain->priority);
    netlink_nest_end(nl, hook);
    netlink_put_be32(nl, NFTA_CHAIN_POLICY, chain->policy);
    netlink_put_text(nl, NFTA_CHAIN_TYPE, "filter");
}

static void put_data(struct netlink *nl, uint16_t type, const void *data, size_t size)
{
    struct nlattr *nest = netlink_nest(nl, type);
    netlink_put(nl, NFTA_DATA_VALUE, data, size);
    netlink_nest_end(nl, nest);
}

static void put_verdict(struct netlink *nl, uint32_t code, const char *chain)
{
    netlink_put_be32(nl, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    struct nlattr *data = netlink_nest(nl, NFTA_IMMEDIATE_DATA);
    struct nlattr *verdict = netlink_nest(nl, NFTA_DATA_VERDICT);
    netlink_put_be32(nl, NFTA_VERDICT_CODE, code);
    if (chain != NULL)
        netlink_put_text(nl, NFTA_VERDICT_CHAIN, chain);
    netlink_nest_end(nl, verdict);
    netlink_nest_end(nl, data);
}

static void put_limit(struct netlink *nl, uint64_t rate, uint32_t burst)
{
    netlink_put_be64(nl, NFTA_LIMIT_RATE, rate);
    netlink_put_be64(nl, NFTA_LIMIT_UNIT, 1); /* a second */
    netlink_put_be32(nl, NFTA_LIMIT_BURST, burst);
    netlink_put_be32(nl, NFTA_LIMIT_TYPE, NFT_LIMIT_PKTS);
}

/* Loads a word of the packet, or of what is known of it. */
static void put_load(struct netlink *nl, const struct expression *e)
{
    uint32_t to = NFT_REG32_00 + e->to;
    if (e->kind == META) {
        netlink_put_be32(nl, NFTA_META_KEY, e->key);
        netlink_put_be32(nl, NFTA_META_DREG, to);
    } else if (e->kind == PAYLOAD) {
        netlink_put_be32(nl, NFTA_PAYLOAD_DREG, to);
        netlink_put_be32(nl, NFTA_PAYLOAD_BASE, e->key);
        netlink_put_be32(nl, NFTA_PAYLOAD_OFFSET, e->value);
        netlink_put_be32(nl, NFTA_PAYLOAD_LEN, e->size);
    } else {
        netlink_put_be32(nl, NFTA_CT_KEY, e->key);
        netlink_put_be32(nl, NFTA_CT_DREG, to);
        if (e->key != NFT_CT_STATE)
            netlink_put_u8(nl, NFTA_CT_DIRECTION, 0); /* of the original direction */
    }
}

static void put_mask(struct netlink *nl, uint32_t mask)
{
    uint32_t zero = 0;
    netlink_put_be32(nl, NFTA_BITWISE_SREG, NFT_REG32_00);
    netlink_put_be32(nl, NFTA_BITWISE_DREG, NFT_REG32_00);
    netlink_put_be32(nl, NFTA_BITWISE_LEN, 4);
    put_data(nl, NFTA_BITWISE_MASK, &mask, 4);
    put_data(nl, NFTA_BITWISE_XOR, &zero, 4);
}

static void put_compare(struct netlink *nl, const struct expression *e)
{
    netlink_put_be32(nl, NFTA_CMP_SREG, NFT_REG32_00);
    netlink_put_be32(nl, NFTA_CMP_OP, e->kind == IS ? NFT_CMP_EQ : NFT_CMP_NEQ);
    put_data(nl, NFTA_CMP_DATA, &e->value, e->key); /* little-endian, as the processors are that this runs on */
}

static void put_lookup(struct netlink *nl, const struct expression *e)
{
    netlink_put_text(nl, NFTA_LOOKUP_SET, sets[e->key].name);
    netlink_put_be32(nl, NFTA_LOOKUP_SET_ID, e->key + 1);
    netlink_put_be32(nl, NFTA_LOOKUP_SREG, NFT_REG32_00);
    if (e->kind == MAPPED)
        netlink_put_be32(nl, NFTA_LOOKUP_DREG, NFT_REG32_00);
}

static void put_refusal(struct netlink *nl, const struct expression *e)
{
    netlink_put_be32(nl, NFTA_REJECT_TYPE, e->kind == RESET ? NFT_REJECT_TCP_RST : NFT_REJECT_ICMPX_UNREACH);
    if (e->kind == REFUSE)
        netlink_put_u8(nl, NFTA_REJECT_ICMP_CODE, NFT_REJECT_ICMPX_PORT_UNREACH);
}

static const char *expression_name(enum kind kind)
{
    static const char *const names[] = {
        [META] = "meta", [PAYLOAD] = "payload", [CONNECTION] = "ct", [MASK] = "bitwise", [IS] = "cmp",
        [IS_NOT] = "cmp", [IN] = "lookup", [MAPPED] = "lookup", [LIMITED] = "limit", [PRIORITY] = "meta",
        [VERDICT] = "immediate", [GOTO] = "immediate", [RESET] = "reject", [REFUSE] = "reject",
    };
    return names[kind];
}

static void put_arguments(struct netlink *nl, const struct expression *e)
{
    switch (e->kind) {
    case META:
    case PAYLOAD:
    case CONNECTION: put_load(nl, e); break;
    case MASK: put_mask(nl, e->value); break;
    case IS:
    case IS_NOT: put_compare(nl, e); break;
    case IN:
    case MAPPED: put_lookup(nl, e); break;
    case LIMITED: put_limit(nl, REFUSALS_RATE, REFUSALS_RATE); break;
    case PRIORITY:
        netlink_put_be32(nl, NFTA_META_KEY, NFT_META_PRIORITY);
        netlink_put_be32(nl, NFTA_META_SREG, NFT_REG32_00);
        break;
    case VERDICT: put_verdict(nl, e->key, NULL); break;
    case GOTO: put_verdict(nl, (uint32_t)NFT_GOTO, e->chain); break;
    case RESET:
    case REFUSE: put_refusal(nl, e); break;
    case END: break;
    }
}

static void put_rule(struct netlink *nl, const char *chain, const struct expression *expressions)
{
    message(nl, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
    netlink_put_text(nl, NFTA_RULE_TABLE, TABLE);
    netlink_put_text(nl, NFTA_RULE_CHAIN, chain);
    struct nlattr *list = netlink_nest(nl, NFTA_RULE_EXPRESSIONS);
    for (unsigned i = 0; i < EXPRESSIONS_MAX && expressions[i].kind != END; i++) {
        struct nlattr *element = netlink_nest(nl, NFTA_LIST_ELEM);
        netlink_put_text(nl, NFTA_EXPR_NAME, expression_name(expressions[i].kind));
        struct nlattr *data = netlink_nest(nl, NFTA_EXPR_DATA);
        put_arguments(nl, &expressions[i]);
        netlink_nest_end(nl, data);
        netlink_nest_end(nl, element);
    }
    netlink_nest_end(nl, list);
}

int nft_install(struct netlink *nl)
{
    nft_begin(nl);
    message(nl, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL);
    netlink_put_text(nl, NFTA_TABLE_NAME, TABLE);
    for (unsigned set = 0; set < NFT_SETS; set++)
        if (set != NFT_SHAPED)
            put_set(nl, set);
    for (unsigned i = 0; i < COUNT(chains); i++)
        put_chain(nl, &chains[i]);
    for (unsigned i = 0; i < COUNT(rules); i++)
        put_rule(nl, rules[i].chain, rules[i].expressions);
    return nft_commit(nl);
}

int nft_install_shaping(struct netlink *nl)
{
    nft_begin(nl);
    put_set(nl, NFT_SHAPED);
    put_chain(nl, &shaping_chain);
    put_rule(nl, shaping_chain.name, shaping);
    return nft_commit(nl);
}

/* ---- elements ---- */

static uint32_t in_kernel_order(uint8_t type, uint32_t word)
{
    switch (type) {
    case T_ADDRESS: return htonl(word);
    case T_SERVICE: return htons((uint16_t)word);
    default: return word;
    }
}

static void put_element(struct netlink *nl, enum nft_set set, const struct nft_element *element, bool whole)
{
    uint32_t key[4];
    unsigned fields = field_count(set);
    for (unsigned i = 0; i < fields; i++)
        key[i] = in_kernel_order(sets[set].fields[i], element->words[i]);
    struct nlattr *nest = netlink_nest(nl, NFTA_LIST_ELEM);
    put_data(nl, NFTA_SET_ELEM_KEY, key, fields * 4);
    if (whole && sets[set].data != 0)
        put_data(nl, NFTA_SET_ELEM_DATA, &element->data, 4);
    if (whole && sets[set].paced) {
        struct nlattr *expression = netlink_nest(nl, NFTA_SET_ELEM_EXPR);
        netlink_put_text(nl, NFTA_EXPR_NAME, "limit");
        struct nlattr *limit = netlink_nest(nl, NFTA_EXPR_DATA);
        put_limit(nl, PACE_RATE, PACE_BURST);
        netlink_nest_end(nl, limit);
        netlink_nest_end(nl, expression);
    }
    netlink_nest_end(nl, nest);
}

static void change(struct netlink *nl, uint16_t type, uint16_t flags, enum nft_set set,
                   const struct nft_element *elements, unsigned count)
{
    struct nfgenmsg header = family();
    if (count == 0)
        return;
    netlink_begin_large(nl, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, &header, sizeof header);
    netlink_put_text(nl, NFTA_SET_ELEM_LIST_TABLE, TABLE);
    netlink_put_text(nl, NFTA_SET_ELEM_LIST_SET, sets[set].name);
    struct nlattr *list = netlink_nest(nl, NFTA_SET_ELEM_LIST_ELEMENTS);
    for (unsigned i = 0; i < count; i++)
        put_element(nl, set, &elements[i], type == NFT_MSG_NEWSETELEM);
    netlink_nest_end(nl, list);
}

void nft_add(struct netlink *nl, enum nft_set set, const struct nft_element *elements, unsigned count)
{
    change(nl, NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL, set, elements, count);
}

void nft_remove(struct netlink *nl, enum nft_set set, const struct nft_element *elements, unsigned count)
{
    change(nl, NFT_MSG_DELSETELEM, 0, set, elements, count);
}
