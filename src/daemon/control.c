/* control.c - the table of verbs. Form first (else the connection ends), then sense (else the request is refused). */
#include "control.h"

#include <errno.h>
#include <string.h>

#include "common/codec.h"
#include "common/vm_spec.h"
#include "attach.h"
#include "check.h"
#include "client.h"
#include "control_topology.h"
#include "grace.h"
#include "manager.h"
#include "stats.h"
#include "vm.h"

struct request {
    struct client *client;
    const struct ctl_head *head;
    const char *body;
    int *fds;
    unsigned fd_count;
};

static void refuse(const struct request *request, const struct bx_error *err)
{
    client_send_note(request->client, CTL_ERROR, request->head->id, 0, (uint32_t)err->code, err->text,
                     strlen(err->text));
}

static struct client_request later(const struct request *request)
{
    return (struct client_request){request->client->number, request->head->id};
}

static int decode_spec(const struct request *request, struct vm_spec *spec)
{
    msgpack_unpacked unpacked;
    int rc = bx_unpack(&unpacked, request->body, request->head->length);
    if (rc != 0)
        return rc;
    rc = vm_spec_unpack(&unpacked.data, spec);
    msgpack_unpacked_destroy(&unpacked);
    return rc;
}

static int start_vm(const struct request *request, const struct vm_spec *spec, struct bx_error *err)
{
    int rc = vm_spec_check(spec, err);
    if (rc != 0)
        return rc;
    struct vm *vm = manager_add(request->client->manager, request->client);
    if (vm == NULL)
        return bx_fail_errno(err, ENOMEM, "VM '%s'", spec->name);
    rc = vm_start(vm, spec, request->head->id, request->fds[0], request->fds + 1, err);
    if (rc != 0)
        manager_remove(request->client->manager, vm);
    return rc;
}

static int handle_create(const struct request *request)
{
    struct vm_spec spec;
    if (decode_spec(request, &spec) != 0 || request->fd_count != 1 + spec.mount_count)
        return -EBADMSG;
    struct bx_error err = {0};
    if (start_vm(request, &spec, &err) != 0)
        refuse(request, &err);
    return 0;
}

/* The VM of a note, or NULL: it may have died while the request was under way, which is nobody's fault. */
static struct vm *find_vm(const struct request *request, const struct ctl_note *note)
{
    return manager_find(request->client->manager, note->vm);
}

static int handle_kill(const struct request *request)
{
    struct ctl_note note;
    if (ctl_decode_note(request->body, request->head->length, &note) != 0 || request->fd_count != 0)
        return -EBADMSG;
    struct vm *vm = find_vm(request, &note);
    if (vm != NULL)
        vm_kill(vm, VM_KILL_ASKED, note.number);
    return 0;
}

static int handle_module(const struct request *request)
{
    struct ctl_note note;
    if (ctl_decode_note(request->body, request->head->length, &note) != 0 || request->fd_count != 1)
        return -EBADMSG;
    struct vm *vm = find_vm(request, &note);
    if (vm != NULL && vm->client == request->client)
        vm_answer_module(vm, request->fds[0], note.text, note.length);
    return 0;
}

static int handle_no_module(const struct request *request)
{
    struct ctl_note note;
    if (ctl_decode_note(request->body, request->head->length, &note) != 0 || request->fd_count != 0)
        return -EBADMSG;
    struct vm *vm = find_vm(request, &note);
    if (vm != NULL && vm->client == request->client)
        vm_answer_module(vm, -1, note.text, note.length);
    return 0;
}

/* A VM that runs or is ending; else NULL, and the request is refused. */
static struct vm *find_living(const struct request *request, struct ctl_note *note, int *rc)
{
    *rc = 0;
    if (ctl_decode_note(request->body, request->head->length, note) != 0 || request->fd_count != 0) {
        *rc = -EBADMSG;
        return NULL;
    }
    struct vm *vm = find_vm(request, note);
    if (vm != NULL && vm->state != VM_SPAWNING && vm->state != VM_RESTING)
        return vm;
    struct bx_error err = {0};
    bx_fail(&err, ESRCH, "there is no VM %u, or no longer", note->vm);
    refuse(request, &err);
    return NULL;
}

static int handle_attach(const struct request *request)
{
    struct ctl_note note;
    struct bx_error err = {0};
    int rc;
    struct vm *vm = find_living(request, &note, &rc);
    if (vm != NULL && attach_client(vm, request->client, request->head->id, &err) != 0)
        refuse(request, &err);
    return rc;
}

static int handle_stats(const struct request *request)
{
    struct ctl_note note;
    struct bx_error err = {0};
    int rc;
    struct vm *vm = find_living(request, &note, &rc);
    if (vm != NULL && stats_ask(vm, later(request), &err) != 0)
        refuse(request, &err);
    return rc;
}

static int handle_network(const struct request *request)
{
    struct ctl_note note;
    struct bx_error err = {0};
    int rc;
    struct vm *vm = find_living(request, &note, &rc);
    if (vm != NULL && network_connect(vm, later(request), &err) != 0)
        refuse(request, &err);
    return rc;
}

static int handle_interrupt(const struct request *request)
{
    struct ctl_interrupt interrupt;
    if (ctl_decode_interrupt(request->body, request->head->length, &interrupt) != 0 || request->fd_count != 0)
        return -EBADMSG;
    struct vm *vm = manager_find(request->client->manager, interrupt.vm);
    if (vm != NULL)
        grace_interrupt(vm, &interrupt);
    return 0;
}

static int handle_stop(const struct request *request)
{
    struct ctl_note note;
    if (ctl_decode_note(request->body, request->head->length, &note) != 0 || request->fd_count != 0)
        return -EBADMSG;
    struct vm *vm = find_vm(request, &note);
    if (vm != NULL)
        vm_stop(vm, note.number);
    return 0;
}

static int handle_check(const struct request *request)
{
    struct ctl_note note;
    struct bx_error err = {0};
    if (ctl_decode_note(request->body, request->head->length, &note) != 0 || request->fd_count != 1)
        return -EBADMSG;
    if (check_file(request->client, request->head->id, request->fds[0], &note, &err) != 0)
        refuse(request, &err);
    return 0;
}

/* The socket is taken. */
static int handle_listen(const struct request *request)
{
    struct ctl_note note;
    struct bx_error err = {0};
    if (ctl_decode_note(request->body, request->head->length, &note) != 0 || request->fd_count != 1)
        return -EBADMSG;
    if (request->client->number != CLIENT_OWNER)
        return -EBADMSG;
    if (listener_open(&request->client->manager->listener, &request->fds[0], &err) != 0)
        refuse(request, &err);
    else
        client_send_note(request->client, CTL_DONE, request->head->id, 0, 0, "", 0);
    return 0;
}

static int (*const handlers[])(const struct request *) = {
    [CTL_CREATE] = handle_create,
    [CTL_KILL] = handle_kill,
    [CTL_MODULE] = handle_module,
    [CTL_NO_MODULE] = handle_no_module,
    [CTL_ATTACH] = handle_attach,
    [CTL_INTERRUPT] = handle_interrupt,
    [CTL_STOP] = handle_stop,
    [CTL_STATS] = handle_stats,
    [CTL_CHECK] = handle_check,
    [CTL_NETWORK] = handle_network,
    [CTL_LISTEN] = handle_listen,
};

int control_handle(struct client *client, const struct ctl_head *head, const char *body, int *fds, unsigned fd_count)
{
    const struct request request = {client, head, body, fds, fd_count};
    if (head->type >= CTL_UP)
        return control_topology(client, head, body, fds, fd_count);
    if (head->type >= sizeof handlers / sizeof *handlers || handlers[head->type] == NULL)
        return -EBADMSG;
    return handlers[head->type](&request);
}
