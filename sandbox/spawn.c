/*
 * spawn.c - the parent's side: from a plan to a running jail, and from a dead jail to nothing.
 *
 * The child parks itself after the steps that need nobody, the parent does what depends on its pid (id maps,
 * idmapped mounts) and lets it go. Whatever fails on either side, the child is killed and reaped and the
 * cgroup removed.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "internal.h"

/* A child that does not come to exec by then hangs in the kernel: a mount of a dead network disk. */
#define SPAWN_TIMEOUT_MS 10000

#define NAMESPACES (CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS)

static int clone_child(const struct sb_cgroup *group, bool born_inside, int *pidfd)
{
    struct clone_args args = {
        .flags = NAMESPACES | CLONE_PIDFD,
        .pidfd = (uint64_t)(uintptr_t)pidfd,
        .exit_signal = SIGCHLD,
    };
    if (born_inside) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)group->dir[SB_MEMORY];
    }
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    return pid >= 0 ? pid : -errno;
}

static int send_go(int sync, const int *trees, unsigned count)
{
    char byte = 0;
    union {
        char bytes[CMSG_SPACE(SB_MOUNTS_MAX * sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = (socklen_t)CMSG_SPACE(count * sizeof(int));
        control.align.cmsg_level = SOL_SOCKET;
        control.align.cmsg_type = SCM_RIGHTS;
        control.align.cmsg_len = (socklen_t)CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(&control.align), trees, count * sizeof(int));
    }
    return sendmsg(sync, &message, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

/* What depends on the child's pid, while it waits. */
static int prepare_and_go(const struct sb_plan *plan, pid_t pid, int sync, struct sb_error *err)
{
    int trees[SB_MOUNTS_MAX];
    for (int i = 0; i < SB_MOUNTS_MAX; i++)
        trees[i] = -1;
    int rc = sb_creds_map(plan->host, pid, err);
    if (rc == 0 && plan->mount_count > 0)
        rc = sb_mount_trees(plan, pid, trees, err);
    if (rc == 0) {
        rc = send_go(sync, trees, plan->mount_count);
        if (rc != 0)
            sb_fail_errno(err, -rc, "the jail died before its first step");
    }
    for (int i = 0; i < SB_MOUNTS_MAX; i++)
        sb_close(&trees[i]);
    return rc;
}

static int explain(const struct sb_child_report *report, struct sb_error *err)
{
    const char *step = sb_child_step_name(report->step);
    if (strcmp(step, "exec") == 0 && report->code == EACCES)
        return sb_fail(
            err, EACCES,
            "the VM's program must be executable for everybody (chmod a+rx), and not on a noexec mount");
    if (strcmp(step, "cgroup namespace") == 0)
        return sb_fail_namespace(err, report->code, "cannot make the cgroup namespace of a jail");
    return sb_fail_errno(err, report->code, "the jail's step \"%s\" failed", step);
}

/* A child that ended with our "go" unread resets the connection; what it reported stands behind that. */
static ssize_t take_report(int sync, struct sb_child_report *report)
{
    ssize_t got;
    do
        got = recv(sync, report, sizeof *report, MSG_DONTWAIT);
    while (got < 0 && errno == ECONNRESET);
    return got;
}

/* The end of file is good news: exec closed the child's end. (So does death; that is seen by the pidfd.) */
static int wait_for_exec(int sync, struct sb_error *err)
{
    struct pollfd ready = {.fd = sync, .events = POLLIN};
    int rc;
    do
        rc = poll(&ready, 1, SPAWN_TIMEOUT_MS);
    while (rc < 0 && errno == EINTR);
    if (rc <= 0)
        return sb_fail(err, ETIMEDOUT, "the jail did not come up within %d s", SPAWN_TIMEOUT_MS / 1000);
    struct sb_child_report report;
    ssize_t got = take_report(sync, &report);
    if (got == 0)
        return 0;
    if (got != sizeof report || report.code <= 0)
        return sb_fail(err, EIO, "the jail came up in a strange way");
    return explain(&report, err);
}

static int start_child(const struct sb_plan *plan, struct sb_jail *jail, int sync[2], struct sb_error *err)
{
    /* An ordinary user's parent can write the id maps of a dumpable child only; exec decides it anew. */
    bool dumpable = !plan->host->privileged;
    if (dumpable)
        prctl(PR_SET_DUMPABLE, 1);
    bool born_inside = plan->host->cgroups.ops == &sb_cgroup_v2;
    pid_t pid = clone_child(&jail->cgroup, born_inside, &jail->pidfd);
    if (pid == 0) {
        struct sb_child child = {
            .plan = plan, .group = &jail->cgroup, .sync = sync[1], .parent_end = sync[0]};
        sb_child_run(&child);
    }
    if (dumpable)
        prctl(PR_SET_DUMPABLE, 0);
    if (pid < 0)
        return sb_fail_namespace(err, -pid, "cannot make the namespaces of a jail");
    jail->pid = pid;
    sb_close(&sync[1]);
    int rc = prepare_and_go(plan, pid, sync[0], err);
    if (rc == 0)
        return wait_for_exec(sync[0], err);
    /* A child that failed by itself has said why; what we noticed of it is the lesser half. */
    struct sb_child_report report;
    bool said = take_report(sync[0], &report) == sizeof report && report.code > 0;
    return said ? explain(&report, err) : rc;
}

static int take_cgroup(const struct sb_plan *plan, struct sb_cgroup *group, struct sb_error *err)
{
    struct sb_host *host = plan->host;
    if (host->parked.name[0] == '\0')
        return sb_cgroup_make(&host->cgroups, group, &plan->limits, err);
    *group = host->parked;
    sb_cgroup_clear(&host->parked);
    return sb_cgroup_adjust(&host->cgroups, group, &plan->limits, err);
}

int sb_spawn(const struct sb_plan *plan, struct sb_jail *jail, struct sb_error *err)
{
    *jail = (struct sb_jail){.pidfd = -1, .mount_ns = -1};
    sb_cgroup_clear(&jail->cgroup);
    int sync[2] = {-1, -1};
    int rc = take_cgroup(plan, &jail->cgroup, err);
    if (rc == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sync) != 0)
        rc = sb_fail_errno(err, errno, "cannot make a socket");
    if (rc == 0)
        rc = start_child(plan, jail, sync, err);
    sb_close(&sync[0]);
    sb_close(&sync[1]);
    sb_cgroup_close_joins(&jail->cgroup);
    if (rc != 0)
        sb_jail_destroy(plan->host, jail);
    return rc;
}

void sb_jail_hold_mounts(const struct sb_host *host, struct sb_jail *jail)
{
    char link[40];
    snprintf(link, sizeof link, "%d/ns/mnt", jail->pid);
    jail->mount_ns = openat(host->proc_fd, link, O_RDONLY | O_CLOEXEC);
}

void sb_jail_kill(struct sb_jail *jail)
{
    /* It is process 1 of its pid namespace: the kernel kills the rest with it, before it is dead itself. */
    syscall(SYS_pidfd_send_signal, jail->pidfd, SIGKILL, NULL, 0);
}

static uint64_t microseconds(const struct timeval *time)
{
    return (uint64_t)time->tv_sec * 1000000 + (uint64_t)time->tv_usec;
}

int sb_jail_take(const struct sb_host *host, struct sb_jail *jail, struct sb_death *death)
{
    siginfo_t info = {0};
    struct rusage usage;
    if (syscall(SYS_waitid, P_PIDFD, jail->pidfd, &info, WEXITED | WNOHANG, &usage) != 0)
        return -errno;
    if (info.si_pid == 0)
        return -EAGAIN;
    /*
     * A child that asked for PTRACE_TRACEME makes its parent hear of stops. A stop is no death, but deserves
     * one.
     */
    if (info.si_code != CLD_EXITED && info.si_code != CLD_KILLED && info.si_code != CLD_DUMPED) {
        sb_jail_kill(jail);
        return -EAGAIN;
    }
    *death = (struct sb_death){
        .code = info.si_code,
        .status = info.si_status,
        .cpu_us = microseconds(&usage.ru_utime) + microseconds(&usage.ru_stime),
        .memory_peak = (uint64_t)usage.ru_maxrss * 1024,
    };
    if (jail->cgroup.name[0] != '\0')
        host->cgroups.ops->figures(&jail->cgroup, death);
    return 0;
}

void sb_jail_remove(const struct sb_host *host, struct sb_jail *jail)
{
    sb_cgroup_remove(&host->cgroups, &jail->cgroup);
}

int sb_jail_reap(struct sb_host *host, struct sb_jail *jail, struct sb_death *death)
{
    int rc = sb_jail_take(host, jail, death);
    if (rc == 0)
        sb_jail_remove(host, jail);
    return rc;
}

void sb_jail_destroy(struct sb_host *host, struct sb_jail *jail)
{
    struct sb_death death;
    struct pollfd dead = {.fd = jail->pidfd, .events = POLLIN};
    if (jail->pidfd >= 0) {
        sb_jail_kill(jail);
        while (sb_jail_reap(host, jail, &death) == -EAGAIN)
            poll(&dead, 1, -1);
    }
    sb_cgroup_remove(&host->cgroups, &jail->cgroup);
    sb_jail_fini(jail);
}

void sb_jail_fini(struct sb_jail *jail)
{
    sb_close(&jail->pidfd);
    sb_close(&jail->mount_ns);
}
