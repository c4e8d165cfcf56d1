/*
 * net_wait.c - waiting for sockets. While a script waits in C no hook can end it, so the wait itself hears the
 * lifeline, and raises the error when the running call is to end. LuaSocket holds nothing at that moment that would be
 * lost: what it asks for of memory and of names is ours (net_wait.c, net_names.c), and there is one of each.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "net.h"
#include "vm.h"

/* Enough for everything that select takes, and the lifeline. */
#define FDS_MAX 1024

static struct vm *networked;
static char host_name[BX_NAME_MAX + 1];

void vm_net_init(struct vm *vm)
{
    networked = vm;
    if (gethostname(host_name, sizeof host_name) != 0)
        strcpy(host_name, "localhost");
}

struct vm *vm_net_vm(void)
{
    return networked;
}

/* By then the filter refuses to ask, because the kernel's answer says more than that. */
int vm_net_gethostname(char *out, size_t size)
{
    snprintf(out, size, "%s", host_name);
    return 0;
}

/* Does not return when a call runs and is to end. */
static int give_up(const struct vm *vm)
{
    if (vm->running != NULL)
        vm_interrupt_now(vm->running);
    errno = ECANCELED; /* a finalizer: it is left in peace, but does not wait */
    return -1;
}

/* What has come over the lifeline is taken. */
static int attend(struct vm *vm)
{
    vm->called = 1;
    vm_attend(vm);
    if (vm->interrupted != VM_GOES_ON)
        return give_up(vm);
    errno = EINTR;
    return -1;
}

int vm_net_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    struct vm *vm = networked;
    if (!vm->serving)
        return poll(fds, count, timeout_ms); /* the end of the lifeline is the end of this process */
    struct pollfd all[FDS_MAX];
    if (count >= FDS_MAX) {
        errno = EINVAL;
        return -1;
    }
    if (vm->interrupted != VM_GOES_ON)
        return give_up(vm);
    if (timeout_ms != 0)
        vm_sessions_flush(vm);
    for (nfds_t i = 0; i < count; i++)
        all[i] = fds[i];
    all[count] = (struct pollfd){.fd = LW_FD, .events = POLLIN};
    int ready = poll(all, count + 1, timeout_ms);
    if (ready < 0)
        return errno == EINTR ? attend(vm) : -1;
    for (nfds_t i = 0; i < count; i++)
        fds[i] = all[i];
    if (all[count].revents == 0)
        return ready;
    return ready > 1 ? ready - 1 : attend(vm);
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
