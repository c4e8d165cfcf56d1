/*
 * janitor.c - a second process of the same program that does nothing but wait for the first one's death. VMs die with their
 * parent by the kernel's hand (PDEATHSIG), but cgroups outlive everybody: when the jailer was killed, the janitor removes them.
 * It holds a duplicate of the link: bioxend sees its end only when both are gone, and so everything else is.
 *
 * While the jailer starts, the janitor makes the first network namespace, the slowest single thing of a start; and when
 * that is done, it removes what killed instances left.
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

/* Tells the jailer how it went, with the descriptor of the new namespace. */
static void make_net(const struct sb_host *host, int socket)
{
    struct sb_error err = {0};
    int fd = sb_host_new_net(&err) == 0 ? sb_host_open_net(host, &err) : -1;
    struct iovec part = {&err, sizeof err};
    bx_send(socket, &part, 1, &fd, fd >= 0); /* it fails when the jailer is dead: then the wait below ends at once */
    if (fd >= 0)
        close(fd);
}

/* Until the jailer says that it ends in order (true), or is dead. */
static bool wait_for_end(int socket, int jailer_pidfd)
{
    struct pollfd ready[] = {{.fd = socket, .events = POLLIN}, {.fd = jailer_pidfd, .events = POLLIN}};
    for (;;) {
        if (poll(ready, 2, -1) < 0)
            continue;
        char byte;
        if (ready[0].fd >= 0 && ready[0].revents != 0) {
            if (recv(socket, &byte, 1, MSG_DONTWAIT) == 1)
                return true;
            ready[0].fd = -1; /* its end was closed: it is dying */
        }
        if (ready[1].revents != 0)
            return false;
    }
}

static _Noreturn void run(struct jailer *jailer, int socket, int jailer_pidfd, pid_t jailer_pid)
{
    prctl(PR_SET_NAME, "bioxen-janitor");
    make_net(&jailer->host, socket);
    sb_host_find_cgroups(&jailer->host);
    sb_host_sweep(&jailer->host, 0);
    if (!wait_for_end(socket, jailer_pidfd))
        sb_host_sweep(&jailer->host, jailer_pid);
    _exit(0);
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
    if (pid < 0) {
        *err = (struct sb_error){.code = EAGAIN, .text = "cannot start the janitor"};
        bx_close_all(pair, 2);
    } else {
        jailer->janitor.pid = pid;
        jailer->janitor.socket = pair[0];
        jailer->janitor.dead.fd = -1;
        close(pair[1]);
    }
    if (self_pidfd >= 0)
        close(self_pidfd);
    return pid > 0 ? 0 : -EAGAIN;
}

int janitor_wait(struct jailer *jailer, struct sb_error *err)
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
    if (count > 0)
        close(fd);
    return rc;
}

static void on_janitor_dead(struct bx_source *source, uint32_t events)
{
    (void)events;
    struct jailer *jailer = (struct jailer *)((char *)source - offsetof(struct jailer, janitor.dead));
    bx_loop_close(&jailer->loop, source);
    jailer_shut_down(jailer); /* nobody would clean up any more */
}

int janitor_watch(struct jailer *jailer)
{
    int pidfd = pidfd_open(jailer->janitor.pid, 0);
    if (pidfd < 0)
        return -errno;
    jailer->janitor.dead.on_ready = on_janitor_dead;
    return bx_loop_add(&jailer->loop, &jailer->janitor.dead, pidfd, EPOLLIN);
}

void janitor_stop(struct jailer *jailer)
{
    if (jailer->janitor.pid <= 0)
        return;
    ssize_t sent = send(jailer->janitor.socket, "", 1, MSG_NOSIGNAL);
    (void)sent; /* it may be dead already */
}

void janitor_reap(struct jailer *jailer)
{
    if (jailer->janitor.pid <= 0)
        return;
    while (waitpid(jailer->janitor.pid, NULL, 0) < 0 && errno == EINTR)
        ;
}
