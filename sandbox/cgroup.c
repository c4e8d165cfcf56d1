/*
 * cgroup.c - makes a cgroup for each jail, and removes it; v1 and v2 differ only in the operations of their
 * tables.
 *
 * A group's name holds the pid of the process that made it, and its directory in the first hierarchy is
 * locked by flock while that process lives. So whoever comes later can tell a stale group from a living one
 * without a file of state. The first hierarchy is the first to be made and the last to be removed: what is
 * left of a killed process is always found there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

/* A sweep of a foreign instance may take a new directory before it is locked; then the next name is tried. */
#define NAME_TRIES 8
/*
 * A directory is busy until its dead process was switched off the processor for the last time:
 * microseconds, but on a loaded
 * host a few turns of the scheduler. So the pauses grow, from 50 us to 10 ms, and add up to three seconds.
 */
#define REMOVE_TRIES        300
#define REMOVE_PAUSE_NS     50000l
#define REMOVE_PAUSE_NS_MAX 10000000l

void sb_cgroup_clear(struct sb_cgroup *group)
{
    *group = (struct sb_cgroup){.dir = {-1, -1, -1}, .join = {-1, -1, -1}};
}

bool sb_cgroup_uses(const struct sb_cgroup_host *host, const struct sb_limits *limits,
                    enum sb_controller controller)
{
    if (controller == SB_CPU && limits->cpus_milli >= 1000)
        return false;
    return host->base[controller] >= 0;
}

static bool same_hierarchy(const struct sb_cgroup_host *host, int a, int b)
{
    return host->ops == &sb_cgroup_v2 || host->device[a] == host->device[b];
}

/* Another controller's directory that is this one's too, or -1. */
static int shared_dir(const struct sb_cgroup_host *host, const struct sb_cgroup *group, int controller)
{
    for (int i = 0; i < SB_CONTROLLERS; i++)
        if (i != controller && group->dir[i] >= 0 && same_hierarchy(host, i, controller))
            return group->dir[i];
    return -1;
}

static bool is_first(const struct sb_cgroup *group)
{
    return group->dir[SB_MEMORY] < 0 && group->dir[SB_PIDS] < 0 && group->dir[SB_CPU] < 0;
}

static int make_dir(const struct sb_cgroup_host *host, struct sb_cgroup *group, int controller)
{
    int shared = shared_dir(host, group, controller);
    if (shared >= 0) {
        group->dir[controller] = fcntl(shared, F_DUPFD_CLOEXEC, 3);
        return group->dir[controller] >= 0 ? 0 : -errno;
    }
    if (mkdirat(host->base[controller], group->name, 0755) != 0)
        return -errno;
    int fd = openat(host->base[controller], group->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && is_first(group) && flock(fd, LOCK_EX | LOCK_NB) != 0)
        sb_close(&fd);
    group->dir[controller] = fd;
    return fd >= 0 ? 0 : -EAGAIN;
}

static int make_dirs(const struct sb_cgroup_host *host, struct sb_cgroup *group,
                     const struct sb_limits *limits)
{
    for (int i = 0; i < SB_CONTROLLERS; i++) {
        int rc = 0;
        if (group->dir[i] < 0 && sb_cgroup_uses(host, limits, i))
            rc = make_dir(host, group, i);
        if (rc != 0)
            return rc;
    }
    return host->ops->prepare(group);
}

static int set_limits(struct sb_cgroup_host *host, struct sb_cgroup *group, const struct sb_limits *limits,
                      struct sb_error *err)
{
    const char *what = "";
    int rc = host->ops->limit(group, limits, &what);
    if (rc != 0)
        return sb_fail_errno(err, -rc, "cannot set the limit %s of the cgroup %s", what, group->name);
    group->limits = *limits;
    return 0;
}

/* Swept away by somebody between mkdir and flock, or the name of somebody in another pid namespace. */
static bool retry(int rc)
{
    return rc == -EEXIST || rc == -EAGAIN || rc == -ENOENT || rc == -ENODEV;
}

int sb_cgroup_make(struct sb_cgroup_host *host, struct sb_cgroup *group, const struct sb_limits *limits,
                   struct sb_error *err)
{
    sb_cgroup_clear(group);
    if (host->ops == NULL)
        return 0;
    int rc = -EEXIST;
    for (int tries = 0; tries < NAME_TRIES && retry(rc); tries++) {
        sb_cgroup_remove(host, group);
        snprintf(group->name, sizeof group->name, SB_CGROUP_PREFIX "%d.%u", host->owner, host->next++);
        rc = make_dirs(host, group, limits);
        if (rc == -EEXIST)
            sb_cgroup_clear(group); /* somebody else's: not ours to remove */
    }
    if (rc == 0)
        rc = set_limits(host, group, limits, err);
    else
        sb_fail_errno(err, -rc, "cannot make the cgroup %s", group->name);
    if (rc != 0)
        sb_cgroup_remove(host, group);
    return rc;
}

int sb_cgroup_adjust(struct sb_cgroup_host *host, struct sb_cgroup *group, const struct sb_limits *limits,
                     struct sb_error *err)
{
    if (host->ops == NULL)
        return 0;
    int rc = make_dirs(host, group, limits);
    if (rc != 0)
        return sb_fail_errno(err, -rc, "cannot make the cgroup %s", group->name);
    return set_limits(host, group, limits, err);
}

void sb_cgroup_close_joins(struct sb_cgroup *group)
{
    for (int i = 0; i < SB_CONTROLLERS; i++)
        sb_close(&group->join[i]);
}

static int remove_dir(int base, const char *name)
{
    int rc = -EBUSY;
    long pause = REMOVE_PAUSE_NS;
    for (int tries = 0; tries < REMOVE_TRIES && rc == -EBUSY; tries++) {
        if (tries > 0)
            nanosleep(&(struct timespec){.tv_nsec = pause}, NULL);
        if (tries > 8 && pause < REMOVE_PAUSE_NS_MAX)
            pause += pause / 4;
        rc = unlinkat(base, name, AT_REMOVEDIR) == 0 ? 0 : -errno;
    }
    return rc;
}

void sb_cgroup_remove(const struct sb_cgroup_host *host, struct sb_cgroup *group)
{
    sb_cgroup_close_joins(group);
    for (int i = SB_CONTROLLERS - 1; i >= 0; i--) {
        bool made = group->dir[i] >= 0;
        sb_close(&group->dir[i]);
        if (made && shared_dir(host, group, i) < 0)
            remove_dir(host->base[i], group->name);
    }
    sb_cgroup_clear(group);
}
