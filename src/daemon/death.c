/*
 * death.c - one verdict from several witnesses. The kernel's word (wait status, cgroup figures) and our own
 * (why we had it
 * killed) come before the VM's own words, which only tell apart the ways in which a script may end by itself.
 */
#include "death.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "common/control.h"
#include "common/lifeline.h"
#include "again.h"
#include "manager.h"
#include "syscall_names.h"
#include "vm.h"

/* Exit statuses of `bioxen run` (the users' contract). */
enum { STATUS_ERROR = 1, STATUS_TIME = 124, STATUS_INTERNAL = 125, STATUS_SYNTAX = 126, STATUS_SIGNAL = 128 };

static void set(struct record *record, enum record_outcome outcome, uint32_t exit_code)
{
    record->outcome = outcome;
    record->exit_code = exit_code & 0xff;
}

static void explain(struct record *record, const char *text)
{
    bx_text_set(&record->error, text, strlen(text)); /* without memory the record stands without the text */
}

static void name_syscall(struct record *record, int64_t number)
{
    size_t known = sizeof syscall_names / sizeof *syscall_names;
    if (number >= 0 && (uint64_t)number < known && syscall_names[number] != NULL)
        snprintf(record->syscall, sizeof record->syscall, "%s", syscall_names[number]);
    else
        snprintf(record->syscall, sizeof record->syscall, "%lld", (long long)number);
}

/* ---- ended by a signal ---- */

static void describe_our_kill(const struct vm *vm, struct record *record)
{
    switch (vm->kill) {
    case VM_KILL_TIMEOUT: set(record, RECORD_TIMEOUT, STATUS_TIME); break;
    case VM_KILL_OUTPUT: set(record, RECORD_OUTPUT, STATUS_SIGNAL + SIGKILL); break;
    case VM_KILL_PROTOCOL:
        set(record, RECORD_KILLED, STATUS_SIGNAL + SIGKILL);
        explain(record, "the VM broke the protocol of its lifeline");
        break;
    case VM_KILL_INTERNAL:
        set(record, RECORD_INTERNAL, STATUS_INTERNAL);
        explain(record, "the orchestrator could not watch the VM: it has no descriptors or memory left");
        break;
    case VM_KILL_STOP: set(record, RECORD_STOPPED, STATUS_SIGNAL + SIGKILL); break;
    case VM_KILL_CALL_TIME:
        set(record, RECORD_TIMEOUT, STATUS_TIME);
        explain(record, "a call went on after its time was up, and through the grace that it had to end");
        break;
    case VM_KILL_INTERRUPTED:
        set(record, RECORD_KILLED, STATUS_SIGNAL + SIGKILL);
        explain(record, "a call that was interrupted went on through the grace that it had to end");
        break;
    default: set(record, RECORD_KILLED, STATUS_SIGNAL + vm->kill_signal); break;
    }
}

static void describe_sigkill(const struct vm *vm, struct record *record)
{
    if (vm->death.cpu_time_hit)
        set(record, RECORD_CPU, STATUS_TIME);
    else if (vm->death.oom_kills > 0)
        set(record, RECORD_MEMORY, STATUS_SIGNAL + SIGKILL);
    else if (vm->kill != VM_KILL_NONE)
        describe_our_kill(vm, record);
    else if (vm->spec.cpu_time_ms != 0 && vm->death.cpu_us >= vm->spec.cpu_time_ms * 1000)
        set(record, RECORD_CPU, STATUS_TIME); /* RLIMIT_CPU, behind the timer */
    else
        set(record, RECORD_KILLED, STATUS_SIGNAL + SIGKILL);
}

static void describe_signal(const struct vm *vm, struct record *record)
{
    uint32_t signal = (uint32_t)vm->death.wait_status;
    if (signal == SIGSYS && vm->words.fatal_signal != 0 && vm->words.fatal_signal != SIGSYS)
        signal = vm->words.fatal_signal; /* a crash: its handler could end itself in no other way */
    record->signal = signal;
    if (signal == SIGKILL) {
        describe_sigkill(vm, record);
    } else if (signal == SIGSYS) {
        set(record, RECORD_POLICY, STATUS_SIGNAL + SIGSYS);
        if (vm->words.fatal_signal == SIGSYS)
            name_syscall(record, vm->words.fatal_syscall);
    } else {
        set(record, RECORD_CRASH, STATUS_SIGNAL + signal);
    }
}

/* ---- ended by itself ---- */

static void move_words(struct vm *vm, struct record *record)
{
    record->error = vm->words.error;
    record->traceback = vm->words.traceback;
    vm->words.error = vm->words.traceback = (struct bx_text){0};
}

static void describe_done(struct vm *vm, struct record *record)
{
    move_words(vm, record);
    switch (vm->words.outcome) {
    case LW_OK: set(record, vm->stop_asked ? RECORD_STOPPED : RECORD_OK, 0); break;
    case LW_ERROR: set(record, RECORD_ERROR, STATUS_ERROR); break;
    case LW_SYNTAX: set(record, RECORD_SYNTAX, STATUS_SYNTAX); break;
    case LW_EXIT: set(record, RECORD_EXIT, (uint32_t)vm->words.exit_status); break;
    case LW_MEMORY: set(record, RECORD_MEMORY, STATUS_SIGNAL + SIGKILL); break;
    }
}

static void describe_exit(struct vm *vm, struct record *record)
{
    if (vm->output_cut) { /* it ended before the kill for its output did: some of that is lost all the same */
        set(record, RECORD_OUTPUT, STATUS_SIGNAL + SIGKILL);
    } else if (vm->words.done) {
        describe_done(vm, record);
    } else if (!vm->words.ready) {
        set(record, RECORD_INTERNAL, STATUS_INTERNAL);
        explain(record, "the VM did not start: its own checks or the syscall filter failed");
    } else { /* native code that left without a word */
        set(record, RECORD_EXIT, (uint32_t)vm->death.wait_status);
    }
}

/* ---- limits ---- */

static const char *enforcer_name(uint8_t enforcer)
{
    static const char *const names[] = {
        [JW_BY_NOTHING] = "nothing",   [JW_BY_CGROUP_V2] = "cgroup-v2", [JW_BY_CGROUP_V1] = "cgroup-v1",
        [JW_BY_RLIMIT] = "rlimit",     [JW_BY_SECCOMP] = "seccomp",     [JW_BY_SINGLE_THREAD] = "single thread",
        [JW_BY_CPU_TIMER] = "timer, rlimit",
    };
    return enforcer < sizeof names / sizeof *names ? names[enforcer] : "nothing";
}

static void set_limit(struct record *record, enum record_limit which, uint64_t asked, const char *enforced_by)
{
    struct record_limit_entry *entry = &record->limits[which];
    entry->asked = asked;
    snprintf(entry->enforced_by, sizeof entry->enforced_by, "%s", asked == 0 ? "" : enforced_by);
}

static void describe_limits(const struct vm *vm, struct record *record)
{
    const struct vm_spec *spec = &vm->spec;
    char memory[RECORD_ENFORCER_MAX];
    if (vm->spawned.memory_enforcer == JW_BY_NOTHING)
        snprintf(memory, sizeof memory, "allocator");
    else
        snprintf(memory, sizeof memory, "%s, allocator", enforcer_name(vm->spawned.memory_enforcer));
    set_limit(record, RECORD_LIMIT_MEMORY, spec->memory, memory);
    set_limit(record, RECORD_LIMIT_CPUS, spec->cpus_milli, enforcer_name(vm->spawned.cpus_enforcer));
    set_limit(record, RECORD_LIMIT_PIDS, spec->pids, enforcer_name(vm->spawned.pids_enforcer));
    set_limit(record, RECORD_LIMIT_CPU_TIME, spec->cpu_time_ms, enforcer_name(vm->spawned.cpu_time_enforcer));
    set_limit(record, RECORD_LIMIT_TIMEOUT, spec->timeout_ms, "orchestrator");
    set_limit(record, RECORD_LIMIT_OUTPUT, spec->output_limit, "orchestrator");
}

void death_describe(struct vm *vm, struct record *record)
{
    snprintf(record->name, sizeof record->name, "%s", vm->spec.name);
    record->wall_us = vm->ended_us - vm->started_us;
    record->cpu_us = vm->death.cpu_us;
    record->memory_peak = vm->death.memory_peak;
    record->output_bytes = vm->output_bytes;
    record->restarts = again_count(vm);
    describe_limits(vm, record);
    if (vm->refusal.bytes != NULL) {
        set(record, RECORD_INTERNAL, STATUS_INTERNAL);
        record->error = vm->refusal;
        vm->refusal = (struct bx_text){0};
    } else if (vm->lost) {
        set(record, RECORD_INTERNAL, STATUS_INTERNAL);
        explain(record, "the jailer ended unexpectedly; it took its VMs with it");
    } else if (vm->death.wait_code == CLD_EXITED) {
        describe_exit(vm, record);
    } else {
        describe_signal(vm, record);
    }
}

/* A record is far smaller than a frame: its texts are bounded by BX_MESSAGE_MAX each. */
void death_send(const struct vm *vm, enum ctl_type type, const struct record *record, const char *why, uint64_t wait_us)
{
    msgpack_sbuffer body;
    if (vm->client == NULL)
        return;
    msgpack_sbuffer_init(&body);
    struct ctl_head head = {CTL_MAGIC, type, 0, 0};
    msgpack_sbuffer_write(&body, (const char *)&head, sizeof head);
    msgpack_packer packer;
    msgpack_packer_init(&packer, &body, msgpack_sbuffer_write);
    const struct death_frame frame = {vm->id, wait_us, {(char *)(uintptr_t)why, (uint32_t)strlen(why)}};
    death_frame_pack(&packer, &frame, record);
    head.length = (uint32_t)(body.size - sizeof head);
    memcpy(body.data, &head, sizeof head);
    client_send(vm->client, body.data, body.size);
    msgpack_sbuffer_destroy(&body);
}
