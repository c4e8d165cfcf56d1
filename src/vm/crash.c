/*
 * crash.c - last words. The interpreter is C and has bugs that pure Lua reaches: a crash is an outcome, and its signal must
 * be told truly. As pid 1 a process cannot end itself by a signal, and abort() would show as a segmentation fault; and
 * of a refused system call the kernel tells nobody which one it was. So handlers say it over the lifeline, and then let
 * the process die. They use nothing but sendmsg.
 */
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "common/lifeline.h"
#include "sandbox/lock.h"
#include "vm.h"

/* Room for the largest signal frame (AVX-512, AMX: 11 KiB) and the handler. Untouched until something goes wrong. */
static char handler_stack[32 * 1024] __attribute__((aligned(16)));

static volatile sig_atomic_t told;

static void tell(int signal_number, int call)
{
    struct lw_frame frame = {.type = LW_FATAL, .a = (uint64_t)signal_number, .b = call};
    char bytes[sizeof(struct lw_header)];
    struct iovec part = {bytes, lw_encode(&frame, bytes)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    sendmsg(LW_FD, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The first to come is the cause: abort() ends in a fault of its own. When this returns, the action of the signal is the default
 * one (SA_RESETHAND), the fault happens again, and is the end. */
static void on_fatal(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    int call = signal_number == SIGSYS ? info->si_syscall : 0;
    if (!told) {
        told = 1;
        tell(signal_number, call);
    }
    if (signal_number == SIGSYS)
        sb_lock_die(); /* its system call would be answered otherwise, and the script would go on */
}

int vm_crash_install(struct bx_error *err)
{
    static const int signals[] = {SIGSYS, SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    stack_t stack = {.ss_sp = handler_stack, .ss_size = sizeof handler_stack};
    if (sigaltstack(&stack, NULL) != 0)
        return bx_fail_errno(err, errno, "sigaltstack");
    struct sigaction action = {.sa_sigaction = on_fatal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND};
    sigfillset(&action.sa_mask);
    for (unsigned i = 0; i < sizeof signals / sizeof signals[0]; i++)
        if (sigaction(signals[i], &action, NULL) != 0)
            return bx_fail_errno(err, errno, "sigaction");
    return 0;
}
