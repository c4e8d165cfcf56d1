/*
 * topology_wires.c - who may connect to whom: client, p2p and wires become wires, and wires become links between
 * instances. A link that several wires speak of behaves as the most particular of them says.
 */
#include <string.h>

#include "topology_parts.h"

/* Wires before replicas are expanded; more than this come only of a file that was made to have them. */
#define WIRES_MAX 100000

/* Published ports of one topology: each is a socket of the host. */
#define PUBLISH_MAX 1000

static struct diags *diags_of(struct builder *builder)
{
    return &builder->topology->diags;
}

static struct arena *arena_of(struct builder *builder)
{
    return &builder->topology->arena;
}

/* ---- collecting ---- */

/* Returns false when there are too many, which is told once. */
static bool add_wire(struct builder *builder, const struct topology_wire *wire)
{
    struct topology *topology = builder->topology;
    if (topology->wire_count == WIRES_MAX) {
        diag_error(&topology->diags, wire->mark, NULL, "more than %d wires", WIRES_MAX);
        return false;
    }
    topology->wires = arena_room(arena_of(builder), topology->wires, topology->wire_count, sizeof *topology->wires);
    topology->wires[topology->wire_count++] = *wire;
    return true;
}

/* Is the other end of a wire its own beginning, and nothing else? */
static bool is_itself(const struct topology *topology, struct topology_peer a, struct topology_peer b)
{
    if (a.vm != b.vm)
        return false;
    return topology->vms[a.vm].replicas < 2 || (a.replica != 0 && a.replica == b.replica);
}

static bool refuse_itself(struct builder *builder, const struct topology_wire *wire, const char *what)
{
    if (!is_itself(builder->topology, wire->from, wire->to))
        return false;
    diag_error(diags_of(builder), wire->mark, "a VM reaches itself without", "%s: '%s' would be wired to itself", what,
               topology_peer_name(builder->topology, wire->to));
    return true;
}

static const char *list_ports(struct arena *arena, const struct topology_vm *vm)
{
    const char *text = "";
    for (uint32_t i = 0; i < vm->port_count && i < 8; i++)
        text =
            arena_format(arena, "%s%s%u%s", text, i > 0 ? ", " : "", vm->ports[i].port, vm->ports[i].udp ? "/udp" : "");
    return vm->port_count > 8 ? arena_format(arena, "%s, ...", text) : text;
}

/* Wires to every port of the other side: of its server, or of p2p when it is no server. */
static bool add_all_ports(struct builder *builder, struct topology_wire wire)
{
    const struct topology_vm *to = &builder->topology->vms[wire.to.vm];
    uint32_t count = to->server_count > 0 ? to->server_count : to->port_count;
    for (uint32_t i = 0; i < count; i++) {
        wire.port = to->ports[i].port;
        wire.udp = to->ports[i].udp;
        if (!add_wire(builder, &wire))
            return false;
    }
    return true;
}

static bool has_port(const struct topology_vm *vm, uint64_t number)
{
    for (uint32_t i = 0; i < vm->port_count; i++)
        if (vm->ports[i].port == schema_port(number) && vm->ports[i].udp == schema_port_is_udp(number))
            return true;
    return false;
}

static void add_client(struct builder *builder, uint32_t vm, const struct tree_node *item)
{
    struct topology *topology = builder->topology;
    const char *what = arena_format(arena_of(builder), "vms.%s.client", topology->vms[vm].name), *name;
    struct topology_wire wire = {.from = {vm, 0}, .role = TOPOLOGY_CLIENT, .mark = item->mark};
    uint64_t port;
    schema_parse_target(arena_of(builder), item->text, &name, &port);
    if (!builder_peer(builder, item, name, what, &wire.to) || refuse_itself(builder, &wire, what))
        return;
    const struct topology_vm *to = &topology->vms[wire.to.vm];
    if (to->port_count == 0) {
        if (builder_get(builder->vm_nodes[wire.to.vm], "server") == NULL &&
            tree_find(builder->vm_nodes[wire.to.vm], "server") != NULL)
            return; /* it has ports, and they are wrong: told already */
        diag_error(diags_of(builder), item->mark,
                   arena_format(arena_of(builder), "add 'server: PORT' to vms.%s", to->name), "%s: '%s' serves nothing",
                   what, name);
    } else if (port != 0 && !has_port(to, port)) {
        diag_error(diags_of(builder), item->mark,
                   arena_format(arena_of(builder), "it serves %s", list_ports(arena_of(builder), to)),
                   "%s: '%s' does not serve port %u%s", what, name, schema_port(port),
                   schema_port_is_udp(port) ? "/udp" : "");
    } else if (port != 0) {
        wire.port = schema_port(port);
        wire.udp = schema_port_is_udp(port);
        add_wire(builder, &wire);
    } else {
        add_all_ports(builder, wire);
    }
}

static void add_peer(struct builder *builder, uint32_t vm, const struct tree_node *item)
{
    struct topology *topology = builder->topology;
    const char *what = arena_format(arena_of(builder), "vms.%s.p2p.peers", topology->vms[vm].name);
    struct topology_wire wire = {.from = {vm, 0}, .role = TOPOLOGY_P2P, .mark = item->mark};
    if (!builder_peer(builder, item, item->text, what, &wire.to) || refuse_itself(builder, &wire, what))
        return;
    const struct topology_vm *to = &topology->vms[wire.to.vm];
    const struct tree_node *p2p = tree_find(builder->vm_nodes[wire.to.vm], "p2p"), *port = builder_get(p2p, "port");
    if (p2p == NULL) {
        diag_error(diags_of(builder), item->mark,
                   to->port_count > 0 ? "to connect to a server: 'client'"
                                      : arena_format(arena_of(builder), "add 'p2p: {port: PORT}' to vms.%s", to->name),
                   "%s: '%s' is no peer", what, item->text);
    } else if (port != NULL) {
        wire.port = schema_port(port->number);
        wire.udp = schema_port_is_udp(port->number);
        add_wire(builder, &wire);
    }
}

static void add_roles(struct builder *builder, uint32_t vm)
{
    const struct tree_node *own = builder->vm_nodes[vm];
    const struct tree_node *client = builder_get(own, "client"), *peers = builder_get(builder_get(own, "p2p"), "peers");
    for (uint32_t i = 0; i < builder_count(client); i++)
        if (builder_item(client, i)->sound)
            add_client(builder, vm, builder_item(client, i));
    for (uint32_t i = 0; i < builder_count(peers); i++)
        if (builder_item(peers, i)->sound)
            add_peer(builder, vm, builder_item(peers, i));
}

/* ---- wires ---- */

/* How a wire behaves, which both its ends and all its ports share. */
static void read_behaviour(struct builder *builder, const struct tree_node *map, struct topology_wire *wire)
{
    const struct tree_node *jitter = builder_get(map, "jitter");
    wire->rate = builder_number(map, SCHEMA_WIRE, "rate");
    wire->delay_us = builder_number(map, SCHEMA_WIRE, "delay");
    wire->jitter_us = builder_number(map, SCHEMA_WIRE, "jitter");
    wire->loss_ppm = (uint32_t)builder_number(map, SCHEMA_WIRE, "loss");
    if (jitter != NULL && tree_find(map, "delay") == NULL)
        diag_error(diags_of(builder), jitter->mark, "add a 'delay' that it varies", "jitter without delay");
    else if (jitter != NULL && builder_get(map, "delay") != NULL && wire->jitter_us > wire->delay_us)
        diag_error(diags_of(builder), jitter->mark, "make it smaller", "the jitter is larger than the delay");
}

static bool add_port(struct builder *builder, const struct tree_node *map, const struct tree_node *item,
                     struct topology_wire wire)
{
    const struct tree_node *proto = builder_get(map, "proto");
    wire.port = schema_port(item->number);
    wire.udp = schema_port_is_udp(item->number) || (proto != NULL && proto->number != 0);
    if (proto != NULL && proto->number == 0 && schema_port_is_udp(item->number)) {
        diag_error(diags_of(builder), proto->mark, "remove one of the two", "the port says udp, and proto says tcp");
        return true;
    }
    return add_wire(builder, &wire);
}

/* One pair of ends of an entry. */
static bool add_ends(struct builder *builder, const struct tree_node *map, const struct topology_wire *wire)
{
    const struct tree_node *port = builder_get(map, "port"), *proto = builder_get(map, "proto");
    const struct topology_vm *to = &builder->topology->vms[wire->to.vm];
    if (refuse_itself(builder, wire, "wires"))
        return true;
    for (uint32_t i = 0; i < builder_count(port); i++)
        if (builder_item(port, i)->sound && !add_port(builder, map, builder_item(port, i), *wire))
            return false;
    if (tree_find(map, "port") != NULL)
        return true;
    if (to->port_count == 0 && builder->vm_nodes[wire->to.vm] != NULL)
        diag_error(diags_of(builder), wire->mark,
                   arena_format(arena_of(builder), "add 'port: PORT' here, or 'server: PORT' to vms.%s", to->name),
                   "wires: '%s' serves nothing, and no port is given", to->name);
    if (proto != NULL && to->port_count > 0)
        diag_error(diags_of(builder), proto->mark, "add 'port: PORT'", "proto without port");
    return add_all_ports(builder, *wire);
}

static void add_entry(struct builder *builder, const struct tree_node *map)
{
    const struct tree_node *from = builder_get(map, "from"), *to = builder_get(map, "to");
    struct topology_wire wire = {.role = TOPOLOGY_WIRE};
    struct topology_peer *targets = arena_array(arena_of(builder), builder_count(to), sizeof *targets);
    uint32_t target_count = 0;
    read_behaviour(builder, map, &wire);
    for (uint32_t i = 0; i < builder_count(to); i++)
        if (builder_item(to, i)->sound &&
            builder_peer(builder, builder_item(to, i), builder_item(to, i)->text, "wires", &targets[target_count]))
            target_count++;
    for (uint32_t i = 0; i < builder_count(from); i++) {
        const struct tree_node *item = builder_item(from, i);
        wire.mark = item->mark;
        if (!item->sound || !builder_peer(builder, item, item->text, "wires", &wire.from))
            continue;
        for (uint32_t j = 0; j < target_count; j++) {
            wire.to = targets[j];
            if (!add_ends(builder, map, &wire))
                return;
        }
    }
}

/* ---- links ---- */

static bool add_links(struct builder *builder, uint32_t index)
{
    struct topology *topology = builder->topology;
    const struct topology_wire *wire = &topology->wires[index];
    uint32_t from, to, from_count = topology_instances_of(topology, wire->from, &from);
    uint32_t to_count = topology_instances_of(topology, wire->to, &to);
    if ((uint64_t)from_count * to_count + topology->link_count > TOPOLOGY_LINKS_MAX) {
        diag_error(&topology->diags, wire->mark, "fewer replicas, or fewer wires",
                   "more than %d connections, replicas counted", TOPOLOGY_LINKS_MAX);
        return false;
    }
    for (uint32_t i = from; i < from + from_count && i < topology->instance_count; i++)
        for (uint32_t j = to; j < to + to_count && j < topology->instance_count; j++) {
            if (i == j)
                continue;
            topology->links =
                arena_room(arena_of(builder), topology->links, topology->link_count, sizeof *topology->links);
            topology->links[topology->link_count++] = (struct topology_link){i, j, wire->port, wire->udp, index};
        }
    return true;
}

static int compare_links(const void *left, const void *right)
{
    const struct topology_link *a = left, *b = right;
    if (a->from != b->from)
        return a->from < b->from ? -1 : 1;
    if (a->to != b->to)
        return a->to < b->to ? -1 : 1;
    if (a->port != b->port)
        return a->port < b->port ? -1 : 1;
    return a->udp != b->udp ? (a->udp ? 1 : -1) : 0;
}

/* How particular a wire is: a role says nothing of behaviour, a replica is more particular than all of them. */
static unsigned rank(const struct topology_wire *wire)
{
    if (wire->role != TOPOLOGY_WIRE)
        return 0;
    return 1u + (wire->from.replica > 0) + (wire->to.replica > 0);
}

/* Of two that speak of one link: which wire counts? Tells of two that contradict each other. */
static uint32_t choose(struct builder *builder, uint32_t a, uint32_t b, bool *told)
{
    struct topology *topology = builder->topology;
    unsigned rank_a = rank(&topology->wires[a]), rank_b = rank(&topology->wires[b]);
    if (rank_a != rank_b)
        return rank_a > rank_b ? a : b;
    if (rank_b > 0 && !told[b]) {
        told[b] = true;
        const struct topology_wire *wire = &topology->wires[b];
        const char *from = topology_peer_name(topology, wire->from), *to = topology_peer_name(topology, wire->to);
        diag_error(&topology->diags, wire->mark, "remove one of the two",
                   "wires: %s to %s:%u is here twice; the first is in line %u", from, to, wire->port,
                   topology->wires[a].mark.line);
    }
    return a;
}

static void build_links(struct builder *builder)
{
    struct topology *topology = builder->topology;
    for (uint32_t i = 0; i < topology->wire_count; i++)
        if (!add_links(builder, i))
            break;
    lookup_sort(arena_of(builder), topology->links, topology->link_count, sizeof *topology->links, compare_links);
    bool *told = arena_array(arena_of(builder), topology->wire_count, sizeof *told);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < topology->link_count; i++) {
        struct topology_link *link = &topology->links[i];
        if (kept > 0 && compare_links(&topology->links[kept - 1], link) == 0)
            topology->links[kept - 1].wire = choose(builder, topology->links[kept - 1].wire, link->wire, told);
        else
            topology->links[kept++] = *link;
    }
    topology->link_count = kept;
}

/* ---- networks and published ports ---- */

static void mark_networked(struct builder *builder)
{
    struct topology *topology = builder->topology;
    for (uint32_t i = 0; i < topology->wire_count; i++)
        topology->vms[topology->wires[i].from.vm].networked = topology->vms[topology->wires[i].to.vm].networked = true;
    for (uint32_t i = 0; i < topology->vm_count; i++) {
        struct topology_vm *vm = &topology->vms[i];
        const struct tree_node *own = builder->vm_nodes[i], *network = builder_get(own, "network");
        if (tree_find(own, "network") == NULL)
            network = builder_get(builder->defaults, "network");
        vm->networked = vm->networked || vm->port_count > 0 || vm->publish_count > 0;
        if (network != NULL && network->number == 0 && vm->networked)
            diag_error(&topology->diags, tree_find(own, "network") != NULL ? network->mark : vm->mark,
                       "leave 'network' out, or write 'network: fabric'",
                       "vms.%s has a port or a wire, and network: none", vm->name);
        vm->networked = vm->networked || (network != NULL && network->number != 0);
    }
}

struct published {
    const struct topology_vm *vm;
    const struct topology_publish *publish;
};

static bool is_any(const char *host)
{
    return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "[::]") == 0;
}

static bool collide(const struct topology_publish *a, const struct topology_publish *b)
{
    return a->host_port == b->host_port && (strcmp(a->host, b->host) == 0 || is_any(a->host) || is_any(b->host));
}

static void check_published(struct builder *builder)
{
    struct topology *topology = builder->topology;
    struct published *all = arena_array(arena_of(builder), PUBLISH_MAX, sizeof *all);
    uint32_t count = 0;
    for (uint32_t i = 0; i < topology->vm_count; i++)
        for (uint32_t j = 0; j < topology->vms[i].publish_count; j++) {
            const struct published new = {&topology->vms[i], &topology->vms[i].publish[j]};
            if (count == PUBLISH_MAX) {
                diag_error(&topology->diags, new.publish->mark, NULL, "more than %d published ports", PUBLISH_MAX);
                return;
            }
            for (uint32_t k = 0; k < count; k++)
                if (collide(all[k].publish, new.publish)) {
                    diag_error(&topology->diags, new.publish->mark, "a port of the host leads to one VM",
                               "vms.%s: port %u of the host is published already, by '%s' in line %u", new.vm->name,
                               new.publish->host_port, all[k].vm->name, all[k].publish->mark.line);
                    break;
                }
            all[count++] = new;
        }
}

void build_wires(struct builder *builder)
{
    struct topology *topology = builder->topology;
    const struct tree_node *wires = builder_get(builder->root, "wires");
    for (uint32_t i = 0; i < topology->vm_count; i++)
        add_roles(builder, i);
    for (uint32_t i = 0; wires != NULL && wires->kind == TREE_LIST && i < wires->count; i++)
        if (wires->items[i]->kind == TREE_MAP)
            add_entry(builder, wires->items[i]);
    build_links(builder);
    mark_networked(builder);
    check_published(builder);
}
