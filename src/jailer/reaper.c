/*
 * reaper.c - takes the dead and tells bioxend. A VM is dead when the kernel says that its process was reaped,
 * and for nothing less: not for a stop, not for a signal on its way.
 */
#include <errno.h>
#include <unistd.h>

#include "jailer.h"

static void tell(struct vm *vm, const struct sb_death *death)
{
    struct jw_reply reply = {.magic = JW_MAGIC, .type = JW_DEATH, .vm = vm->number};
    reply.u.death = (struct jw_death){
        .wait_code = death->code,
        .wait_status = death->status,
        .cpu_us = death->cpu_us,
        .memory_peak = death->memory_peak,
        .oom_kills = death->oom_kills,
        .cpu_time_hit = vm->cpu_time_hit,
    };
    jailer_reply(vm->jailer, &reply);
}

static void on_dead(struct bx_source *source, uint32_t events)
{
    (void)events;
    struct vm *vm = (struct vm *)source;
    struct jailer *jailer = vm->jailer;
    struct sb_death death;
    if (sb_jail_take(&jailer->host, &vm->jail, &death) != 0)
        return;
    if (!jailer->broken)
        tell(vm, &death); /* first: what is taken apart afterwards takes its time */
    sb_jail_remove(&jailer->host, &vm->jail);
    int mount_ns = vm->jail.mount_ns;
    vm->jail.mount_ns = -1;
    vms_free(vm);
    prepare_after_death(jailer, mount_ns);
    if (jailer->closing && jailer->vm_count == 0)
        bx_loop_stop(&jailer->loop);
}

int reaper_watch(struct vm *vm)
{
    vm->dead.on_ready = on_dead;
    return bx_loop_add(&vm->jailer->loop, &vm->dead, vm->jail.pidfd, EPOLLIN);
}
