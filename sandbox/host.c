/*
 * host.c - what is done once, before any jail: privileges, cgroups, and the two things of which each jail
 * gets a copy or the original, an empty root and an empty network namespace.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

/* Any directory that is there: the new root is mounted on it, in a mount namespace that nobody else sees. */
#define MOUNT_PLACE "/proc"

/* How long another process may take to drop the old root. */
#define ROOT_TRIES    20000
#define ROOT_PAUSE_NS 50000

static int open_files(struct sb_host *host, struct sb_error *err)
{
    host->proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (host->proc_fd < 0)
        return sb_fail_errno(err, errno, "cannot open /proc");
    host->null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct stat status;
    /* It becomes a script's standard input: a file that somebody put in its place would be read by strangers. */
    if (host->null_fd < 0 || fstat(host->null_fd, &status) != 0 || !S_ISCHR(status.st_mode) ||
        status.st_rdev != makedev(1, 3))
        return sb_fail(err, ENODEV, "/dev/null is missing or not the null device (bioxen doctor says what mends it)");
    return 0;
}

static int begin(struct sb_host *host, struct sb_error *err)
{
    int rc = open_files(host, err);
    if (rc != 0)
        return rc;
    host->privileged = sb_creds_privileged(host->proc_fd);
    if (!host->privileged)
        rc = sb_creds_become_root(host->uid, host->gid, err);
    if (rc != 0)
        return rc;
    host->wide_ns = openat(host->proc_fd, "self/ns/mnt", O_RDONLY | O_CLOEXEC);
    return host->wide_ns >= 0 ? 0 : sb_fail_errno(err, errno, "cannot open the mount namespace");
}

int sb_host_begin(struct sb_host *host, struct sb_error *err)
{
    *host = (struct sb_host){
        .uid = getuid(),
        .gid = getgid(),
        .owner = getpid(),
        .program_fd = -1,
        .proc_fd = -1,
        .null_fd = -1,
        .wide_ns = -1,
        .small_ns = -1,
        .cgroups = {.base = {-1, -1, -1}},
    };
    sb_cgroup_clear(&host->parked);
    int rc = begin(host, err);
    if (rc != 0)
        sb_host_fini(host);
    return rc;
}

static uint64_t changed_signals(void)
{
    struct sigaction action;
    uint64_t changed = 0;
    for (int signal = 1; signal < NSIG; signal++)
        if (sigaction(signal, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
            changed |= 1ull << (signal - 1);
    return changed;
}

int sb_host_settle(struct sb_host *host, int program_fd, struct sb_error *err)
{
    host->program_fd = program_fd;
    host->signals = changed_signals();
    /* No jail has a controlling terminal, nor is a session leader, who could get one. It fails for a leader. */
    setsid();
    if (host->privileged && setgroups(0, NULL) != 0)
        return sb_fail_errno(err, errno, "cannot leave the supplementary groups");
    /* The jails inherit it, where they cannot afford one of their own. */
    if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS)
        return sb_fail_errno(err, errno, "cannot leave the caller's session keyring");
    return 0;
}

void sb_host_find_cgroups(struct sb_host *host)
{
    sb_cgroup_find(&host->cgroups, host->proc_fd, host->owner);
}

int sb_host_init(struct sb_host *host, int program_fd, struct sb_error *err)
{
    int rc = sb_host_begin(host, err);
    if (rc != 0) {
        sb_close(&program_fd);
        return rc;
    }
    rc = sb_host_settle(host, program_fd, err);
    if (rc == 0)
        sb_host_find_cgroups(host);
    else
        sb_host_fini(host);
    return rc;
}

void sb_host_unpark(struct sb_host *host)
{
    if (host->parked.name[0] != '\0')
        sb_cgroup_remove(&host->cgroups, &host->parked);
}

void sb_host_fini(struct sb_host *host)
{
    sb_host_unpark(host);
    sb_cgroup_host_fini(&host->cgroups);
    sb_close(&host->program_fd);
    sb_close(&host->proc_fd);
    sb_close(&host->null_fd);
    sb_close(&host->wide_ns);
    sb_close(&host->small_ns);
}

int sb_host_new_net(struct sb_error *err)
{
    return unshare(CLONE_NEWNET) == 0 ? 0 : sb_fail_namespace(err, errno, "cannot make a network namespace");
}

int sb_host_hold_net(const struct sb_host *host, struct sb_error *err)
{
    int net = openat(host->proc_fd, "self/ns/net", O_RDONLY | O_CLOEXEC);
    return net >= 0 ? net : sb_fail_errno(err, errno, "cannot open the network namespace");
}

int sb_host_enter_net(int net, struct sb_error *err)
{
    return setns(net, CLONE_NEWNET) == 0 ? 0 : sb_fail_errno(err, errno, "cannot enter a network namespace");
}

int sb_host_net_setting(const struct sb_host *host, const char *file, const char *value)
{
    char path[128];
    snprintf(path, sizeof path, "sys/net/%s", file);
    return sb_write_at(host->proc_fd, path, "%s", value);
}

int sb_host_copy_mounts(struct sb_error *err)
{
    if (unshare(CLONE_NEWNS) != 0)
        return sb_fail_namespace(err, errno, "cannot make a mount namespace");
    int rc = mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    if (rc != 0 && errno == EINVAL)
        return sb_fail(err, EINVAL, "/ is no mount: this is a chroot, where the kernel makes no jails; use "
                                    "systemd-nspawn or a container instead");
    if (rc != 0 || chdir("/") != 0)
        return sb_fail_errno(err, errno, "cannot make the mounts private");
    return 0;
}

int sb_host_new_root(struct sb_host *host, struct sb_error *err)
{
    struct stat status;
    if (mount("bioxen", MOUNT_PLACE, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
              "size=4k,nr_inodes=1,mode=0555") != 0)
        return sb_fail_errno(err, errno, "cannot mount a tmpfs");
    if (chdir(MOUNT_PLACE) != 0 || stat(".", &status) != 0 || syscall(SYS_pivot_root, ".", ".") != 0)
        return sb_fail_errno(err, errno, "cannot change the root (pivot_root)");
    host->root_device = status.st_dev;
    host->small_ns = openat(host->proc_fd, "self/ns/mnt", O_RDONLY | O_CLOEXEC);
    return host->small_ns >= 0 ? 0 : sb_fail_errno(err, errno, "cannot open the mount namespace");
}

int sb_host_drop_old_root(struct sb_error *err)
{
    /* pivot_root left the old root on top of the new one, which is where we stand. */
    return umount2(".", MNT_DETACH) == 0 ? 0 : sb_fail_errno(err, errno, "cannot take off the old root");
}

/* Whoever enters a mount namespace stands on what is uppermost there: the new root, once the old one is gone. */
static bool try_root(const struct sb_host *host)
{
    struct stat status;
    return setns(host->small_ns, CLONE_NEWNS) == 0 && stat("/", &status) == 0 && status.st_dev == host->root_device;
}

int sb_host_enter_root(struct sb_host *host, int helper_pidfd, struct sb_error *err)
{
    struct pollfd helper = {.fd = helper_pidfd, .events = POLLIN};
    int dead = 0;
    host->empty_root = try_root(host);
    for (int tries = 0; !host->empty_root && dead == 0 && tries < ROOT_TRIES; tries++) {
        dead = ppoll(&helper, 1, &(struct timespec){.tv_nsec = ROOT_PAUSE_NS}, NULL) > 0;
        host->empty_root = try_root(host);
    }
    return host->empty_root ? 0 : sb_fail(err, EBUSY, "cannot leave the caller's mounts");
}

int sb_host_empty_root(struct sb_host *host, struct sb_error *err)
{
    int rc = sb_host_copy_mounts(err);
    if (rc == 0)
        rc = sb_host_new_root(host, err);
    if (rc == 0)
        rc = sb_host_drop_old_root(err);
    return rc == 0 ? sb_host_enter_root(host, -1, err) : rc;
}

void sb_host_leave_root(struct sb_host *host)
{
    host->empty_root = false;
    if (setns(host->wide_ns, CLONE_NEWNS) == 0)
        sb_close(&host->small_ns);
}

void sb_host_park(struct sb_host *host, const struct sb_limits *limits)
{
    struct sb_error ignored;
    if (host->parked.name[0] == '\0' && sb_cgroup_make(&host->cgroups, &host->parked, limits, &ignored) != 0)
        sb_cgroup_clear(&host->parked);
}

void sb_host_forget_parked(struct sb_host *host)
{
    for (int i = 0; i < SB_CONTROLLERS; i++)
        sb_close(&host->parked.dir[i]);
    sb_cgroup_close_joins(&host->parked);
    sb_cgroup_clear(&host->parked);
}
