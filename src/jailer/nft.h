/*
 * nft.h - the policy of the fabric: who may talk to whom, as rules and sets of nf_tables in the router.
 *
 * The rules are constant (nft.c has all of them on one screen); what changes is the elements of the sets, and each
 * change costs the same however many there are. Addresses and ports are in host order here.
 */
#ifndef BX_JAILER_NFT_H
#define BX_JAILER_NFT_H

#include <stdbool.h>
#include <stdint.h>

#include "jailer/netlink.h"

enum nft_set {
    NFT_MEMBERS,  /* interface, address: what a VM sends must have its own address */
    NFT_PACE,     /* address: how many connections a VM may begin in a second */
    NFT_WIRES,    /* source, destination, protocol, port of the destination */
    NFT_GROUPS,   /* address -> group: the default network that it belongs to */
    NFT_TOGETHER, /* group, address: the same the other way round */
    NFT_SHAPED,   /* source, destination -> class of traffic (shape.c) */
    NFT_SETS
};

/* One element of a set: its key, and for a map what it leads to. */
struct nft_element {
    uint32_t words[4]; /* as the set's fields come in the list above */
    uint32_t data;
};

/* The whole ruleset, in one transaction. `nl` is a netfilter socket of the router. Returns 0 or -errno. */
int nft_install(struct netlink *nl);

/* Rules and set for shaped traffic, without which nobody pays for it. */
int nft_install_shaping(struct netlink *nl);

/* A transaction: begun, filled with changes of elements, and sent. All of it happens or nothing. */
void nft_begin(struct netlink *nl);
/* At most NETLINK_ELEMENTS_MAX at once. Adding what is there already is -EEXIST. */
void nft_add(struct netlink *nl, enum nft_set set, const struct nft_element *elements, unsigned count);
/* Removing what is not there is -ENOENT. */
void nft_remove(struct netlink *nl, enum nft_set set, const struct nft_element *elements, unsigned count);
int nft_commit(struct netlink *nl);

#endif
