/*
 * child.c - from clone to exec: the steps that turn a copy of the jailer into a jail, in order.
 *
 * After clone the child has a copy of its parent's memory and of its every descriptor. It makes system calls
 * only: no allocation, no stdio, no lock. What it needs was made final in the plan. A step that fails is
 * reported to the parent by number and errno, and the child ends; nothing is skipped.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

static const struct {
    const char *name;
    int (*run)(struct sb_child *child);
} steps[] = {
    /*
     * clone3 gave: new user, pid, mount, ipc and uts namespaces. Inherited: the jailer's empty network
     * namespace, its empty root, its session without a terminal
     */
    {"name", sb_step_name},                       /* nobody takes it for the jailer */
    {"personality", sb_step_personality},         /* Linux, with random addresses, whatever the caller has */
    {"signals", sb_step_signals},                 /* nothing blocked, nothing ignored */
    {"cgroup", sb_step_cgroup},                   /* v1: joins by itself; v2: was born in it */
    {"cgroup namespace", sb_step_cgroup_namespace},
    {"host name", sb_step_host_name},
    {"bounding set", sb_step_bounding_set},       /* empty; 41 calls, while the parent is busy too */
    {"go", sb_step_wait},                         /* the parent wrote the id maps and made the mounts */
    {"user", sb_step_ids},                        /* the jail's own uid and gid, secure bits locked */
    {"keyring", sb_step_keyring},                 /* not the caller's */
    {"root", sb_step_root},                       /* with files: /tmp and mounts in a root of its own */
    {"descriptors", sb_step_descriptors},         /* 0 to 3, and two that exec closes; nothing else is open */
    {"limits", sb_step_limits},
    {"capabilities", sb_step_capabilities},       /* none, in the four sets that are left */
    {"no_new_privs", sb_step_no_new_privileges},
    {"parent-death signal", sb_step_death_signal}, /* last: a change of ids or capabilities takes it away */
    {"exec", sb_step_exec},                       /* static program by descriptor, no environment */
};

const char *sb_child_step_name(int step)
{
    return step >= 0 && (size_t)step < sizeof steps / sizeof *steps ? steps[step].name : "unknown";
}

void sb_child_run(struct sb_child *child)
{
    for (int i = 0; i < (int)(sizeof steps / sizeof *steps); i++) {
        int rc = steps[i].run(child);
        if (rc == 0)
            continue;
        const struct sb_child_report report = {i, -rc};
        ssize_t sent = send(child->sync, &report, sizeof report, MSG_NOSIGNAL);
        (void)sent; /* nobody is left to tell */
        break;
    }
    for (;;)
        _exit(127);
}

int sb_step_name(struct sb_child *child)
{
    return prctl(PR_SET_NAME, child->plan->argv[0], 0, 0, 0) == 0 ? 0 : -errno;
}

/*
 * It goes through exec. A caller's READ_IMPLIES_EXEC would make the VM's heap executable, ADDR_NO_RANDOMIZE its
 * addresses those of every other VM.
 */
int sb_step_personality(struct sb_child *child)
{
    (void)child;
    return personality(PER_LINUX) >= 0 ? 0 : -errno;
}

int sb_step_signals(struct sb_child *child)
{
    const struct sigaction standard = {.sa_handler = SIG_DFL};
    for (int signal = 1; signal < NSIG; signal++)
        if ((child->plan->host->signals >> (signal - 1) & 1) != 0)
            sigaction(signal, &standard, NULL);
    sigset_t none;
    sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL) == 0 ? 0 : -errno;
}

/*
 * One byte, with the mounts that were prepared for us; the end of file says that the parent died or gave up.
 */
int sb_step_wait(struct sb_child *child)
{
    char byte;
    union {
        char bytes[CMSG_SPACE(sizeof child->trees)];
        struct cmsghdr align;
    } control;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    close(child->parent_end);
    ssize_t got = recvmsg(child->sync, &message, MSG_CMSG_CLOEXEC);
    if (got != 1)
        return got < 0 ? -errno : -ECANCELED;
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    size_t length = head != NULL ? head->cmsg_len - CMSG_LEN(0) : 0;
    if (length != child->plan->mount_count * sizeof(int))
        return -EBADMSG;
    if (length > 0)
        memcpy(child->trees, CMSG_DATA(head), length);
    return 0;
}

static int move_fd(int from, int to, int flags)
{
    return syscall(SYS_dup3, from, to, flags) == to ? 0 : -errno;
}

/* Moved up first, out of the way of the places that are filled afterwards. */
static int lift(int *fd)
{
    *fd = fcntl(*fd, F_DUPFD_CLOEXEC, SB_FD_FREE);
    return *fd >= 0 ? 0 : -errno;
}

int sb_step_descriptors(struct sb_child *child)
{
    const struct sb_plan *plan = child->plan;
    int from[SB_FD_FREE] = {plan->host->null_fd,  plan->handed[0], plan->handed[1],
                            plan->handed[2],      child->sync,     plan->host->program_fd};
    int rc = 0;
    for (int i = 0; i < SB_FD_FREE && rc == 0; i++)
        rc = lift(&from[i]);
    for (int i = 0; i < SB_FD_FREE && rc == 0; i++)
        rc = move_fd(from[i], i, i >= SB_FD_SYNC ? O_CLOEXEC : 0);
    if (rc == 0 && syscall(SYS_close_range, SB_FD_FREE, ~0u, 0) != 0)
        rc = -errno;
    if (rc != 0)
        return rc;
    child->sync = SB_FD_SYNC;
    /* Believe it after a look: the first free place must be the one behind ours. */
    int probe = fcntl(0, F_DUPFD_CLOEXEC, 0);
    if (probe != SB_FD_FREE)
        return -EMFILE;
    close(probe);
    return 0;
}

int sb_step_death_signal(struct sb_child *child)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
        return -errno;
    /* A parent that died before this line sends no signal any more; but its end of the socket is closed. */
    char byte;
    ssize_t got = recv(child->sync, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
    return got < 0 && errno == EAGAIN ? 0 : -ECANCELED;
}

int sb_step_exec(struct sb_child *child)
{
    const char *const environment[] = {NULL};
    syscall(SYS_execveat, SB_FD_PROGRAM, "", child->plan->argv, environment, AT_EMPTY_PATH);
    return -errno;
}
