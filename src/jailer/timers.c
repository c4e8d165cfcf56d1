/*
 * timers.c - CPU time: a POSIX timer on each VM's own CPU clock, so that a VM that waits costs nothing.
 * Behind it stands RLIMIT_CPU, which counts whole seconds.
 */
#include <errno.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "jailer.h"

static uint64_t used_ms(const struct vm *vm)
{
    struct timespec used;
    if (clock_gettime(vm->clock, &used) != 0)
        return 0; /* it died meanwhile */
    return (uint64_t)used.tv_sec * 1000 + (uint64_t)used.tv_nsec / 1000000;
}

/* A signal may be late and its VM another one: what its clock says counts. */
static void on_timer(struct bx_source *source, uint32_t events)
{
    (void)events;
    struct jailer *jailer = (struct jailer *)((char *)source - offsetof(struct jailer, timers));
    struct signalfd_siginfo info;
    while (read(source->fd, &info, sizeof info) == sizeof info) {
        struct vm *vm = vms_find(jailer, (uint32_t)info.ssi_int);
        if (vm == NULL || !vm->has_timer || used_ms(vm) < vm->cpu_time_ms)
            continue;
        vm->cpu_time_hit = true;
        sb_jail_kill(&vm->jail);
    }
}

int timers_open(struct jailer *jailer)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, CPU_TIMER_SIGNAL);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return -errno;
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    jailer->timers.on_ready = on_timer;
    return bx_loop_add(&jailer->loop, &jailer->timers, fd, EPOLLIN);
}

int timers_start(struct vm *vm, uint64_t cpu_time_ms)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = CPU_TIMER_SIGNAL};
    event.sigev_value.sival_int = (int)vm->number;
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)(cpu_time_ms / 1000),
                                           .tv_nsec = (long)(cpu_time_ms % 1000) * 1000000}};
    int rc = clock_getcpuclockid(vm->jail.pid, &vm->clock);
    if (rc != 0)
        return -rc;
    if (timer_create(vm->clock, &event, &vm->timer) != 0)
        return -errno;
    vm->has_timer = true;
    vm->cpu_time_ms = cpu_time_ms;
    return timer_settime(vm->timer, TIMER_ABSTIME, &when, NULL) == 0 ? 0 : -errno;
}

void timers_stop(struct vm *vm)
{
    if (vm->has_timer)
        timer_delete(vm->timer);
    vm->has_timer = false;
}
