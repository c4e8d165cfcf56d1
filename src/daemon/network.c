/*
 * network.c - questions to the jailer about the network, by tag, and the names that VMs have for each other. A name
 * that a VM may not reach is answered as one that does not exist.
 */
#include "network.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <uthash.h>

#include "common/control.h"
#include "manager.h"
#include "vm.h"

struct network_wait {
    UT_hash_handle hh;
    uint32_t tag;
    struct network_question question;
    uint32_t wire_count;
    struct jw_wire wires[]; /* of JW_WIRES: what will be the case when it is done */
};

/* ---- questions ---- */

static struct network_wait *wait_new(struct manager *manager, const struct network_question *question,
                                     const struct jw_wire *wires, uint32_t count)
{
    struct network *network = &manager->network;
    struct network_wait *wait = calloc(1, sizeof *wait + count * sizeof *wires), *other;
    if (wait == NULL)
        return NULL;
    wait->question = *question;
    wait->wire_count = count;
    if (count > 0)
        memcpy(wait->wires, wires, count * sizeof *wires);
    do {
        wait->tag = ++network->last_tag;
        HASH_FIND(hh, network->waits, &wait->tag, sizeof wait->tag, other);
    } while (wait->tag == 0 || other != NULL);
    HASH_ADD(hh, network->waits, tag, sizeof wait->tag, wait);
    return wait;
}

static int ask(struct manager *manager, struct jw_request *request, const struct network_question *question,
               uint32_t wire_count)
{
    struct network_wait *wait = wait_new(manager, question, request->wires.wires, wire_count);
    if (wait == NULL)
        return -ENOMEM;
    request->tag = wait->tag;
    int rc = jailer_send(&manager->jailer, request, NULL, 0);
    if (rc != 0) {
        HASH_DEL(manager->network.waits, wait);
        free(wait);
    }
    return rc;
}

int network_ask(struct manager *manager, struct jw_request *request, const struct network_question *question)
{
    return ask(manager, request, question, 0);
}

int network_wire(struct manager *manager, const struct jw_wire *wires, uint32_t count,
                 const struct network_question *question)
{
    struct jw_request request = {.magic = JW_MAGIC, .type = JW_WIRES};
    if (count < 1 || count > JW_WIRES_MAX)
        return -E2BIG;
    request.wires.count = count;
    memcpy(request.wires.wires, wires, count * sizeof *wires);
    return ask(manager, &request, question, count);
}

/* ---- peers: to whom a VM may begin to talk ---- */

static void count_wire(struct manager *manager, const struct jw_wire *wire)
{
    struct network_net *from = network_find(manager, wire->from);
    struct network_peer *peer;
    if (from == NULL)
        return;
    HASH_FIND(hh, from->peers, &wire->to, sizeof wire->to, peer);
    if (peer == NULL && wire->on) {
        peer = calloc(1, sizeof *peer);
        if (peer == NULL)
            return; /* the wire works; it has no name */
        peer->net = wire->to;
        HASH_ADD(hh, from->peers, net, sizeof peer->net, peer);
    }
    if (peer == NULL)
        return;
    peer->wires += wire->on ? 1 : -1;
    if (peer->wires <= 0) {
        HASH_DEL(from->peers, peer);
        free(peer);
    }
}

static void forget_peers(struct network_net *net)
{
    struct network_peer *peer, *next;
    HASH_ITER(hh, net->peers, peer, next) {
        HASH_DEL(net->peers, peer);
        free(peer);
    }
}

static bool may_reach(const struct network_net *from, const struct network_net *to)
{
    struct network_peer *peer;
    if (from == to || (from->group != 0 && from->group == to->group))
        return true;
    HASH_FIND(hh, from->peers, &to->number, sizeof to->number, peer);
    return peer != NULL;
}

/* As a key of network.names, without a byte that does not count. */
static void scoped_name(uint32_t scope, const char *name, uint32_t length, struct network_name *out)
{
    memset(out, 0, sizeof *out);
    out->scope = scope;
    memcpy(out->name, name, length);
}

static struct network_net *find_name(const struct manager *manager, uint32_t scope, const char *name, uint32_t length)
{
    struct network_name key;
    struct network_net *found;
    if (length > BX_NAME_MAX)
        return NULL;
    scoped_name(scope, name, length, &key);
    HASH_FIND(by_name, manager->network.names, &key, sizeof key, found);
    return found;
}

uint32_t network_address(const struct vm *vm, const char *name, uint32_t length)
{
    if (vm->net == NULL)
        return 0;
    struct network_net *found = find_name(vm->manager, vm->net->name.scope, name, length);
    return found != NULL && may_reach(vm->net, found) ? found->address : 0;
}

int network_take_ready(struct vm *vm, uint64_t port)
{
    if (port > UINT16_MAX)
        return -EBADMSG;
    if (vm->manager->network.on_ready != NULL)
        vm->manager->network.on_ready(vm, (uint16_t)port);
    return 0;
}

/* ---- answers ---- */

static void answer(struct manager *manager, struct network_wait *wait, const struct jw_reply *reply)
{
    HASH_DEL(manager->network.waits, wait);
    for (uint32_t i = 0; reply != NULL && reply->type == JW_NET_DONE && i < wait->wire_count; i++)
        count_wire(manager, &wait->wires[i]);
    if (wait->question.done != NULL)
        wait->question.done(manager, &wait->question, reply);
    free(wait);
}

void network_take_reply(struct manager *manager, const struct jw_reply *reply)
{
    struct network_wait *wait;
    HASH_FIND(hh, manager->network.waits, &reply->tag, sizeof reply->tag, wait);
    if (wait != NULL)
        answer(manager, wait, reply);
}

void network_lost(struct manager *manager)
{
    struct network_wait *wait, *next;
    HASH_ITER(hh, manager->network.waits, wait, next)
        answer(manager, wait, NULL);
}

/* ---- nets ---- */

struct network_net *network_find(struct manager *manager, uint32_t number)
{
    struct network_net *net;
    HASH_FIND(hh, manager->network.nets, &number, sizeof number, net);
    return net;
}

int network_add(struct manager *manager, uint32_t scope, uint32_t number, const char *name, struct network_net **out,
                struct bx_error *err)
{
    uint32_t length = (uint32_t)strlen(name);
    if (find_name(manager, scope, name, length) != NULL)
        return bx_fail(err, EEXIST, "there is a VM '%s' in the private network already", name);
    struct network_net *net = calloc(1, sizeof *net);
    if (net == NULL)
        return bx_fail_errno(err, ENOMEM, "the network of VM '%s'", name);
    net->number = number;
    scoped_name(scope, name, length, &net->name);
    HASH_ADD(hh, manager->network.nets, number, sizeof net->number, net);
    HASH_ADD(by_name, manager->network.names, name, sizeof net->name, net);
    *out = net;
    return 0;
}

void network_drop(struct manager *manager, struct network_net *net, bool made)
{
    struct jw_request request = {.magic = JW_MAGIC, .type = JW_DROP, .vm = net->number};
    HASH_DEL(manager->network.nets, net);
    HASH_DELETE(by_name, manager->network.names, net);
    forget_peers(net);
    free(net);
    if (made)
        network_ask(manager, &request, &(struct network_question){0});
}

/* ---- a VM's net ---- */

int network_enter(struct vm *vm, struct bx_error *err)
{
    if (vm->spec.network == VM_NETWORK_NONE || vm->net != NULL)
        return 0;
    vm->owns_net = true;
    return network_add(vm->manager, vm->scope, vm->id, vm->spec.name, &vm->net, err);
}

int network_close_socket(const struct vm *vm, int fd)
{
    const struct sockaddr any = {.sa_family = AF_UNIX};
    return vm->net == NULL || bind(fd, &any, sizeof any.sa_family) == 0 ? 0 : -errno;
}

void network_fill(const struct vm *vm, struct jw_spawn *spawn)
{
    if (vm->net == NULL)
        return;
    spawn->net = vm->net->number;
    spawn->attach = vm->spec.network != VM_NETWORK_LATE;
    spawn->group = vm->spec.network == VM_NETWORK_SHARED ? vm->scope : 0;
}

void network_spawned(struct vm *vm)
{
    if (vm->net == NULL)
        return;
    vm->net->address = vm->spawned.address;
    if (vm->spec.network == VM_NETWORK_SHARED)
        vm->net->group = vm->scope;
}

/* A VM that was never made has no net at the jailer's; and if that is gone, there is nobody to be asked. */
void network_leave(struct vm *vm)
{
    if (vm->net != NULL && vm->owns_net)
        network_drop(vm->manager, vm->net, vm->spawned.pid != 0 && !vm->lost);
    vm->net = NULL;
}

static void on_connected(struct manager *manager, const struct network_question *question, const struct jw_reply *reply)
{
    struct vm *vm = manager_find(manager, question->vm);
    struct client *client = manager_client(manager, question->request.client);
    const char *why = "the VM has ended";
    uint32_t code = ESRCH;
    if (reply != NULL && reply->type == JW_NET_FAILED) {
        code = (uint32_t)reply->u.failed.code;
        why = reply->u.failed.text;
    } else if (reply != NULL && vm != NULL) {
        vm->net->address = reply->u.net.address;
        vm->net->group = vm->scope;
        client_send_note(client, CTL_NETWORKED, question->request.id, vm->id, vm->net->address, "", 0);
        return;
    }
    client_send_note(client, CTL_ERROR, question->request.id, 0, code, why, strlen(why));
}

int network_connect(struct vm *vm, struct client_request asked, struct bx_error *err)
{
    if (vm->net == NULL)
        return bx_fail(err, EINVAL, "VM '%s' was made without a network", vm->spec.name);
    if (vm->net->address != 0) {
        client_send_note(manager_client(vm->manager, asked.client), CTL_NETWORKED, asked.id, vm->id, vm->net->address,
                         "", 0);
        return 0;
    }
    struct jw_request request = {.magic = JW_MAGIC, .type = JW_ATTACH, .vm = vm->id, .attach.group = vm->scope};
    const struct network_question question = {.done = on_connected, .vm = vm->id, .request = asked};
    int rc = network_ask(vm->manager, &request, &question);
    return rc == 0 ? 0 : bx_fail_errno(err, -rc, "cannot connect VM '%s' to the private network", vm->spec.name);
}
