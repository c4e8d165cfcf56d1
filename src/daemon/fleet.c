/* fleet.c - the tables of topologies that are up. What is done with them is rollout.c's. */
#include "fleet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "common/clock.h"
#include "figures.h"
#include "follow.h"
#include "manager.h"
#include "rollout.h"
#include "upload.h"

void fleets_init(struct manager *manager)
{
    manager->fleets = (struct fleets){0};
    manager->network.on_ready = instance_on_ready;
}

static void drop_wires(struct fleet *fleet)
{
    struct fleet_wire *wire = fleet->wires, *next;
    HASH_CLEAR(hh, fleet->wires);
    for (; wire != NULL; wire = next) {
        next = wire->hh.next;
        free(wire);
    }
    struct fleet_way *way = fleet->ways, *next_way;
    HASH_CLEAR(hh, fleet->ways);
    for (; way != NULL; way = next_way) {
        next_way = way->hh.next;
        free(way);
    }
}

void fleet_free(struct fleet *fleet)
{
    follow_fleet_removed(fleet);
    DL_DELETE(fleet->manager->fleets.list, fleet);
    drop_wires(fleet);
    bundle_leave(fleet->bundle);
    free(fleet);
}

void fleets_fini(struct manager *manager)
{
    struct fleets *fleets = &manager->fleets;
    struct fleet *fleet, *next;
    follow_fini(manager);
    feed_fini(&fleets->feed);
    figures_fini(manager);
    upload_forget(manager, 0);
    rollout_downs_fini(manager);
    DL_FOREACH_SAFE(fleets->list, fleet, next) {
        rollout_drop(fleet);
        while (fleet->instances != NULL)
            instance_free(fleet->instances);
        fleet_free(fleet);
    }
    for (unsigned i = 0; i < FLEET_DEATHS; i++)
        free(fleets->deaths[i].record);
}

void fleets_forget_client(struct client *client)
{
    struct fleet *fleet, *next;
    feed_forget(client, 0);
    follow_forget(client, 0);
    upload_forget(client->manager, client->number);
    DL_FOREACH_SAFE(client->manager->fleets.list, fleet, next)
        rollout_client_gone(fleet, client->number);
}

struct fleet *fleet_find(struct manager *manager, const char *name)
{
    struct fleet *fleet;
    DL_FOREACH(manager->fleets.list, fleet)
        if (strcmp(fleet->name, name) == 0)
            return fleet;
    return NULL;
}

struct fleet *fleet_new(struct manager *manager, const char *name)
{
    struct fleet *fleet = calloc(1, sizeof *fleet);
    if (fleet == NULL)
        return NULL;
    fleet->manager = manager;
    snprintf(fleet->name, sizeof fleet->name, "%s", name);
    fleet->scope = manager_next_scope(manager);
    fleet->since_us = bx_now_us();
    DL_APPEND(manager->fleets.list, fleet);
    return fleet;
}

struct instance *fleet_find_instance(struct fleet *fleet, const char *name)
{
    struct instance *instance;
    HASH_FIND(in_fleet, fleet->instances, name, strlen(name), instance);
    return instance;
}

static struct instance *resolve_alone(struct manager *manager, const char *name, struct bx_error *err)
{
    struct instance *found = NULL, *here;
    struct fleet *fleet;
    DL_FOREACH(manager->fleets.list, fleet) {
        here = fleet_find_instance(fleet, name);
        if (here != NULL && found != NULL) {
            bx_fail(err, ENOTUNIQ, "there is a VM '%s' in the topologies '%s' and '%s': name it as %s/%s", name,
                    found->fleet->name, fleet->name, fleet->name, name);
            return NULL;
        }
        found = here != NULL ? here : found;
    }
    if (found == NULL)
        bx_fail(err, ENOENT, "there is no VM '%.100s'", name);
    return found;
}

struct instance *fleets_resolve(struct manager *manager, const char *name, struct bx_error *err)
{
    const char *slash = strchr(name, '/');
    if (slash == NULL)
        return resolve_alone(manager, name, err);
    char topology[BX_NAME_MAX + 1] = "";
    if (slash - name <= BX_NAME_MAX)
        memcpy(topology, name, (size_t)(slash - name));
    struct fleet *fleet = fleet_find(manager, topology);
    struct instance *instance = fleet != NULL ? fleet_find_instance(fleet, slash + 1) : NULL;
    if (fleet == NULL)
        bx_fail(err, ENOENT, "there is no topology '%.*s'", (int)(slash - name < 100 ? slash - name : 100), name);
    else if (instance == NULL)
        bx_fail(err, ENOENT, "there is no VM '%.100s' in the topology '%s'", slash + 1, topology);
    return instance;
}

/* ---- wires ---- */

/* As a key: without bytes that do not count. */
static void key_of(struct plan_link *key, const struct plan_link *link)
{
    memset(key, 0, sizeof *key);
    key->from = link->from;
    key->to = link->to;
    key->port = link->port;
    key->udp = link->udp;
}

int fleet_set_wire(struct fleet *fleet, const struct plan_link *link, bool on)
{
    struct plan_link key;
    struct fleet_wire *wire;
    key_of(&key, link);
    HASH_FIND(hh, fleet->wires, &key, sizeof key, wire);
    if (wire != NULL && !on) {
        HASH_DEL(fleet->wires, wire);
        free(wire);
    }
    if (wire != NULL || !on)
        return 0;
    wire = calloc(1, sizeof *wire);
    if (wire == NULL)
        return -ENOMEM;
    wire->link = key;
    HASH_ADD(hh, fleet->wires, link, sizeof wire->link, wire);
    return 0;
}

int fleet_set_way(struct fleet *fleet, const struct plan_way *way)
{
    const struct plan_behaviour *behaviour = &way->behaviour;
    bool behaves = behaviour->rate != 0 || behaviour->delay_us != 0 || behaviour->loss_ppm != 0;
    struct fleet_way *known;
    HASH_FIND(hh, fleet->ways, way, 2 * sizeof way->from, known); /* from, to */
    if (known != NULL && behaves) {
        known->way.behaviour = way->behaviour;
    } else if (known != NULL) {
        HASH_DEL(fleet->ways, known);
        free(known);
    } else if (behaves) {
        known = calloc(1, sizeof *known);
        if (known == NULL)
            return -ENOMEM;
        known->way = *way;
        HASH_ADD(hh, fleet->ways, way, 2 * sizeof way->from, known);
    }
    return 0;
}

static bool is_cut(struct manager *manager, uint32_t from, uint32_t to)
{
    return network_find(manager, from) == NULL || network_find(manager, to) == NULL;
}

void fleet_forget_nets(struct fleet *fleet)
{
    struct fleet_wire *wire, *next;
    HASH_ITER(hh, fleet->wires, wire, next)
        if (is_cut(fleet->manager, wire->link.from, wire->link.to)) {
            HASH_DEL(fleet->wires, wire); /* NOLINT(clang-analyzer-unix.Malloc): it does not follow uthash */
            free(wire);
        }
    struct fleet_way *way, *next_way;
    HASH_ITER(hh, fleet->ways, way, next_way)
        if (is_cut(fleet->manager, way->way.from, way->way.to)) {
            HASH_DEL(fleet->ways, way); /* NOLINT(clang-analyzer-unix.Malloc): it does not follow uthash */
            free(way);
        }
}

/* ---- deaths ---- */

void fleet_keep_death(struct fleet *fleet, const struct instance *instance)
{
    struct fleets *fleets = &fleet->manager->fleets;
    struct fleet_death *death = &fleets->deaths[fleets->death_count % FLEET_DEATHS];
    char *record = malloc(instance->death.length + 1u);
    if (record == NULL)
        return;
    memcpy(record, instance->death.record, instance->death.length);
    free(death->record);
    *death = (struct fleet_death){
        .time_us = instance->death.time_us, .record = record, .length = instance->death.length};
    memcpy(death->fleet, fleet->name, sizeof death->fleet);
    memcpy(death->name, instance->name, sizeof death->name);
    fleets->death_count++;
}
