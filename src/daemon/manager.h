/*
 * manager.h - bioxend's one object: the loop, the clients, the jailer's link, the table of VMs.
 */
#ifndef BX_DAEMON_MANAGER_H
#define BX_DAEMON_MANAGER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/loop.h"
#include "client.h"
#include "fleet.h"
#include "jailer.h"
#include "listener.h"
#include "network.h"

struct vm;

struct manager {
    struct bx_loop loop;
    struct client *clients; /* by number (uthash); the owner's end of file is the end of everything */
    uint32_t last_scope;
    uid_t user;             /* whose orchestrator it is: other clients are his, or root's */
    struct listener listener;
    struct jailer jailer;
    struct vm *vms;       /* by number (uthash) */
    uint32_t last_vm;
    struct network network;
    struct fleets fleets; /* topologies that are up */
    struct bx_source sweep; /* wakes the loop for clients that are gone */
};

/* Takes both sockets. Returns 0 or -errno. */
int manager_init(struct manager *manager, int control_fd, int jailer_fd, struct bx_error *err);
void manager_fini(struct manager *manager);

/* The VM with that number, or NULL. */
struct vm *manager_find(struct manager *manager, uint32_t id);

/* A number that neither a VM has nor a name of a topology. */
uint32_t manager_next_number(struct manager *manager);

/* A new VM in the table, nobody's, with that number, which is free; NULL without memory. */
struct vm *manager_add_at(struct manager *manager, uint32_t number);

/* A new VM in the table, of a client or (NULL) nobody, with the next free number; NULL without memory. */
struct vm *manager_add(struct manager *manager, struct client *client);

/* Takes a VM out of the table and frees it. */
void manager_remove(struct manager *manager, struct vm *vm);

/* A number that no client has and no scope of names ever had. */
uint32_t manager_next_scope(struct manager *manager);

/* Takes the descriptor of a new client, also when it fails. Returns 0 or -ENOMEM. */
int manager_add_client(struct manager *manager, int fd);

/* The client of that number, or NULL: gone. */
struct client *manager_client(struct manager *manager, uint32_t number);

/* Any client but the owner: its VMs are killed, and nobody hears of their end. */
void manager_on_client_gone(struct manager *manager, struct client *client);

/* Frees clients that are gone; for callers that hold none. */
void manager_sweep_clients(struct manager *manager);

/* Stops or resumes reading what a client's VMs print: while it does not take that, they wait. */
void manager_pause_output(struct client *client, bool paused);

/* The link's end of file: the jailer, its janitor and every VM are gone. */
void manager_on_jailer_gone(struct manager *manager);

#endif
