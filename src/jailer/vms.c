/* vms.c - the VMs by bioxend's number: a hash table with a fixed number of chains. */
#include <stdlib.h>
#include <unistd.h>

#include "jailer.h"

/* bioxend counts upwards, so that the low bits spread by themselves. */
static struct vm **head_of(struct jailer *jailer, uint32_t number)
{
    return &jailer->heads[number % VMS_HEADS];
}

struct vm *vms_find(const struct jailer *jailer, uint32_t number)
{
    struct vm *vm = jailer->heads[number % VMS_HEADS];
    while (vm != NULL && vm->number != number)
        vm = vm->next;
    return vm;
}

struct vm *vms_new(struct jailer *jailer, uint32_t number)
{
    struct vm *vm = calloc(1, sizeof *vm);
    if (vm == NULL)
        return NULL;
    struct vm **head = head_of(jailer, number);
    vm->dead.fd = -1;
    vm->jailer = jailer;
    vm->number = number;
    vm->jail.pidfd = vm->jail.mount_ns = -1;
    vm->next = *head;
    *head = vm;
    jailer->vm_count++;
    return vm;
}

void vms_free(struct vm *vm)
{
    struct jailer *jailer = vm->jailer;
    struct vm **at = head_of(jailer, vm->number);
    while (*at != vm)
        at = &(*at)->next;
    *at = vm->next;
    jailer->vm_count--;
    timers_stop(vm);
    if (vm->dead.fd >= 0) {
        bx_loop_close(&jailer->loop, &vm->dead);
        vm->jail.pidfd = -1; /* the same descriptor */
    }
    sb_jail_fini(&vm->jail);
    free(vm);
}

void vms_kill_all(struct jailer *jailer)
{
    for (unsigned i = 0; i < VMS_HEADS; i++)
        for (struct vm *vm = jailer->heads[i]; vm != NULL; vm = vm->next)
            sb_jail_kill(&vm->jail);
}
