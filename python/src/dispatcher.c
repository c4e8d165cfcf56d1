/*
 * dispatcher.c - one thread for all calls that nobody waits for: it watches their sessions, keeps their deadlines, and
 * hands out what is done in batches, so that Python's lock is taken once for many.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "manager.h"

#define EVENTS_AT_ONCE 64

/* What the wake descriptor is called among the numbers of VMs. */
#define WAKE UINT64_MAX

int dispatcher_init(struct dispatcher *dispatcher)
{
    *dispatcher = (struct dispatcher){.epoll_fd = epoll_create1(EPOLL_CLOEXEC), .wake_fd = eventfd(0, EFD_CLOEXEC)};
    pthread_mutex_init(&dispatcher->lock, NULL);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = WAKE};
    if (dispatcher->epoll_fd >= 0 && dispatcher->wake_fd >= 0 &&
        epoll_ctl(dispatcher->epoll_fd, EPOLL_CTL_ADD, dispatcher->wake_fd, &event) == 0)
        return 0;
    int code = errno;
    dispatcher_fini(dispatcher);
    return -code;
}

void dispatcher_fini(struct dispatcher *dispatcher)
{
    if (dispatcher->epoll_fd >= 0)
        close(dispatcher->epoll_fd);
    if (dispatcher->wake_fd >= 0)
        close(dispatcher->wake_fd);
    free(dispatcher->heap);
    pthread_mutex_destroy(&dispatcher->lock);
    *dispatcher = (struct dispatcher){.epoll_fd = -1, .wake_fd = -1};
}

/* The lock is held. */
static void wake(struct dispatcher *dispatcher)
{
    uint64_t one = 1;
    if (!dispatcher->asleep)
        return;
    dispatcher->asleep = false;
    while (write(dispatcher->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

void dispatcher_stop(struct dispatcher *dispatcher)
{
    pthread_mutex_lock(&dispatcher->lock);
    dispatcher->stop = true;
    wake(dispatcher);
    pthread_mutex_unlock(&dispatcher->lock);
}

void dispatcher_done(struct dispatcher *dispatcher, struct call *call)
{
    pthread_mutex_lock(&dispatcher->lock);
    if (!call->queued) {
        call->queued = true;
        call->next_done = NULL;
        if (dispatcher->done == NULL)
            dispatcher->done = call_ref(call);
        else
            dispatcher->last_done->next_done = call_ref(call);
        dispatcher->last_done = call;
        wake(dispatcher);
    }
    pthread_mutex_unlock(&dispatcher->lock);
}

/* ---- the heap of times: places from 1, the earliest in 1 ---- */

static struct call **place(struct dispatcher *dispatcher, size_t at)
{
    return &dispatcher->heap[at - 1];
}

static void put(struct dispatcher *dispatcher, size_t at, struct call *call)
{
    *place(dispatcher, at) = call;
    call->heap_at = at;
}

static void sift_up(struct dispatcher *dispatcher, size_t at, struct call *call)
{
    for (; at > 1 && (*place(dispatcher, at / 2))->due_us > call->due_us; at /= 2)
        put(dispatcher, at, *place(dispatcher, at / 2));
    put(dispatcher, at, call);
}

static void sift_down(struct dispatcher *dispatcher, size_t at, struct call *call)
{
    for (size_t child; (child = 2 * at) <= dispatcher->heap_count; at = child) {
        if (child < dispatcher->heap_count &&
            (*place(dispatcher, child + 1))->due_us < (*place(dispatcher, child))->due_us)
            child++;
        if ((*place(dispatcher, child))->due_us >= call->due_us)
            break;
        put(dispatcher, at, *place(dispatcher, child));
    }
    put(dispatcher, at, call);
}

/* The heap's reference goes to the caller. */
static void take_out(struct dispatcher *dispatcher, struct call *call)
{
    size_t at = call->heap_at;
    struct call *last = *place(dispatcher, dispatcher->heap_count--);
    call->heap_at = 0;
    if (last == call)
        return;
    sift_down(dispatcher, at, last);
    sift_up(dispatcher, last->heap_at, last);
}

static int put_in(struct dispatcher *dispatcher, struct call *call)
{
    if (dispatcher->heap_count == dispatcher->heap_capacity) {
        size_t capacity = dispatcher->heap_capacity > 0 ? 2 * dispatcher->heap_capacity : 64;
        struct call **larger = realloc(dispatcher->heap, capacity * sizeof(struct call *));
        if (larger == NULL)
            return -ENOMEM;
        dispatcher->heap = larger;
        dispatcher->heap_capacity = capacity;
    }
    sift_up(dispatcher, ++dispatcher->heap_count, call_ref(call));
    return 0;
}

int dispatcher_set_due(struct dispatcher *dispatcher, struct call *call, uint64_t due_us)
{
    int rc = 0;
    bool was_there;
    pthread_mutex_lock(&dispatcher->lock);
    was_there = call->heap_at != 0;
    if (was_there)
        take_out(dispatcher, call);
    call->due_us = due_us;
    if (due_us != 0)
        rc = put_in(dispatcher, call);
    if (call->heap_at == 1) /* earlier than what is slept for */
        wake(dispatcher);
    pthread_mutex_unlock(&dispatcher->lock);
    if (was_there)
        call_unref(call);
    return rc;
}

/* A call whose time has come, with a reference; NULL: none, and *timeout_ms is the time until the next one. */
static struct call *next_due(struct dispatcher *dispatcher, int *timeout_ms)
{
    *timeout_ms = -1;
    if (dispatcher->heap_count == 0)
        return NULL;
    struct call *call = *place(dispatcher, 1);
    uint64_t now = now_us();
    if (call->due_us <= now) {
        take_out(dispatcher, call);
        return call;
    }
    uint64_t wait = (call->due_us - now + 999) / 1000;
    *timeout_ms = wait > 60000 ? 60000 : (int)wait;
    return NULL;
}

/* ---- working ---- */

void dispatcher_watch(struct dispatcher *dispatcher, struct life *life, uint32_t events)
{
    struct epoll_event event = {.events = events | EPOLLONESHOT, .data.u64 = manager_key(life)};
    int what = life->in_epoll ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(dispatcher->epoll_fd, what, bioxen_session_fd(life->session), &event) == 0) {
        life->in_epoll = true;
        life->watched = events;
    }
}

static void clear_wake(struct dispatcher *dispatcher)
{
    uint64_t count;
    while (read(dispatcher->wake_fd, &count, sizeof count) < 0 && errno == EINTR)
        ;
}

static void serve(struct manager *manager, const struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        if (events[i].data.u64 == WAKE) {
            clear_wake(&manager->dispatcher);
            continue;
        }
        struct life *life = manager_find_key(manager, events[i].data.u64);
        if (life != NULL)
            life_ready(life);
        life_unref(life);
    }
}

/* What there is to hand out or to do; else says how long to sleep. The lock is held. */
static bool look(struct dispatcher *dispatcher, struct call **done, struct call **due, int *timeout_ms)
{
    *done = dispatcher->done;
    *due = NULL;
    dispatcher->done = NULL;
    for (struct call *call = *done; call != NULL; call = call->next_done)
        call->queued = false;
    if (*done != NULL || dispatcher->stop)
        return true;
    *due = next_due(dispatcher, timeout_ms);
    dispatcher->asleep = *due == NULL;
    return false;
}

struct call *dispatcher_next(struct manager *manager)
{
    struct dispatcher *dispatcher = &manager->dispatcher;
    struct epoll_event events[EVENTS_AT_ONCE];
    for (;;) {
        struct call *done, *due;
        int timeout_ms;
        pthread_mutex_lock(&dispatcher->lock);
        bool out = look(dispatcher, &done, &due, &timeout_ms);
        pthread_mutex_unlock(&dispatcher->lock);
        if (out)
            return done;
        if (due != NULL) {
            life_due(due->life, due);
            call_unref(due);
            continue;
        }
        int count = epoll_wait(dispatcher->epoll_fd, events, EVENTS_AT_ONCE, timeout_ms);
        pthread_mutex_lock(&dispatcher->lock);
        dispatcher->asleep = false;
        pthread_mutex_unlock(&dispatcher->lock);
        serve(manager, events, count);
    }
}
