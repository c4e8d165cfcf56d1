/*
 * lock.c - the syscall filter, and the check of what the jail promised. Needs libc and the kernel only:
 * this is what a VM links of the sandbox.
 *
 * The filters are constant data, compiled at build time from profiles.def.
 */
#include "lock.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "filters.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The bit that selects the x32 table on x86-64. Every filter answers it with the end of the process. */
#define X32_CALL 0x40000000L

const void *sb_lock_program(enum sb_filter filter, unsigned *count)
{
    switch (filter) {
    case SB_FILTER_RESTRICTED:
        *count = COUNT(filter_restricted);
        return filter_restricted;
    case SB_FILTER_FULL:
        *count = COUNT(filter_full);
        return filter_full;
    case SB_FILTER_RESTRICTED_NETWORKED:
        *count = COUNT(filter_restricted_networked);
        return filter_restricted_networked;
    case SB_FILTER_FULL_NETWORKED:
        *count = COUNT(filter_full_networked);
        return filter_full_networked;
    case SB_FILTER_ORCHESTRATOR:
        *count = COUNT(filter_orchestrator);
        return filter_orchestrator;
    }
    return NULL;
}

int sb_lock_filter(enum sb_filter filter)
{
    unsigned count = 0;
    const void *code = sb_lock_program(filter, &count);
    if (code == NULL)
        return -EINVAL;
    /* The kernel only reads the program; its struct lacks the const. */
    struct sock_fprog program = {.len = (unsigned short)count,
                                 .filter = (struct sock_filter *)(uintptr_t)code};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0 ? 0 : -errno;
}

void sb_lock_die(void)
{
#ifdef __x86_64__
    syscall(X32_CALL | SYS_getpid);
#endif
    for (;;)
        __builtin_trap();
}

static int refuse(char *why, size_t size, const char *text)
{
    snprintf(why, size, "%s", text);
    return -EPERM;
}

static int has_capability(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[2] = {{0}, {0}};
    if (syscall(SYS_capget, &head, data) != 0)
        return 1;
    unsigned all = 0;
    for (int i = 0; i < 2; i++)
        all |= data[i].effective | data[i].permitted | data[i].inheritable;
    if (all != 0)
        return 1;
    /* The ambient set is a part of the permitted one; the bounding set is asked for bit by bit. */
    for (int cap = 0, set; (set = prctl(PR_CAPBSET_READ, cap, 0, 0, 0)) >= 0; cap++)
        if (set != 0)
            return 1;
    return 0;
}

int sb_lock_verify(char *why, size_t size)
{
    int death_signal = 0;
    if (prctl(PR_GET_PDEATHSIG, &death_signal, 0, 0, 0) != 0 || death_signal != SIGKILL)
        return refuse(why, size, "the parent-death signal is not SIGKILL");
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
        return refuse(why, size, "no_new_privs is not set");
    if (has_capability())
        return refuse(why, size, "a capability is left");
    return 0;
}
