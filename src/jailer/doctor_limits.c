/*
 * doctor_limits.c - tries whole jails, and limits on them, with the very functions that the jailer uses: a finding
 * here is what a run would get, and where its control group would be.
 */
#include "jailer/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "common/lifeline.h"
#include "common/limits.h"
#include "sandbox/sandbox.h"

/* A VM that is not ready by then never will be. */
#define READY_MS 3000

static const struct sb_limits default_limits = {
    .memory_bytes = BX_DEFAULT_MEMORY,
    .pids = BX_DEFAULT_PIDS,
    .cpus_milli = BX_DEFAULT_CPUS_MILLI,
};

/* One jail with all that belongs to it. */
struct trial_jail {
    struct sb_host host;
    struct sb_plan plan;
    struct sb_jail jail;
    int lifeline;
};

static int fail_by(struct doctor_try *try, int rc, const struct sb_error *err, const char *step)
{
    if (err->text[0] != '\0')
        return doctor_fail(try, -rc, "%.120s", err->text);
    return doctor_fail(try, -rc, "%s", step);
}

/* The sandbox's own answer; any program does for the question. */
int doctor_try_privilege(const struct doctor_host *host, struct doctor_try *try)
{
    struct sb_host sb = {0};
    struct sb_error err = {0};
    (void)host;
    int rc = sb_host_init(&sb, open("/proc/self/exe", O_PATH | O_CLOEXEC), &err);
    try->status = sb.privileged;
    return rc == 0 ? 0 : fail_by(try, rc, &err, "the jailer's own start");
}

static int take_stock(const struct doctor_host *host, struct doctor_try *try, struct sb_host *out)
{
    struct sb_error err = {0};
    int program = doctor_open_vm(host, try);
    if (program < 0)
        return program;
    int rc = sb_host_init(out, program, &err);
    return rc == 0 ? 0 : fail_by(try, rc, &err, "the jailer's own start");
}

/* ---- a whole jail ---- */

static int leave_for_jail(struct trial_jail *trial, struct doctor_try *try)
{
    struct sb_error err = {0};
    int rc = sb_host_new_net(&err);
    if (rc == 0)
        rc = sb_host_empty_root(&trial->host, &err);
    return rc == 0 ? 0 : fail_by(try, rc, &err, "an empty root and network for the jailer");
}

static int start(struct trial_jail *trial, struct doctor_try *try, const char *profile,
                 const struct sb_limits *limits, unsigned required)
{
    int pair[2];
    struct sb_error err = {0};
    const char *const argv[] = {"bioxen-vm", profile, NULL};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return doctor_fail(try, errno, "a socket pair");
    trial->lifeline = pair[0];
    int null = trial->host.null_fd;
    struct sb_spec spec = {
        .argv = argv,
        .handed = {null, null, pair[1]},
        .hostname = "doctor",
        .limits = *limits,
        .required = required,
        .has_files = strcmp(profile, "full") == 0,
        .tmp_bytes = BX_DEFAULT_TMP_BYTES,
        .tmp_inodes = BX_DEFAULT_TMP_INODES,
    };
    int rc = sb_plan_make(&trial->host, &spec, &trial->plan, &err);
    if (rc == 0)
        rc = sb_spawn(&trial->plan, &trial->jail, &err);
    close(pair[1]);
    return rc == 0 ? 0 : fail_by(try, rc, &err, "a jail");
}

static int wait_ready(const struct trial_jail *trial, struct doctor_try *try)
{
    static char bytes[LW_FRAME_MAX];
    struct lw_frame frame;
    struct pollfd ready = {.fd = trial->lifeline, .events = POLLIN};
    if (poll(&ready, 1, READY_MS) <= 0)
        return doctor_fail(try, ETIMEDOUT, "a VM that says in time that it is locked");
    ssize_t length = recv(trial->lifeline, bytes, sizeof bytes, 0);
    if (length <= 0 || lw_decode(bytes, (uint64_t)length, &frame) != 0 || frame.type != LW_READY)
        return doctor_fail(try, EIO, "a VM that says that it is locked: it died instead");
    return 0;
}

static int finish(struct trial_jail *trial, struct doctor_try *try)
{
    struct sb_death death;
    struct pollfd dead = {.fd = trial->jail.pidfd, .events = POLLIN};
    sb_jail_kill(&trial->jail);
    if (poll(&dead, 1, READY_MS) <= 0 || sb_jail_reap(&trial->host, &trial->jail, &death) != 0)
        return doctor_fail(try, ETIMEDOUT, "the end of a killed VM");
    sb_jail_fini(&trial->jail);
    sb_host_fini(&trial->host);
    return 0;
}

static int whole_jail(const struct doctor_host *host, struct doctor_try *try, const char *profile)
{
    static struct trial_jail trial;
    int rc = take_stock(host, try, &trial.host);
    if (rc == 0)
        rc = leave_for_jail(&trial, try);
    if (rc == 0)
        rc = start(&trial, try, profile, &default_limits, 0);
    if (rc != 0)
        return rc;
    rc = wait_ready(&trial, try);
    int end = finish(&trial, try);
    return rc != 0 ? rc : end;
}

static int try_jail(const struct doctor_host *host, struct doctor_try *try)
{
    return whole_jail(host, try, "restricted");
}

static int try_jail_full(const struct doctor_host *host, struct doctor_try *try)
{
    return whole_jail(host, try, "full");
}

/* ---- control groups ---- */

static bool is_fs(const char *path, long magic)
{
    struct statfs fs;
    return statfs(path, &fs) == 0 && (long)fs.f_type == magic;
}

static int try_cgroup_version(const struct doctor_host *host, struct doctor_try *try)
{
    (void)host;
    if (is_fs("/sys/fs/cgroup", CGROUP2_SUPER_MAGIC)) {
        doctor_note(try, "version 2");
        return 0;
    }
    bool v1 = is_fs("/sys/fs/cgroup/memory", CGROUP_SUPER_MAGIC) ||
              is_fs("/sys/fs/cgroup/cpu", CGROUP_SUPER_MAGIC) ||
              is_fs("/sys/fs/cgroup/pids", CGROUP_SUPER_MAGIC);
    if (v1 && is_fs("/sys/fs/cgroup/unified", CGROUP2_SUPER_MAGIC)) {
        doctor_note(try, "hybrid: controllers in version 1, a tree of version 2 beside them");
        return 0;
    }
    if (v1) {
        doctor_note(try, "version 1");
        return 0;
    }
    if (!doctor_no_cgroups(try))
        doctor_cause(try, "none of the controllers memory, cpu and pids is mounted in /sys/fs/cgroup");
    return doctor_fail(try, ENOENT, "/sys/fs/cgroup");
}

/* What differs between the limits that are tried. */
struct limit {
    enum sb_controller controller;
    unsigned bit;
    struct sb_limits limits;
    const char *file_v2, *text_v2;
    const char *file_v1, *text_v1;
};

static bool file_says(int dir, const char *name, const char *wanted)
{
    char text[64];
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0)
        return false;
    text[length] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return strcmp(text, wanted) == 0;
}

static enum sb_enforcer enforcer_of(const struct sb_plan *plan, enum sb_controller controller)
{
    return controller == SB_MEMORY ? plan->memory_by : controller == SB_PIDS ? plan->pids_by : plan->cpus_by;
}

/* Where groups of this controller are made; to be asked while /proc is in sight. */
static void note_place(const struct sb_host *host, enum sb_controller controller, struct doctor_try *try)
{
    char link[64], path[160];
    snprintf(link, sizeof link, "/proc/self/fd/%d", host->cgroups.base[controller]);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (host->cgroups.base[controller] < 0 || length < 0)
        return;
    path[length] = '\0';
    doctor_note(try, "%s", path);
}

static void blame(const struct doctor_host *host, const struct sb_host *sb, enum sb_controller controller,
                  struct doctor_try *try)
{
    static const char *const names[SB_CONTROLLERS] = {
        [SB_MEMORY] = "memory", [SB_PIDS] = "pids", [SB_CPU] = "cpu"};
    bool others = false;
    for (int i = 0; i < SB_CONTROLLERS; i++)
        others = others || sb->cgroups.base[i] >= 0;
    if (sb->cgroups.base[controller] < 0)
        doctor_blame_cgroup(host, names[controller], others, try);
}

/* A jail runs in a group of its own: is the limit there? */
static int look_at_group(const struct trial_jail *trial, const struct limit *limit, enum sb_enforcer by,
                         struct doctor_try *try)
{
    bool v2 = by == SB_BY_CGROUP_V2;
    int dir = trial->jail.cgroup.dir[limit->controller];
    const char *file = v2 ? limit->file_v2 : limit->file_v1;
    if (dir < 0 || !file_says(dir, file, v2 ? limit->text_v2 : limit->text_v1))
        return doctor_fail(try, EIO, "%s of a VM's control group", file);
    return 0;
}

static int try_limit(const struct doctor_host *host, struct doctor_try *try, const struct limit *limit)
{
    static struct trial_jail trial;
    int rc = take_stock(host, try, &trial.host);
    if (rc != 0)
        return rc;
    note_place(&trial.host, limit->controller, try);
    if (trial.host.cgroups.base[limit->controller] < 0) {
        blame(host, &trial.host, limit->controller, try);
        sb_host_fini(&trial.host);
        return doctor_fail(try, ENOTSUP, "a control group");
    }
    rc = leave_for_jail(&trial, try);
    if (rc == 0)
        rc = start(&trial, try, "restricted", &limit->limits, limit->bit);
    if (rc != 0)
        return rc;
    enum sb_enforcer by = enforcer_of(&trial.plan, limit->controller);
    if (by != SB_BY_CGROUP_V2 && by != SB_BY_CGROUP_V1)
        rc = doctor_fail(try, ENOTSUP, "a control group for the limit");
    else
        rc = look_at_group(&trial, limit, by, try);
    int end = finish(&trial, try);
    return rc != 0 ? rc : end;
}

static int try_memory(const struct doctor_host *host, struct doctor_try *try)
{
    static const struct limit limit = {
        SB_MEMORY,    SB_LIMIT_MEMORY, {32u << 20, BX_DEFAULT_PIDS, 1000},
        "memory.max", "33554432",      "memory.limit_in_bytes",
        "33554432",
    };
    return try_limit(host, try, &limit);
}

static int try_cpu(const struct doctor_host *host, struct doctor_try *try)
{
    static const struct limit limit = {
        SB_CPU,    SB_LIMIT_CPUS,  {BX_DEFAULT_MEMORY, BX_DEFAULT_PIDS, 500},
        "cpu.max", "50000 100000", "cpu.cfs_quota_us",
        "50000",
    };
    return try_limit(host, try, &limit);
}

static int try_pids(const struct doctor_host *host, struct doctor_try *try)
{
    static const struct limit limit = {
        SB_PIDS, SB_LIMIT_PIDS, {BX_DEFAULT_MEMORY, 7, 1000}, "pids.max", "7", "pids.max", "7",
    };
    return try_limit(host, try, &limit);
}

/* ---- swap ---- */

static bool host_has_swap(void)
{
    char text[512];
    return doctor_read("/proc/swaps", text, sizeof text) == 0 && strchr(text, '\n') != NULL;
}

static int try_swap(const struct doctor_host *host, struct doctor_try *try)
{
    static struct sb_host sb;
    bool swap = host_has_swap();
    int rc = take_stock(host, try, &sb);
    if (rc != 0)
        return rc;
    int base = sb.cgroups.base[SB_MEMORY];
    sb_host_park(&sb, &default_limits);
    int dir = sb.parked.name[0] != '\0' ? sb.parked.dir[SB_MEMORY] : -1;
    bool counted = dir >= 0 && (faccessat(dir, "memory.swap.max", W_OK, 0) == 0 ||
                                faccessat(dir, "memory.memsw.limit_in_bytes", W_OK, 0) == 0);
    if (!counted && swap)
        blame(host, &sb, SB_MEMORY, try);
    sb_host_fini(&sb);
    if (counted || !swap) {
        doctor_note(try, swap ? "counted with memory" : "this host has none");
        return 0;
    }
    if (base < 0)
        return doctor_fail(try, ENOTSUP, "a control group");
    doctor_cause(try, "the kernel does not count swap: a VM that is over its memory goes on in swap");
    doctor_fix(try, "sudo sed -i 's/^GRUB_CMDLINE_LINUX=\"/&swapaccount=1 /' /etc/default/grub && "
                    "sudo update-grub # and reboot");
    return doctor_fail(try, ENOTSUP, "a limit on swap");
}

#define RUN "bioxen run"

const struct doctor_trial doctor_limit_trials[] = {
    {"jail", "a whole VM, profile restricted", RUN, true, DOCTOR_MISSING, ALWAYS, NULL, NULL, try_jail},
    {"jail-full", "a whole VM, profile full", "--profile full", false, DOCTOR_MISSING, ALWAYS, NULL, NULL,
     try_jail_full},
    {"cgroup", "control groups", "limits by the kernel", false, DOCTOR_DEGRADED, ALWAYS, NULL, NULL,
     try_cgroup_version},
    {"cgroup-memory", "memory limit by a control group", "--memory (else rlimit and allocator)", false,
     DOCTOR_DEGRADED, ALWAYS, NULL, NULL, try_memory},
    {"cgroup-swap", "swap", "--memory, on a host with swap", false, DOCTOR_DEGRADED, ALWAYS, NULL, NULL,
     try_swap},
    {"cgroup-cpu", "cpu limit by a control group", "--cpus below 1", false, DOCTOR_MISSING, ALWAYS, NULL,
     NULL, try_cpu},
    {"cgroup-pids", "process limit by a control group", "--pids (else the syscall filter)", false,
     DOCTOR_DEGRADED, ALWAYS, NULL, NULL, try_pids},
    {0},
};

/* What a killed trial left of control groups, a killed run's leftovers with it. */
void doctor_sweep(const struct doctor_host *host)
{
    struct doctor_try ignored = {0};
    struct sb_host sb;
    if (take_stock(host, &ignored, &sb) == 0)
        sb_host_sweep(&sb, 0);
}
