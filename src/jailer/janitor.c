/*
 * janitor.c - a second process of the same program that waits for the first one's death. VMs die with their
 * parent by the kernel's hand (PDEATHSIG), but cgroups outlive everybody: when the jailer was killed, the
 * janitor removes them. It holds a duplicate of the link: bioxend sees its end only when both are gone, and
 * so everything else is.
 *
 * It also does what takes time and no thought. While the jailer starts, it makes the first network namespace
 * and takes off the old root; later it removes what killed instances left, and closes the mount namespaces of
 * dead VMs, for which the kernel waits until every processor has passed a quiet point.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/socket.h"
#include "jailer.h"

/* What the jailer tells it, each a message of one byte; a mount namespace to be closed may come with it. */
enum { NEWS_CLOSE = 'c', NEWS_LEAVE_ROOT = 'l', NEWS_END = 'e' };

/* ---- in the janitor ---- */

static void make_net(const struct sb_host *host, int socket)
{
    struct sb_error err = {0};
    int fd = sb_host_new_net(&err) == 0 ? sb_host_open_net(host, &err) : -1;
    struct iovec part = {&err, sizeof err};
    bx_send(socket, &part, 1, &fd, fd >= 0); /* it fails when the jailer is dead: that is seen soon enough */
    if (fd >= 0)
        close(fd);
}

/*
 * Where the cgroups are (a descriptor for each base that is there), and, last, the namespace with the new
 * root.
 */
static bool hear_brief(struct sb_host *host, int socket)
{
    struct sb_cgroup_host cgroups;
    int fds[SB_CONTROLLERS + 1];
    unsigned count = 0, used = 0;
    ssize_t got;
    do
        got = bx_receive(socket, &cgroups, sizeof cgroups, fds, SB_CONTROLLERS + 1, &count, 0);
    while (got == -EINTR);
    if (got != sizeof cgroups || count == 0)
        return false;
    host->cgroups = cgroups;
    for (int i = 0; i < SB_CONTROLLERS; i++)
        if (cgroups.base[i] >= 0)
            host->cgroups.base[i] = used + 1 < count ? fds[used++] : -1;
    host->small_ns = fds[count - 1];
    return true;
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
    if (news == NEWS_LEAVE_ROOT && host->small_ns >= 0) {
        close(host->small_ns);
        host->small_ns = -1;
    }
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

static _Noreturn void run(struct jailer *jailer, int socket, int jailer_pidfd, pid_t jailer_pid)
{
    prctl(PR_SET_NAME, "bioxen-janitor");
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    make_net(&jailer->host, socket);
    if (!hear_brief(&jailer->host, socket))
        _exit(0); /* the jailer is dead, and had no cgroup yet */
    sb_host_drop_old_root(&jailer->host);
    sb_host_sweep(&jailer->host, 0);
    if (!wait_for_end(&jailer->host, socket, jailer_pidfd))
        sb_host_sweep(&jailer->host, jailer_pid);
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
    int pidfd = pidfd_open(jailer->janitor.pid, 0);
    if (pidfd < 0)
        return -errno;
    jailer->janitor.dead.on_ready = on_janitor_dead;
    return bx_loop_add(&jailer->loop, &jailer->janitor.dead, pidfd, EPOLLIN);
}

int janitor_start(struct jailer *jailer, struct sb_error *err)
{
    int pair[2] = {-1, -1};
    pid_t self = getpid();
    int self_pidfd = pidfd_open(self, 0); /* before the fork: no doubt whose it is */
    int rc = self_pidfd >= 0 ? bx_socketpair(pair) : -errno;
    pid_t pid = rc == 0 ? fork() : -1;
    if (pid == 0) {
        close(pair[0]);
        run(jailer, pair[1], self_pidfd, self);
    }
    bx_close_all(&pair[1], 1);
    bx_close_all(&self_pidfd, 1);
    if (pid > 0) {
        jailer->janitor = (struct janitor){.dead = {.fd = -1}, .pid = pid, .socket = pair[0]};
        return 0;
    }
    bx_close_all(pair, 1);
    *err = (struct sb_error){.code = EAGAIN, .text = "cannot start the janitor"};
    return -EAGAIN;
}

int janitor_brief(struct jailer *jailer, struct sb_error *err)
{
    const struct sb_cgroup_host *cgroups = &jailer->host.cgroups;
    int fds[SB_CONTROLLERS + 1];
    unsigned count = 0;
    for (int i = 0; i < SB_CONTROLLERS; i++)
        if (cgroups->base[i] >= 0)
            fds[count++] = cgroups->base[i];
    fds[count++] = jailer->host.small_ns;
    struct iovec part = {(void *)(uintptr_t)cgroups, sizeof *cgroups};
    int rc = bx_send(jailer->janitor.socket, &part, 1, fds, count);
    if (rc != 0)
        *err = (struct sb_error){.code = -rc, .text = "the janitor died"};
    jailer->janitor.briefed = rc == 0;
    return rc;
}

int janitor_take_net(struct jailer *jailer, struct sb_error *err)
{
    struct sb_error theirs;
    int fd = -1;
    unsigned count = 0;
    ssize_t got;
    do
        got = bx_receive(jailer->janitor.socket, &theirs, sizeof theirs, &fd, 1, &count, 0);
    while (got == -EINTR);
    if (got != sizeof theirs)
        theirs = (struct sb_error){.code = EIO, .text = "the janitor died"};
    int rc = theirs.code == 0 ? sb_host_enter_net(fd, &theirs) : -theirs.code;
    if (rc != 0)
        *err = theirs;
    bx_close_all(&fd, count);
    return rc;
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

void janitor_bury(struct jailer *jailer, int mount_ns, bool end)
{
    /* What the janitor cannot take, because it died or has too much to do, is closed here. */
    int rc = tell(jailer, end ? NEWS_END : NEWS_CLOSE, mount_ns);
    jailer->janitor.leaving = jailer->janitor.leaving || (end && rc == 0);
    if (mount_ns >= 0)
        close(mount_ns);
}

void janitor_stop(struct jailer *jailer)
{
    if (!jailer->janitor.leaving)
        tell(jailer, NEWS_END, -1); /* it fails when the janitor is dead already */
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
