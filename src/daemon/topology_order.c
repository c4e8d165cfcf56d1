/* topology_order.c - depends_on: who comes after whom, and circles, which are shown. */
#include <string.h>

#include "topology_parts.h"

static void refuse(struct builder *builder, struct mark mark, const char *suggestion, const struct topology_vm *vm,
                   const char *text)
{
    diag_error(&builder->topology->diags, mark, suggestion, "vms.%s.depends_on: %s", vm->name, text);
}

/* Can the condition ever come? */
static void check_condition(struct builder *builder, const struct topology_vm *vm, const struct topology_depend *depend)
{
    struct arena *arena = &builder->topology->arena;
    const struct topology_vm *on = &builder->topology->vms[depend->vm];
    if (depend->condition == TOPOLOGY_HEALTHY && on->health.program == TOPOLOGY_NONE)
        refuse(builder, depend->mark, "give it a 'health', or wait until it is ready", vm,
               arena_format(arena, "'%s' has no health check, so it is never healthy", on->name));
    if (depend->condition == TOPOLOGY_COMPLETED && on->restart.policy == VM_RESTART_ALWAYS)
        refuse(builder, depend->mark, "wait until it is ready, or give it 'restart: on-failure'", vm,
               arena_format(arena, "'%s' is always restarted, so it never completes", on->name));
}

static void add(struct builder *builder, struct topology_vm *vm, const struct tree_node *place, const char *name,
                enum topology_condition condition)
{
    struct arena *arena = &builder->topology->arena;
    struct topology_peer peer;
    if (!builder_peer(builder, place, name, arena_format(arena, "vms.%s.depends_on", vm->name), &peer))
        return;
    for (uint32_t i = 0; i < vm->depend_count; i++)
        if (vm->depends[i].vm == peer.vm && vm->depends[i].replica == peer.replica) {
            refuse(builder, place->mark, "remove one of the two", vm, arena_format(arena, "'%s' is here twice", name));
            return;
        }
    vm->depends[vm->depend_count] = (struct topology_depend){peer.vm, peer.replica, condition, place->mark};
    check_condition(builder, vm, &vm->depends[vm->depend_count++]);
}

/* More than so many names are nobody's; it bounds the search for one that is here twice. */
#define DEPENDS_MAX 1000

static void build(struct builder *builder, struct topology_vm *vm, const struct tree_node *own)
{
    const struct tree_node *node = builder_get(own, "depends_on");
    if (node == NULL)
        return;
    uint32_t count = node->kind == TREE_MAP ? node->count : builder_count(node);
    if (count > DEPENDS_MAX) {
        refuse(builder, node->mark, NULL, vm,
               arena_format(&builder->topology->arena, "more than %d names", DEPENDS_MAX));
        return;
    }
    vm->depends = arena_array(&builder->topology->arena, count, sizeof *vm->depends);
    for (uint32_t i = 0; i < count; i++) {
        if (node->kind == TREE_MAP) {
            const struct tree_pair *pair = &node->pairs[i];
            if (pair->value->sound)
                add(builder, vm, pair->key, pair->key->text, (enum topology_condition)pair->value->number);
        } else if (builder_item(node, i)->sound) {
            add(builder, vm, builder_item(node, i), builder_item(node, i)->text, TOPOLOGY_READY);
        }
    }
}

/* ---- the order, depth first without recursion: ten thousand VMs may depend on each other in one chain ---- */

enum colour { UNSEEN, ON_PATH, DONE };

struct search {
    struct topology *topology;
    unsigned char *colour;
    uint32_t *path; /* VMs on the way */
    uint32_t *next; /* of each: the dependency to look at next */
    uint32_t depth;
    uint32_t ordered;
};

/* More than so many links of a circle say nothing to anybody. */
#define SHOWN_MAX 12

static void tell_circle(struct search *search, const struct topology_depend *back)
{
    struct topology *topology = search->topology;
    uint32_t start = 0;
    while (search->path[start] != back->vm)
        start++;
    const char *text = "";
    for (uint32_t i = start; i < search->depth; i++) {
        if (i - start == SHOWN_MAX && search->depth - i > 1) {
            text = arena_format(&topology->arena, "%s... -> ", text);
            i = search->depth - 1;
        }
        text = arena_format(&topology->arena, "%s%s -> ", text, topology->vms[search->path[i]].name);
    }
    const struct topology_vm *vm = &topology->vms[search->path[search->depth - 1]];
    diag_error(&topology->diags, back->mark, "remove one of these dependencies", "vms.%s.depends_on: a circle: %s%s",
               vm->name, text, topology->vms[back->vm].name);
}

static void enter(struct search *search, uint32_t vm)
{
    search->colour[vm] = ON_PATH;
    search->path[search->depth] = vm;
    search->next[search->depth++] = 0;
}

static void step(struct search *search)
{
    struct topology *topology = search->topology;
    uint32_t vm = search->path[search->depth - 1], at = search->next[search->depth - 1]++;
    if (at == topology->vms[vm].depend_count) {
        search->colour[vm] = DONE;
        topology->order[search->ordered++] = vm;
        search->depth--;
        return;
    }
    const struct topology_depend *depend = &topology->vms[vm].depends[at];
    if (search->colour[depend->vm] == ON_PATH)
        tell_circle(search, depend);
    else if (search->colour[depend->vm] == UNSEEN)
        enter(search, depend->vm);
}

void build_depends(struct builder *builder)
{
    struct topology *topology = builder->topology;
    struct arena *arena = &topology->arena;
    uint32_t count = topology->vm_count;
    for (uint32_t i = 0; i < count; i++)
        build(builder, &topology->vms[i], builder->vm_nodes[i]);
    topology->order = arena_array(arena, count, sizeof *topology->order);
    struct search search = {
        .topology = topology,
        .colour = arena_array(arena, count, 1),
        .path = arena_array(arena, count, sizeof(uint32_t)),
        .next = arena_array(arena, count, sizeof(uint32_t)),
    };
    for (uint32_t i = 0; i < count; i++)
        if (search.colour[i] == UNSEEN)
            for (enter(&search, i); search.depth > 0;)
                step(&search);
}
