/*
 * jailer.c - the link. A reply that is not well-formed means that the privileged side is not what we think:
 * stop at once.
 *
 * Either side may wait for room in the link. So that both never wait for each other, this one reads while it waits,
 * and looks at what it has read when it is done.
 */
#include "jailer.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/socket.h"
#include "manager.h"
#include "stats.h"
#include "vm.h"

/* A reply that came while a request waited for room. */
struct kept_reply {
    struct kept_reply *next;
    struct jw_reply reply;
};

static void gone(struct jailer *jailer)
{
    bx_loop_close(&jailer->manager->loop, &jailer->source);
    manager_on_jailer_gone(jailer->manager);
}

static void dispatch_to_vm(struct vm *vm, const struct jw_reply *reply)
{
    switch (reply->type) {
    case JW_SPAWNED: vm_event(vm, VM_EV_SPAWNED, reply); break;
    case JW_FAILED: vm_event(vm, VM_EV_FAILED, reply); break;
    case JW_DEATH: vm_event(vm, VM_EV_DIED, reply); break;
    case JW_STATISTICS: stats_tell(vm, &reply->u.statistics); break;
    }
}

static void dispatch_reply(struct jailer *jailer, const struct jw_reply *reply)
{
    struct vm *vm = manager_find(jailer->manager, reply->vm);
    if (reply->type == JW_NET_DONE || reply->type == JW_NET_FAILED)
        network_take_reply(jailer->manager, reply);
    else if (vm != NULL)
        dispatch_to_vm(vm, reply);
}

/* Returns 1 with a reply, 0 when none is there, or -EPIPE. */
static int receive(const struct jailer *jailer, struct jw_reply *reply)
{
    unsigned fd_count = 0;
    ssize_t got = bx_receive(jailer->source.fd, reply, sizeof *reply, NULL, 0, &fd_count, MSG_DONTWAIT);
    if (got == -EAGAIN)
        return 0;
    return got > 0 && jw_reply_check(reply, (uint64_t)got) == NULL ? 1 : -EPIPE;
}

static void take_kept(struct jailer *jailer)
{
    while (jailer->kept != NULL) {
        struct kept_reply *kept = jailer->kept;
        jailer->kept = kept->next;
        if (jailer->kept == NULL)
            jailer->last_kept = NULL;
        dispatch_reply(jailer, &kept->reply);
        free(kept);
    }
}

static void on_jailer(struct bx_source *source, uint32_t events)
{
    (void)events;
    struct jailer *jailer = (struct jailer *)source;
    struct jw_reply reply;
    take_kept(jailer);
    if (source->fd < 0)
        return;
    int rc = receive(jailer, &reply);
    if (rc < 0)
        gone(jailer);
    else if (rc == 1)
        dispatch_reply(jailer, &reply);
}

static void on_kept(struct bx_source *source, uint32_t events)
{
    (void)events;
    struct jailer *jailer = (struct jailer *)((char *)source - offsetof(struct jailer, later));
    bx_loop_close(&jailer->manager->loop, source);
    take_kept(jailer);
}

void jailer_init(struct jailer *jailer, struct manager *manager)
{
    *jailer = (struct jailer){.source = {-1, on_jailer}, .later = {-1, on_kept}, .manager = manager};
}

int jailer_open(struct jailer *jailer, int fd)
{
    return bx_loop_add(&jailer->manager->loop, &jailer->source, fd, EPOLLIN);
}

void jailer_fini(struct jailer *jailer)
{
    bx_loop_close(&jailer->manager->loop, &jailer->source);
    bx_loop_close(&jailer->manager->loop, &jailer->later);
    while (jailer->kept != NULL) {
        struct kept_reply *kept = jailer->kept;
        jailer->kept = kept->next;
        free(kept);
    }
}

/* ---- sending ---- */

static int keep_replies(struct jailer *jailer)
{
    struct jw_reply reply;
    int rc;
    while ((rc = receive(jailer, &reply)) == 1) {
        struct kept_reply *kept = malloc(sizeof *kept);
        if (kept == NULL)
            return -ENOMEM;
        *kept = (struct kept_reply){.reply = reply};
        if (jailer->last_kept != NULL)
            jailer->last_kept->next = kept;
        else
            jailer->kept = kept;
        jailer->last_kept = kept;
    }
    return rc == 0 && jailer->kept != NULL ? bx_loop_later(&jailer->manager->loop, &jailer->later) : rc;
}

/* The jailer takes one request after the other whatever we do, as long as it can say what became of them. */
static int wait_for_room(struct jailer *jailer)
{
    struct pollfd ready = {jailer->source.fd, POLLIN | POLLOUT, 0};
    if (poll(&ready, 1, -1) < 0)
        return errno == EINTR ? 0 : -errno;
    return (ready.revents & POLLIN) != 0 ? keep_replies(jailer) : 0;
}

int jailer_send(struct jailer *jailer, const struct jw_request *request, const int *fds, unsigned fd_count)
{
    struct iovec part = {(void *)request, sizeof *request};
    int rc = -EPIPE;
    while (jailer->source.fd >= 0) {
        rc = bx_send(jailer->source.fd, &part, 1, fds, fd_count);
        if (rc == -EAGAIN)
            rc = wait_for_room(jailer);
        else
            return rc;
        if (rc != 0)
            return rc;
    }
    return rc;
}
