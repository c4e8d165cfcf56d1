/*
 * rollout_stop.c - ends VMs, those first on which no other depends that still lives. One whose entry is of another
 * version of the topology than the rest ends at once.
 */
#include <stdlib.h>

#include "manager.h"
#include "rollout_parts.h"

bool rollout_ends(const struct instance *instance)
{
    return instance->doomed && !instance_is_down(instance);
}

static bool is_old(const struct rollout *rollout, const struct instance *instance)
{
    return rollout->old != NULL && instance->bundle->topology == rollout->old;
}

static void stop(struct instance *instance)
{
    if (!rollout_ends(instance))
        return;
    instance->again = instance->wanted = false;
    instance_stop(instance, FLEET_GRACE_MS, false);
}

/* All of an entry that are to end. */
static void stop_entry(const struct rollout *rollout, uint32_t entry)
{
    const struct topology *old = rollout->old;
    uint32_t first, count = topology_instances_of(old, (struct topology_peer){entry, 0}, &first);
    for (uint32_t i = first; i < first + count && i < old->instance_count; i++) {
        struct instance *instance = fleet_find_instance(rollout->fleet, old->instances[i].name);
        if (instance != NULL && is_old(rollout, instance))
            stop(instance);
    }
}

/* What `entry` waits for is held up by it while any of its VMs lives. */
static void count_blockers(struct rollout *rollout)
{
    for (uint32_t i = 0; i < rollout->old->vm_count; i++)
        for (uint32_t j = 0; rollout->alive[i] > 0 && j < rollout->old->vms[i].depend_count; j++)
            if (rollout->old->vms[i].depends[j].vm != i)
                rollout->blockers[rollout->old->vms[i].depends[j].vm]++;
}

/* Without memory there is no order. */
static void make_tables(struct rollout *rollout)
{
    const struct fleet *fleet = rollout->fleet;
    rollout->old = fleet->bundle != NULL ? fleet->bundle->topology : NULL;
    uint32_t entries = rollout->old != NULL ? rollout->old->vm_count : 0;
    free(rollout->alive);
    free(rollout->blockers);
    rollout->alive = calloc(entries + 1u, sizeof *rollout->alive);
    rollout->blockers = calloc(entries + 1u, sizeof *rollout->blockers);
    if (rollout->alive == NULL || rollout->blockers == NULL)
        rollout->old = NULL;
}

void rollout_stop_begin(struct rollout *rollout)
{
    struct fleet *fleet = rollout->fleet;
    make_tables(rollout);
    rollout->stopping = 0;
    for (struct instance *at = fleet->instances; at != NULL; at = at->in_fleet.next) {
        rollout->stopping += rollout_ends(at);
        if (rollout_ends(at) && is_old(rollout, at))
            rollout->alive[at->entry]++;
    }
    if (rollout->old != NULL)
        count_blockers(rollout);
    for (struct instance *at = fleet->instances; at != NULL; at = at->in_fleet.next)
        if (!is_old(rollout, at) || rollout->blockers[at->entry] == 0)
            stop(at);
}

void rollout_stop_ended(struct rollout *rollout, const struct instance *instance)
{
    rollout->stopping -= rollout->stopping > 0;
    if (!is_old(rollout, instance) || rollout->alive[instance->entry] == 0 || --rollout->alive[instance->entry] > 0)
        return;
    const struct topology_vm *vm = &rollout->old->vms[instance->entry];
    for (uint32_t i = 0; i < vm->depend_count; i++) {
        uint32_t on = vm->depends[i].vm;
        if (on != instance->entry && --rollout->blockers[on] == 0)
            stop_entry(rollout, on);
    }
}
