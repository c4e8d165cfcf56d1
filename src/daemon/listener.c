/*
 * listener.c - who may come in: the user whose daemon it is, and root. Everybody else is told so and sent away, before
 * a byte of his is read.
 */
#include "listener.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/control.h"
#include "common/socket.h"
#include "manager.h"

static int make_spare(void)
{
    return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
}

static void refuse(int fd, uint32_t code, const char *why)
{
    char frame[CTL_NOTE_MAX];
    struct ctl_note note = {.number = code, .text = why, .length = (uint32_t)strlen(why)};
    struct iovec part = {frame, ctl_encode_note(CTL_ERROR, 0, &note, frame)};
    bx_send(fd, &part, 1, NULL, 0);
    close(fd);
}

static bool is_welcome(const struct listener *listener, int fd)
{
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 || length != sizeof peer)
        return false;
    return peer.uid == 0 || peer.uid == listener->manager->user;
}

static void greet(struct listener *listener, int fd)
{
    if (!is_welcome(listener, fd))
        refuse(fd, EACCES, "this daemon belongs to another user");
    else if (HASH_COUNT(listener->manager->clients) >= LISTENER_CLIENTS_MAX)
        refuse(fd, EUSERS, "this daemon has as many clients as it can have");
    else
        (void)manager_add_client(listener->manager, fd); /* without memory the connection just ends */
}

/* Out of descriptors a connection would wait for ever, and wake us all the time: it is taken to be refused. */
static void accept_to_refuse(struct listener *listener)
{
    if (listener->spare >= 0)
        close(listener->spare);
    int fd = accept4(listener->source.fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        refuse(fd, EMFILE, "this daemon is out of descriptors");
    listener->spare = make_spare();
}

static void on_listener(struct bx_source *source, uint32_t events)
{
    (void)events;
    struct listener *listener = (struct listener *)source;
    manager_sweep_clients(listener->manager);
    int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        greet(listener, fd);
    else if (errno == EMFILE || errno == ENFILE)
        accept_to_refuse(listener);
    else if (errno == EINVAL || errno == EOPNOTSUPP || errno == ENOTSOCK)
        bx_loop_close(&listener->manager->loop, source);
}

void listener_init(struct listener *listener, struct manager *manager)
{
    *listener = (struct listener){.source = {-1, on_listener}, .manager = manager, .spare = -1};
}

int listener_open(struct listener *listener, int *fd, struct bx_error *err)
{
    if (listener->source.fd >= 0)
        return bx_fail(err, EBUSY, "the orchestrator listens on a socket already");
    int rc = bx_loop_add(&listener->manager->loop, &listener->source, *fd, EPOLLIN);
    if (rc != 0)
        return bx_fail_errno(err, -rc, "the orchestrator cannot listen");
    *fd = -1;
    listener->spare = make_spare();
    return 0;
}

void listener_fini(struct listener *listener)
{
    bx_loop_close(&listener->manager->loop, &listener->source);
    if (listener->spare >= 0)
        close(listener->spare);
    listener->spare = -1;
}
