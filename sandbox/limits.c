/*
 * limits.c - resource limits: what stands behind the cgroup, and in its place where there is none.
 */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "internal.h"

/*
 * The program itself, its stack, and libc's buffers: what a jail maps beside the heap that its limit is
 * about.
 */
#define ADDRESS_SPACE_EXTRA (16ull << 20)
#define DATA_EXTRA          (2ull << 20)
/*
 * Lua's limit of 200 nested C calls, each with a buffer of 1 KiB on the stack, and room for a pattern in
 * each.
 */
#define STACK_BYTES (8ull << 20)
/* A file on a writable mount; scratch space has its own, smaller limit. */
#define FILE_BYTES (1ull << 30)
/*
 * Standard streams, lifeline, and the descriptors that travel over it: as many clients as a VM may have
 * (BX_SESSIONS_MAX) and a few more. In a jail with files, those too.
 */
#define DESCRIPTORS            (16 + 64)
#define DESCRIPTORS_WITH_FILES (64 + 64)
#define SIGNALS_QUEUED         16

static void add(struct sb_plan *plan, int resource, uint64_t value)
{
    struct rlimit inherited;
    /* Not above what the caller lives under: raising a hard limit needs a privilege that the jail has not. */
    if (getrlimit(resource, &inherited) == 0 && inherited.rlim_max != RLIM_INFINITY &&
        inherited.rlim_max < value)
        value = inherited.rlim_max;
    plan->rlimits[plan->rlimit_count++] = (struct sb_plan_rlimit){resource, value};
}

void sb_limits_plan(struct sb_plan *plan, const struct sb_spec *spec)
{
    plan->rlimit_count = 0;
    add(plan, RLIMIT_CORE, 0);
    add(plan, RLIMIT_NOFILE, (spec->has_files ? DESCRIPTORS_WITH_FILES : DESCRIPTORS) + spec->sockets);
    add(plan, RLIMIT_FSIZE, spec->has_files ? FILE_BYTES : 0);
    add(plan, RLIMIT_NPROC, 1);
    add(plan, RLIMIT_MEMLOCK, 0);
    add(plan, RLIMIT_MSGQUEUE, 0);
    add(plan, RLIMIT_SIGPENDING, SIGNALS_QUEUED);
    add(plan, RLIMIT_RTPRIO, 0);
    add(plan, RLIMIT_NICE, 0);
    add(plan, RLIMIT_STACK, STACK_BYTES);
    if (spec->cpu_seconds > 0)
        add(plan, RLIMIT_CPU, spec->cpu_seconds);
    if (plan->memory_by == SB_BY_RLIMIT) {
        add(plan, RLIMIT_AS, spec->limits.memory_bytes + ADDRESS_SPACE_EXTRA);
        add(plan, RLIMIT_DATA, spec->limits.memory_bytes + DATA_EXTRA);
    }
}

int sb_step_limits(struct sb_child *child)
{
    const struct sb_plan *plan = child->plan;
    for (unsigned i = 0; i < plan->rlimit_count; i++) {
        const struct rlimit both = {plan->rlimits[i].value, plan->rlimits[i].value};
        if (setrlimit(plan->rlimits[i].resource, &both) != 0)
            return -errno;
    }
    return 0;
}

int sb_step_host_name(struct sb_child *child)
{
    const char *name = child->plan->hostname;
    if (sethostname(name, strlen(name)) != 0 || setdomainname("", 0) != 0)
        return -errno;
    return 0;
}
