/*
 * listing.c - writes what is known. Values of `env` are in nothing that is shown: they may be secrets.
 */
#include "listing.h"

#include <string.h>
#include <utlist.h>

#include "common/clock.h"
#include "fleet.h"
#include "manager.h"
#include "rollout.h"
#include "vm.h"

/* ---- records ---- */

static void put_bytes(struct answer *answer, const char *key, const struct bx_text *text)
{
    answer_text(answer, key);
    if (text->bytes == NULL) {
        answer_text(answer, NULL);
        return;
    }
    msgpack_pack_str(&answer->to, text->length);
    msgpack_pack_str_body(&answer->to, text->bytes, text->length);
}

static void put_limits(struct answer *answer, const struct record *record)
{
    answer_text(answer, "limits");
    answer_map(answer, RECORD_LIMIT_COUNT);
    for (uint32_t i = 0; i < RECORD_LIMIT_COUNT; i++) {
        answer_text(answer, record_limit_name(i));
        answer_map(answer, 2);
        answer_put_number(answer, "asked", record->limits[i].asked);
        answer_put_text(answer, "enforced_by", record->limits[i].enforced_by);
    }
}

void listing_put_record(struct answer *answer, const struct record *record)
{
    answer_map(answer, 13);
    answer_put_text(answer, "name", record->name);
    answer_put_text(answer, "outcome", record_outcome_name(record->outcome));
    answer_put_number(answer, "exit_code", record->exit_code);
    answer_put_number(answer, "signal", record->signal);
    put_bytes(answer, "error", &record->error);
    put_bytes(answer, "traceback", &record->traceback);
    answer_put_text(answer, "syscall", record->syscall[0] != '\0' ? record->syscall : NULL);
    answer_put_number(answer, "wall_us", record->wall_us);
    answer_put_number(answer, "cpu_us", record->cpu_us);
    answer_put_number(answer, "memory_peak", record->memory_peak);
    answer_put_number(answer, "output_bytes", record->output_bytes);
    answer_put_number(answer, "restarts", record->restarts);
    put_limits(answer, record);
}

/* ---- lists ---- */

static uint64_t uptime(const struct instance *instance)
{
    return instance->vm != NULL ? bx_now_us() - instance->started_us : 0;
}

static const char *role_of(const struct topology_vm *entry)
{
    return entry->server_count > 0 ? "server" : entry->port_count > 0 ? "p2p" : entry->networked ? "client" : NULL;
}

void listing_put_vm(struct answer *answer, const struct instance *instance)
{
    const struct instance_death *death = &instance->death;
    answer_put_text(answer, "topology", instance->fleet->name);
    answer_put_text(answer, "name", instance->name);
    answer_put_number(answer, "number", instance->number);
    answer_put_text(answer, "state", instance_state_name(instance->state));
    answer_put_bool(answer, "ready", instance->ready);
    answer_put_address(answer, "address", instance->net != NULL ? instance->net->address : 0);
    answer_put_number(answer, "restarts", instance->restarts);
    answer_put_number(answer, "pid", instance->vm != NULL ? (uint64_t)instance->vm->spawned.pid : 0);
    answer_put_number(answer, "uptime_us", uptime(instance));
    answer_put_text(answer, "outcome", death->time_us != 0 ? record_outcome_name(death->outcome) : NULL);
    answer_put_number(answer, "exit_code", death->exit_code);
    answer_put_text(answer, "role", role_of(instance_entry(instance)));
    answer_put_text(answer, "why", instance->why);
}

static void count(const struct fleet *fleet, uint32_t *running, uint32_t *ready)
{
    *running = *ready = 0;
    for (const struct instance *at = fleet->instances; at != NULL; at = at->in_fleet.next) {
        *running += at->state == INSTANCE_RUNNING;
        *ready += at->ready;
    }
}

void listing_put_fleet(struct answer *answer, const struct fleet *fleet)
{
    uint32_t running, ready;
    count(fleet, &running, &ready);
    answer_put_text(answer, "name", fleet->name);
    answer_put_text(answer, "state", rollout_state(fleet));
    answer_put_number(answer, "vms", HASH_CNT(in_fleet, fleet->instances));
    answer_put_number(answer, "running", running);
    answer_put_number(answer, "ready", ready);
    answer_put_number(answer, "wires", HASH_COUNT(fleet->wires));
    answer_put_number(answer, "uptime_us", bx_now_us() - fleet->since_us);
}

void listing_vms(struct manager *manager, struct client *client, uint32_t id, const struct fleet *only)
{
    struct answer answer;
    const struct fleet *fleet;
    uint32_t total = 0;
    DL_FOREACH(manager->fleets.list, fleet)
        total += only == NULL || only == fleet ? HASH_CNT(in_fleet, fleet->instances) : 0;
    answer_init(&answer);
    answer_list(&answer, total);
    DL_FOREACH(manager->fleets.list, fleet)
        for (const struct instance *at = fleet->instances; at != NULL; at = at->in_fleet.next) {
            if (only != NULL && only != fleet)
                break;
            answer_map(&answer, LISTING_VM);
            listing_put_vm(&answer, at);
        }
    answer_finish(&answer, client, id);
}

void listing_fleets(struct manager *manager, struct client *client, uint32_t id)
{
    struct answer answer;
    const struct fleet *fleet;
    uint32_t total = 0;
    DL_COUNT(manager->fleets.list, fleet, total);
    answer_init(&answer);
    answer_list(&answer, total);
    DL_FOREACH(manager->fleets.list, fleet) {
        answer_map(&answer, LISTING_FLEET);
        listing_put_fleet(&answer, fleet);
    }
    answer_finish(&answer, client, id);
}

static bool is_of(const struct fleet_death *death, const struct fleet *fleet)
{
    return fleet == NULL || strcmp(death->fleet, fleet->name) == 0;
}

void listing_deaths(struct manager *manager, struct client *client, uint32_t id, const struct fleet *fleet)
{
    const struct fleets *fleets = &manager->fleets;
    uint64_t first = fleets->death_count > FLEET_DEATHS ? fleets->death_count - FLEET_DEATHS : 0;
    struct answer answer;
    uint32_t total = 0;
    for (uint64_t i = first; i < fleets->death_count; i++)
        total += is_of(&fleets->deaths[i % FLEET_DEATHS], fleet);
    answer_init(&answer);
    answer_list(&answer, total);
    for (uint64_t i = first; i < fleets->death_count; i++) {
        const struct fleet_death *death = &fleets->deaths[i % FLEET_DEATHS];
        if (!is_of(death, fleet))
            continue;
        answer_map(&answer, 4);
        answer_put_text(&answer, "topology", death->fleet);
        answer_put_text(&answer, "name", death->name);
        answer_put_number(&answer, "time_us", death->time_us);
        answer_text(&answer, "record");
        answer_bytes(&answer, death->record, death->length);
    }
    answer_finish(&answer, client, id);
}

/* ---- one VM ---- */

static void put_limits_asked(struct answer *answer, const struct topology_vm *entry)
{
    answer_put_text(answer, "profile", entry->spec.profile == JW_RESTRICTED ? "restricted" : "full");
    answer_put_number(answer, "memory", entry->spec.memory);
    answer_put_number(answer, "cpus_milli", entry->spec.cpus_milli);
    answer_put_number(answer, "pids", entry->spec.pids);
    answer_put_number(answer, "timeout_ms", entry->spec.timeout_ms);
    answer_put_number(answer, "cpu_time_ms", entry->spec.cpu_time_ms);
    answer_put_number(answer, "output_limit", entry->spec.output_limit);
    answer_put_text(answer, "network", entry->networked ? "fabric" : "none");
}

static void put_program(struct answer *answer, const struct instance *instance, const struct topology_vm *entry)
{
    const struct topology_program *program = &instance->bundle->topology->programs[entry->program];
    answer_put_text(answer, "script", program->kind == TOPOLOGY_FILE ? program->text : NULL);
    answer_put_list(answer, "args", entry->arg_count);
    for (uint32_t i = 0; i < entry->arg_count; i++)
        answer_text(answer, entry->args[i].text);
    answer_put_list(answer, "env_names", entry->env_count);
    for (uint32_t i = 0; i < entry->env_count; i++)
        answer_text(answer, entry->env[i].name);
    answer_put_list(answer, "mounts", entry->spec.mount_count);
    for (uint32_t i = 0; i < entry->spec.mount_count; i++) {
        answer_map(answer, 3);
        answer_put_text(answer, "host", entry->mount_hosts[i]);
        answer_put_text(answer, "target", entry->spec.mounts[i].target);
        answer_put_bool(answer, "writable", entry->spec.mounts[i].writable != 0);
    }
}

static void put_relations(struct answer *answer, const struct instance *instance, const struct topology_vm *entry)
{
    static const char *const conditions[] = {"started", "ready", "healthy", "completed"};
    const struct topology *topology = instance->bundle->topology;
    answer_put_list(answer, "depends_on", entry->depend_count);
    for (uint32_t i = 0; i < entry->depend_count; i++) {
        const struct topology_depend *depend = &entry->depends[i];
        const struct topology_vm *on = &topology->vms[depend->vm];
        answer_map(answer, 2);
        answer_put_text(answer, "vm",
                        depend->replica == 0 ? on->name : topology->instances[on->first + depend->replica - 1].name);
        answer_put_text(answer, "condition", conditions[depend->condition]);
    }
    answer_put_list(answer, "ports", entry->port_count);
    for (uint32_t i = 0; i < entry->port_count; i++) {
        answer_map(answer, 4);
        answer_put_number(answer, "port", entry->ports[i].port);
        answer_put_text(answer, "proto", entry->ports[i].udp ? "udp" : "tcp");
        answer_put_text(answer, "role", i < entry->server_count ? "server" : "p2p");
        answer_put_bool(answer, "listens",
                        i < entry->server_count && i < 64 && (instance->ports_heard >> i & 1) != 0);
    }
}

static void put_wire(struct answer *answer, const struct instance *instance, const struct plan_link *link)
{
    bool leaves = link->from == instance->number;
    const struct instance *other = instance_find(instance->fleet->manager, leaves ? link->to : link->from);
    struct fleet_way *way;
    HASH_FIND(hh, instance->fleet->ways, link, 2 * sizeof link->from, way); /* from, to: as in a way */
    const struct plan_behaviour none = {0}, *behaves = way != NULL ? &way->way.behaviour : &none;
    answer_map(answer, 7);
    answer_put_text(answer, leaves ? "to" : "from", other != NULL ? other->name : NULL);
    answer_put_number(answer, "port", link->port);
    answer_put_text(answer, "proto", link->udp ? "udp" : "tcp");
    answer_put_number(answer, "rate", behaves->rate);
    answer_put_number(answer, "delay_us", behaves->delay_us);
    answer_put_number(answer, "jitter_us", behaves->jitter_us);
    answer_put_number(answer, "loss_ppm", behaves->loss_ppm);
}

static bool touches(const struct fleet_wire *wire, const struct instance *instance)
{
    return wire->link.from == instance->number || wire->link.to == instance->number;
}

static void put_wires(struct answer *answer, const struct instance *instance)
{
    const struct fleet_wire *wire;
    uint32_t total = 0;
    for (wire = instance->fleet->wires; wire != NULL; wire = wire->hh.next)
        total += touches(wire, instance);
    answer_put_list(answer, "wires", total);
    for (wire = instance->fleet->wires; wire != NULL; wire = wire->hh.next)
        if (touches(wire, instance))
            put_wire(answer, instance, &wire->link);
}

void listing_inspect(struct client *client, uint32_t id, const struct instance *instance)
{
    const struct topology_vm *entry = instance_entry(instance);
    struct answer answer;
    answer_init(&answer);
    answer_map(&answer, LISTING_VM + 8 + 4 + 2 + 2);
    listing_put_vm(&answer, instance);
    put_limits_asked(&answer, entry);
    put_program(&answer, instance, entry);
    put_relations(&answer, instance, entry);
    put_wires(&answer, instance);
    answer_text(&answer, "last_death");
    if (instance->death.record != NULL)
        answer_bytes(&answer, instance->death.record, instance->death.length);
    else
        answer_text(&answer, NULL);
    answer_finish(&answer, client, id);
}
