/*
 * net_wait.c - what LuaSocket calls to wait. While a script waits in C no hook can end it, so the wait itself (wait.c)
 * hears the lifeline, and raises the error when the running call is to end. LuaSocket holds nothing at that moment that
 * would be lost: what it asks for of memory and of names is ours (net_wait.c, net_names.c), and there is one of each.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "common/clock.h"
#include "net.h"
#include "vm.h"

static struct vm *networked;

void vm_net_init(struct vm *vm)
{
    networked = vm;
}

struct vm *vm_net_vm(void)
{
    return networked;
}

/* By then the filter refuses to ask, because the kernel's answer says more than that. */
int vm_net_gethostname(char *out, size_t size)
{
    snprintf(out, size, "%s", networked->name);
    return 0;
}

int vm_net_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    return vm_wait(networked, fds, count, timeout_ms);
}

/* Room for one datagram. It is Lua's memory, so that the limit is about it too; what an interrupt left is freed. */
static void *room;
static size_t room_size;

void *vm_net_malloc(size_t size)
{
    vm_net_free(room);
    room = vm_heap_realloc(&networked->heap, NULL, 0, size);
    room_size = size;
    return room;
}

void vm_net_free(void *block)
{
    if (block == NULL)
        return;
    vm_heap_realloc(&networked->heap, room, room_size, 0);
    room = NULL;
}

int vm_net_select(int count, fd_set *reads, fd_set *writes, fd_set *errors, struct timeval *timeout)
{
    (void)count;
    (void)reads;
    (void)writes;
    (void)errors;
    (void)timeout;
    errno = ENOSYS;
    return -1;
}

/* Never ends early but for an interrupt: LuaSocket would only go on with what is left. */
int vm_net_nanosleep(const struct timespec *wanted, struct timespec *left)
{
    const uint64_t until = bx_now_us() + (uint64_t)wanted->tv_sec * 1000000 + (uint64_t)(wanted->tv_nsec + 999) / 1000;
    (void)left;
    for (uint64_t now; (now = bx_now_us()) < until;) {
        uint64_t us = until - now;
        if (us < 1000)
            return nanosleep(&(struct timespec){.tv_nsec = (long)us * 1000}, NULL) == 0 || errno == EINTR ? 0 : -1;
        if (vm_net_poll(NULL, 0, us / 1000 < INT_MAX ? (int)(us / 1000) : INT_MAX) < 0 && errno != EINTR)
            return 0;
    }
    return 0;
}
