/* rollout_parts.h - between the files of the rollout. */
#ifndef BX_DAEMON_ROLLOUT_PARTS_H
#define BX_DAEMON_ROLLOUT_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "fleet.h"
#include "plan.h"
#include "rollout.h"

/* Requests to the jailer that have no answer yet: enough to keep it busy, few enough to hear others between. */
#define ROLLOUT_WINDOW 64u

enum rollout_phase {
    ROLLOUT_ATTACH, /* nets */
    ROLLOUT_WIRE,
    ROLLOUT_SHAPE,
    ROLLOUT_STOP,   /* what goes, or changes */
    ROLLOUT_UNWIRE,
    ROLLOUT_START,
    ROLLOUT_AWAIT,  /* until all are ready */
    ROLLOUT_DONE,
    ROLLOUT_UNDO,   /* what it started ends */
    ROLLOUT_REWIRE, /* wires as they were */
    ROLLOUT_UNDONE,
};

struct rollout {
    struct fleet *fleet;
    uint32_t serial; /* so that an answer to one that is over finds nobody */
    struct client_request request;
    unsigned flags;
    bool down;
    bool fresh; /* the topology was not there before */
    struct bundle *bundle; /* NULL: down */
    struct plan *plan;     /* NULL: down */
    uint32_t *present;     /* numbers of the VMs that were there, as the plan counts them */
    uint32_t present_count;
    uint32_t *targets;     /* numbers of the VMs of each instance of the topology */
    enum rollout_phase phase;
    uint32_t asked; /* requests without an answer, and VMs that are starting */
    uint32_t at;    /* how far the phase is */
    uint64_t begun_us;
    struct bx_error why; /* it has failed */

    /* what ends, by the entries of the topology that was: dependents first */
    const struct topology *old;
    uint32_t *alive;    /* its VMs that still have to end */
    uint32_t *blockers; /* entries that depend on it and still live */
    uint32_t stopping;  /* VMs that have to end */

    /* what starts, by the entries of the topology that comes */
    uint32_t *cursors;   /* for each depend: how many of the VMs that it waits for are so far */
    uint32_t *first;     /* of each entry: its first cursor */
    uint32_t *dependents, *first_dependent; /* of each entry: the entries that wait for it */
    bool *released;      /* entries that wait for nothing more */
    uint32_t unreleased;
    uint32_t *queue;     /* instances that may start now */
    uint32_t queued, taken;

    struct client_request *downs; /* who wants it down when this has come to its end */
    uint32_t down_count;
    struct answer answer; /* what is to be done, for who asked */
    bool busy;            /* it is going on, further up the stack */
};

/* ---- rollout.c ---- */

/* One more of the fleet's; NULL: no memory. */
struct rollout *rollout_new(struct fleet *fleet, struct client_request request);

/* Goes on as far as it can. The rollout may be gone afterwards. */
void rollout_go_on(struct rollout *rollout);

/* It cannot succeed: what was done is taken back, when nothing is under way any more. */
void rollout_fail(struct rollout *rollout, int code, const char *why);

/* The instance of a number, or NULL when it is gone. */
struct instance *rollout_present(const struct rollout *rollout, uint32_t index);
struct instance *rollout_target(const struct rollout *rollout, uint32_t index);

/* Is the VM to end, in the phase that is running? */
bool rollout_ends(const struct instance *instance);

/* ---- rollout_begin.c ---- */
int rollout_begin_down(struct fleet *fleet, struct client_request request, struct bx_error *err);
/* A topology that somebody wanted down is gone, or will not go. */
void rollout_down_gone(struct manager *manager, struct client_request request, const char *name, uint32_t vms);
void rollout_down_failed(struct manager *manager, struct client_request request, const struct bx_error *err);

/* The lowest port below 1024 that the topology gives a VM: from there on it may bind. 0: there is none. */
uint16_t rollout_low_port(const struct topology_vm *vm);

/* ---- rollout_net.c: each does the next thing; true: there was one ---- */
bool rollout_attach_next(struct rollout *rollout);
bool rollout_wire_next(struct rollout *rollout);
bool rollout_shape_next(struct rollout *rollout);
bool rollout_unwire_next(struct rollout *rollout);
bool rollout_rewire_next(struct rollout *rollout);

/* ---- rollout_stop.c ---- */
void rollout_stop_begin(struct rollout *rollout);
void rollout_stop_ended(struct rollout *rollout, const struct instance *instance);

/* ---- rollout_start.c ---- */
int rollout_start_begin(struct rollout *rollout, struct bx_error *err);
bool rollout_start_next(struct rollout *rollout);
/* A VM has come further, or ended. */
void rollout_start_look(struct rollout *rollout, const struct instance *instance);
/* True when every VM is ready, or has ended with 0. */
bool rollout_all_ready(struct rollout *rollout);

#endif
