/*
 * loop.h - the event loop: epoll over sources that are embedded in whatever they belong to.
 *
 * Nothing runs while nothing happens: there is no tick. Timers are timerfd descriptors, so a source is
 * always a descriptor. One thread; callbacks may add, change and remove any source, their own included.
 */
#ifndef BX_COMMON_LOOP_H
#define BX_COMMON_LOOP_H

#include <stdint.h>
#include <sys/epoll.h>

struct bx_source {
    int fd; /* owned by whoever embeds the source; -1 while it is not in the loop */
    void (*on_ready)(struct bx_source *source, uint32_t events); /* EPOLL* bits */
};

struct bx_loop {
    int epoll_fd;
    int stop;
    struct epoll_event *batch; /* events of the running epoll_wait, so that a removal can take its own out */
    int batch_count;
};

int bx_loop_init(struct bx_loop *loop);
void bx_loop_fini(struct bx_loop *loop);

/* `events` are EPOLL* bits, level-triggered; 0 still reports EPOLLHUP and EPOLLERR. Returns 0 or -errno. */
int bx_loop_add(struct bx_loop *loop, struct bx_source *source, int fd, uint32_t events);
int bx_loop_change(struct bx_loop *loop, struct bx_source *source, uint32_t events);

/* Calls the source back once, after what runs now; the callback closes it. Returns as above. */
int bx_loop_later(struct bx_loop *loop, struct bx_source *source);

/* Takes a source out and closes its descriptor; its callback does not run again. No-op when it is not in. */
void bx_loop_close(struct bx_loop *loop, struct bx_source *source);

/* Runs until bx_loop_stop. Returns 0 or -errno. */
int bx_loop_run(struct bx_loop *loop);
void bx_loop_stop(struct bx_loop *loop);

#endif
