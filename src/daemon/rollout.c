/* rollout.c - the phases of an up and of a down, one after the other, and how they end. */
#include "rollout.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "common/clock.h"
#include "follow.h"
#include "listing.h"
#include "manager.h"
#include "rollout_parts.h"

static uint32_t last_serial;

struct instance *rollout_present(const struct rollout *rollout, uint32_t index)
{
    return instance_find(rollout->fleet->manager, rollout->present[index]);
}

struct instance *rollout_target(const struct rollout *rollout, uint32_t index)
{
    return instance_find(rollout->fleet->manager, rollout->targets[index]);
}

const char *rollout_state(const struct fleet *fleet)
{
    if (fleet->rollout == NULL)
        return "up";
    return fleet->rollout->down || fleet->rollout->phase >= ROLLOUT_UNDO ? "going" : "coming";
}

/* ---- begin and end ---- */

struct rollout *rollout_new(struct fleet *fleet, struct client_request request)
{
    struct rollout *rollout = calloc(1, sizeof *rollout);
    if (rollout == NULL)
        return NULL;
    rollout->fleet = fleet;
    rollout->serial = ++last_serial;
    rollout->request = request;
    rollout->begun_us = bx_now_us();
    answer_init(&rollout->answer);
    fleet->rollout = rollout;
    for (struct instance *at = fleet->instances; at != NULL; at = at->in_fleet.next)
        at->doomed = at->fresh = at->touched = at->counted = false;
    return rollout;
}

static void rollout_free(struct rollout *rollout)
{
    rollout->fleet->rollout = NULL;
    bundle_leave(rollout->bundle);
    answer_fini(&rollout->answer);
    plan_free(rollout->plan);
    free(rollout->present);
    free(rollout->targets);
    free(rollout->alive);
    free(rollout->blockers);
    free(rollout->cursors);
    free(rollout->first);
    free(rollout->dependents);
    free(rollout->first_dependent);
    free(rollout->released);
    free(rollout->queue);
    free(rollout->downs);
    free(rollout);
}

void rollout_drop(struct fleet *fleet)
{
    if (fleet->rollout != NULL)
        rollout_free(fleet->rollout);
}

static struct client *client_of(const struct rollout *rollout, struct client_request request)
{
    return manager_client(rollout->fleet->manager, request.client);
}

/* ---- the end ---- */

static void refuse(const struct rollout *rollout, struct client_request request, int code, const char *why)
{
    client_send_note(client_of(rollout, request), CTL_ERROR, request.id, 0, (uint32_t)code, why, strlen(why));
}

static void say_done(const struct fleet *fleet, const char *what, const char *why)
{
    struct answer event;
    feed_begin(&event, what, fleet, NULL, 2);
    answer_put_bool(&event, "done", true);
    answer_put_text(&event, "why", why);
    feed_end(&event, fleet);
}

static void remove_instance(struct instance *instance)
{
    feed_say("remove", instance->fleet, instance);
    instance_free(instance);
}

/* Who wanted it down meanwhile gets that now. The topology may be gone after the last one. */
static void take_down(struct fleet *fleet, struct client_request *downs, uint32_t count)
{

    struct manager *manager = fleet->manager;
    struct bx_error err = {0};
    for (uint32_t i = 0; i < count; i++)
        if (rollout_begin_down(fleet, downs[i], &err) != 0)
            rollout_down_failed(manager, downs[i], &err);
    free(downs);
}

static void finish_up(struct rollout *rollout)
{
    struct fleet *fleet = rollout->fleet;
    struct client_request *downs = rollout->downs;
    uint32_t down_count = rollout->down_count;
    bundle_leave(fleet->bundle);
    fleet->bundle = rollout->bundle;
    rollout->bundle = NULL;
    say_done(fleet, "up", NULL);
    answer_put_number(&rollout->answer, "duration_us", bx_now_us() - rollout->begun_us);
    answer_finish(&rollout->answer, client_of(rollout, rollout->request), rollout->request.id);
    answer_init(&rollout->answer);
    rollout->downs = NULL;
    rollout_free(rollout);
    take_down(fleet, downs, down_count);
}

/* A topology of which nothing was there before is gone again. */
static void finish_undone(struct rollout *rollout)
{
    struct fleet *fleet = rollout->fleet;
    struct client_request *downs = rollout->downs;
    uint32_t down_count = rollout->down_count;
    struct instance *at, *next;
    HASH_ITER(in_fleet, fleet->instances, at, next)
        if (at->fresh)
            remove_instance(at);
    fleet_forget_nets(fleet);
    refuse(rollout, rollout->request, rollout->why.code, rollout->why.text);
    say_done(fleet, "up", rollout->why.text);
    rollout->downs = NULL;
    rollout_free(rollout);
    if (down_count > 0 || fleet->bundle != NULL)
        take_down(fleet, downs, down_count);
    else
        fleet_free(fleet);
}

static void finish_down(struct rollout *rollout)
{
    struct fleet *fleet = rollout->fleet;
    uint32_t vms = HASH_CNT(in_fleet, fleet->instances);
    while (fleet->instances != NULL)
        remove_instance(fleet->instances);
    say_done(fleet, "down", NULL);
    for (uint32_t i = 0; i <= rollout->down_count; i++) {
        struct client_request request = i == 0 ? rollout->request : rollout->downs[i - 1];
        rollout_down_gone(fleet->manager, request, fleet->name, vms);
    }
    rollout_free(rollout);
    fleet_free(fleet);
}

/* ---- phases ---- */

/* VMs that are not wanted any more are gone; then their wires are. */
static void remove_doomed(struct rollout *rollout)
{
    const struct plan *plan = rollout->plan;
    for (uint32_t i = 0; i < plan->vm_count; i++)
        if (plan->vms[i].action == PLAN_REMOVE)
            remove_instance(rollout_present(rollout, plan->vms[i].present));
    fleet_forget_nets(rollout->fleet);
}

static void begin_phase(struct rollout *rollout)
{
    struct bx_error err = {0};
    rollout->at = 0;
    if (rollout->phase == ROLLOUT_STOP || rollout->phase == ROLLOUT_UNDO)
        rollout_stop_begin(rollout);
    else if (rollout->phase == ROLLOUT_UNWIRE)
        remove_doomed(rollout);
    else if (rollout->phase == ROLLOUT_START && rollout_start_begin(rollout, &err) != 0)
        rollout_fail(rollout, err.code, err.text);
}

/* Does the next thing; false when the phase has nothing more to begin. */
static bool next(struct rollout *rollout)
{
    switch (rollout->phase) {
    case ROLLOUT_ATTACH: return rollout_attach_next(rollout);
    case ROLLOUT_WIRE: return rollout_wire_next(rollout);
    case ROLLOUT_SHAPE: return rollout_shape_next(rollout);
    case ROLLOUT_UNWIRE: return rollout_unwire_next(rollout);
    case ROLLOUT_START: return rollout_start_next(rollout);
    case ROLLOUT_REWIRE: return rollout_rewire_next(rollout);
    default: return false;
    }
}

/* Has the phase come to its end? */
static bool is_over(struct rollout *rollout)
{
    switch (rollout->phase) {
    case ROLLOUT_STOP:
    case ROLLOUT_UNDO: return rollout->stopping == 0;
    case ROLLOUT_START: return rollout->unreleased == 0;
    case ROLLOUT_AWAIT: return (rollout->flags & CTL_UP_WAIT) == 0 || rollout_all_ready(rollout);
    default: return true;
    }
}

/* What it started ends at once: it was to be as if nothing had happened. */
static void begin_undo(struct rollout *rollout)
{
    for (struct instance *at = rollout->fleet->instances; at != NULL; at = at->in_fleet.next) {
        at->doomed = at->fresh || at->touched || at->state == INSTANCE_STOPPING;
        at->again = false;
        if (rollout_ends(at)) {
            at->wanted = false;
            instance_stop(at, 0, true);
        }
    }
    rollout->phase = ROLLOUT_UNDO;
    begin_phase(rollout);
}

static void end(struct rollout *rollout)
{
    if (rollout->down)
        finish_down(rollout);
    else if (rollout->phase == ROLLOUT_UNDONE)
        finish_undone(rollout);
    else
        finish_up(rollout);
}

void rollout_go_on(struct rollout *rollout)
{
    const enum rollout_phase last = rollout->down ? ROLLOUT_STOP : ROLLOUT_DONE;
    if (rollout->busy)
        return; /* it is called back from what it does itself */
    rollout->busy = true;
    for (;;) {
        while (rollout->asked < ROLLOUT_WINDOW && (rollout->why.code == 0 || rollout->phase > ROLLOUT_DONE) &&
               next(rollout))
            ;
        if (rollout->asked > 0)
            break;
        if (rollout->why.code != 0 && rollout->phase < ROLLOUT_DONE && !rollout->down) {
            begin_undo(rollout);
            continue;
        }
        if (!is_over(rollout)) {
            if (rollout->why.code != 0 && rollout->phase < ROLLOUT_DONE)
                continue;
            break;
        }
        if (rollout->phase == last || rollout->phase == ROLLOUT_UNDONE) {
            end(rollout);
            return;
        }
        rollout->phase++;
        begin_phase(rollout);
    }
    rollout->busy = false;
}

void rollout_fail(struct rollout *rollout, int code, const char *why)
{
    if (rollout->why.code != 0)
        return;
    bx_fail(&rollout->why, code != 0 ? code : EIO, "the topology '%s' did not come up: %s", rollout->fleet->name, why);
}

/* ---- what happens to VMs ---- */

static void uncount(struct rollout *rollout, struct instance *instance)
{
    rollout->asked -= instance->counted;
    instance->counted = false;
}

static bool ends_in_phase(const struct rollout *rollout, const struct instance *instance)
{
    return instance->doomed && (rollout->phase == ROLLOUT_STOP || rollout->phase == ROLLOUT_UNDO);
}

void rollout_on_started(struct instance *instance)
{
    struct rollout *rollout = instance->fleet->rollout;
    if (rollout == NULL)
        return;
    uncount(rollout, instance);
    rollout_look(instance);
}

void rollout_look(struct instance *instance)
{
    struct rollout *rollout = instance->fleet->rollout;
    if (rollout == NULL)
        return;
    if (rollout->phase == ROLLOUT_START)
        rollout_start_look(rollout, instance);
    rollout_go_on(rollout);
}

void rollout_on_failed(struct instance *instance, int code, const char *why)
{
    struct rollout *rollout = instance->fleet->rollout;
    if (rollout == NULL)
        return;
    char text[400];
    snprintf(text, sizeof text, "'%s': %s", instance->name, why);
    if (instance->counted)
        rollout_fail(rollout, code, text);
    uncount(rollout, instance);
    if (ends_in_phase(rollout, instance))
        rollout_stop_ended(rollout, instance);
    rollout_go_on(rollout);
}

void rollout_on_ended(struct instance *instance)
{
    struct rollout *rollout = instance->fleet->rollout;
    if (rollout == NULL)
        return;
    uncount(rollout, instance);
    if (ends_in_phase(rollout, instance))
        rollout_stop_ended(rollout, instance);
    rollout_look(instance);
}

void rollout_client_gone(struct fleet *fleet, uint32_t client)
{
    struct rollout *rollout = fleet->rollout;
    if (rollout == NULL || rollout->down || rollout->request.client != client)
        return;
    rollout_fail(rollout, ECANCELED, "whoever wanted that is gone");
    rollout_go_on(rollout);
}
