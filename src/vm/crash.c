/*
 * crash.c - last words. The interpreter is C and has bugs that pure Lua reaches: a crash is an outcome, and
 * its signal must be told truly. As pid 1 a process cannot end itself by a signal, and abort() would show as
 * a segmentation fault; and of a refused system call the kernel tells nobody which one it was. So handlers
 * say it over the lifeline, and then let the process die. They use nothing but sendmsg.
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "common/lifeline.h"
#include "sandbox/lock.h"
#include "vm.h"

/* Room for the largest signal frame (AVX-512, AMX: 11 KiB) and the handler. Untouched until something goes
 * wrong. */
static char handler_stack[32 * 1024] __attribute__((aligned(16)));

/* si_code of a SIGSYS that a filter raised: SYS_SECCOMP, which glibc's headers lack. */
#define FROM_FILTER 1

static volatile sig_atomic_t told;

static void tell(int signal_number, int call)
{
    struct lw_frame frame = {.type = LW_FATAL, .a = (uint64_t)signal_number, .b = call};
    char bytes[sizeof(struct lw_header)];
    struct iovec part = {bytes, lw_encode(&frame, bytes)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    sendmsg(LW_FD, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/*
 * The first to come is the cause: what follows is a consequence of it. A fault of the processor's happens
 * again when this returns, and now its action is the default one (SA_RESETHAND): the VM dies by its true
 * signal. A signal that was sent, as abort() does, would be ignored then by pid 1: the filter ends the
 * process instead.
 */
static void on_fatal(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    if (!told) {
        told = 1;
        tell(signal_number, 0);
    }
    if (info->si_code <= 0)
        sb_lock_die();
}

/* The filter refused a system call that no script reaches by accident. (The same signal, sent by hand, says
 * nothing.) */
static void on_refused_call(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    if (info->si_code != FROM_FILTER)
        return;
    if (!told)
        tell(signal_number, info->si_syscall);
    sb_lock_die();
}

static int handle(int signal_number, void (*handler)(int, siginfo_t *, void *), int flags, struct bx_error *err)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK | flags};
    sigfillset(&action.sa_mask);
    return sigaction(signal_number, &action, NULL) == 0 ? 0 : bx_fail_errno(err, errno, "sigaction");
}

int vm_crash_install(struct bx_error *err)
{
    static const int faults[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    stack_t stack = {.ss_sp = handler_stack, .ss_size = sizeof handler_stack};
    if (sigaltstack(&stack, NULL) != 0)
        return bx_fail_errno(err, errno, "sigaltstack");
    int failed = handle(SIGSYS, on_refused_call, 0, err);
    for (unsigned i = 0; !failed && i < sizeof faults / sizeof faults[0]; i++)
        failed = handle(faults[i], on_fatal, (int)SA_RESETHAND, err);
    return failed;
}
