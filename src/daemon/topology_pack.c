/*
 * topology_pack.c - a topology as a MessagePack map, for clients: the check, the graph, `inspect`. The encoder alone:
 * a client reads it key by key (bioxen_node).
 *
 * Variables of env are left out: they may be secrets, and nobody who asks this wants them.
 */
#include <errno.h>
#include <string.h>

#include "check.h"
#include "topology.h"

struct pack {
    struct topology *topology;
    msgpack_packer to;
};

static void put_text(struct pack *pack, const char *text)
{
    if (text == NULL) {
        msgpack_pack_nil(&pack->to);
        return;
    }
    msgpack_pack_str(&pack->to, strlen(text));
    msgpack_pack_str_body(&pack->to, text, strlen(text));
}

static void put_map(struct pack *pack, size_t entries)
{
    msgpack_pack_map(&pack->to, entries);
}

static void put_list(struct pack *pack, const char *key, size_t count)
{
    put_text(pack, key);
    msgpack_pack_array(&pack->to, count);
}

static void entry_text(struct pack *pack, const char *key, const char *value)
{
    put_text(pack, key);
    put_text(pack, value);
}

static void entry_number(struct pack *pack, const char *key, uint64_t value)
{
    put_text(pack, key);
    msgpack_pack_uint64(&pack->to, value);
}

#define MARK_ENTRIES 3
static void entry_mark(struct pack *pack, struct mark mark)
{
    entry_number(pack, "line", mark.line);
    entry_number(pack, "column", mark.column);
    entry_number(pack, "width", mark.width);
}

static void entry_diagnostics(struct pack *pack)
{
    const struct diags *diags = &pack->topology->diags;
    put_list(pack, "diagnostics", diags->count);
    for (uint32_t i = 0; i < diags->count; i++) {
        const struct diag *diag = &diags->list[i];
        put_map(pack, MARK_ENTRIES + 3);
        entry_mark(pack, diag->mark);
        entry_text(pack, "severity", diag->severity == DIAG_ERROR ? "error" : "warning");
        entry_text(pack, "message", diag->message);
        entry_text(pack, "suggestion", diag->suggestion);
    }
    entry_number(pack, "omitted", diags->omitted);
    entry_number(pack, "errors", diags->errors);
}

static void entry_programs(struct pack *pack)
{
    static const char *const kinds[] = {[TOPOLOGY_FILE] = "file", [TOPOLOGY_CODE] = "code", [TOPOLOGY_CHECK] = "check"};
    const struct topology *topology = pack->topology;
    put_list(pack, "programs", topology->program_count);
    for (uint32_t i = 0; i < topology->program_count; i++) {
        const struct topology_program *program = &topology->programs[i];
        put_map(pack, MARK_ENTRIES + 4);
        entry_mark(pack, program->mark);
        entry_text(pack, "kind", kinds[program->kind]);
        entry_text(pack, "text", program->text);
        entry_number(pack, "first_line", program->first_line);
        entry_text(pack, "vm", topology->vms[program->vm].name);
    }
}

static void put_peer(struct pack *pack, const char *key, struct topology_peer peer)
{
    const struct topology_vm *vm = &pack->topology->vms[peer.vm];
    put_text(pack, key);
    if (peer.replica == 0)
        put_text(pack, vm->name);
    else
        put_text(pack, pack->topology->instances[vm->first + peer.replica - 1].name);
}

static void entry_ports(struct pack *pack, const struct topology_vm *vm)
{
    put_list(pack, "ports", vm->port_count);
    for (uint32_t i = 0; i < vm->port_count; i++) {
        put_map(pack, 3);
        entry_number(pack, "port", vm->ports[i].port);
        entry_text(pack, "proto", vm->ports[i].udp ? "udp" : "tcp");
        entry_text(pack, "role", i < vm->server_count ? "server" : "p2p");
    }
    put_list(pack, "publish", vm->publish_count);
    for (uint32_t i = 0; i < vm->publish_count; i++) {
        put_map(pack, 3);
        entry_text(pack, "host", vm->publish[i].host);
        entry_number(pack, "host_port", vm->publish[i].host_port);
        entry_number(pack, "port", vm->publish[i].vm_port);
    }
}

static void entry_depends(struct pack *pack, const struct topology_vm *vm)
{
    static const char *const conditions[] = {"started", "ready", "healthy", "completed"};
    put_list(pack, "depends_on", vm->depend_count);
    for (uint32_t i = 0; i < vm->depend_count; i++) {
        put_map(pack, 2);
        put_peer(pack, "vm", (struct topology_peer){vm->depends[i].vm, vm->depends[i].replica});
        entry_text(pack, "condition", conditions[vm->depends[i].condition]);
    }
}

static void entry_mounts(struct pack *pack, const struct topology_vm *vm)
{
    put_list(pack, "mounts", vm->spec.mount_count);
    for (uint32_t i = 0; i < vm->spec.mount_count; i++) {
        put_map(pack, 3);
        entry_text(pack, "host", vm->mount_hosts[i]);
        entry_text(pack, "target", vm->spec.mounts[i].target);
        entry_number(pack, "writable", vm->spec.mounts[i].writable);
    }
}

static void put_vm(struct pack *pack, const struct topology_vm *vm)
{
    static const char *const policies[] = {"no", "on-failure", "always"};
    put_map(pack, 18);
    entry_text(pack, "name", vm->name);
    entry_number(pack, "replicas", vm->replicas);
    entry_text(pack, "profile", vm->spec.profile == 0 ? "restricted" : "full");
    entry_number(pack, "memory", vm->spec.memory);
    entry_number(pack, "cpus_milli", vm->spec.cpus_milli);
    entry_number(pack, "timeout_ms", vm->spec.timeout_ms);
    entry_number(pack, "cpu_time_ms", vm->spec.cpu_time_ms);
    entry_number(pack, "pids", vm->spec.pids);
    entry_number(pack, "output_limit", vm->spec.output_limit);
    entry_text(pack, "network", vm->networked ? "fabric" : "none");
    entry_number(pack, "program", vm->program);
    entry_text(pack, "restart", policies[vm->restart.policy]);
    entry_number(pack, "health", vm->health.program != TOPOLOGY_NONE);
    entry_text(pack, "group", vm->group == TOPOLOGY_NONE ? NULL : pack->topology->groups[vm->group].name);
    entry_ports(pack, vm); /* two entries */
    entry_depends(pack, vm);
    entry_mounts(pack, vm);
}

/* Wires that a role and an entry of wires both say are one edge: the entry's. */
static bool is_overridden(const struct topology *topology, const unsigned char *used, uint32_t index)
{
    return topology->wires[index].role != TOPOLOGY_WIRE && !used[index];
}

static void put_wire(struct pack *pack, const struct topology_wire *wire)
{
    static const char *const roles[] = {"client", "p2p", "wire"};
    put_map(pack, 9);
    put_peer(pack, "from", wire->from);
    put_peer(pack, "to", wire->to);
    entry_number(pack, "port", wire->port);
    entry_text(pack, "proto", wire->udp ? "udp" : "tcp");
    entry_text(pack, "role", roles[wire->role]);
    entry_number(pack, "rate", wire->rate);
    entry_number(pack, "delay_us", wire->delay_us);
    entry_number(pack, "jitter_us", wire->jitter_us);
    entry_number(pack, "loss_ppm", wire->loss_ppm);
}

/* `used`: for each wire whether a link behaves as it says. */
static void entry_wires(struct pack *pack)
{
    struct topology *topology = pack->topology;
    unsigned char *used = arena_array(&topology->arena, topology->wire_count, 1);
    uint32_t count = 0;
    for (uint32_t i = 0; i < topology->link_count; i++)
        used[topology->links[i].wire] = 1;
    for (uint32_t i = 0; i < topology->wire_count; i++)
        count += !is_overridden(topology, used, i);
    put_list(pack, "wires", count);
    for (uint32_t i = 0; i < topology->wire_count; i++)
        if (!is_overridden(topology, used, i))
            put_wire(pack, &topology->wires[i]);
}

static void put_group(struct pack *pack, const struct topology_group *group)
{
    static const char *const strategies[] = {"one_for_one", "one_for_all", "rest_for_one"};
    const struct topology *topology = pack->topology;
    put_map(pack, 4);
    entry_text(pack, "name", group->name);
    entry_text(pack, "strategy", strategies[group->strategy]);
    put_list(pack, "vms", group->vm_count);
    for (uint32_t i = 0; i < group->vm_count; i++)
        put_text(pack, topology->vms[group->vms[i]].name);
    put_list(pack, "groups", group->group_count);
    for (uint32_t i = 0; i < group->group_count; i++)
        put_text(pack, topology->groups[group->groups[i]].name);
}

static void put_topology(struct pack *pack)
{
    const struct topology *topology = pack->topology;
    put_map(pack, 7);
    entry_text(pack, "name", topology->name);
    entry_number(pack, "instances", topology->instance_count);
    entry_number(pack, "links", topology->link_count);
    put_list(pack, "vms", topology->vm_count);
    for (uint32_t i = 0; i < topology->vm_count; i++)
        put_vm(pack, &topology->vms[i]);
    entry_wires(pack);
    put_list(pack, "groups", topology->group_count);
    for (uint32_t i = 0; i < topology->group_count; i++)
        put_group(pack, &topology->groups[i]);
    put_list(pack, "order", topology->vm_count);
    for (uint32_t i = 0; i < topology->vm_count; i++)
        put_text(pack, topology->vms[topology->order[i]].name);
}

struct output {
    msgpack_sbuffer *buffer;
    bool failed;
};

static int write_output(void *data, const char *bytes, size_t length)
{
    struct output *output = data;
    output->failed = output->failed || msgpack_sbuffer_write(output->buffer, bytes, length) != 0;
    return output->failed ? -1 : 0;
}

static void pack_all(struct pack *pack)
{
    put_map(pack, 5);
    entry_diagnostics(pack); /* three entries */
    entry_programs(pack);
    put_text(pack, "topology");
    if (pack->topology->diags.errors == 0)
        put_topology(pack);
    else
        msgpack_pack_nil(&pack->to);
}

int topology_pack(struct topology *topology, msgpack_sbuffer *out, struct bx_error *err)
{
    struct output output = {out, true};
    struct pack pack = {.topology = topology};
    if (setjmp(topology->arena.out) == 0) {
        output.failed = false;
        msgpack_packer_init(&pack.to, &output, write_output);
        pack_all(&pack);
        if (!output.failed)
            return 0;
    }
    return bx_fail_errno(err, ENOMEM, "the answer about a topology file");
}
