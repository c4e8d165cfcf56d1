/*
 * cgroup_v2.c - the operations of the unified interface, and the walk to a place where groups may be made.
 *
 * Our own cgroup holds processes, so it cannot have controllers for children ("no internal processes"). The
 * walk goes up from there to the nearest directory that is ours to write and gives its children the
 * controllers, or can be made to.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

static const struct {
    const char *name, *enable;
} controllers[SB_CONTROLLERS] = {
    [SB_MEMORY] = {"memory", "+memory"},
    [SB_PIDS] = {"pids", "+pids"},
    [SB_CPU] = {"cpu", "+cpu"},
};

static bool writable(int dir, const char *file)
{
    return faccessat(dir, file, W_OK, AT_EACCESS) == 0;
}

/*
 * Which controllers do the children of this directory have, after those that are missing were switched on? Memory
 * comes first, and without it nothing else is touched: a group with processes in it refuses memory, but takes pids and
 * cpu, and becomes the root of a threaded subtree, in which nobody can make an ordinary group any more.
 */
static void enable(int dir, bool found[SB_CONTROLLERS])
{
    char given[512], available[512];
    if (sb_read_at(dir, "cgroup.subtree_control", given, sizeof given) < 0 ||
        sb_read_at(dir, "cgroup.controllers", available, sizeof available) < 0)
        given[0] = available[0] = '\0';
    for (int i = 0; i < SB_CONTROLLERS && (i == SB_MEMORY || found[SB_MEMORY]); i++) {
        found[i] = sb_has_word(given, controllers[i].name);
        if (!found[i] && sb_has_word(available, controllers[i].name))
            found[i] = sb_write_at(dir, "cgroup.subtree_control", "%s", controllers[i].enable) == 0;
    }
}
_Static_assert(SB_MEMORY == 0, "memory is tried first");

int sb_cgroup_v2_find(char *path, const char *point, bool found[SB_CONTROLLERS])
{
    size_t shortest = strlen(point);
    while (strlen(path) >= shortest) {
        int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        /* To move a process needs the right to write cgroup.procs in the common ancestor: this directory. */
        if (dir >= 0 && writable(dir, ".") && writable(dir, "cgroup.procs"))
            enable(dir, found);
        if (found[SB_MEMORY] && found[SB_PIDS])
            return dir;
        sb_close(&dir);
        char *slash = strrchr(path, '/');
        if (slash == NULL)
            break;
        *slash = '\0';
    }
    memset(found, 0, SB_CONTROLLERS * sizeof *found);
    return -ENOENT;
}

static int v2_prepare(struct sb_cgroup *group)
{
    (void)group; /* the child is born into its group: CLONE_INTO_CGROUP */
    return 0;
}

/* Files that a kernel without swap, or an older one, does not have. */
static int write_optional(int dir, const char *file, const char *text)
{
    int rc = sb_write_at(dir, file, "%s", text);
    return rc == -ENOENT ? 0 : rc;
}

static int limit_memory(int dir, uint64_t bytes)
{
    int rc = sb_write_at(dir, "memory.max", "%llu", (unsigned long long)bytes);
    if (rc == 0)
        rc = write_optional(dir, "memory.swap.max", "0");
    return rc == 0 ? write_optional(dir, "memory.oom.group", "1") : rc;
}

static int v2_limit(struct sb_cgroup *group, const struct sb_limits *limits, const char **what)
{
    const struct sb_limits *old = &group->limits;
    int rc = 0;
    if (group->dir[SB_MEMORY] >= 0 && old->memory_bytes != limits->memory_bytes) {
        *what = "memory";
        rc = limit_memory(group->dir[SB_MEMORY], limits->memory_bytes);
    }
    if (rc == 0 && group->dir[SB_PIDS] >= 0 && old->pids != limits->pids) {
        *what = "pids";
        rc = sb_write_at(group->dir[SB_PIDS], "pids.max", "%u", limits->pids);
    }
    if (rc == 0 && group->dir[SB_CPU] >= 0 && old->cpus_milli != limits->cpus_milli) {
        *what = "cpus";
        rc = sb_write_at(group->dir[SB_CPU], "cpu.max", "%llu 100000", limits->cpus_milli * 100ull);
    }
    return rc;
}

static void v2_kill(int dir)
{
    if (sb_write_at(dir, "cgroup.kill", "1") != 0) /* Linux 5.14 */
        sb_cgroup_kill_each(dir);
}

static void v2_figures(const struct sb_cgroup *group, struct sb_death *death)
{
    char text[256];
    int dir = group->dir[SB_MEMORY];
    if (dir < 0)
        return;
    if (sb_read_at(dir, "memory.peak", text, sizeof text) > 0) /* Linux 5.19 */
        death->memory_peak = strtoull(text, NULL, 10);
    if (death->status == SIGKILL && sb_read_at(dir, "memory.events", text, sizeof text) > 0)
        death->oom_kills = (uint32_t)sb_number_after(text, "oom_kill");
}

static void v2_usage(const struct sb_cgroup *group, struct sb_usage *usage)
{
    if (group->dir[SB_MEMORY] < 0)
        return;
    sb_number_at(group->dir[SB_MEMORY], "memory.current", &usage->memory);
    sb_number_at(group->dir[SB_MEMORY], "memory.peak", &usage->memory_peak); /* Linux 5.19 */
}

const struct sb_cgroup_ops sb_cgroup_v2 = {
    .enforcer = SB_BY_CGROUP_V2,
    .prepare = v2_prepare,
    .limit = v2_limit,
    .kill = v2_kill,
    .figures = v2_figures,
    .usage = v2_usage,
};
