/*
 * fabric_requests.c - bioxend's requests about the network. Each was checked for its form by jw_request_check; here it
 * is checked against what there is, done, and answered.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "jailer.h"

static void answer(struct jailer *jailer, const struct jw_request *request, int rc, const struct sb_error *err,
                   uint32_t address)
{
    struct jw_reply reply = {
        .magic = JW_MAGIC, .type = rc == 0 ? JW_NET_DONE : JW_NET_FAILED, .vm = request->vm, .tag = request->tag};
    if (rc == 0) {
        reply.u.net.address = address;
    } else {
        reply.u.failed.code = err->code;
        snprintf(reply.u.failed.text, sizeof reply.u.failed.text, "%s", err->text);
    }
    jailer_reply(jailer, &reply);
}

/* The net of that number; one is made when there is none: of the namespace that waits for the next VM. */
struct net *nets_get(struct jailer *jailer, uint32_t number, struct sb_error *err)
{
    struct net *net = fabric_find(&jailer->fabric, number);
    if (net != NULL)
        return net;
    if (jailer->net_count >= jailer->policy.vms_max) {
        fabric_fail(err, EMFILE, "too many networks for the limit of open files (ulimit -n)");
        return NULL;
    }
    if (!jailer->net_ready && sb_host_new_net(err) != 0)
        return NULL;
    jailer->net_ready = true;
    net = fabric_new(&jailer->fabric, &jailer->host, number, err);
    if (net == NULL)
        return NULL;
    jailer->net_ready = false;
    jailer->inside = net;
    jailer->net_count++;
    return net;
}

/* Goes where the next VM is to be born. `back` is -1 when that is where this process is. */
int nets_enter(struct jailer *jailer, const struct net *net, int *back, struct sb_error *err)
{
    *back = -1;
    return jailer->inside == net ? 0 : fabric_visit(&jailer->host, net, back, err);
}

void nets_drop(struct jailer *jailer, struct net *net)
{
    struct sb_error ignored;
    if (jailer->inside == net) {
        /* Whoever stands in it keeps it. In the worst case it goes when the next namespace is made. */
        if (jailer->fabric.ns >= 0)
            sb_host_enter_net(jailer->fabric.ns, &ignored);
        jailer->inside = NULL;
    }
    fabric_drop(&jailer->fabric, net);
    jailer->net_count--;
}

static int attach(struct jailer *jailer, const struct jw_request *request, uint32_t *address, struct sb_error *err)
{
    bool fresh = fabric_find(&jailer->fabric, request->vm) == NULL;
    struct net *net = nets_get(jailer, request->vm, err);
    if (net == NULL)
        return -err->code;
    if (net->slot == 0)
        net->low_port = request->attach.low_port;
    int rc = fabric_attach(&jailer->fabric, &jailer->host, net, request->attach.group, err);
    if (rc == 0)
        *address = fabric_address(net);
    else if (fresh)
        nets_drop(jailer, net);
    return rc;
}

static int serve(struct jailer *jailer, const struct jw_request *request, uint32_t *address, struct sb_error *err)
{
    struct net *net;
    switch (request->type) {
    case JW_ATTACH: return attach(jailer, request, address, err);
    case JW_WIRES: return fabric_wire(&jailer->fabric, &request->wires, err);
    case JW_SHAPE: return fabric_shape(&jailer->fabric, &request->shape, err);
    default:
        net = fabric_find(&jailer->fabric, request->vm);
        if (net == NULL)
            return fabric_fail(err, ENOENT, "there is no network of that number");
        nets_drop(jailer, net);
        return 0;
    }
}

void handle_net(struct jailer *jailer, const struct jw_request *request, const int *fds)
{
    (void)fds;
    struct sb_error err = jailer->start_error;
    uint32_t address = 0;
    if (jailer->closing && err.code == 0)
        fabric_fail(&err, ESHUTDOWN, "the jailer is shutting down");
    int rc = err.code != 0 ? -err.code : serve(jailer, request, &address, &err);
    answer(jailer, request, rc, &err, address);
}
