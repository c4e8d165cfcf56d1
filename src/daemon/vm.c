/*
 * vm.c - the life of a VM: a constant table of states and events, and the actions in it.
 *
 * It never blocks on a VM and never believes one: what a VM says goes into vm_words and is only used to
 * describe its end. What bounds it (limits, signals, time) is the kernel's, through the jailer.
 */
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/lifeline.h"
#include "common/socket.h"
#include "again.h"
#include "death.h"
#include "grace.h"
#include "manager.h"
#include "stats.h"
#include "streams.h"

uint64_t vm_heap_ceiling(uint64_t memory)
{
    /* The process itself, its page tables and what malloc loses between blocks also count for the kernel. */
    return memory - 1024 * 1024 - memory / 32;
}

/* ---- actions ---- */

/* The topology hears of it last: it may want the next life at once, and that has the same number. */
static void remove_for_good(struct vm *vm, struct record *record)
{
    struct manager *manager = vm->manager;
    struct instance *instance = vm->instance;
    bool only = vm->spec.only != 0;
    manager_remove(manager, vm);
    if (instance != NULL)
        instance_on_ended(instance, record);
    record_fini(record);
    if (only && manager->vms == NULL && manager->fleets.list == NULL)
        jailer_fini(&manager->jailer); /* it goes while the client still reads of the death */
}

static void finish(struct vm *vm)
{
    struct record record = {0};
    const char *why;
    vm->ended_us = vm->ended_us != 0 ? vm->ended_us : bx_now_us();
    if (vm->state == VM_SPAWNING && again_count(vm) == 0) /* lost before it was made: the create has had no reply yet */
        client_send_note(vm->client, CTL_CREATED, vm->request_id, vm->id, 0, "", 0);
    stats_refuse(vm);
    death_describe(vm, &record);
    if (again_rest(vm, &record, &why)) {
        vm->state = VM_RESTING;
        return;
    }
    death_send(vm, CTL_DEATH, &record, why, 0);
    remove_for_good(vm, &record);
}

void vm_refused(struct vm *vm, const char *why)
{
    bx_text_set(&vm->refusal, why, strlen(why)); /* without memory the record stands without the text */
    finish(vm);
}

/* What it says is read from now on: nobody hears of a VM before the one who asked for it hears that it is there. */
static void act_spawned(struct vm *vm, const struct jw_reply *reply)
{
    vm->spawned = reply->u.spawned;
    network_spawned(vm);
    if (again_count(vm) == 0)
        client_send_note(vm->client, CTL_CREATED, vm->request_id, vm->id, 0, "", 0);
    else
        client_send_note(vm->client, CTL_AGAIN, 0, vm->id, again_count(vm), "", 0);
    vm->state = vm->kill != VM_KILL_NONE ? VM_KILLED : vm->stop_asked ? VM_LEAVING : VM_RUNNING;
    if (streams_watch(vm) != 0)
        vm_kill(vm, VM_KILL_INTERNAL, SIGKILL);
    if (vm->instance != NULL)
        instance_on_started(vm->instance);
}

static void act_failed(struct vm *vm, const struct jw_reply *reply)
{
    const struct jw_failed *failed = &reply->u.failed;
    if (again_count(vm) > 0) {
        vm_refused(vm, failed->text);
        return;
    }
    client_send_note(vm->client, CTL_ERROR, vm->request_id, 0, (uint32_t)failed->code, failed->text,
                     strlen(failed->text));
    struct instance *instance = vm->instance;
    manager_remove(vm->manager, vm);
    if (instance != NULL)
        instance_on_failed(instance, failed->code, failed->text);
}

static void ask_kill(struct vm *vm)
{
    struct jw_request request = {.magic = JW_MAGIC, .type = JW_KILL, .vm = vm->id};
    jailer_send(&vm->manager->jailer, &request, NULL, 0); /* a jailer that is gone has killed it already */
}

static void act_kill_early(struct vm *vm, const struct jw_reply *reply)
{
    (void)reply; /* stays SPAWNING until the jailer has answered: it serves requests in order */
    ask_kill(vm);
}

static void act_kill(struct vm *vm, const struct jw_reply *reply)
{
    (void)reply;
    ask_kill(vm);
    vm->state = VM_KILLED;
}

/* The word waits in the lifeline for the VM to be born. */
static void act_leave_early(struct vm *vm, const struct jw_reply *reply)
{
    (void)reply;
    grace_ask_stop(vm);
}

static void act_leave(struct vm *vm, const struct jw_reply *reply)
{
    (void)reply;
    vm->state = VM_LEAVING;
    grace_ask_stop(vm);
}

static void act_died(struct vm *vm, const struct jw_reply *reply)
{
    vm->death = reply->u.death;
    vm->ended_us = bx_now_us();
    vm->state = VM_DYING;
    bx_loop_close(&vm->manager->loop, &vm->timer.source);
    bx_loop_close(&vm->manager->loop, &vm->grace.source);
    streams_drain(vm);
}

static void act_drained(struct vm *vm, const struct jw_reply *reply)
{
    (void)reply;
    finish(vm);
}

static void act_end_rest(struct vm *vm, const struct jw_reply *reply)
{
    (void)reply;
    struct record told = {0};
    again_report_end(vm);
    remove_for_good(vm, &told);
}

static void act_lost(struct vm *vm, const struct jw_reply *reply)
{
    (void)reply;
    vm->lost = true;
    finish(vm);
}

static void act_nothing(struct vm *vm, const struct jw_reply *reply)
{
    (void)vm;
    (void)reply;
}

/* One row a state, one column an event: SPAWNED, FAILED, DIED, LEAVE, KILL, DRAINED, LOST. */
static void (*const actions[VM_STATE_COUNT][VM_EVENT_COUNT])(struct vm *, const struct jw_reply *) = {
    [VM_SPAWNING] = {act_spawned, act_failed,  act_nothing, act_leave_early, act_kill_early, act_nothing, act_lost},
    [VM_RUNNING]  = {act_nothing, act_nothing, act_died,    act_leave,       act_kill,       act_nothing, act_lost},
    [VM_LEAVING]  = {act_nothing, act_nothing, act_died,    act_nothing,     act_kill,       act_nothing, act_lost},
    [VM_KILLED]   = {act_nothing, act_nothing, act_died,    act_nothing,     act_nothing,    act_nothing, act_lost},
    [VM_DYING]    = {act_nothing, act_nothing, act_nothing, act_nothing,     act_nothing,    act_drained, act_nothing},
    [VM_RESTING]  = {act_nothing, act_nothing, act_nothing, act_end_rest,    act_end_rest,   act_nothing, act_lost},
};

int vm_table_has(enum vm_state state, enum vm_event event)
{
    return actions[state][event] != NULL;
}

void vm_event(struct vm *vm, enum vm_event event, const struct jw_reply *reply)
{
    actions[vm->state][event](vm, reply);
}

void vm_kill(struct vm *vm, enum vm_kill why, uint32_t signal)
{
    vm->end_asked |= why == VM_KILL_ASKED || why == VM_KILL_STOP;
    if (vm->kill != VM_KILL_NONE || vm->state == VM_DYING)
        return;
    vm->kill = why;
    vm->kill_signal = signal;
    vm_event(vm, VM_EV_KILL, NULL);
}

void vm_stop(struct vm *vm, uint32_t grace_ms)
{
    uint64_t due = grace_due(vm, grace_ms);
    vm->end_asked = true;
    if (vm->state == VM_KILLED || vm->state == VM_DYING)
        return;
    if (vm->spec.serve == 0) { /* a script that runs once has nothing that would hear it */
        vm_kill(vm, VM_KILL_STOP, SIGKILL);
        return;
    }
    if (!vm->stop_asked || due < vm->stop_due_us) { /* who asks again may be less patient */
        vm->stop_due_us = due;
        vm->stop_grace_ms = grace_ms;
    }
    vm->stop_asked = true;
    grace_arm(vm);
    vm_event(vm, VM_EV_LEAVE, NULL);
}

int vm_is_running(const struct vm *vm)
{
    return vm->state == VM_RUNNING;
}

/* ---- making one ---- */

struct vm *vm_new(struct manager *manager, uint32_t id)
{
    struct vm *vm = calloc(1, sizeof *vm);
    if (vm == NULL)
        return NULL;
    vm->id = id;
    vm->manager = manager;
    struct vm_source *sources[] = {&vm->streams[0], &vm->streams[1], &vm->lifeline, &vm->timer, &vm->grace};
    for (unsigned i = 0; i < sizeof sources / sizeof *sources; i++)
        *sources[i] = (struct vm_source){.source.fd = -1, .vm = vm};
    for (unsigned i = 0; i < 3; i++)
        vm->unwatched[i] = -1;
    return vm;
}

static void forget_words(struct vm *vm)
{
    bx_text_fini(&vm->words.error);
    bx_text_fini(&vm->words.traceback);
    bx_text_fini(&vm->refusal);
    vm->words = (struct vm_words){0};
}

void vm_free(struct vm *vm)
{
    struct bx_loop *loop = &vm->manager->loop;
    bx_loop_close(loop, &vm->streams[0].source);
    bx_loop_close(loop, &vm->streams[1].source);
    bx_loop_close(loop, &vm->lifeline.source);
    bx_loop_close(loop, &vm->timer.source);
    bx_loop_close(loop, &vm->grace.source);
    bx_close_all(vm->unwatched, 3);
    again_free(vm);
    free(vm->interrupts);
    forget_words(vm);
    free(vm);
}

void vm_begin(struct vm *vm)
{
    forget_words(vm);
    vm->state = VM_SPAWNING;
    vm->sessions.count = 0;
    vm->interrupt_count = 0;
    vm->stop_asked = vm->lost = vm->output_cut = false;
    vm->stale_answers += vm->needs_module ? 1 : 0;
    vm->needs_module = false;
    vm->kill = VM_KILL_NONE;
    vm->kill_signal = 0;
    vm->ended_us = vm->output_bytes = 0;
    vm->death = (struct jw_death){0};
}

static void on_timeout(struct bx_source *source, uint32_t events)
{
    (void)events;
    struct vm *vm = ((struct vm_source *)source)->vm;
    bx_loop_close(&vm->manager->loop, source);
    vm_kill(vm, VM_KILL_TIMEOUT, SIGKILL);
}

static int start_timer(struct vm *vm)
{
    if (vm->spec.timeout_ms == 0)
        return 0;
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    struct itimerspec when = {.it_value = {
        .tv_sec = (time_t)(vm->spec.timeout_ms / 1000),
        .tv_nsec = (long)(vm->spec.timeout_ms % 1000) * 1000000,
    }};
    vm->timer.source.on_ready = on_timeout;
    int rc = timerfd_settime(fd, 0, &when, NULL) == 0 ? 0 : -errno;
    if (rc == 0)
        rc = bx_loop_add(&vm->manager->loop, &vm->timer.source, fd, EPOLLIN);
    if (rc != 0)
        close(fd);
    return rc;
}

static void fill_request(const struct vm *vm, struct jw_request *request)
{
    const struct vm_spec *spec = &vm->spec;
    *request = (struct jw_request){.magic = JW_MAGIC, .type = JW_SPAWN, .vm = vm->id};
    struct jw_spawn *spawn = &request->spawn;
    spawn->memory_bytes = spec->memory;
    spawn->cpu_time_ms = spec->cpu_time_ms;
    spawn->pids = spec->pids;
    spawn->cpus_milli = spec->cpus_milli;
    spawn->required = spec->required;
    spawn->profile = (uint8_t)spec->profile;
    if (spec->profile == JW_FULL) {
        spawn->tmp_bytes = BX_DEFAULT_TMP_BYTES;
        spawn->tmp_inodes = BX_DEFAULT_TMP_INODES;
    }
    network_fill(vm, spawn);
    memcpy(spawn->hostname, spec->name, sizeof spawn->hostname);
    spawn->mount_count = (uint8_t)spec->mount_count;
    for (uint32_t i = 0; i < spec->mount_count; i++) {
        memcpy(spawn->mounts[i].target, spec->mounts[i].target, sizeof spawn->mounts[i].target);
        spawn->mounts[i].writable = (uint8_t)spec->mounts[i].writable;
    }
}

/* The program waits in the lifeline for the VM to be born: one round trip less. */
static int send_program(struct vm *vm, int program)
{
    struct lw_frame spec = {
        .type = LW_SPEC,
        .a = vm_heap_ceiling(vm->spec.memory),
        .b = vm->spec.serve,
    };
    return streams_tell(vm, &spec, program);
}

static int ask_spawn(struct vm *vm, int program, const int handed[3], const int *mounts)
{
    int fds[BX_FDS_MAX];
    memcpy(fds, handed, 3 * sizeof(int));
    memcpy(fds + 3, mounts, vm->spec.mount_count * sizeof(int));
    struct jw_request request;
    fill_request(vm, &request);
    int rc = jailer_send(&vm->manager->jailer, &request, fds, 3 + vm->spec.mount_count);
    return rc == 0 ? send_program(vm, program) : rc;
}

int vm_make(struct vm *vm, int program, const int *mounts, struct bx_error *err)
{
    vm->started_us = bx_now_us();
    int handed[3] = {-1, -1, -1}; /* the VM's ends: stdout, stderr, lifeline */
    int rc = start_timer(vm);
    if (rc == 0)
        rc = streams_open(vm, handed);
    if (rc == 0)
        rc = ask_spawn(vm, program, handed, mounts);
    bx_close_all(handed, 3);
    if (rc == -EPIPE || rc == -ECONNRESET)
        return bx_fail(err, EPIPE,
                       "cannot start VM '%s': the jailer has ended; bioxen doctor says what this host lacks",
                       vm->spec.name);
    return rc == 0 ? 0 : bx_fail_errno(err, -rc, "cannot start VM '%s'", vm->spec.name);
}

int vm_start(struct vm *vm, const struct vm_spec *spec, uint32_t request_id, int program, const int *mounts,
             struct bx_error *err)
{
    vm->spec = *spec;
    vm->request_id = request_id;
    int rc = network_enter(vm, err);
    if (rc != 0)
        return rc;
    rc = again_prepare(vm, program, mounts);
    return rc == 0 ? vm_make(vm, program, mounts, err) : bx_fail_errno(err, -rc, "cannot start VM '%s'", spec->name);
}
