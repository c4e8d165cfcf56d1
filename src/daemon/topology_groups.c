/* topology_groups.c - groups: who is in which, each in one at most, and a tree of them. */
#include <string.h>

#include "common/suggest.h"
#include "topology_parts.h"

static void add_vm(struct builder *builder, struct topology_group *group, const struct tree_node *item)
{
    struct topology *topology = builder->topology;
    const char *what = arena_format(&topology->arena, "groups.%s.vms", group->name);
    struct topology_peer peer;
    if (!builder_peer(builder, item, item->text, what, &peer))
        return;
    struct topology_vm *vm = &topology->vms[peer.vm];
    uint32_t index = (uint32_t)(group - topology->groups);
    if (peer.replica > 0)
        diag_error(&topology->diags, item->mark, arena_format(&topology->arena, "write '%s'", vm->name),
                   "%s: '%s' is one of several replicas, which are in a group together", what, item->text);
    else if (vm->group != TOPOLOGY_NONE)
        diag_error(&topology->diags, item->mark, "a VM is in one group", "%s: '%s' is in group '%s' already", what,
                   item->text, topology->groups[vm->group].name);
    else
        group->vms[group->vm_count++] = peer.vm;
    if (vm->group == TOPOLOGY_NONE)
        vm->group = index;
}

static const char *suggest_group(const struct topology *topology, const char *name)
{
    struct suggestion near;
    suggest_init(&near, name, strlen(name));
    for (uint32_t i = 0; i < topology->group_count; i++)
        suggest_offer(&near, topology->groups[i].name);
    return near.best;
}

/* Would `child` in `group` close a circle? */
static bool is_inside(const struct topology *topology, uint32_t group, uint32_t child)
{
    for (uint32_t at = group, steps = 0; at != TOPOLOGY_NONE && steps <= topology->group_count; steps++) {
        if (at == child)
            return true;
        at = topology->groups[at].parent;
    }
    return false;
}

static void add_group(struct topology *topology, struct topology_group *group, const struct lookup *names,
                      const struct tree_node *item)
{
    uint32_t child, index = (uint32_t)(group - topology->groups);
    if (!lookup_find(names, item->text, &child)) {
        const char *near = suggest_group(topology, item->text);
        diag_error(&topology->diags, item->mark,
                   near != NULL ? arena_format(&topology->arena, "did you mean '%s'?", near) : NULL,
                   "groups.%s.groups: there is no group '%s'", group->name, item->text);
    } else if (topology->groups[child].parent != TOPOLOGY_NONE) {
        diag_error(&topology->diags, item->mark, "a group is in one group",
                   "groups.%s.groups: '%s' is in group '%s' already", group->name, item->text,
                   topology->groups[topology->groups[child].parent].name);
    } else if (is_inside(topology, index, child)) {
        diag_error(&topology->diags, item->mark, NULL, "groups.%s.groups: '%s' would be inside itself", group->name,
                   item->text);
    } else {
        topology->groups[child].parent = index;
        group->groups[group->group_count++] = child;
    }
}

static void build(struct builder *builder, struct topology_group *group, const struct tree_node *map,
                  const struct lookup *names)
{
    struct topology *topology = builder->topology;
    const struct tree_node *vms = builder_get(map, "vms"), *groups = builder_get(map, "groups");
    group->vms = arena_array(&topology->arena, builder_count(vms), sizeof *group->vms);
    group->groups = arena_array(&topology->arena, builder_count(groups), sizeof *group->groups);
    for (uint32_t i = 0; i < builder_count(vms); i++)
        if (builder_item(vms, i)->sound)
            add_vm(builder, group, builder_item(vms, i));
    for (uint32_t i = 0; i < builder_count(groups); i++)
        if (builder_item(groups, i)->sound)
            add_group(topology, group, names, builder_item(groups, i));
    group->strategy = (enum topology_strategy)builder_number(map, SCHEMA_GROUP, "strategy");
    group->max = (uint32_t)builder_number(map, SCHEMA_GROUP, "max");
    group->within_ms = builder_number(map, SCHEMA_GROUP, "within");
    group->stop = builder_number(map, SCHEMA_GROUP, "escalate") != 0;
    if (builder_count(vms) == 0 && builder_count(groups) == 0 && tree_find(map, "vms") == NULL &&
        tree_find(map, "groups") == NULL)
        diag_error(&topology->diags, group->mark, "add 'vms: [a, b]'", "groups.%s is empty", group->name);
}

/* Groups in one file: each is looked for in chains of their parents. */
#define GROUPS_MAX 1000

void build_groups(struct builder *builder)
{
    struct topology *topology = builder->topology;
    const struct tree_node *groups = builder_get(builder->root, "groups");
    uint32_t count = groups != NULL ? groups->count : 0;
    if (count > GROUPS_MAX) {
        diag_error(&topology->diags, groups->mark, NULL, "%u groups; a topology has %d at most", count, GROUPS_MAX);
        return;
    }
    topology->groups = arena_array(&topology->arena, count, sizeof *topology->groups);
    struct lookup_entry *entries = arena_array(&topology->arena, count, sizeof *entries);
    const struct tree_node **maps = arena_array(&topology->arena, count, sizeof *maps);
    for (uint32_t i = 0; i < count; i++) {
        const struct tree_pair *pair = &groups->pairs[i];
        if (!pair->key->sound)
            continue;
        maps[topology->group_count] = pair->value->kind == TREE_MAP ? pair->value : NULL;
        entries[topology->group_count] = (struct lookup_entry){pair->key->text, topology->group_count};
        topology->groups[topology->group_count++] =
            (struct topology_group){.name = pair->key->text, .mark = pair->key->mark, .parent = TOPOLOGY_NONE};
    }
    struct lookup names;
    lookup_init(&names, &topology->arena, entries, topology->group_count);
    for (uint32_t i = 0; i < topology->group_count; i++)
        if (maps[i] != NULL)
            build(builder, &topology->groups[i], maps[i], &names);
}
