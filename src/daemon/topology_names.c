/* topology_names.c - replicas become instances, and names become what they mean. */
#include <string.h>

#include "common/limits.h"
#include "common/suggest.h"
#include "topology_parts.h"

static void add_instance(struct topology *topology, const char *name, uint32_t vm, uint32_t replica)
{
    topology->instances =
        arena_room(&topology->arena, topology->instances, topology->instance_count, sizeof *topology->instances);
    topology->instances[topology->instance_count++] = (struct topology_instance){name, vm, replica};
}

static void expand(struct topology *topology, struct topology_vm *vm)
{
    uint32_t index = (uint32_t)(vm - topology->vms), before = topology->instance_count;
    uint32_t count = vm->replicas > 0 ? vm->replicas : 1;
    vm->first = before;
    if (count > TOPOLOGY_INSTANCES_MAX - before) {
        diag_error(&topology->diags, vm->mark, "fewer replicas",
                   "vms.%s: with its replicas the topology has more than %d VMs", vm->name, TOPOLOGY_INSTANCES_MAX);
        vm->replicas = 0;
        count = before < TOPOLOGY_INSTANCES_MAX ? 1 : 0;
    }
    for (uint32_t i = 1; i <= count; i++)
        add_instance(topology, vm->replicas > 0 ? arena_format(&topology->arena, "%s-%u", vm->name, i) : vm->name,
                     index, vm->replicas > 0 ? i : 0);
    if (vm->replicas > 0 && strlen(topology->instances[before + count - 1].name) > BX_NAME_MAX)
        diag_error(&topology->diags, vm->mark, NULL, "vms.%s: the name of a replica, '%s', is longer than %d bytes",
                   vm->name, topology->instances[before + count - 1].name, BX_NAME_MAX);
}

/* "caller-1" may be a replica or a VM of its own, not both. */
static void check_clash(struct topology *topology, const struct lookup_entry *a, const struct lookup_entry *b)
{
    if (strcmp(a->name, b->name) != 0)
        return;
    uint32_t vm = a->value < b->value ? a->value : b->value; /* VMs are numbered below instances */
    uint32_t other = a->value < b->value ? b->value : a->value;
    const struct topology_vm *owner = &topology->vms[topology->instances[other - topology->vm_count].vm];
    if (vm < topology->vm_count)
        diag_error(&topology->diags, topology->vms[vm].mark, "give one of them another name",
                   "vms.%s: a replica of '%s' (line %u) has this name too", topology->vms[vm].name, owner->name,
                   owner->mark.line);
    else
        diag_error(&topology->diags, owner->mark, "give one of them another name",
                   "vms.%s: two replicas are named '%s'", owner->name, a->name);
}

void build_names(struct builder *builder)
{
    struct topology *topology = builder->topology;
    for (uint32_t i = 0; i < topology->vm_count; i++)
        expand(topology, &topology->vms[i]);
    struct lookup_entry *entries =
        arena_array(&topology->arena, topology->vm_count + topology->instance_count, sizeof *entries);
    uint32_t count = 0;
    for (uint32_t i = 0; i < topology->vm_count; i++)
        entries[count++] = (struct lookup_entry){topology->vms[i].name, i};
    for (uint32_t i = 0; i < topology->instance_count; i++)
        if (topology->instances[i].replica > 0)
            entries[count++] = (struct lookup_entry){topology->instances[i].name, topology->vm_count + i};
    lookup_init(&topology->names, &topology->arena, entries, count);
    for (uint32_t i = 1; i < count; i++)
        check_clash(topology, &entries[i - 1], &entries[i]);
}

/* ---- names that are used ---- */

static const char *suggest_vm(struct topology *topology, const char *name)
{
    struct suggestion near;
    suggest_init(&near, name, strlen(name));
    for (uint32_t i = 0; i < topology->vm_count; i++)
        suggest_offer(&near, topology->vms[i].name);
    if (near.best != NULL)
        return arena_format(&topology->arena, "did you mean '%s'?", near.best);
    const char *text = "known are ";
    uint32_t named = topology->vm_count < 8 ? topology->vm_count : 8;
    for (uint32_t i = 0; i < named; i++)
        text = arena_format(&topology->arena, "%s%s%s", text, i > 0 ? ", " : "", topology->vms[i].name);
    return named < topology->vm_count ? arena_format(&topology->arena, "%s, ...", text) : named > 0 ? text : NULL;
}

/* "caller-9" of three callers. */
static const char *suggest_replica(struct topology *topology, const char *name)
{
    const char *dash = strrchr(name, '-');
    uint32_t vm;
    if (dash == NULL || dash[1] == '\0' || dash[1 + strspn(dash + 1, "0123456789")] != '\0' ||
        !lookup_find(&topology->names, arena_copy(&topology->arena, name, (size_t)(dash - name)), &vm) ||
        vm >= topology->vm_count)
        return NULL;
    uint32_t replicas = topology->vms[vm].replicas;
    if (replicas == 0)
        return arena_format(&topology->arena, "'%s' has no replicas", topology->vms[vm].name);
    return arena_format(&topology->arena, "'%s' has the replicas 1 to %u", topology->vms[vm].name, replicas);
}

bool builder_peer(struct builder *builder, const struct tree_node *node, const char *name, const char *what,
                  struct topology_peer *out)
{
    struct topology *topology = builder->topology;
    if (topology_find(topology, name, out))
        return true;
    /* A long list of unknown names must not be compared with a long list of VMs: only what is shown is looked for. */
    bool shown = topology->diags.count < DIAG_MAX;
    const char *suggestion = shown ? suggest_replica(topology, name) : NULL;
    if (shown && suggestion == NULL)
        suggestion = suggest_vm(topology, name);
    diag_error(&topology->diags, node->mark, suggestion, "%s: there is no VM '%s'", what,
               diag_quote(&topology->arena, name));
    return false;
}
