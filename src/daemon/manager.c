/* manager.c - owns the tables; knows nothing of what a VM's events mean (vm.c) or of frames (client.c, jailer.c). */
#include "manager.h"

#include <errno.h>
#include <stdlib.h>
#include <uthash.h>

#include "vm.h"

int manager_init(struct manager *manager, int control_fd, int jailer_fd, struct bx_error *err)
{
    *manager = (struct manager){0};
    int rc = bx_loop_init(&manager->loop);
    if (rc != 0)
        return bx_fail_errno(err, -rc, "event loop");
    client_init(&manager->client, manager);
    jailer_init(&manager->jailer, manager);
    rc = client_open(&manager->client, control_fd);
    if (rc == 0)
        rc = jailer_open(&manager->jailer, jailer_fd);
    return rc == 0 ? 0 : bx_fail_errno(err, -rc, "event loop: cannot watch the control socket or the jailer's link");
}

void manager_fini(struct manager *manager)
{
    struct vm *vm, *next;
    HASH_ITER(hh, manager->vms, vm, next)
        manager_remove(manager, vm);
    network_lost(manager);
    client_fini(&manager->client);
    jailer_fini(&manager->jailer);
    bx_loop_fini(&manager->loop);
}

struct vm *manager_find(struct manager *manager, uint32_t id)
{
    struct vm *vm;
    HASH_FIND(hh, manager->vms, &id, sizeof id, vm);
    return vm;
}

static uint32_t next_number(struct manager *manager)
{
    do
        manager->last_vm++;
    while (manager->last_vm == 0 || manager_find(manager, manager->last_vm) != NULL);
    return manager->last_vm;
}

struct vm *manager_add(struct manager *manager)
{
    struct vm *vm = vm_new(manager, next_number(manager));
    if (vm != NULL)
        HASH_ADD(hh, manager->vms, id, sizeof vm->id, vm);
    return vm;
}

void manager_remove(struct manager *manager, struct vm *vm)
{
    network_leave(vm);
    HASH_DEL(manager->vms, vm);
    vm_free(vm);
}

void manager_pause_output(struct manager *manager, bool paused)
{
    struct vm *vm, *next;
    HASH_ITER(hh, manager->vms, vm, next)
        vm_pause_output(vm, paused);
}

void manager_on_jailer_gone(struct manager *manager)
{
    struct vm *vm, *next;
    HASH_ITER(hh, manager->vms, vm, next)
        vm_event(vm, VM_EV_LOST, NULL);
    network_lost(manager);
}
