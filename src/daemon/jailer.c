/*
 * jailer.c - the link. A reply that is not well-formed means that the privileged side is not what we think:
 * stop at once.
 */
#include "jailer.h"

#include <errno.h>
#include <sys/socket.h>

#include "common/socket.h"
#include "manager.h"
#include "stats.h"
#include "vm.h"

static void gone(struct jailer *jailer)
{
    bx_loop_close(&jailer->manager->loop, &jailer->source);
    manager_on_jailer_gone(jailer->manager);
}

static void dispatch_reply(struct jailer *jailer, const struct jw_reply *reply)
{
    struct vm *vm = manager_find(jailer->manager, reply->vm);
    if (vm == NULL)
        return;
    switch (reply->type) {
    case JW_SPAWNED: vm_event(vm, VM_EV_SPAWNED, reply); break;
    case JW_FAILED: vm_event(vm, VM_EV_FAILED, reply); break;
    case JW_DEATH: vm_event(vm, VM_EV_DIED, reply); break;
    case JW_STATISTICS: stats_tell(vm, &reply->u.statistics); break;
    }
}

static void on_jailer(struct bx_source *source, uint32_t events)
{
    (void)events;
    struct jailer *jailer = (struct jailer *)source;
    struct jw_reply reply;
    unsigned fd_count = 0;
    ssize_t got = bx_receive(source->fd, &reply, sizeof reply, NULL, 0, &fd_count, MSG_DONTWAIT);
    if (got == -EAGAIN)
        return;
    if (got <= 0 || jw_reply_check(&reply, (uint64_t)got) != NULL)
        gone(jailer);
    else
        dispatch_reply(jailer, &reply);
}

void jailer_init(struct jailer *jailer, struct manager *manager)
{
    *jailer = (struct jailer){.source = {-1, on_jailer}, .manager = manager};
}

int jailer_open(struct jailer *jailer, int fd)
{
    return bx_loop_add(&jailer->manager->loop, &jailer->source, fd, EPOLLIN);
}

void jailer_fini(struct jailer *jailer)
{
    bx_loop_close(&jailer->manager->loop, &jailer->source);
}

int jailer_send(struct jailer *jailer, const struct jw_request *request, const int *fds, unsigned fd_count)
{
    if (jailer->source.fd < 0)
        return -EPIPE;
    struct iovec part = {(void *)request, sizeof *request};
    /*
     * A burst of creates may fill the link. The jailer takes one request after the other whatever we do, so
     * this wait is short.
     */
    return bx_send_wait(jailer->source.fd, &part, 1, fds, fd_count);
}
