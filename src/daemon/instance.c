/*
 * instance.c - the lives of a topology's VM, one after the other. Whoever wants it up or down says so; what its process
 * does is heard here, and told to the rollout, to those who wait, and to the feed.
 */
#include "instance.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/chance.h"
#include "common/clock.h"
#include "common/lifeline.h"
#include "common/memfd.h"
#include "common/socket.h"
#include "common/timer.h"
#include "fleet.h"
#include "follow.h"
#include "listing.h"
#include "manager.h"
#include "rollout.h"
#include "vm.h"

const char *instance_state_name(enum instance_state state)
{
    static const char *const names[] = {
        [INSTANCE_WAITING] = "waiting",   [INSTANCE_STARTING] = "starting", [INSTANCE_RUNNING] = "running",
        [INSTANCE_STOPPING] = "stopping", [INSTANCE_ENDED] = "ended",       [INSTANCE_STOPPED] = "stopped",
        [INSTANCE_FAILED] = "failed",     [INSTANCE_BACKOFF] = "backoff",
    };
    return names[state];
}

const struct topology_vm *instance_entry(const struct instance *instance)
{
    return &instance->bundle->topology->vms[instance->entry];
}

/* ---- being there ---- */

static void belong(struct instance *instance, struct bundle *bundle, uint32_t index)
{
    bundle_use(bundle);
    bundle_leave(instance->bundle);
    instance->bundle = bundle;
    instance->index = index;
    instance->entry = bundle->topology->instances[index].vm;
}

static void drop_net(struct instance *instance)
{
    if (instance->net != NULL)
        network_drop(instance->fleet->manager, instance->net, instance->net_made);
    instance->net = NULL;
    instance->net_made = false;
}

static int update_net(struct instance *instance, struct bx_error *err)
{
    if (instance_entry(instance)->networked)
        return instance_join(instance, err);
    drop_net(instance);
    return 0;
}

int instance_join(struct instance *instance, struct bx_error *err)
{
    if (instance->net != NULL)
        return 0;
    return network_add(instance->fleet->manager, instance->fleet->scope, instance->number, instance->name,
                       &instance->net, err);
}

struct instance *instance_new(struct fleet *fleet, struct bundle *bundle, uint32_t index, struct bx_error *err)
{
    struct manager *manager = fleet->manager;
    struct instance *instance = calloc(1, sizeof *instance);
    if (instance == NULL) {
        bx_fail_errno(err, ENOMEM, "a VM of the topology '%s'", fleet->name);
        return NULL;
    }
    instance->fleet = fleet;
    instance->backoff = (struct instance_timer){{.fd = -1}, instance};
    instance->number = manager_next_number(manager);
    strncpy(instance->name, bundle->topology->instances[index].name, BX_NAME_MAX);
    belong(instance, bundle, index);
    HASH_ADD(hh, manager->fleets.instances, number, sizeof instance->number, instance);
    HASH_ADD_KEYPTR(in_fleet, fleet->instances, instance->name, strlen(instance->name), instance);
    if (update_net(instance, err) != 0) {
        instance_free(instance);
        return NULL;
    }
    follow_added(instance);
    feed_say("add", fleet, instance);
    return instance;
}

int instance_rebind(struct instance *instance, struct bundle *bundle, uint32_t index, struct bx_error *err)
{
    belong(instance, bundle, index);
    return update_net(instance, err);
}

/* For its next life. */
static void stop_waiting(struct instance *instance)
{
    bx_loop_close(&instance->fleet->manager->loop, &instance->backoff.source);
}

static void refuse_waiters(struct instance *instance, int code, const char *why)
{
    while (instance->waiters != NULL) {
        struct instance_waiter *waiter = instance->waiters;
        instance->waiters = waiter->next;
        client_send_note(manager_client(instance->fleet->manager, waiter->request.client), CTL_ERROR,
                         waiter->request.id, 0, (uint32_t)code, why, strlen(why));
        free(waiter);
    }
}

void instance_free(struct instance *instance)
{
    struct fleet *fleet = instance->fleet;
    refuse_waiters(instance, ENOENT, "the VM has been removed");
    follow_removed(instance);
    drop_net(instance);
    stop_waiting(instance);
    restart_forget(&instance->history);
    HASH_DEL(fleet->manager->fleets.instances, instance);
    HASH_DELETE(in_fleet, fleet->instances, instance);
    bundle_leave(instance->bundle);
    log_fini(&instance->log);
    free(instance->death.record);
    free(instance->why);
    free(instance);
}

struct instance *instance_find(struct manager *manager, uint32_t number)
{
    struct instance *instance;
    HASH_FIND(hh, manager->fleets.instances, &number, sizeof number, instance);
    return instance;
}

/* ---- what it is ---- */

bool instance_is_up(const struct instance *instance)
{
    return instance->state == INSTANCE_RUNNING;
}

bool instance_is_down(const struct instance *instance)
{
    return instance->vm == NULL;
}

bool instance_is_completed(const struct instance *instance)
{
    return instance->state == INSTANCE_ENDED && instance->death.exit_code == 0 &&
           (instance->death.outcome == RECORD_OK || instance->death.outcome == RECORD_EXIT);
}

static void answer_waiter(const struct instance *instance, struct client_request request)
{
    struct answer answer;
    answer_init(&answer);
    answer_map(&answer, 3);
    answer_put_text(&answer, "topology", instance->fleet->name);
    answer_put_text(&answer, "name", instance->name);
    answer_put_text(&answer, "state", instance_state_name(instance->state));
    answer_finish(&answer, manager_client(instance->fleet->manager, request.client), request.id);
}

static bool is_served(const struct instance *instance, const struct instance_waiter *waiter)
{
    return waiter->up ? instance_is_up(instance) : instance_is_down(instance);
}

static void look_at_waiters(struct instance *instance)
{
    struct instance_waiter **at = &instance->waiters;
    while (*at != NULL) {
        struct instance_waiter *waiter = *at;
        if (!is_served(instance, waiter)) {
            at = &waiter->next;
            continue;
        }
        *at = waiter->next;
        answer_waiter(instance, waiter->request);
        free(waiter);
    }
}

int instance_wait(struct instance *instance, struct client_request request, bool up)
{
    struct instance_waiter *waiter = calloc(1, sizeof *waiter);
    if (waiter == NULL)
        return -ENOMEM;
    *waiter = (struct instance_waiter){request, up, instance->waiters};
    instance->waiters = waiter;
    look_at_waiters(instance);
    return 0;
}

/* ---- up and down ---- */

static void set_why(struct instance *instance, const char *why)
{
    free(instance->why);
    instance->why = why != NULL ? strdup(why) : NULL;
}

static int start_vm(struct instance *instance, int program, struct bx_error *err)
{
    struct vm_spec spec;
    int mounts[BX_MOUNTS_MAX];
    bundle_spec(instance->bundle, instance->entry, &spec, mounts);
    memcpy(spec.name, instance->name, sizeof spec.name);
    spec.network = instance->net != NULL ? VM_NETWORK_FABRIC : VM_NETWORK_NONE;
    spec.serve = LW_RUN;
    struct vm *vm = manager_add_at(instance->fleet->manager, instance->number);
    if (vm == NULL)
        return bx_fail_errno(err, ENOMEM, "VM '%s'", instance->name);
    vm->instance = instance;
    vm->net = instance->net;
    vm->scope = instance->fleet->scope;
    int rc = vm_start(vm, &spec, 0, program, mounts, err);
    if (rc != 0)
        manager_remove(instance->fleet->manager, vm);
    else
        instance->vm = vm;
    return rc;
}

static int begin_life(struct instance *instance, struct bx_error *err)
{
    stop_waiting(instance);
    int program = bundle_open_program(instance->bundle, instance->entry, err);
    if (program < 0)
        return program;
    int rc = start_vm(instance, program, err);
    bx_close_all(&program, 1);
    instance->wanted = rc == 0;
    instance->again = false;
    instance->ready = false;
    instance->ports_heard = 0;
    instance->started_us = bx_now_us();
    instance->state = rc == 0 ? INSTANCE_STARTING : INSTANCE_FAILED;
    instance->net_made = instance->net_made || instance->net != NULL;
    set_why(instance, rc == 0 ? NULL : err->text);
    return rc;
}

int instance_start(struct instance *instance, struct bx_error *err)
{
    restart_forget(&instance->history);
    instance->returning = false;
    return begin_life(instance, err);
}

void instance_stop(struct instance *instance, uint32_t grace_ms, bool kill)
{
    if (instance->vm == NULL)
        return;
    if (instance->state != INSTANCE_STOPPING)
        feed_say("stop", instance->fleet, instance);
    instance->state = INSTANCE_STOPPING;
    if (kill)
        vm_kill(instance->vm, VM_KILL_ASKED, SIGKILL);
    else
        vm_stop(instance->vm, grace_ms);
}

void instance_want(struct instance *instance, bool up, uint32_t grace_ms)
{
    struct bx_error err = {0};
    instance->wanted = up;
    instance->again = up && instance->vm != NULL;
    if (!up && instance->vm == NULL && instance->state != INSTANCE_WAITING) {
        stop_waiting(instance);
        instance->state = INSTANCE_STOPPED;
    }
    if (!up)
        instance_stop(instance, grace_ms, false);
    else if (instance->vm == NULL && instance_start(instance, &err) != 0)
        instance_on_failed(instance, err.code, err.text);
}

/* ---- what happens to its process ---- */

static void become_ready(struct instance *instance)
{
    if (instance->ready || instance->state != INSTANCE_RUNNING)
        return;
    instance->ready = true;
    instance->ready_us = bx_now_us();
    feed_say("ready", instance->fleet, instance);
    rollout_look(instance);
}

/* TCP only: when somebody begins to read datagrams cannot be seen. */
static uint64_t ports_awaited(const struct topology_vm *entry)
{
    uint64_t set = 0;
    for (uint32_t i = 0; i < entry->server_count && i < 64; i++)
        set |= entry->ports[i].udp ? 0 : UINT64_C(1) << i;
    return set;
}

void instance_on_started(struct instance *instance)
{
    instance->returning = false;
    if (instance->state == INSTANCE_STARTING)
        instance->state = INSTANCE_RUNNING;
    feed_say("start", instance->fleet, instance);
    look_at_waiters(instance);
    rollout_on_started(instance);
    if (ports_awaited(instance_entry(instance)) == 0)
        become_ready(instance);
}

/* A restart that could not be is an end like others. */
static void end_without_life(struct instance *instance, const char *why)
{
    struct record record = {.outcome = RECORD_INTERNAL, .exit_code = 125};
    memcpy(record.name, instance->name, sizeof record.name);
    bx_text_set(&record.error, why, strlen(why)); /* without memory the record stands without the text */
    instance->wanted = true;
    instance->returning = false;
    instance_on_ended(instance, &record);
    record_fini(&record);
}

void instance_on_failed(struct instance *instance, int code, const char *why)
{
    if (instance->returning) {
        end_without_life(instance, why);
        return;
    }
    instance->vm = NULL;
    instance->state = INSTANCE_FAILED;
    set_why(instance, why);
    struct answer event;
    feed_begin(&event, "failed", instance->fleet, instance, 1);
    answer_put_text(&event, "why", why);
    feed_end(&event, instance->fleet);
    refuse_waiters(instance, code, why);
    rollout_on_failed(instance, code, why);
}

void instance_on_output(struct instance *instance, uint32_t stream, const char *bytes, size_t length)
{
    log_add(&instance->log, stream, bx_wall_us(), bytes, length);
    follow_printed(instance);
}

void instance_on_need(struct instance *instance, const char *name, size_t length)
{
    static const char missing[] = "\n\tno module of that name was sent when the VM was brought up: only those that its "
                                  "script requires by a literal name are";
    const struct bundle_module *module = bundle_find_module(instance->bundle, instance->entry, name, length);
    int fd = module != NULL ? bx_memfd(module->text, module->length, NULL, 0) : -ENOENT;
    if (fd >= 0)
        vm_answer_module(instance->vm, fd, module->chunk, strlen(module->chunk));
    else
        vm_answer_module(instance->vm, -1, missing, sizeof missing - 1);
    if (fd >= 0)
        bx_close_all(&fd, 1);
}

static void say_listens(const struct instance *instance, uint16_t port)
{
    struct answer event;
    feed_begin(&event, "listen", instance->fleet, instance, 1);
    answer_put_number(&event, "port", port);
    feed_end(&event, instance->fleet);
}

void instance_on_ready(struct vm *vm, uint16_t port)
{
    struct instance *instance = vm->instance;
    if (instance == NULL)
        return;
    const struct topology_vm *entry = instance_entry(instance);
    uint64_t before = instance->ports_heard;
    for (uint32_t i = 0; port != 0 && i < entry->server_count && i < 64; i++)
        instance->ports_heard |= entry->ports[i].port == port && !entry->ports[i].udp ? UINT64_C(1) << i : 0;
    if (instance->ports_heard != before)
        say_listens(instance, port);
    if (port == 0 || (instance->ports_heard & ports_awaited(entry)) == ports_awaited(entry))
        become_ready(instance);
}

static void keep_death(struct instance *instance, const struct record *record)
{
    struct answer packed;
    answer_init(&packed);
    listing_put_record(&packed, record);
    if (!packed.failed) {
        free(instance->death.record);
        instance->death = (struct instance_death){
            .time_us = bx_wall_us(),
            .record = packed.bytes.data,
            .length = (uint32_t)packed.bytes.size,
            .outcome = record->outcome,
            .exit_code = record->exit_code,
        };
        msgpack_sbuffer_release(&packed.bytes);
        fleet_keep_death(instance->fleet, instance);
    }
    answer_fini(&packed);
}

static void say_death(const struct instance *instance)
{
    struct answer event;
    feed_begin(&event, "death", instance->fleet, instance, 4);
    answer_put_text(&event, "state", instance_state_name(instance->state));
    answer_put_text(&event, "why", instance->why);
    answer_put_number(&event, "wait_us", instance->state == INSTANCE_BACKOFF ? instance->wait_us : 0);
    answer_text(&event, "record");
    answer_bytes(&event, instance->death.record, instance->death.length);
    feed_end(&event, instance->fleet);
}

/* ---- restarts ---- */

static void on_backoff_over(struct bx_source *source, uint32_t events)
{
    (void)events;
    struct instance *instance = ((struct instance_timer *)source)->instance;
    struct bx_error err = {0};
    stop_waiting(instance);
    if (instance->fleet->rollout != NULL && instance->doomed) { /* it is to be gone, or another one */
        instance->state = INSTANCE_STOPPED;
        return;
    }
    instance->restarts++;
    instance->returning = true;
    if (begin_life(instance, &err) != 0)
        end_without_life(instance, err.text);
}

static void wait_for_restart(struct instance *instance, uint64_t wait_us)
{
    struct manager *manager = instance->fleet->manager;
    instance->backoff.source.on_ready = on_backoff_over;
    instance->wait_us = wait_us;
    instance->state = INSTANCE_BACKOFF;
    if (bx_timer_set(&manager->loop, &instance->backoff.source, bx_now_us() + wait_us) == 0)
        return;
    instance->state = INSTANCE_FAILED;
    set_why(instance, "the orchestrator has no descriptor left to wait for its restart");
}

/* It has ended by itself: what does its policy want? Without a jailer nothing can be started. */
static void decide(struct instance *instance, const struct record *record, uint64_t ready_us)
{
    struct restart_decision decision;
    struct restart_end end = {(enum record_outcome)record->outcome, record->exit_code, ready_us};
    if (instance->fleet->manager->jailer.source.fd < 0)
        return;
    restart_decide(&instance_entry(instance)->restart, &instance->history, &end, bx_now_us(), bx_chance(), &decision);
    if (decision.verdict == RESTART_AGAIN)
        wait_for_restart(instance, decision.wait_us);
    if (decision.verdict != RESTART_GIVE_UP)
        return;
    instance->state = INSTANCE_FAILED;
    set_why(instance, decision.reason);
}

void instance_on_ended(struct instance *instance, const struct record *record)
{
    struct bx_error err = {0};
    struct record told = *record; /* its texts are borrowed */
    bool again = instance->again;
    uint64_t ready_us = instance->ready ? bx_now_us() - instance->ready_us : 0;
    told.restarts = instance->restarts;
    instance->vm = NULL;
    instance->ready = false;
    instance->state = instance->wanted && !again ? INSTANCE_ENDED : INSTANCE_STOPPED;
    set_why(instance, NULL);
    if (instance->state == INSTANCE_ENDED)
        decide(instance, &told, ready_us);
    keep_death(instance, &told);
    if (instance->death.record != NULL)
        say_death(instance);
    look_at_waiters(instance);
    if (instance->state == INSTANCE_FAILED)
        refuse_waiters(instance, ECHILD, instance->why != NULL ? instance->why : "it was given up");
    if (again && instance_start(instance, &err) != 0)
        instance_on_failed(instance, err.code, err.text);
    instance->restarts += again;
    rollout_on_ended(instance); /* the instance may be gone */
}
