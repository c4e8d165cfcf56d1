/*
 * janitor.c - a second process of the same program that waits for the first one's death. VMs die with their
 * parent by the kernel's hand (PDEATHSIG), but cgroups outlive everybody: when the jailer was killed, the
 * janitor removes them. It holds a duplicate of the link: bioxend sees its end only when both are gone, and so
 * everything else is.
 *
 * It also does what can be done beside. While the jailer starts and makes a network namespace, the slowest
 * single thing of a start, the janitor makes the empty root and a cgroup, and hands them over. Later it removes
 * what killed instances left, and closes the mount namespaces of dead VMs, for which the kernel waits until
 * every processor has passed a quiet point.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/socket.h"
#include "jailer.h"

/* What the jailer tells it, each a message of one byte; a mount namespace to be closed may come with it. */
enum { NEWS_CLOSE = 'c', NEWS_LEAVE_ROOT = 'l', NEWS_END = 'e' };

/* What it made, as it travels to the jailer: each descriptor that is not -1 comes with the message, in order. */
struct handover {
    struct sb_error err; /* code 0: all is well */
    struct sb_cgroup_host cgroups;
    struct sb_cgroup parked;
    int small_ns;
    uint64_t root_device;
};

#define HANDOVER_FDS (3 * SB_CONTROLLERS + 1)

static unsigned descriptors(struct handover *all, int *fields[HANDOVER_FDS])
{
    unsigned count = 0;
    for (int i = 0; i < SB_CONTROLLERS; i++) {
        fields[count++] = &all->cgroups.base[i];
        fields[count++] = &all->parked.dir[i];
        fields[count++] = &all->parked.join[i];
    }
    fields[count++] = &all->small_ns;
    return count;
}

/* ---- in the janitor ---- */

/* Most VMs ask for these limits: their cgroup can be made before they ask. */
static const struct sb_limits usual_limits = {BX_DEFAULT_MEMORY, BX_DEFAULT_PIDS, BX_DEFAULT_CPUS_MILLI};

static int make_root_and_cgroup(struct sb_host *host, struct sb_error *err)
{
    sb_host_find_cgroups(host); /* before the root is gone */
    int rc = sb_host_copy_mounts(err);
    if (rc == 0)
        rc = sb_host_new_root(host, err);
    if (rc == 0)
        sb_host_park(host, &usual_limits);
    return rc;
}

static void hand_over(struct sb_host *host, const struct sb_error *err, int socket)
{
    struct handover all = {*err, host->cgroups, host->parked, host->small_ns, host->root_device};
    int *fields[HANDOVER_FDS], fds[HANDOVER_FDS];
    unsigned fields_count = descriptors(&all, fields), count = 0;
    for (unsigned i = 0; i < fields_count; i++)
        if (*fields[i] >= 0)
            fds[count++] = *fields[i];
    struct iovec part = {&all, sizeof all};
    bx_send(socket, &part, 1, fds, count); /* it fails when the jailer is dead: that is seen soon enough */
    sb_host_forget_parked(host);
}

static void help_to_start(struct sb_host *host, int socket)
{
    struct sb_error err = {0};
    int rc = make_root_and_cgroup(host, &err);
    hand_over(host, &err, socket);
    if (rc == 0)
        sb_host_drop_old_root(&err); /* if it fails, the jailer waits for it in vain, and says so */
    sb_host_sweep(host, 0);
}

/*
 * Returns 0 when the jailer ends in order, 1 to go on, -1 when its end of the socket is closed: it is dying.
 */
static int hear_news(struct sb_host *host, int socket)
{
    char news;
    int fd = -1;
    unsigned count = 0;
    ssize_t got = bx_receive(socket, &news, 1, &fd, 1, &count, MSG_DONTWAIT);
    if (got == -EAGAIN)
        return 1;
    if (got <= 0)
        return -1;
    if (count > 0)
        close(fd);
    if (news == NEWS_LEAVE_ROOT)
        sb_host_leave_root(host);
    return news != NEWS_END;
}

/* Until the jailer says that it ends in order (true), or is dead. */
static bool wait_for_end(struct sb_host *host, int socket, int jailer_pidfd)
{
    struct pollfd ready[] = {{.fd = socket, .events = POLLIN}, {.fd = jailer_pidfd, .events = POLLIN}};
    for (;;) {
        if (poll(ready, 2, -1) < 0)
            continue;
        int rc = ready[0].revents != 0 ? hear_news(host, socket) : 1;
        if (rc == 0)
            return true;
        if (rc < 0)
            ready[0].fd = -1;
        if (rc > 0 && ready[0].revents == 0 && ready[1].revents != 0)
            return false;
    }
}

static _Noreturn void run(struct sb_host *host, bool helps, int socket)
{
    pid_t jailer = host->owner;
    int jailer_pidfd = (int)syscall(SYS_pidfd_open, jailer, 0);
    if (getppid() != jailer || jailer_pidfd < 0)
        _exit(0); /* it died before it was pinned, and had nothing yet */
    prctl(PR_SET_NAME, "bioxen-janitor");
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    streams_leave();
    if (helps)
        help_to_start(host, socket);
    if (!wait_for_end(host, socket, jailer_pidfd))
        sb_host_sweep(host, jailer);
    _exit(0);
}

/* ---- in the jailer ---- */

static void on_janitor_dead(struct bx_source *source, uint32_t events)
{
    (void)events;
    struct jailer *jailer = (struct jailer *)((char *)source - offsetof(struct jailer, janitor.dead));
    bool expected = jailer->janitor.leaving;
    janitor_reap(jailer);
    if (expected)
        return;
    jailer->broken = true; /* nobody would clean up any more */
    jailer_shut_down(jailer);
}

int janitor_watch(struct jailer *jailer)
{
    int pidfd = (int)syscall(SYS_pidfd_open, jailer->janitor.pid, 0);
    if (pidfd < 0)
        return -errno;
    jailer->janitor.dead.on_ready = on_janitor_dead;
    return bx_loop_add(&jailer->loop, &jailer->janitor.dead, pidfd, EPOLLIN);
}

int janitor_start(struct jailer *jailer, bool helps, struct sb_error *err)
{
    int pair[2] = {-1, -1};
    int rc = bx_socketpair(pair);
    pid_t pid = rc == 0 ? fork() : -1;
    if (pid == 0) {
        close(pair[0]);
        run(&jailer->host, helps, pair[1]);
    }
    bx_close_all(&pair[1], 1);
    if (pid > 0) {
        jailer->janitor = (struct janitor){.dead = {.fd = -1}, .pid = pid, .socket = pair[0]};
        return 0;
    }
    bx_close_all(pair, 1);
    *err = (struct sb_error){.code = EAGAIN, .text = "cannot start the janitor"};
    return -EAGAIN;
}

static int adopt(struct sb_host *host, struct handover *all, const int *fds, unsigned count)
{
    int *fields[HANDOVER_FDS];
    unsigned fields_count = descriptors(all, fields), used = 0;
    for (unsigned i = 0; i < fields_count; i++)
        if (*fields[i] >= 0)
            *fields[i] = used < count ? fds[used++] : -1;
    host->cgroups = all->cgroups;
    host->parked = all->parked;
    host->small_ns = all->small_ns;
    host->root_device = all->root_device;
    return -all->err.code;
}

int janitor_take_over(struct jailer *jailer, struct sb_error *err)
{
    struct handover all;
    int fds[HANDOVER_FDS];
    unsigned count = 0;
    ssize_t got;
    do
        got = bx_receive(jailer->janitor.socket, &all, sizeof all, fds, HANDOVER_FDS, &count, 0);
    while (got == -EINTR);
    if (got != sizeof all) {
        *err = (struct sb_error){.code = EIO, .text = "the janitor died"};
        return -EIO;
    }
    int rc = adopt(&jailer->host, &all, fds, count);
    if (rc != 0)
        *err = all.err;
    return rc == 0 ? sb_host_enter_root(&jailer->host, jailer->janitor.dead.fd, err) : rc;
}

static int tell(struct jailer *jailer, char news, int fd)
{
    struct iovec part = {&news, 1};
    return jailer->janitor.pid > 0 ? bx_send(jailer->janitor.socket, &part, 1, &fd, fd >= 0) : -ESRCH;
}

void janitor_leave_root(struct jailer *jailer)
{
    tell(jailer, NEWS_LEAVE_ROOT, -1);
}

void janitor_bury(struct jailer *jailer, int mount_ns)
{
    tell(jailer, NEWS_CLOSE, mount_ns);
    close(mount_ns); /* the last reference only when the janitor could not take it */
}

void janitor_stop(struct jailer *jailer)
{
    if (!jailer->janitor.leaving && tell(jailer, NEWS_END, -1) == 0)
        jailer->janitor.leaving = true;
}

void janitor_reap(struct jailer *jailer)
{
    struct janitor *janitor = &jailer->janitor;
    if (janitor->pid <= 0)
        return;
    while (waitpid(janitor->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    bx_loop_close(&jailer->loop, &janitor->dead);
    bx_close_all(&janitor->socket, 1);
    janitor->pid = 0;
    janitor->leaving = false;
}
