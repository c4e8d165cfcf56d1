/* topology.c - from the file's bytes to the desired set, in order; and what is asked of the set later. */
#include "topology.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "topology_parts.h"

const struct tree_node *builder_get(const struct tree_node *map, const char *key)
{
    const struct tree_node *node = tree_find(map, key);
    return node != NULL && node->sound ? node : NULL;
}

uint64_t builder_number(const struct tree_node *map, enum schema_map in, const char *key)
{
    const struct tree_node *node = builder_get(map, key);
    const struct schema_key *row = schema_find(in, key);
    uint64_t number = 0;
    if (node != NULL)
        return node->is_null ? 0 : node->number;
    if (row != NULL && row->fallback != NULL)
        schema_read(row, row->kind, row->fallback, &number);
    return number;
}

uint32_t builder_count(const struct tree_node *value)
{
    return value == NULL ? 0 : value->kind == TREE_LIST ? value->count : value->kind == TREE_SCALAR ? 1 : 0;
}

const struct tree_node *builder_item(const struct tree_node *value, uint32_t index)
{
    return value->kind == TREE_LIST ? value->items[index] : value;
}

/* ---- loading ---- */

static const char *const *sort_variables(struct arena *arena, const struct topology_source *source, struct lookup *out)
{
    struct lookup_entry *entries = arena_array(arena, source->variable_count, sizeof *entries);
    const char **values = arena_array(arena, source->variable_count, sizeof *values);
    for (uint32_t i = 0; i < source->variable_count; i++) {
        entries[i] = (struct lookup_entry){source->variables[i].name, i};
        values[i] = source->variables[i].value;
    }
    lookup_init(out, arena, entries, source->variable_count);
    return values;
}

static void build(struct builder *builder, const struct topology_source *source)
{
    struct topology *topology = builder->topology;
    const struct tree_node *name = builder_get(builder->root, "name");
    topology->name = name != NULL ? name->text : arena_copy(&topology->arena, source->name, strlen(source->name));
    builder->defaults = builder_get(builder->root, "defaults");
    build_vms(builder);
    build_names(builder);
    build_depends(builder);
    build_wires(builder);
    build_groups(builder);
}

static void load(struct topology *topology, const struct topology_source *source)
{
    struct lookup variables;
    struct tree_node *root = tree_parse(source->text, source->length, &topology->diags);
    if (root == NULL)
        return;
    const char *const *values = sort_variables(&topology->arena, source, &variables);
    struct schema_walk walk = {&topology->arena, &topology->diags, &variables, values};
    schema_check(&walk, root);
    struct builder builder = {.topology = topology, .root = root};
    build(&builder, source);
}

int topology_load(const struct topology_source *source, struct topology **out, struct bx_error *err)
{
    struct topology *topology = calloc(1, sizeof *topology);
    if (topology == NULL)
        return bx_fail_errno(err, ENOMEM, "topology");
    arena_init(&topology->arena, TOPOLOGY_MEMORY_MAX);
    topology->diags.arena = &topology->arena;
    if (setjmp(topology->arena.out) != 0) {
        topology_free(topology);
        return bx_fail(
            err, ENOMEM,
            "the topology needs more than %u MiB of memory, with all that its variables and defaults make of it",
            TOPOLOGY_MEMORY_MAX >> 20);
    }
    load(topology, source);
    *out = topology;
    return 0;
}

void topology_free(struct topology *topology)
{
    if (topology == NULL)
        return;
    arena_fini(&topology->arena);
    free(topology);
}

/* ---- asking ---- */

/*
 * Values of `names`: a VM's number, or, above all of those, an instance's.
 */
bool topology_find(const struct topology *topology, const char *name, struct topology_peer *out)
{
    uint32_t value;
    if (!lookup_find(&topology->names, name, &value))
        return false;
    if (value < topology->vm_count) {
        *out = (struct topology_peer){value, 0};
        return true;
    }
    const struct topology_instance *instance = &topology->instances[value - topology->vm_count];
    *out = (struct topology_peer){instance->vm, instance->replica};
    return true;
}

uint32_t topology_instances_of(const struct topology *topology, struct topology_peer peer, uint32_t *first)
{
    const struct topology_vm *vm = &topology->vms[peer.vm];
    *first = vm->first + (peer.replica > 0 ? peer.replica - 1 : 0);
    return peer.replica > 0 || vm->replicas == 0 ? 1 : vm->replicas;
}

const char *topology_peer_name(struct topology *topology, struct topology_peer peer)
{
    const char *name = topology->vms[peer.vm].name;
    return peer.replica == 0 ? name : arena_format(&topology->arena, "%s-%u", name, peer.replica);
}
