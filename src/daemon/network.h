/*
 * network.h - the private network as the orchestrator sees it: names and addresses of VMs, who may begin to talk to
 * whom, and what was asked of the jailer and has no answer yet. The policy itself is the jailer's, in the kernel.
 */
#ifndef BX_DAEMON_NETWORK_H
#define BX_DAEMON_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include <uthash.h>

#include "common/error.h"
#include "common/jail_wire.h"
#include "common/lifeline.h"
#include "client.h"

struct manager;
struct vm;
struct network_wait;

/*
 * A VM is there for others, as far as it says: with port 0 its script says that it is ready, else a TCP socket of its
 * own listens. May come again, also of the same port.
 */
typedef void network_on_ready(struct vm *vm, uint16_t port);

/* Whom a name is for: each scope has its own. */
struct network_name {
    uint32_t scope;
    char name[BX_NAME_MAX + 1];
};

/* A place in the private network. It has the number of its VM, and outlives the VM's process where that may return. */
struct network_net {
    UT_hash_handle hh, by_name, by_address;
    uint32_t number;
    struct network_name name;
    uint32_t address;           /* IPv4, host order; 0: not attached */
    uint32_t group;             /* its default network; 0: it reaches others over wires only */
    struct network_peer *peers; /* by number and port (uthash, peers.h) */
};

struct network {
    network_on_ready *on_ready; /* or NULL */
    struct network_net *nets;   /* by number (uthash) */
    struct network_net *names;  /* the same by name (uthash) */
    struct network_net *addresses; /* those that have one, by it (uthash) */
    struct network_wait *waits; /* by tag (uthash) */
    uint32_t last_tag;
};

/* Who asked, and what is to be done when the jailer has answered. `vm` may be gone by then. */
struct network_question {
    void (*done)(struct manager *manager, const struct network_question *question, const struct jw_reply *reply);
    uint32_t vm;
    struct client_request request;
    void *context;
};

/* `reply` of the callback is JW_NET_DONE or JW_NET_FAILED; NULL: the jailer is gone. */
int network_ask(struct manager *manager, struct jw_request *request, const struct network_question *question);

/* A new net, not known to the jailer yet. Returns 0, -EEXIST for a name that its scope has already, or -ENOMEM. */
int network_add(struct manager *manager, uint32_t scope, uint32_t number, const char *name, struct network_net **out,
                struct bx_error *err);

/* Forgets it: its name is free, its wires are gone. `made`: the jailer may know it. */
void network_drop(struct manager *manager, struct network_net *net, bool made);

struct network_net *network_find(struct manager *manager, uint32_t number);

/* It has that address from now on; 0: none. And whose one is, or NULL. */
void network_place(struct manager *manager, struct network_net *net, uint32_t address);
struct network_net *network_at(struct manager *manager, uint32_t address);

/* Wires of one request: with each may come two for messages. */
#define NETWORK_WIRES_MAX (JW_WIRES_MAX / 3)

/*
 * Permits or forbids connections between VMs (by number), all or none: as JW_WIRES has them. Beside that, two VMs that
 * are wired in any way may send each other messages: connections to MAIL_PORT, both ways, come and go with the first
 * wire and the last one.
 */
int network_wire(struct manager *manager, const struct jw_wire *wires, uint32_t count,
                 const struct network_question *question);

/* Of a VM that is to have a net: its name must be the only one in its scope. Returns 0 or -EEXIST. */
int network_enter(struct vm *vm, struct bx_error *err);

/*
 * A VM with sockets may bind one. Whatever Unix socket it is handed gets a name that the kernel chooses, so that it
 * cannot take a name of the host's with it. Does nothing for a VM without. Returns 0 or -errno.
 */
int network_close_socket(const struct vm *vm, int fd);

/* What a spawn says about it. */
void network_fill(const struct vm *vm, struct jw_spawn *spawn);

/* A VM that was made with VM_NETWORK_LATE gets its address; the request is answered. Returns 0 or -errno. */
int network_connect(struct vm *vm, struct client_request request, struct bx_error *err);

/* The VM was born: its net is attached. */
void network_spawned(struct vm *vm);

/* The VM is gone: a net of its own goes with it. */
void network_leave(struct vm *vm);

/* What a VM says of its own readiness. Returns 0, or -EBADMSG for what is no port. */
int network_take_ready(struct vm *vm, uint64_t port);

/* The address of the VM of that name and the same scope, if `vm` may begin to talk to it; else 0. */
uint32_t network_address(const struct vm *vm, const char *name, uint32_t length);

void network_take_reply(struct manager *manager, const struct jw_reply *reply);
/* The jailer is gone: nobody will answer. */
void network_lost(struct manager *manager);

#endif
