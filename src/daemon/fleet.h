/* fleet.h - a topology that is up, or on its way: its VMs, its wires, and what is being done about it. */
#ifndef BX_DAEMON_FLEET_H
#define BX_DAEMON_FLEET_H

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "feed.h"
#include "instance.h"
#include "plan.h"

struct figures;
struct fleet_down;
struct follower;
struct manager;
struct rollout;
struct upload;

/* How long a VM has for its end by itself when its topology changes or goes down. */
#define FLEET_GRACE_MS 1000u

/* Deaths that are kept, of all topologies. */
#define FLEET_DEATHS 100u

/* A permitted connection that is there, by numbers of VMs. */
struct fleet_wire {
    UT_hash_handle hh;
    struct plan_link link;
};

/* How a way behaves, by numbers of VMs. */
struct fleet_way {
    UT_hash_handle hh;
    struct plan_way way;
};

struct fleet {
    struct fleet *prev, *next;
    struct manager *manager;
    char name[BX_NAME_MAX + 1];
    uint32_t scope;           /* of its VMs' names in the private network, and of its events */
    struct bundle *bundle;    /* the last that was brought up */
    struct instance *instances; /* by name (uthash: in_fleet) */
    struct fleet_wire *wires; /* (uthash) */
    struct fleet_way *ways;   /* (uthash) */
    struct rollout *rollout;  /* what is being done, or NULL */
    uint64_t since_us;        /* CLOCK_MONOTONIC */
};

struct fleet_death {
    char fleet[BX_NAME_MAX + 1], name[BX_NAME_MAX + 1];
    uint64_t time_us;
    char *record;
    uint32_t length;
};

struct fleets {
    struct fleet *list;         /* in the order in which they came */
    struct instance *instances; /* by number (uthash) */
    struct feed feed;
    struct follower *followers;
    struct fleet_down *downs;     /* requests that take several down */
    struct figures *figures;      /* requests that wait for figures */
    struct upload *uploads;       /* what is being sent */
    struct fleet_death deaths[FLEET_DEATHS]; /* a ring */
    uint64_t death_count;
};

void fleets_init(struct manager *manager);
void fleets_fini(struct manager *manager);

/* A client is gone: what it listened to and waited for is nobody's any more. */
void fleets_forget_client(struct client *client);

struct fleet *fleet_find(struct manager *manager, const char *name);
struct fleet *fleet_new(struct manager *manager, const char *name); /* NULL: no memory */
/* It is empty. */
void fleet_free(struct fleet *fleet);

struct instance *fleet_find_instance(struct fleet *fleet, const char *name);

/*
 * "NAME", "TOPOLOGY/NAME". Returns the VM, or NULL: there is none, or (without a topology) more than one.
 */
struct instance *fleets_resolve(struct manager *manager, const char *name, struct bx_error *err);

/* Keeps what is the case; it is what the jailer did. */
int fleet_set_wire(struct fleet *fleet, const struct plan_link *link, bool on);
int fleet_set_way(struct fleet *fleet, const struct plan_way *way);

/* Forgets all wires and ways of nets that are gone. */
void fleet_forget_nets(struct fleet *fleet);

void fleet_keep_death(struct fleet *fleet, const struct instance *instance);

#endif
