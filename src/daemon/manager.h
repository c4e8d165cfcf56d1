/*
 * manager.h - bioxend's one object: the loop, the client, the jailer's link, the table of VMs.
 */
#ifndef BX_DAEMON_MANAGER_H
#define BX_DAEMON_MANAGER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/loop.h"
#include "client.h"
#include "jailer.h"
#include "network.h"

struct vm;

struct manager {
    struct bx_loop loop;
    struct client client; /* the embedded owner: its end of file is the end of everything */
    struct jailer jailer;
    struct vm *vms;       /* by number (uthash) */
    uint32_t last_vm;
    struct network network;
};

/* Takes both sockets. Returns 0 or -errno. */
int manager_init(struct manager *manager, int control_fd, int jailer_fd, struct bx_error *err);
void manager_fini(struct manager *manager);

/* The VM with that number, or NULL. */
struct vm *manager_find(struct manager *manager, uint32_t id);

/* A new VM in the table, with the next free number and everything else zero; NULL without memory. */
struct vm *manager_add(struct manager *manager);

/* Takes a VM out of the table and frees it. */
void manager_remove(struct manager *manager, struct vm *vm);

/* Stops or resumes reading what VMs print: while the client does not take it, they wait. */
void manager_pause_output(struct manager *manager, bool paused);

/* The link's end of file: the jailer, its janitor and every VM are gone. */
void manager_on_jailer_gone(struct manager *manager);

#endif
