/*
 * peers.h - who may begin to talk to whom, as VMs are told of it. A name or an address that a VM has nothing to do with
 * is answered as one that does not exist. The policy itself is the jailer's, in the kernel.
 */
#ifndef BX_DAEMON_PEERS_H
#define BX_DAEMON_PEERS_H

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "common/jail_wire.h"
#include "common/lifeline.h"

struct manager;
struct network_net;
struct vm;

/* A port of `net`, or of one's own; with port 0: all wires between the two. */
struct network_peer_key {
    uint32_t net;
    uint32_t port;
};

struct network_peer {
    UT_hash_handle hh;
    struct network_peer_key key;
    uint32_t out, in; /* wires: from one's own net, to it */
};

/*
 * Counts a wire, or (on 0) that it is gone. Returns whether the two nets are now wired and were not before, or the
 * reverse; 0 is also the answer for nets that are not there. -ENOMEM: nothing was counted.
 */
int peers_count(struct manager *manager, const struct jw_wire *wire);

/* All of a net that goes. */
void peers_forget(struct manager *manager, struct network_net *net);

/* May one of them begin to talk to the other? */
bool peers_know(const struct network_net *one, const struct network_net *other);

/* The answers to LW_NEED of an address, a name, peers: into `out`, whose text goes into `text` (BX_MESSAGE_MAX). */
void peers_address(const struct vm *vm, const struct lw_frame *question, struct lw_frame *out);
void peers_name(const struct vm *vm, const struct lw_frame *question, struct lw_frame *out);
int peers_list(const struct vm *vm, const struct lw_frame *question, struct lw_frame *out, char *text);

#endif
