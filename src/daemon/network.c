/*
 * network.c - questions to the jailer about the network, by tag, and the nets of VMs by number, name and address.
 */
#include "network.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <uthash.h>

#include "common/control.h"
#include "common/mail_wire.h"
#include "manager.h"
#include "peers.h"
#include "vm.h"

struct network_wait {
    UT_hash_handle hh;
    uint32_t tag;
    struct network_question question;
    uint32_t wire_count;
    struct jw_wire wires[]; /* of network_wire: what was counted, for the case that it does not happen */
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
               const struct jw_wire *wires, uint32_t wire_count)
{
    struct network_wait *wait = wait_new(manager, question, wires, wire_count);
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
    return ask(manager, request, question, NULL, 0);
}

/*
 * Adds a wire to the request, and the port of the runtime's messages, both ways, when the two were not wired before, or
 * are not any more. A wire of just that port is among those.
 */
static int add_wire(struct manager *manager, const struct jw_wire *wire, struct jw_wires *wires)
{
    int changed = peers_count(manager, wire);
    if (changed < 0)
        return changed;
    if (wire->protocol != JW_TCP || wire->port != MAIL_PORT)
        wires->wires[wires->count++] = *wire;
    if (changed == 0)
        return 0;
    struct jw_wire mail = {.from = wire->from, .to = wire->to, .port = MAIL_PORT, .protocol = JW_TCP, .on = wire->on};
    wires->wires[wires->count++] = mail;
    mail.from = wire->to;
    mail.to = wire->from;
    wires->wires[wires->count++] = mail;
    return 0;
}

/* What was counted when it was asked for did not happen. */
static void uncount(struct manager *manager, const struct jw_wire *wires, uint32_t count)
{
    while (count-- > 0) {
        struct jw_wire reverse = wires[count];
        reverse.on = !reverse.on;
        peers_count(manager, &reverse);
    }
}

int network_wire(struct manager *manager, const struct jw_wire *wires, uint32_t count,
                 const struct network_question *question)
{
    const struct jw_reply nothing_to_do = {.magic = JW_MAGIC, .type = JW_NET_DONE};
    struct jw_request request = {.magic = JW_MAGIC, .type = JW_WIRES};
    uint32_t counted = 0;
    int rc = count < 1 || count > NETWORK_WIRES_MAX ? -E2BIG : 0;
    for (; rc == 0 && counted < count; counted += rc == 0)
        rc = add_wire(manager, &wires[counted], &request.wires);
    if (rc == 0 && request.wires.count == 0) {
        if (question->done != NULL)
            question->done(manager, question, &nothing_to_do);
        return 0;
    }
    if (rc == 0)
        rc = ask(manager, &request, question, wires, count);
    if (rc != 0)
        uncount(manager, wires, counted);
    return rc;
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
    return found != NULL && peers_know(vm->net, found) ? found->address : 0;
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
    if (reply == NULL || reply->type != JW_NET_DONE)
        uncount(manager, wait->wires, wait->wire_count);
    if (wait->question.done != NULL)
        wait->question.done(manager, &wait->question, reply);
    free(wait);
}

void network_take_reply(struct manager *manager, const struct jw_reply *reply)
{
    struct network_wait *wait;
    HASH_FIND(hh, manager->network.waits, &reply->tag, sizeof reply->tag, wait);
    if (wait == NULL)
        return;
    HASH_DEL(manager->network.waits, wait);
    answer(manager, wait, reply);
}

void network_lost(struct manager *manager)
{
    struct network_wait *wait = manager->network.waits, *next;
    HASH_CLEAR(hh, manager->network.waits);
    for (; wait != NULL; wait = next) {
        next = wait->hh.next;
        answer(manager, wait, NULL);
    }
}

/* ---- nets ---- */

struct network_net *network_find(struct manager *manager, uint32_t number)
{
    struct network_net *net;
    HASH_FIND(hh, manager->network.nets, &number, sizeof number, net);
    return net;
}

void network_place(struct manager *manager, struct network_net *net, uint32_t address)
{
    if (net->address != 0)
        HASH_DELETE(by_address, manager->network.addresses, net);
    net->address = address;
    if (address != 0)
        HASH_ADD(by_address, manager->network.addresses, address, sizeof net->address, net);
}

struct network_net *network_at(struct manager *manager, uint32_t address)
{
    struct network_net *net;
    HASH_FIND(by_address, manager->network.addresses, &address, sizeof address, net);
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
    peers_forget(manager, net);
    network_place(manager, net, 0);
    HASH_DEL(manager->network.nets, net);
    HASH_DELETE(by_name, manager->network.names, net);
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
    network_place(vm->manager, vm->net, vm->spawned.address);
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
        network_place(manager, vm->net, reply->u.net.address);
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
