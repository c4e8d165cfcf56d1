/* timer.c - timerfd with absolute times. */
#include "timer.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

static int open_timer(struct bx_loop *loop, struct bx_source *source)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    int rc = bx_loop_add(loop, source, fd, EPOLLIN);
    if (rc != 0)
        close(fd);
    return rc;
}

int bx_timer_set(struct bx_loop *loop, struct bx_source *source, uint64_t due_us)
{
    struct itimerspec when = {0};
    if (due_us != BX_TIMER_NEVER) {
        when.it_value.tv_sec = (time_t)(due_us / 1000000);
        when.it_value.tv_nsec = (long)(due_us % 1000000) * 1000 + 1; /* never zero, which would disarm it */
    }
    int rc = source->fd >= 0 ? 0 : open_timer(loop, source);
    if (rc == 0 && timerfd_settime(source->fd, TFD_TIMER_ABSTIME, &when, NULL) != 0)
        rc = -errno;
    return rc;
}

bool bx_timer_is_due(const struct bx_source *source)
{
    uint64_t count;
    return read(source->fd, &count, sizeof count) == sizeof count;
}
