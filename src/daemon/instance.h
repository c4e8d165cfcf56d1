/*
 * instance.h - a VM of a topology: what has its name, its number, its log and its place in the network, and outlives
 * the process that is its life now.
 */
#ifndef BX_DAEMON_INSTANCE_H
#define BX_DAEMON_INSTANCE_H

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "bundle.h"
#include "client.h"
#include "common/jail_wire.h"
#include "common/record.h"
#include "common/loop.h"
#include "logs.h"
#include "restart.h"

struct fleet;
struct follow_tail;
struct manager;
struct network_net;
struct topology_vm;
struct vm;

enum instance_state {
    INSTANCE_WAITING,  /* not started yet */
    INSTANCE_STARTING, /* asked of the jailer */
    INSTANCE_RUNNING,
    INSTANCE_STOPPING, /* asked to end, or killed */
    INSTANCE_ENDED,    /* by itself */
    INSTANCE_STOPPED,  /* because somebody wanted that */
    INSTANCE_FAILED,   /* it could not be started, or its restart policy has given it up */
    INSTANCE_BACKOFF,  /* it has ended, and will be started again */
};

/* A client that waits until a VM is up, or down. */
struct instance_waiter {
    struct client_request request;
    bool up;
    struct instance_waiter *next;
};

/* How it ended last: the record as MessagePack, for answers. */
struct instance_death {
    uint64_t time_us; /* CLOCK_REALTIME; 0: it never did */
    char *record;
    uint32_t length;
    uint32_t outcome, exit_code;
};

/* The wait before a restart, and the way back to the VM. */
struct instance_timer {
    struct bx_source source;
    struct instance *instance;
};

struct instance {
    UT_hash_handle hh;       /* in manager.fleets.instances, by number */
    UT_hash_handle in_fleet; /* by name, in the order in which they came */
    uint32_t number;         /* of its VM, and of its net */
    char name[BX_NAME_MAX + 1];
    struct fleet *fleet;
    struct bundle *bundle; /* where it comes from */
    uint32_t entry;        /* its VM in the bundle's topology */
    uint32_t index;        /* its instance there */
    struct vm *vm;         /* its process; NULL: it is down */
    struct network_net *net; /* NULL: it has none */
    enum instance_state state;
    bool ready;    /* in this life */
    bool wanted;   /* somebody wants it to be up */
    bool again;    /* it is ending, and to be started after that */
    bool net_made; /* the jailer was asked for its net */
    uint64_t ports_heard; /* a set: which of its server's ports listen */
    uint32_t restarts;
    uint64_t started_us; /* CLOCK_MONOTONIC, of this life */
    uint64_t ready_us;   /* likewise: since when it is ready */
    char *why;           /* FAILED: what was said */
    struct restart_history history;
    struct instance_timer backoff;
    uint64_t wait_us;    /* BACKOFF: how long it waits */
    bool returning;      /* this life is a restart by its policy, and has not begun yet */
    struct instance_death death;
    struct log log;
    struct follow_tail *tails;
    struct instance_waiter *waiters;
    uint32_t figures_asked; /* how many wait for its figures */
    uint32_t place; /* among all of its fleet, when they are listed */
    /* Of the rollout that is running: */
    bool doomed;  /* it is to end */
    bool fresh;   /* it was not there before */
    bool touched; /* it was started */
    bool counted; /* it is starting, and the rollout waits for that */
};

const char *instance_state_name(enum instance_state state);
const struct topology_vm *instance_entry(const struct instance *instance);

/* A new one of the fleet, WAITING, with a number; NULL: no memory. */
struct instance *instance_new(struct fleet *fleet, struct bundle *bundle, uint32_t index, struct bx_error *err);

/* What it is to be when it is started the next time; with a net from now on if it wants one. Returns 0 or -errno. */
int instance_rebind(struct instance *instance, struct bundle *bundle, uint32_t index, struct bx_error *err);

/* It has a net from now on, which nobody uses yet. Returns 0 or -errno. */
int instance_join(struct instance *instance, struct bx_error *err);

/* Takes it out of everything. It is down. */
void instance_free(struct instance *instance);

/* The one of that number, or NULL. */
struct instance *instance_find(struct manager *manager, uint32_t number);

/* The first of new lives: asks for the process. What becomes of it comes as instance_on_*. Returns 0 or -errno. */
int instance_start(struct instance *instance, struct bx_error *err);

/* Asks for its end, if it lives; `kill`: at once. */
void instance_stop(struct instance *instance, uint32_t grace_ms, bool kill);

/* Somebody wants it to be up or down: that is done as soon as its state allows. */
void instance_want(struct instance *instance, bool up, uint32_t grace_ms);

/* Waits until it is up, or down; answers at once when it is so already. Returns 0 or -ENOMEM. */
int instance_wait(struct instance *instance, struct client_request request, bool up);

/* Is it so far? */
bool instance_is_up(const struct instance *instance);
bool instance_is_down(const struct instance *instance);
bool instance_is_completed(const struct instance *instance); /* it has ended with 0, and nobody wants it again */

/* ---- what happens to its process ---- */
void instance_on_started(struct instance *instance);
void instance_on_failed(struct instance *instance, int code, const char *why);
void instance_on_output(struct instance *instance, uint32_t stream, const char *bytes, size_t length);
void instance_on_need(struct instance *instance, const char *name, size_t length);
void instance_on_ready(struct vm *vm, uint16_t port); /* 0: its script says so */
void instance_on_ended(struct instance *instance, const struct record *record);

#endif
