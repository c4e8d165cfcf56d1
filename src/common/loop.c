/* loop.c - a plain epoll loop, as small as it can be. */
#include "loop.h"

#include <errno.h>
#include <stddef.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define BATCH 64

int bx_loop_init(struct bx_loop *loop)
{
    *loop = (struct bx_loop){.epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
    return loop->epoll_fd < 0 ? -errno : 0;
}

void bx_loop_fini(struct bx_loop *loop)
{
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    loop->epoll_fd = -1;
}

int bx_loop_add(struct bx_loop *loop, struct bx_source *source, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = source};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        return -errno;
    source->fd = fd;
    return 0;
}

int bx_loop_change(struct bx_loop *loop, struct bx_source *source, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = source};
    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &event) == 0 ? 0 : -errno;
}

/* A timer that is over at once. */
int bx_loop_later(struct bx_loop *loop, struct bx_source *source)
{
    const struct itimerspec now = {.it_value.tv_nsec = 1};
    if (source->fd >= 0)
        return 0;
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    int rc = timerfd_settime(fd, 0, &now, NULL) == 0 ? 0 : -errno;
    if (rc == 0)
        rc = bx_loop_add(loop, source, fd, EPOLLIN);
    if (rc != 0)
        close(fd);
    return rc;
}

void bx_loop_close(struct bx_loop *loop, struct bx_source *source)
{
    if (source->fd < 0)
        return;
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
    close(source->fd);
    source->fd = -1;
    for (int i = 0; i < loop->batch_count; i++) /* its owner may be freed before the batch ends */
        if (loop->batch[i].data.ptr == source)
            loop->batch[i].data.ptr = NULL;
}

static void dispatch(struct bx_loop *loop)
{
    for (int i = 0; i < loop->batch_count; i++) {
        struct bx_source *source = loop->batch[i].data.ptr;
        if (source != NULL)
            source->on_ready(source, loop->batch[i].events);
    }
}

int bx_loop_run(struct bx_loop *loop)
{
    struct epoll_event batch[BATCH];
    loop->batch = batch;
    while (!loop->stop) {
        int count = epoll_wait(loop->epoll_fd, batch, BATCH, -1);
        if (count < 0 && errno != EINTR)
            return -errno;
        loop->batch_count = count < 0 ? 0 : count;
        dispatch(loop);
        loop->batch_count = 0;
    }
    loop->batch = NULL;
    return 0;
}

void bx_loop_stop(struct bx_loop *loop)
{
    loop->stop = 1;
}
