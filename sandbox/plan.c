/*
 * plan.c - checks what a caller wants and makes it final. After this, nothing depends on the caller's memory
 * but argv and the descriptors.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "internal.h"

static int copy_text(char *out, size_t size, const char *text, const char *what, struct sb_error *err)
{
    size_t length = strlen(text);
    if (length >= size)
        return sb_fail(err, ENAMETOOLONG, "%s is longer than %zu bytes", what, size - 1);
    memset(out, 0, size);
    memcpy(out, text, length);
    return 0;
}

/* Places 0 to 5 of the child are filled from these: a source must not be one of the places. */
static int check_fds(const struct sb_spec *spec, struct sb_error *err)
{
    for (int i = 0; i < SB_HANDED_FDS; i++)
        if (spec->handed[i] < 0)
            return sb_fail(err, EBADF, "a descriptor for the jail is missing");
    return 0;
}

/* What gets a cgroup with the cpu controller, by what this process sees of cgroups, and where it has some already. */
static const char *cpus_remedy(const struct sb_host *host)
{
    const struct sb_cgroup_host *cgroups = &host->cgroups;
    if (cgroups->seen == SB_BY_NOTHING)
        return "no hierarchy with it is mounted in /sys/fs/cgroup";
    if (host->privileged)
        return "is /sys/fs/cgroup mounted read-only?";
    if (cgroups->seen == SB_BY_CGROUP_V2 && cgroups->ops == NULL)
        return "start it by systemd-run --user --scope -p Delegate=yes";
    return "root can delegate one";
}

static int refuse_cpus(const struct sb_host *host, uint32_t milli, struct sb_error *err)
{
    return sb_fail(err, ENOTSUP,
                   "nothing here can enforce the limit cpus=%u.%03u: no cgroup with the cpu controller %s: %s "
                   "(bioxen doctor says what mends it)",
                   milli / 1000, milli % 1000, host->privileged ? "can be written" : "is delegated to this user",
                   cpus_remedy(host));
}

static int choose_enforcers(const struct sb_host *host, const struct sb_spec *spec, struct sb_plan *plan,
                            struct sb_error *err)
{
    enum sb_enforcer group = host->cgroups.ops != NULL ? host->cgroups.ops->enforcer : SB_BY_NOTHING;
    const struct sb_limits *limits = &spec->limits;
    plan->memory_by = sb_cgroup_uses(&host->cgroups, limits, SB_MEMORY) ? group : SB_BY_RLIMIT;
    plan->pids_by = sb_cgroup_uses(&host->cgroups, limits, SB_PIDS) ? group : SB_BY_SECCOMP;
    if (limits->cpus_milli >= 1000)
        plan->cpus_by = SB_BY_SINGLE_THREAD;
    else
        plan->cpus_by = sb_cgroup_uses(&host->cgroups, limits, SB_CPU) ? group : SB_BY_NOTHING;
    if (plan->cpus_by == SB_BY_NOTHING && (spec->required & SB_LIMIT_CPUS) != 0)
        return refuse_cpus(host, limits->cpus_milli, err);
    return 0;
}

static int plan_mount(const struct sb_mount *mount, struct sb_plan_mount *out, struct sb_error *err)
{
    struct stat status;
    if (mount->target[0] != '/' || mount->target[1] == '\0')
        return sb_fail(err, EINVAL, "a mount's target must be an absolute path below /");
    int rc = copy_text(out->target, sizeof out->target, mount->target + 1, "a mount's target", err);
    if (rc != 0)
        return rc;
    if (fstat(mount->source_fd, &status) != 0)
        return sb_fail_errno(err, errno, "cannot look at the source of the mount %s", mount->target);
    if (!S_ISDIR(status.st_mode) && !S_ISREG(status.st_mode))
        return sb_fail(err, ENOTDIR, "the source of the mount %s is neither a directory nor a file",
                       mount->target);
    out->source_fd = mount->source_fd;
    out->writable = mount->writable;
    out->is_directory = S_ISDIR(status.st_mode);
    return 0;
}

static int plan_files(const struct sb_spec *spec, struct sb_plan *plan, struct sb_error *err)
{
    plan->has_files = spec->has_files;
    plan->mount_count = spec->mount_count;
    if (spec->mount_count > SB_MOUNTS_MAX || (spec->mount_count > 0 && !spec->has_files))
        return sb_fail(err, EINVAL, "too many mounts, or mounts without files");
    snprintf(plan->tmp_size, sizeof plan->tmp_size, "%llu", (unsigned long long)spec->tmp_bytes);
    snprintf(plan->tmp_inodes, sizeof plan->tmp_inodes, "%u", spec->tmp_inodes);
    int rc = 0;
    for (unsigned i = 0; i < spec->mount_count && rc == 0; i++)
        rc = plan_mount(&spec->mounts[i], &plan->mounts[i], err);
    return rc;
}

int sb_plan_make(struct sb_host *host, const struct sb_spec *spec, struct sb_plan *plan, struct sb_error *err)
{
    *plan = (struct sb_plan){.host = host, .argv = spec->argv, .limits = spec->limits};
    if (!host->empty_root)
        return sb_fail(err, EINVAL, "the host has no empty root");
    memcpy(plan->handed, spec->handed, sizeof plan->handed);
    int rc = check_fds(spec, err);
    if (rc == 0)
        rc = copy_text(plan->hostname, sizeof plan->hostname, spec->hostname, "the host name", err);
    if (rc == 0)
        rc = choose_enforcers(host, spec, plan, err);
    if (rc == 0)
        rc = plan_files(spec, plan, err);
    if (rc == 0)
        sb_limits_plan(plan, spec);
    return rc;
}
