/*
 * rollout_start.c - starts VMs as soon as what they depend on is so far. Each depend remembers how many of the VMs that
 * it names are, so that a thousand replicas are looked at once each.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "manager.h"
#include "rollout_parts.h"

static const struct topology_vm *entry_of(const struct rollout *rollout, uint32_t entry)
{
    return &rollout->bundle->topology->vms[entry];
}

/* ---- is it so far? ---- */

static bool is_so_far(const struct instance *instance, enum topology_condition condition)
{
    bool completed = instance_is_completed(instance);
    switch (condition) {
    case TOPOLOGY_STARTED: return instance_is_up(instance) || completed;
    case TOPOLOGY_READY:
    case TOPOLOGY_HEALTHY: return instance->ready || completed;
    case TOPOLOGY_COMPLETED: return completed;
    }
    return false;
}

/* Whom it waits for still, or NULL. */
static const struct instance *awaited(struct rollout *rollout, uint32_t entry, uint32_t number)
{
    const struct topology_depend *depend = &entry_of(rollout, entry)->depends[number];
    uint32_t first, count = topology_instances_of(rollout->bundle->topology,
                                                  (struct topology_peer){depend->vm, depend->replica}, &first);
    uint32_t *cursor = &rollout->cursors[rollout->first[entry] + number];
    for (; *cursor < count; ++*cursor) {
        const struct instance *instance = rollout_target(rollout, first + *cursor);
        if (!is_so_far(instance, depend->condition))
            return instance;
    }
    return NULL;
}

/* It has ended, or could not start, and nobody will start it again. */
static bool is_over(const struct instance *instance)
{
    return instance->state == INSTANCE_ENDED || instance->state == INSTANCE_STOPPED ||
           instance->state == INSTANCE_FAILED;
}

static void fail_waiting(struct rollout *rollout, uint32_t entry, uint32_t number, const struct instance *on)
{
    static const char *const wants[] = {"has started", "is ready", "is healthy", "has ended with 0"};
    char why[300];
    snprintf(why, sizeof why, "'%s' waits until '%s' %s; that has ended before (%s, exit status %u): bioxen logs %s",
             entry_of(rollout, entry)->name, on->name, wants[entry_of(rollout, entry)->depends[number].condition],
             on->death.time_us != 0 ? record_outcome_name(on->death.outcome) : "it could not be started",
             on->death.exit_code, on->name);
    rollout_fail(rollout, ECHILD, why);
}

/* ---- beginning ---- */

static void release(struct rollout *rollout, uint32_t entry)
{
    uint32_t first, count = topology_instances_of(rollout->bundle->topology, (struct topology_peer){entry, 0}, &first);
    rollout->released[entry] = true;
    rollout->unreleased--;
    for (uint32_t i = first; i < first + count && i < rollout->bundle->topology->instance_count; i++)
        if (rollout->plan->vms[i].action != PLAN_KEEP)
            rollout->queue[rollout->queued++] = i;
}

/* Releases it if it waits for nothing more. */
static void look_at(struct rollout *rollout, uint32_t entry)
{
    for (uint32_t i = 0; i < entry_of(rollout, entry)->depend_count; i++) {
        const struct instance *on = awaited(rollout, entry, i);
        if (on != NULL && is_over(on))
            fail_waiting(rollout, entry, i, on);
        if (on != NULL)
            return;
    }
    release(rollout, entry);
}

/* Does anything of it start at all? */
static bool has_work(const struct rollout *rollout, uint32_t entry)
{
    uint32_t first, count = topology_instances_of(rollout->bundle->topology, (struct topology_peer){entry, 0}, &first);
    for (uint32_t i = first; i < first + count; i++)
        if (rollout->plan->vms[i].action != PLAN_KEEP)
            return true;
    return false;
}

/*
 * Entries by what they wait for. Counted, added up, and filled in from the back: then each list begins where the next
 * one of the list before it ended.
 */
static void list_dependents(struct rollout *rollout)
{
    const struct topology *topology = rollout->bundle->topology;
    uint32_t *begin = rollout->first_dependent;
    for (uint32_t i = 0; i < topology->vm_count; i++)
        for (uint32_t j = 0; j < topology->vms[i].depend_count; j++)
            begin[topology->vms[i].depends[j].vm]++;
    for (uint32_t i = 1; i <= topology->vm_count; i++)
        begin[i] += begin[i - 1];
    for (uint32_t i = 0; i < topology->vm_count; i++)
        for (uint32_t j = 0; j < topology->vms[i].depend_count; j++)
            rollout->dependents[--begin[topology->vms[i].depends[j].vm]] = i;
}

static int make_tables(struct rollout *rollout, uint32_t depends)
{
    const struct topology *topology = rollout->bundle->topology;
    rollout->cursors = calloc(depends + 1u, sizeof *rollout->cursors);
    rollout->first = calloc(topology->vm_count + 1u, sizeof *rollout->first);
    rollout->dependents = calloc(depends + 1u, sizeof *rollout->dependents);
    rollout->first_dependent = calloc(topology->vm_count + 1u, sizeof *rollout->first_dependent);
    rollout->released = calloc(topology->vm_count + 1u, sizeof *rollout->released);
    rollout->queue = calloc(topology->instance_count + 1u, sizeof *rollout->queue);
    return rollout->cursors != NULL && rollout->first != NULL && rollout->dependents != NULL &&
                   rollout->first_dependent != NULL && rollout->released != NULL && rollout->queue != NULL
               ? 0
               : -ENOMEM;
}

/* Those that stay as they are belong to the new topology from now on. */
static int rebind_kept(struct rollout *rollout, struct bx_error *err)
{
    const struct plan *plan = rollout->plan;
    for (uint32_t i = 0; i < plan->vm_count; i++) {
        if (plan->vms[i].action != PLAN_KEEP)
            continue;
        int rc = instance_rebind(rollout_target(rollout, plan->vms[i].desired), rollout->bundle, plan->vms[i].desired,
                                 err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

int rollout_start_begin(struct rollout *rollout, struct bx_error *err)
{
    const struct topology *topology = rollout->bundle->topology;
    uint32_t depends = 0;
    for (uint32_t i = 0; i < topology->vm_count; i++)
        depends += topology->vms[i].depend_count;
    if (make_tables(rollout, depends) != 0)
        return bx_fail_errno(err, ENOMEM, "topology '%s'", rollout->fleet->name);
    depends = 0;
    for (uint32_t i = 0; i < topology->vm_count; i++) {
        rollout->first[i] = depends;
        depends += topology->vms[i].depend_count;
    }
    list_dependents(rollout);
    if (rebind_kept(rollout, err) != 0)
        return -err->code;
    rollout->unreleased = topology->vm_count;
    for (uint32_t i = 0; i < topology->vm_count; i++)
        if (!has_work(rollout, i))
            release(rollout, i);
    for (uint32_t i = 0; i < topology->vm_count && rollout->why.code == 0; i++)
        if (!rollout->released[topology->order[i]])
            look_at(rollout, topology->order[i]);
    return 0;
}

/* ---- going on ---- */

bool rollout_start_next(struct rollout *rollout)
{
    struct bx_error err = {0};
    if (rollout->taken == rollout->queued)
        return false;
    uint32_t index = rollout->queue[rollout->taken++];
    struct instance *instance = rollout_target(rollout, index);
    instance->touched = instance->counted = true;
    rollout->asked++;
    if (instance_rebind(instance, rollout->bundle, index, &err) != 0 || instance_start(instance, &err) != 0)
        instance_on_failed(instance, err.code, err.text);
    return true;
}

void rollout_start_look(struct rollout *rollout, const struct instance *instance)
{
    if (instance->bundle != rollout->bundle) /* it waits for its turn itself */
        return;
    uint32_t end = rollout->first_dependent[instance->entry + 1];
    for (uint32_t i = rollout->first_dependent[instance->entry]; i < end && rollout->why.code == 0; i++)
        if (!rollout->released[rollout->dependents[i]])
            look_at(rollout, rollout->dependents[i]);
}

bool rollout_all_ready(struct rollout *rollout)
{
    const struct topology *topology = rollout->bundle->topology;
    for (; rollout->at < topology->instance_count; rollout->at++) {
        const struct instance *instance = rollout_target(rollout, rollout->at);
        if (is_so_far(instance, TOPOLOGY_READY))
            continue;
        if (is_over(instance)) {
            char why[300];
            snprintf(why, sizeof why, "'%s' has ended before it was ready (%s, exit status %u): bioxen logs %s",
                     instance->name, record_outcome_name(instance->death.outcome), instance->death.exit_code,
                     instance->name);
            rollout_fail(rollout, ECHILD, why);
        }
        return false;
    }
    return true;
}
