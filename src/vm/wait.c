/*
 * wait.c - the one place where this process sleeps while it serves or a script waits: for what the caller asks for, and
 * beside that for the lifeline, for messages, and, where a script's wait is nobody else's turn, for sessions.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "mail.h"
#include "vm.h"

/* Everything that select takes and all connections of a VM: a descriptor is polled twice at most. */
#define FDS_MAX 1400

/* What is polled, in this order. */
struct round {
    struct pollfd *fds;
    nfds_t caller;     /* the caller's */
    bool lifeline;     /* then one */
    unsigned sessions; /* then so many */
    unsigned mail;
    int timeout_ms;
};

/* Does not return when a call runs and is to end. */
static int give_up(const struct vm *vm)
{
    if (vm->running != NULL)
        vm_interrupt_now(vm->running);
    errno = ECANCELED; /* a finalizer: it is left in peace, but does not wait */
    return -1;
}

/* Between calls; or while the script of a VM that ends with it waits, but not while a call does. */
static bool serves_now(const struct vm *vm)
{
    return vm->serving && (!vm->busy || (vm->mode == LW_RUN && vm->session_number == 0));
}

static void prepare(struct vm *vm, struct round *round)
{
    nfds_t count = round->caller;
    round->lifeline = vm->serving;
    if (round->lifeline)
        round->fds[count++] = (struct pollfd){.fd = LW_FD, .events = POLLIN};
    round->sessions = serves_now(vm) ? vm_sessions_prepare(vm, round->fds + count, &round->timeout_ms) : 0;
    count += round->sessions;
    if (vm->mail != NULL && !vm->mail->busy)
        round->mail = vm_mail_prepare(vm->mail, round->fds + count, FDS_MAX - (unsigned)count, &round->timeout_ms);
}

/* Everything that is not the caller's. Returns whether there was any of it. */
static bool attend(struct vm *vm, const struct round *round)
{
    const struct pollfd *fds = round->fds + round->caller;
    bool any = false;
    if (round->lifeline && (any = fds->revents != 0))
        vm->called = 1;
    vm_attend(vm);
    fds += round->lifeline;
    for (unsigned i = 0; i < round->sessions + round->mail; i++)
        any |= fds[i].revents != 0;
    if (vm->mail != NULL && !vm->mail->busy)
        vm_mail_attend(vm->mail, fds + round->sessions);
    if (round->sessions > 0 && vm->interrupted == VM_GOES_ON)
        vm_sessions_attend(vm, fds, round->sessions);
    return any;
}

/* Returns how many of the caller's are ready, 0 when the time is over, -1 with EINTR when it was something else. */
int vm_wait(struct vm *vm, struct pollfd *fds, nfds_t count, int timeout_ms)
{
    struct pollfd all[FDS_MAX];
    struct round round = {.fds = all, .caller = count, .timeout_ms = timeout_ms};
    if (count > VM_WAIT_MAX) {
        errno = EINVAL;
        return -1;
    }
    if (vm->interrupted != VM_GOES_ON)
        return give_up(vm);
    if (vm->serving && timeout_ms != 0)
        vm_sessions_flush(vm);
    if (count > 0)
        memcpy(all, fds, count * sizeof *fds);
    prepare(vm, &round);
    nfds_t polled = count + round.lifeline + round.sessions + round.mail;
    int ready = poll(all, polled, round.timeout_ms);
    if (ready < 0)
        for (nfds_t i = 0; i < polled; i++)
            all[i].revents = 0;
    bool other = attend(vm, &round);
    if (vm->interrupted != VM_GOES_ON && vm->busy)
        return give_up(vm);
    int mine = 0;
    for (nfds_t i = 0; i < count; i++) {
        fds[i].revents = all[i].revents;
        mine += fds[i].revents != 0;
    }
    if (mine > 0 || (ready == 0 && !other && round.timeout_ms == timeout_ms))
        return mine;
    errno = EINTR;
    return -1;
}
