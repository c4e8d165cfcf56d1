/*
 * grace.c - one timer for each VM that has a grace, set to the first that ends.
 *
 * A VM that does not read its lifeline gets no word, and no more time for that: its grace runs all the same. Its own
 * word (LW_UNWOUND) only stops the clock for the call that it names.
 */
#include "grace.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/timer.h"
#include "manager.h"
#include "streams.h"
#include "vm.h"

/*
 * One call runs at a time, so that an honest client asks for the end of a few. Beyond this a request is dropped:
 * the first grace of those that are kept ends the VM, if it answers none of them.
 */
#define INTERRUPTS_MAX 1024

/* A VM that boots hears nothing yet, and no time is taken from it; one that does not come to its end dies of this. */
#define BOOT_US UINT64_C(30000000)

uint64_t grace_due(const struct vm *vm, uint32_t grace_ms)
{
    return bx_now_us() + grace_ms * UINT64_C(1000) + (vm->words.ready ? 0 : BOOT_US);
}

void grace_begin(struct vm *vm)
{
    if (vm->stop_asked)
        vm->stop_due_us = grace_due(vm, vm->stop_grace_ms);
    for (uint32_t i = 0; i < vm->interrupt_count; i++)
        vm->interrupts[i].due_us = grace_due(vm, vm->interrupts[i].grace_ms);
    if (vm->stop_asked || vm->interrupt_count > 0)
        grace_arm(vm);
}

static uint64_t first_due(const struct vm *vm, uint32_t *index)
{
    uint64_t due = UINT64_MAX;
    *index = 0;
    for (uint32_t i = 0; i < vm->interrupt_count; i++) {
        if (vm->interrupts[i].due_us < due) {
            due = vm->interrupts[i].due_us;
            *index = i;
        }
    }
    return due;
}

static void end_vm(struct vm *vm)
{
    uint32_t index;
    uint64_t due = first_due(vm, &index);
    if (vm->stop_asked && vm->stop_due_us <= due)
        vm_kill(vm, VM_KILL_STOP, SIGKILL);
    else
        vm_kill(vm, vm->interrupts[index].reason == CTL_BY_TIMEOUT ? VM_KILL_CALL_TIME : VM_KILL_INTERRUPTED, SIGKILL);
}

static void on_grace(struct bx_source *source, uint32_t events)
{
    (void)events;
    if (bx_timer_is_due(source))
        end_vm(((struct vm_source *)source)->vm);
}

void grace_arm(struct vm *vm)
{
    uint32_t index;
    uint64_t due = first_due(vm, &index);
    if (vm->stop_asked && vm->stop_due_us < due)
        due = vm->stop_due_us;
    vm->grace.source.on_ready = on_grace;
    /* A clock that cannot be set is a grace that nobody ends: then there is none. */
    if (bx_timer_set(&vm->manager->loop, &vm->grace.source, due) != 0)
        vm_kill(vm, VM_KILL_INTERNAL, SIGKILL);
}

static struct vm_interrupt *find(struct vm *vm, uint64_t session, uint64_t call)
{
    for (uint32_t i = 0; i < vm->interrupt_count; i++)
        if (vm->interrupts[i].session == session && vm->interrupts[i].call == call)
            return &vm->interrupts[i];
    return NULL;
}

static struct vm_interrupt *add(struct vm *vm)
{
    uint32_t count = vm->interrupt_count;
    if (count >= INTERRUPTS_MAX)
        return NULL;
    if ((count & (count - 1)) == 0) { /* 0 and each power of two */
        struct vm_interrupt *grown = realloc(vm->interrupts, (count == 0 ? 1 : 2 * count) * sizeof *grown);
        if (grown == NULL)
            return NULL;
        vm->interrupts = grown;
    }
    return &vm->interrupts[vm->interrupt_count++];
}

static void tell(struct vm *vm, const struct ctl_interrupt *interrupt)
{
    const char *why = interrupt->reason == CTL_BY_TIMEOUT ? "timeout" : "interrupted";
    struct lw_frame frame = {
        .type = LW_INTERRUPT,
        .a = interrupt->session,
        .b = (int64_t)interrupt->call,
        .text1 = why,
        .length1 = (uint32_t)strlen(why),
    };
    streams_tell(vm, &frame, -1); /* one that does not read has its grace for that, too */
}

void grace_interrupt(struct vm *vm, const struct ctl_interrupt *interrupt)
{
    if (vm->state != VM_RUNNING && vm->state != VM_LEAVING)
        return;
    const struct vm_interrupt asked = {interrupt->session, interrupt->reason, interrupt->call,
                                       grace_due(vm, interrupt->grace_ms), interrupt->grace_ms};
    struct vm_interrupt *known = find(vm, interrupt->session, interrupt->call);
    if (known != NULL) {
        if (asked.due_us < known->due_us)
            *known = asked;
    } else if ((known = add(vm)) != NULL) {
        *known = asked;
        tell(vm, interrupt);
    }
    grace_arm(vm);
}

int grace_take_unwound(struct vm *vm, const struct lw_frame *frame)
{
    struct vm_interrupt *known = find(vm, frame->a, (uint64_t)frame->b);
    if (known == NULL)
        return -EBADMSG;
    *known = vm->interrupts[--vm->interrupt_count];
    if (vm->grace.source.fd >= 0)
        grace_arm(vm);
    return 0;
}

void grace_ask_stop(struct vm *vm)
{
    struct lw_frame frame = {.type = LW_STOP};
    streams_tell(vm, &frame, -1);
}
