/*
 * rollout_net.c - nets, wires and behaviour of a topology, asked of the jailer piece by piece. What the jailer did is
 * kept in the fleet; what it refused ends the rollout.
 */
#include <errno.h>
#include <utlist.h>

#include "common/jail_wire.h"
#include "manager.h"
#include "rollout_parts.h"

#define BATCH NETWORK_WIRES_MAX

/* ---- questions and answers ---- */

static struct network_question question_of(const struct rollout *rollout,
                                           void (*done)(struct manager *, const struct network_question *,
                                                        const struct jw_reply *),
                                           uint32_t index)
{
    return (struct network_question){
        .done = done, .vm = index, .request = {.client = rollout->fleet->scope, .id = rollout->serial}};
}

/* Who asked that, if he is still there. */
static struct rollout *find_asker(struct manager *manager, const struct network_question *question)
{
    struct fleet *fleet;
    DL_FOREACH(manager->fleets.list, fleet)
        if (fleet->scope == question->request.client)
            return fleet->rollout != NULL && fleet->rollout->serial == question->request.id ? fleet->rollout : NULL;
    return NULL;
}

/* Returns true when it was done. */
static bool take(struct rollout *rollout, const struct jw_reply *reply)
{
    rollout->asked--;
    if (reply == NULL)
        rollout_fail(rollout, EPIPE, "the jailer ended unexpectedly");
    else if (reply->type == JW_NET_FAILED)
        rollout_fail(rollout, reply->u.failed.code, reply->u.failed.text);
    return reply != NULL && reply->type == JW_NET_DONE;
}

static bool sent(struct rollout *rollout, int rc)
{
    if (rc == 0)
        rollout->asked++;
    else
        rollout_fail(rollout, -rc, rc == -ENOMEM ? "the orchestrator has no memory left" : "the jailer has ended");
    return true;
}

/* ---- nets ---- */

static void on_attached(struct manager *manager, const struct network_question *question, const struct jw_reply *reply)
{
    struct rollout *rollout = find_asker(manager, question);
    if (rollout == NULL)
        return;
    struct network_net *net = network_find(manager, question->vm);
    if (take(rollout, reply) && net != NULL)
        network_place(manager, net, reply->u.net.address);
    rollout_go_on(rollout);
}

uint16_t rollout_low_port(const struct topology_vm *vm)
{
    uint16_t low = 1024;
    for (uint32_t i = 0; i < vm->port_count; i++)
        low = vm->ports[i].port < low ? vm->ports[i].port : low;
    for (uint32_t i = 0; i < vm->publish_count; i++)
        low = vm->publish[i].vm_port < low ? vm->publish[i].vm_port : low;
    return low < 1024 ? low : 0;
}

static bool attach(struct rollout *rollout, struct instance *instance, const struct topology_vm *vm)
{
    struct jw_request request = {.magic = JW_MAGIC, .type = JW_ATTACH, .vm = instance->number};
    struct bx_error err = {0};
    request.attach.low_port = rollout_low_port(vm);
    if (instance_join(instance, &err) != 0) {
        rollout_fail(rollout, err.code, err.text);
        return true;
    }
    if (instance->net->address != 0)
        return false;
    const struct network_question question = question_of(rollout, on_attached, instance->number);
    instance->net_made = true;
    return sent(rollout, network_ask(rollout->fleet->manager, &request, &question));
}

bool rollout_attach_next(struct rollout *rollout)
{
    const struct topology *topology = rollout->bundle->topology;
    while (rollout->at < topology->instance_count) {
        uint32_t index = rollout->at++;
        const struct topology_vm *vm = &topology->vms[topology->instances[index].vm];
        if (vm->networked && attach(rollout, rollout_target(rollout, index), vm))
            return true;
    }
    return false;
}

/* ---- wires ---- */

static struct plan_link added_link(const struct rollout *rollout, uint32_t index)
{
    struct plan_link link = rollout->plan->added[index];
    link.from = rollout->targets[link.from];
    link.to = rollout->targets[link.to];
    return link;
}

static struct plan_link removed_link(const struct rollout *rollout, uint32_t index)
{
    struct plan_link link = rollout->plan->removed[index];
    link.from = rollout->present[link.from];
    link.to = rollout->present[link.to];
    return link;
}

static const char *name_of(const struct rollout *rollout, uint32_t number)
{
    const struct instance *instance = instance_find(rollout->fleet->manager, number);
    return instance != NULL ? instance->name : NULL;
}

/* Of a topology that comes nobody wants to hear of each wire. */
static void keep(const struct rollout *rollout, const struct plan_link *link, bool on)
{
    struct answer event;
    fleet_set_wire(rollout->fleet, link, on); /* without memory it is forgotten, and stays until its VM goes */
    if (rollout->fresh)
        return;
    feed_begin(&event, "wire", rollout->fleet, NULL, 5);
    answer_put_text(&event, "from", name_of(rollout, link->from));
    answer_put_text(&event, "to", name_of(rollout, link->to));
    answer_put_number(&event, "port", link->port);
    answer_put_text(&event, "proto", link->udp ? "udp" : "tcp");
    answer_put_bool(&event, "on", on);
    feed_end(&event, rollout->fleet);
}

static struct jw_wire wire_of(const struct plan_link *link, bool on)
{
    return (struct jw_wire){link->from, link->to, link->port, link->udp ? JW_UDP : JW_TCP, on};
}

static void on_wired(struct manager *manager, const struct network_question *question, const struct jw_reply *reply)
{
    struct rollout *rollout = find_asker(manager, question);
    if (rollout == NULL)
        return;
    bool done = take(rollout, reply);
    for (uint32_t i = question->vm; done && i < question->vm + BATCH && i < rollout->plan->added_count; i++) {
        struct plan_link link = added_link(rollout, i);
        keep(rollout, &link, true);
    }
    rollout_go_on(rollout);
}

bool rollout_wire_next(struct rollout *rollout)
{
    struct jw_wire wires[BATCH];
    uint32_t first = rollout->at, count = 0;
    for (; count < BATCH && rollout->at < rollout->plan->added_count; count++) {
        struct plan_link link = added_link(rollout, rollout->at++);
        wires[count] = wire_of(&link, true);
    }
    if (count == 0)
        return false;
    const struct network_question question = question_of(rollout, on_wired, first);
    return sent(rollout, network_wire(rollout->fleet->manager, wires, count, &question));
}

static void on_unwired(struct manager *manager, const struct network_question *question, const struct jw_reply *reply)
{
    struct rollout *rollout = find_asker(manager, question);
    if (rollout == NULL)
        return;
    bool done = take(rollout, reply);
    for (uint32_t i = question->vm; done && i < question->vm + BATCH && i < rollout->plan->removed_count; i++) {
        struct plan_link link = removed_link(rollout, i);
        keep(rollout, &link, false);
    }
    rollout_go_on(rollout);
}

bool rollout_unwire_next(struct rollout *rollout)
{
    struct jw_wire wires[BATCH];
    uint32_t first = rollout->at, count = 0;
    for (; count < BATCH && rollout->at < rollout->plan->removed_count; count++) {
        struct plan_link link = removed_link(rollout, rollout->at++);
        wires[count] = wire_of(&link, false);
    }
    if (count == 0)
        return false;
    const struct network_question question = question_of(rollout, on_unwired, first);
    return sent(rollout, network_wire(rollout->fleet->manager, wires, count, &question));
}

/* ---- how they behave ---- */

static struct plan_way way_of(const struct rollout *rollout, uint32_t index, bool before)
{
    struct plan_way way = rollout->plan->ways[index];
    way.from = rollout->targets[way.from];
    way.to = rollout->targets[way.to];
    if (before)
        way.behaviour = way.before;
    return way;
}

static void keep_way(const struct rollout *rollout, const struct plan_way *way)
{
    struct answer event;
    fleet_set_way(rollout->fleet, way);
    if (rollout->fresh)
        return;
    feed_begin(&event, "shape", rollout->fleet, NULL, 6);
    answer_put_text(&event, "from", name_of(rollout, way->from));
    answer_put_text(&event, "to", name_of(rollout, way->to));
    answer_put_number(&event, "rate", way->behaviour.rate);
    answer_put_number(&event, "delay_us", way->behaviour.delay_us);
    answer_put_number(&event, "jitter_us", way->behaviour.jitter_us);
    answer_put_number(&event, "loss_ppm", way->behaviour.loss_ppm);
    feed_end(&event, rollout->fleet);
}

static void on_shaped(struct manager *manager, const struct network_question *question, const struct jw_reply *reply)
{
    struct rollout *rollout = find_asker(manager, question);
    if (rollout == NULL)
        return;
    struct plan_way way = way_of(rollout, question->vm, rollout->phase == ROLLOUT_REWIRE);
    if (take(rollout, reply))
        keep_way(rollout, &way);
    rollout_go_on(rollout);
}

static bool shape(struct rollout *rollout, uint32_t index, bool before)
{
    struct plan_way way = way_of(rollout, index, before);
    struct jw_request request = {.magic = JW_MAGIC, .type = JW_SHAPE};
    request.shape = (struct jw_shape){
        .from = way.from,
        .to = way.to,
        .rate = way.behaviour.rate,
        .delay_us = way.behaviour.delay_us,
        .jitter_us = way.behaviour.jitter_us,
        .loss_ppm = way.behaviour.loss_ppm,
    };
    const struct network_question question = question_of(rollout, on_shaped, index);
    return sent(rollout, network_ask(rollout->fleet->manager, &request, &question));
}

bool rollout_shape_next(struct rollout *rollout)
{
    return rollout->at < rollout->plan->way_count && shape(rollout, rollout->at++, false);
}

/* ---- back to what was ---- */

static void on_rewired(struct manager *manager, const struct network_question *question, const struct jw_reply *reply)
{
    struct rollout *rollout = find_asker(manager, question);
    if (rollout == NULL)
        return;
    bool on = question->vm >= rollout->plan->added_count;
    struct plan_link link = on ? removed_link(rollout, question->vm - rollout->plan->added_count)
                               : added_link(rollout, question->vm);
    if (take(rollout, reply))
        keep(rollout, &link, on);
    rollout_go_on(rollout);
}

/* Both VMs were there before and are. */
static bool stays(const struct rollout *rollout, uint32_t from, uint32_t to)
{
    return network_find(rollout->fleet->manager, from) != NULL && network_find(rollout->fleet->manager, to) != NULL;
}

static bool rewire(struct rollout *rollout, uint32_t index, const struct plan_link *link, bool on)
{
    struct fleet_wire *known;
    struct plan_link key = {.from = link->from, .to = link->to, .port = link->port, .udp = link->udp};
    /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): it does not see bytes of a struct */
    HASH_FIND(hh, rollout->fleet->wires, &key, sizeof key, known);
    if ((known != NULL) == on || !stays(rollout, link->from, link->to))
        return false;
    struct jw_wire wire = wire_of(link, on);
    const struct network_question question = question_of(rollout, on_rewired, index);
    return sent(rollout, network_wire(rollout->fleet->manager, &wire, 1, &question));
}

static bool reshape(struct rollout *rollout, uint32_t index)
{
    struct plan_way way = way_of(rollout, index, true);
    return stays(rollout, way.from, way.to) && shape(rollout, index, true);
}

bool rollout_rewire_next(struct rollout *rollout)
{
    const struct plan *plan = rollout->plan;
    uint32_t links = plan->added_count + plan->removed_count;
    while (rollout->at < links + plan->way_count) {
        uint32_t index = rollout->at++;
        bool on = index >= plan->added_count;
        struct plan_link link = {0};
        if (index < links)
            link = on ? removed_link(rollout, index - plan->added_count) : added_link(rollout, index);
        if (index < links ? rewire(rollout, index, &link, on) : reshape(rollout, index - links))
            return true;
    }
    return false;
}
