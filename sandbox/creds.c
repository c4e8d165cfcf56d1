/*
 * creds.c - who a jail is: user namespace and id maps on the parent's side, ids and capabilities on the
 * child's.
 *
 * A privileged host gives each jail a host uid of its own, made from the pid of the jail's first process: a
 * pid is not given to anybody else while that process lives, so no two jails share a uid and no table of uids
 * is kept.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

/* Above what distributions, systemd and subuid hand out, below 2^31; a pid is below 2^22. */
#define UID_BASE  0x70000000u
#define UID_COUNT 0x00400000u

#define LOCKED_BITS (SECURE_ALL_BITS & ~issecure_mask(SECURE_KEEP_CAPS))

static bool has_capabilities(void)
{
    static const int needed[] = {CAP_SYS_ADMIN,    CAP_SETUID, CAP_SETGID,     CAP_SETPCAP,
                                 CAP_DAC_OVERRIDE, CAP_KILL,   CAP_SYS_CHROOT, CAP_SYS_PTRACE};
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[2] = {{0}, {0}};
    if (syscall(SYS_capget, &head, data) != 0)
        return false;
    for (unsigned i = 0; i < sizeof needed / sizeof *needed; i++)
        if ((data[CAP_TO_INDEX(needed[i])].effective & CAP_TO_MASK(needed[i])) == 0)
            return false;
    return true;
}

/* The first user namespace has this inode since Linux 3.8 (PROC_USER_INIT_INO); all ids are valid in it. */
static bool in_first_user_namespace(int proc_fd)
{
    struct stat status;
    return fstatat(proc_fd, "self/ns/user", &status, 0) == 0 && status.st_ino == 0xEFFFFFFDu;
}

/*
 * Root of a container may have a handful of ids only; then jails cannot have their own, and root counts as a
 * user.
 */
static bool has_ids(int proc_fd, const char *file)
{
    char text[1024];
    if (sb_read_at(proc_fd, file, text, sizeof text) <= 0)
        return false;
    char *line = text;
    while (line != NULL && *line != '\0') {
        unsigned long inner, outer, count;
        if (sscanf(line, "%lu %lu %lu", &inner, &outer, &count) == 3 && inner <= UID_BASE &&
            inner + count >= (unsigned long)UID_BASE + UID_COUNT)
            return true;
        line = strchr(line, '\n');
        line += line != NULL;
    }
    return false;
}

bool sb_creds_privileged(int proc_fd)
{
    if (!has_capabilities())
        return false;
    return in_first_user_namespace(proc_fd) ||
           (has_ids(proc_fd, "self/uid_map") && has_ids(proc_fd, "self/gid_map"));
}

static int write_map(int proc_fd, const char *file, unsigned inner, unsigned outer, struct sb_error *err)
{
    int rc = sb_write_at(proc_fd, file, "%u %u 1\n", inner, outer);
    return rc == 0 ? 0 : sb_fail_errno(err, -rc, "cannot write /proc/%s", file);
}

int sb_creds_become_root(uid_t uid, gid_t gid, struct sb_error *err)
{
    int proc_fd = AT_FDCWD;
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return sb_fail_namespace(err, errno,
                                 "this user may not make a user namespace (bioxen doctor says what mends it)");
    int rc = sb_write_at(proc_fd, "/proc/self/setgroups", "deny");
    if (rc != 0)
        return sb_fail_errno(err, -rc, "cannot write /proc/self/setgroups");
    rc = write_map(proc_fd, "/proc/self/uid_map", 0, uid, err);
    return rc == 0 ? write_map(proc_fd, "/proc/self/gid_map", 0, gid, err) : rc;
}

int sb_creds_map(const struct sb_host *host, pid_t pid, struct sb_error *err)
{
    char file[40];
    unsigned outer = host->privileged ? UID_BASE + (unsigned)pid : 0;
    snprintf(file, sizeof file, "%d/uid_map", pid);
    int rc = write_map(host->proc_fd, file, host->uid, outer, err);
    snprintf(file, sizeof file, "%d/gid_map", pid);
    return rc == 0 ? write_map(host->proc_fd, file, host->gid, outer, err) : rc;
}

/* ---- the child's side ---- */

/*
 * The session keyring passes through fork, exec and every namespace. A new one is charged to the uid's small
 * quota of keys; when that is used up, what the child has is still not the caller's keyring but the jailer's
 * own, empty one.
 */
int sb_step_keyring(struct sb_child *child)
{
    (void)child;
    if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) >= 0)
        return 0;
    return errno == ENOSYS || errno == EDQUOT ? 0 : -errno;
}

/*
 * With the secure bits locked, a change of ids neither takes nor gives capabilities: they go in a step of
 * their own.
 */
int sb_step_ids(struct sb_child *child)
{
    const struct sb_host *host = child->plan->host;
    if (prctl(PR_SET_SECUREBITS, LOCKED_BITS | SECURE_ALL_LOCKS, 0, 0, 0) != 0)
        return -errno;
    if (syscall(SYS_setresgid, host->gid, host->gid, host->gid) != 0)
        return -errno;
    return syscall(SYS_setresuid, host->uid, host->uid, host->uid) == 0 ? 0 : -errno;
}

int sb_step_bounding_set(struct sb_child *child)
{
    (void)child;
    for (int cap = 0; prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++)
        ;
    return errno == EINVAL ? 0 : -errno; /* the end of the list */
}

int sb_step_capabilities(struct sb_child *child)
{
    (void)child;
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct none[2] = {{0}, {0}};
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
        return -errno;
    return syscall(SYS_capset, &head, none) == 0 ? 0 : -errno;
}

int sb_step_no_new_privileges(struct sb_child *child)
{
    (void)child;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : -errno;
}
