/* manager.c - owns the tables; knows nothing of what a VM's events mean (vm.c) or of frames (client.c, jailer.c). */
#include "manager.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <uthash.h>

#include "vm.h"

static void on_sweep(struct bx_source *source, uint32_t events)
{
    (void)events;
    struct manager *manager = (struct manager *)((char *)source - offsetof(struct manager, sweep));
    bx_loop_close(&manager->loop, source);
    manager_sweep_clients(manager);
}

int manager_init(struct manager *manager, int control_fd, int jailer_fd, struct bx_error *err)
{
    *manager = (struct manager){0};
    int rc = bx_loop_init(&manager->loop);
    if (rc != 0)
        return bx_fail_errno(err, -rc, "event loop");
    manager->user = getuid();
    jailer_init(&manager->jailer, manager);
    listener_init(&manager->listener, manager);
    fleets_init(manager);
    manager->sweep = (struct bx_source){-1, on_sweep};
    rc = manager_add_client(manager, control_fd);
    if (rc == 0)
        rc = jailer_open(&manager->jailer, jailer_fd);
    return rc == 0 ? 0 : bx_fail_errno(err, -rc, "event loop: cannot watch the control socket or the jailer's link");
}

void manager_fini(struct manager *manager)
{
    struct vm *vm, *next;
    struct client *client, *next_client;
    listener_fini(&manager->listener);
    HASH_ITER(hh, manager->vms, vm, next)
        manager_remove(manager, vm);
    fleets_fini(manager);
    network_lost(manager);
    HASH_ITER(hh, manager->clients, client, next_client) {
        HASH_DEL(manager->clients, client);
        client_free(client);
    }
    bx_loop_close(&manager->loop, &manager->sweep);
    jailer_fini(&manager->jailer);
    bx_loop_fini(&manager->loop);
}

struct vm *manager_find(struct manager *manager, uint32_t id)
{
    struct vm *vm;
    HASH_FIND(hh, manager->vms, &id, sizeof id, vm);
    return vm;
}

uint32_t manager_next_number(struct manager *manager)
{
    do
        manager->last_vm++;
    while (manager->last_vm == 0 || manager_find(manager, manager->last_vm) != NULL ||
           instance_find(manager, manager->last_vm) != NULL);
    return manager->last_vm;
}

struct vm *manager_add_at(struct manager *manager, uint32_t number)
{
    struct vm *vm = vm_new(manager, number);
    if (vm != NULL)
        HASH_ADD(hh, manager->vms, id, sizeof vm->id, vm);
    return vm;
}

struct vm *manager_add(struct manager *manager, struct client *client)
{
    struct vm *vm = manager_add_at(manager, manager_next_number(manager));
    if (vm == NULL)
        return NULL;
    vm->client = client;
    vm->scope = client != NULL ? client->number : 0;
    return vm;
}

void manager_remove(struct manager *manager, struct vm *vm)
{
    network_leave(vm);
    HASH_DEL(manager->vms, vm); /* NOLINT(clang-analyzer-core.NullDereference): it does not follow uthash */
    vm_free(vm);
}

/* ---- clients ---- */

uint32_t manager_next_scope(struct manager *manager)
{
    return ++manager->last_scope;
}

int manager_add_client(struct manager *manager, int fd)
{
    struct client *client = client_new(manager, manager_next_scope(manager), fd);
    if (client == NULL)
        return -ENOMEM;
    HASH_ADD(hh, manager->clients, number, sizeof client->number, client);
    return 0;
}

struct client *manager_client(struct manager *manager, uint32_t number)
{
    struct client *client;
    HASH_FIND(hh, manager->clients, &number, sizeof number, client);
    return client;
}

/* In whose name something waited to be read: it need not wait any more. */
void manager_on_client_gone(struct manager *manager, struct client *client)
{
    struct vm *vm, *next;
    HASH_ITER(hh, manager->vms, vm, next) {
        if (vm->client != client)
            continue;
        vm->client = NULL;
        vm_pause_output(vm, false);
        vm_kill(vm, VM_KILL_ASKED, SIGKILL);
    }
    bx_loop_later(&manager->loop, &manager->sweep); /* not now: whoever was writing to it still looks at it */
}

void manager_sweep_clients(struct manager *manager)
{
    struct client *client, *next;
    HASH_ITER(hh, manager->clients, client, next) {
        if (client->source.fd >= 0 || client->number == CLIENT_OWNER)
            continue;
        fleets_forget_client(client);
        HASH_DEL(manager->clients, client); /* NOLINT(clang-analyzer-core.NullDereference): as above */
        client_free(client);
    }
}

void manager_pause_output(struct client *client, bool paused)
{
    struct vm *vm, *next;
    HASH_ITER(hh, client->manager->vms, vm, next)
        if (vm->client == client)
            vm_pause_output(vm, paused);
}

/* ---- the jailer ---- */

void manager_on_jailer_gone(struct manager *manager)
{
    static const char why[] = "the jailer ended unexpectedly, and every VM with it";
    struct vm *vm, *next;
    HASH_ITER(hh, manager->vms, vm, next)
        vm_event(vm, VM_EV_LOST, NULL);
    network_lost(manager);
    if (manager->listener.source.fd >= 0) /* a daemon that can start nothing any more: its owner ends it */
        client_send_note(manager_client(manager, CLIENT_OWNER), CTL_ERROR, 0, 0, EPIPE, why, sizeof why - 1);
}
