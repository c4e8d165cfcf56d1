/*
 * plan.h - what has to be done to make what is there into what a topology file asks for. Pure: it looks at both and
 * touches neither.
 */
#ifndef BX_DAEMON_PLAN_H
#define BX_DAEMON_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "common/error.h"
#include "topology.h"

enum plan_action {
    PLAN_KEEP,
    PLAN_ADD,
    PLAN_CHANGE, /* it is ended, and started as it is to be now */
    PLAN_START,  /* it is as it is to be, but down */
    PLAN_REMOVE,
};

/* Why a VM is changed: a set. */
enum plan_why {
    PLAN_PROGRAM = 1 << 0, /* the script, or a module of it */
    PLAN_ARGS = 1 << 1,
    PLAN_ENV = 1 << 2,
    PLAN_LIMITS = 1 << 3,
    PLAN_PROFILE = 1 << 4,
    PLAN_MOUNTS = 1 << 5,
    PLAN_NETWORK = 1 << 6, /* whether it has one, and what it serves */
    PLAN_POLICY = 1 << 7,  /* restart, health, watchdog */
};
#define PLAN_WHY_COUNT 8

/* "script", "args", ...: of one bit, by its number. */
const char *plan_why_name(unsigned bit);

/* A VM that is there. */
struct plan_present {
    const char *name;
    const struct topology_vm *vm; /* as it was made */
    bool runs;                    /* or has ended with 0, and so done what it was to do */
};

struct plan_behaviour {
    uint64_t rate;
    uint32_t delay_us, jitter_us, loss_ppm;
};

/* A permitted connection; from and to are numbers of VMs, here as in the list that it comes with. */
struct plan_link {
    uint32_t from, to;
    uint16_t port;
    bool udp;
    uint8_t zero; /* tables hash all of it: no byte may be left to chance */
};

/* How the way from one VM to another behaves. */
struct plan_way {
    uint32_t from, to;
    struct plan_behaviour behaviour;
    struct plan_behaviour before; /* of one that changes */
};

struct plan_input {
    const struct topology *desired;
    const struct plan_present *present;
    uint32_t present_count;
    const struct plan_link *links; /* that are there, in any order; from and to are of `present` */
    uint32_t link_count;
    const struct plan_way *ways; /* likewise; those that behave in some way */
    uint32_t way_count;
    /* Do program `desired` of the file and that of a VM that is there say the same? */
    bool (*same_program)(void *context, uint32_t desired, uint32_t present);
    void *context;
};

struct plan_vm {
    enum plan_action action;
    uint32_t desired, present; /* an instance of the topology, a VM that is there; or TOPOLOGY_NONE */
    unsigned why;              /* of CHANGE: set of enum plan_why */
};

struct plan {
    struct arena arena;
    struct plan_vm *vms; /* those of the topology in its order, then those that go */
    uint32_t vm_count, kept;
    struct plan_link *added; /* from and to are instances of the topology */
    uint32_t added_count;
    struct plan_link *removed; /* from and to are of `present`; both stay: with a VM its wires go by themselves */
    uint32_t removed_count;
    uint32_t links_kept, links_gone; /* the latter went with their VM */
    struct plan_way *ways;           /* that are to behave otherwise than now: instances of the topology */
    uint32_t way_count;
    struct plan_way *all_ways; /* that behave in some way in the end */
    uint32_t all_way_count;
};

/* Returns 0 or -ENOMEM; the plan is to be finished by plan_fini, if it was made. */
int plan_make(const struct plan_input *input, struct plan **out, struct bx_error *err);
void plan_free(struct plan *plan); /* takes NULL too */

/* Is there anything to do? */
bool plan_is_empty(const struct plan *plan);

#endif
