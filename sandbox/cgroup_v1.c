/*
 * cgroup_v1.c - the operations of the old interface, where each controller may be a hierarchy of its own. A
 * child joins by writing 0 into the `tasks` file of each: moving a process from outside, through
 * cgroup.procs, waits for a grace period of the kernel (10 ms).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>

#include "internal.h"

static int v1_prepare(struct sb_cgroup *group)
{
    for (int i = 0; i < SB_CONTROLLERS; i++) {
        if (group->dir[i] < 0 || group->join[i] >= 0)
            continue;
        group->join[i] = openat(group->dir[i], "tasks", O_WRONLY | O_CLOEXEC);
        if (group->join[i] < 0)
            return -errno;
    }
    return 0;
}

/*
 * Memory and swap together. Where swap is not accounted, the group at least does not start to swap by itself.
 */
static int write_swap(int dir, uint64_t bytes)
{
    int rc = sb_write_at(dir, "memory.memsw.limit_in_bytes", "%llu", (unsigned long long)bytes);
    return rc == -ENOENT ? sb_write_at(dir, "memory.swappiness", "0") : rc;
}

/* At no moment may the limit of memory be above that of memory and swap. */
static int limit_memory(int dir, uint64_t old, uint64_t bytes)
{
    bool raise = old != 0 && bytes > old;
    int rc = raise ? write_swap(dir, bytes) : 0;
    if (rc == 0)
        rc = sb_write_at(dir, "memory.limit_in_bytes", "%llu", (unsigned long long)bytes);
    return rc == 0 && !raise ? write_swap(dir, bytes) : rc;
}

static int v1_limit(struct sb_cgroup *group, const struct sb_limits *limits, const char **what)
{
    const struct sb_limits *old = &group->limits;
    int rc = 0;
    if (group->dir[SB_MEMORY] >= 0 && old->memory_bytes != limits->memory_bytes) {
        *what = "memory";
        rc = limit_memory(group->dir[SB_MEMORY], old->memory_bytes, limits->memory_bytes);
    }
    if (rc == 0 && group->dir[SB_PIDS] >= 0 && old->pids != limits->pids) {
        *what = "pids";
        rc = sb_write_at(group->dir[SB_PIDS], "pids.max", "%u", limits->pids);
    }
    if (rc == 0 && group->dir[SB_CPU] >= 0 && old->cpus_milli != limits->cpus_milli) {
        *what = "cpus"; /* thousandths of the period of 100 ms, in microseconds */
        rc = sb_write_at(group->dir[SB_CPU], "cpu.cfs_period_us", "100000");
        if (rc == 0)
            rc = sb_write_at(group->dir[SB_CPU], "cpu.cfs_quota_us", "%llu", limits->cpus_milli * 100ull);
    }
    return rc;
}

static void v1_figures(const struct sb_cgroup *group, struct sb_death *death)
{
    char text[256];
    int dir = group->dir[SB_MEMORY];
    if (dir < 0)
        return;
    if (sb_read_at(dir, "memory.max_usage_in_bytes", text, sizeof text) > 0)
        death->memory_peak = strtoull(text, NULL, 10);
    if (death->status == SIGKILL && sb_read_at(dir, "memory.oom_control", text, sizeof text) > 0)
        death->oom_kills = (uint32_t)sb_number_after(text, "oom_kill");
}

static void v1_usage(const struct sb_cgroup *group, struct sb_usage *usage)
{
    if (group->dir[SB_MEMORY] < 0)
        return;
    sb_number_at(group->dir[SB_MEMORY], "memory.usage_in_bytes", &usage->memory);
    sb_number_at(group->dir[SB_MEMORY], "memory.max_usage_in_bytes", &usage->memory_peak);
}

const struct sb_cgroup_ops sb_cgroup_v1 = {
    .enforcer = SB_BY_CGROUP_V1,
    .prepare = v1_prepare,
    .limit = v1_limit,
    .kill = sb_cgroup_kill_each,
    .figures = v1_figures,
    .usage = v1_usage,
};
