/* plan.c - VMs are told apart by their names, connections by the names of both ends and the port. Sorted lists. */
#include "plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct making {
    const struct plan_input *input;
    struct plan *plan;
    uint32_t *desired_of; /* of each VM that is there: its instance in the topology, or TOPOLOGY_NONE */
    uint32_t *present_of; /* and the other way round */
};

const char *plan_why_name(unsigned bit)
{
    static const char *const names[PLAN_WHY_COUNT] = {
        "script", "args", "env", "limits", "profile", "mounts", "network", "policy",
    };
    return bit < PLAN_WHY_COUNT ? names[bit] : "?";
}

/* ---- VMs ---- */

static bool same_args(const struct topology_vm *a, const struct topology_vm *b)
{
    if (a->arg_count != b->arg_count)
        return false;
    for (uint32_t i = 0; i < a->arg_count; i++)
        if (strcmp(a->args[i].text, b->args[i].text) != 0)
            return false;
    return true;
}

static bool same_env(const struct topology_vm *a, const struct topology_vm *b)
{
    if (a->env_count != b->env_count)
        return false;
    for (uint32_t i = 0; i < a->env_count; i++)
        if (strcmp(a->env[i].name, b->env[i].name) != 0 || strcmp(a->env[i].value, b->env[i].value) != 0)
            return false;
    return true;
}

static bool same_limits(const struct vm_spec *a, const struct vm_spec *b)
{
    return a->memory == b->memory && a->cpus_milli == b->cpus_milli && a->pids == b->pids &&
           a->timeout_ms == b->timeout_ms && a->cpu_time_ms == b->cpu_time_ms && a->output_limit == b->output_limit &&
           a->required == b->required;
}

static bool same_mounts(const struct topology_vm *a, const struct topology_vm *b)
{
    if (a->spec.mount_count != b->spec.mount_count)
        return false;
    for (uint32_t i = 0; i < a->spec.mount_count; i++)
        if (strcmp(a->spec.mounts[i].target, b->spec.mounts[i].target) != 0 ||
            a->spec.mounts[i].writable != b->spec.mounts[i].writable ||
            strcmp(a->mount_hosts[i], b->mount_hosts[i]) != 0)
            return false;
    return true;
}

static bool same_network(const struct topology_vm *a, const struct topology_vm *b)
{
    if (a->networked != b->networked || a->port_count != b->port_count || a->server_count != b->server_count ||
        a->publish_count != b->publish_count)
        return false;
    for (uint32_t i = 0; i < a->port_count; i++)
        if (a->ports[i].port != b->ports[i].port || a->ports[i].udp != b->ports[i].udp)
            return false;
    for (uint32_t i = 0; i < a->publish_count; i++)
        if (strcmp(a->publish[i].host, b->publish[i].host) != 0 ||
            a->publish[i].host_port != b->publish[i].host_port || a->publish[i].vm_port != b->publish[i].vm_port)
            return false;
    return true;
}

static bool same_restart(const struct vm_restart *a, const struct vm_restart *b)
{
    return a->policy == b->policy && a->delay_ms == b->delay_ms && a->max_delay_ms == b->max_delay_ms &&
           a->within_ms == b->within_ms && a->reset_after_ms == b->reset_after_ms &&
           a->factor_milli == b->factor_milli && a->jitter_ppm == b->jitter_ppm && a->max == b->max;
}

static bool same_policy(const struct topology_vm *a, const struct topology_vm *b)
{
    return same_restart(&a->restart, &b->restart) && a->watchdog_ms == b->watchdog_ms &&
           a->health.every_ms == b->health.every_ms && a->health.timeout_ms == b->health.timeout_ms &&
           a->health.start_period_ms == b->health.start_period_ms && a->health.retries == b->health.retries &&
           (a->health.program == TOPOLOGY_NONE) == (b->health.program == TOPOLOGY_NONE);
}

static unsigned differences(const struct making *making, uint32_t desired, uint32_t present)
{
    const struct plan_input *input = making->input;
    const struct topology_vm *a = &input->desired->vms[input->desired->instances[desired].vm];
    const struct topology_vm *b = input->present[present].vm;
    unsigned why = 0;
    why |= input->same_program(input->context, a->program, present) ? 0 : PLAN_PROGRAM;
    why |= same_args(a, b) ? 0 : PLAN_ARGS;
    why |= same_env(a, b) ? 0 : PLAN_ENV;
    why |= same_limits(&a->spec, &b->spec) ? 0 : PLAN_LIMITS;
    why |= a->spec.profile == b->spec.profile ? 0 : PLAN_PROFILE;
    why |= same_mounts(a, b) ? 0 : PLAN_MOUNTS;
    why |= same_network(a, b) ? 0 : PLAN_NETWORK;
    why |= same_policy(a, b) ? 0 : PLAN_POLICY;
    return why;
}

/* Which instance is which VM that is there, by name. */
static void match(struct making *making)
{
    const struct plan_input *input = making->input;
    struct arena *arena = &making->plan->arena;
    uint32_t count = input->desired->instance_count;
    struct lookup_entry *entries = arena_array(arena, input->present_count, sizeof *entries);
    struct lookup names;
    for (uint32_t i = 0; i < input->present_count; i++)
        entries[i] = (struct lookup_entry){input->present[i].name, i};
    lookup_init(&names, arena, entries, input->present_count);
    making->desired_of = arena_array(arena, input->present_count, sizeof *making->desired_of);
    making->present_of = arena_array(arena, count, sizeof *making->present_of);
    for (uint32_t i = 0; i < input->present_count; i++)
        making->desired_of[i] = TOPOLOGY_NONE;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t present;
        making->present_of[i] = TOPOLOGY_NONE;
        if (lookup_find(&names, input->desired->instances[i].name, &present)) {
            making->present_of[i] = present;
            making->desired_of[present] = i;
        }
    }
}

static void plan_vms(struct making *making)
{
    const struct plan_input *input = making->input;
    struct plan *plan = making->plan;
    uint32_t count = input->desired->instance_count;
    plan->vms = arena_array(&plan->arena, (size_t)count + input->present_count, sizeof *plan->vms);
    for (uint32_t i = 0; i < count; i++) {
        struct plan_vm *vm = &plan->vms[plan->vm_count++];
        *vm = (struct plan_vm){.action = PLAN_ADD, .desired = i, .present = making->present_of[i]};
        if (vm->present == TOPOLOGY_NONE)
            continue;
        vm->why = differences(making, i, vm->present);
        vm->action = vm->why != 0 ? PLAN_CHANGE : input->present[vm->present].runs ? PLAN_KEEP : PLAN_START;
        plan->kept += vm->action == PLAN_KEEP;
    }
    for (uint32_t i = 0; i < input->present_count; i++)
        if (making->desired_of[i] == TOPOLOGY_NONE)
            plan->vms[plan->vm_count++] =
                (struct plan_vm){.action = PLAN_REMOVE, .desired = TOPOLOGY_NONE, .present = i};
}

/* ---- wires ---- */

static int compare_links(const void *left, const void *right)
{
    const struct plan_link *a = left, *b = right;
    if (a->from != b->from)
        return a->from < b->from ? -1 : 1;
    if (a->to != b->to)
        return a->to < b->to ? -1 : 1;
    if (a->port != b->port)
        return a->port < b->port ? -1 : 1;
    return a->udp != b->udp ? (a->udp ? 1 : -1) : 0;
}

/* Does its net stay, with all wires that it has? */
static bool keeps_net(const struct making *making, uint32_t present)
{
    const struct plan_input *input = making->input;
    uint32_t desired = making->desired_of[present];
    return desired != TOPOLOGY_NONE && input->present[present].vm->networked &&
           input->desired->vms[input->desired->instances[desired].vm].networked;
}

/* Those that are there, with the topology's numbers and sorted as its own are; the others are counted. */
static struct plan_link *translate(struct making *making, uint32_t *count)
{
    const struct plan_input *input = making->input;
    struct plan_link *links = arena_array(&making->plan->arena, input->link_count, sizeof *links);
    *count = 0;
    for (uint32_t i = 0; i < input->link_count; i++) {
        const struct plan_link *link = &input->links[i];
        if (!keeps_net(making, link->from) || !keeps_net(making, link->to)) {
            making->plan->links_gone++;
            continue;
        }
        links[*count] = *link;
        links[*count].from = making->desired_of[link->from];
        links[(*count)++].to = making->desired_of[link->to];
    }
    lookup_sort(&making->plan->arena, links, *count, sizeof *links, compare_links);
    return links;
}

static void plan_links(struct making *making)
{
    const struct topology *desired = making->input->desired;
    struct plan *plan = making->plan;
    uint32_t there_count, there = 0;
    struct plan_link *links = translate(making, &there_count);
    plan->added = arena_array(&plan->arena, desired->link_count, sizeof *plan->added);
    plan->removed = arena_array(&plan->arena, there_count, sizeof *plan->removed);
    for (uint32_t i = 0; i < desired->link_count || there < there_count;) {
        const struct topology_link *from = i < desired->link_count ? &desired->links[i] : NULL;
        struct plan_link wanted = {0};
        if (from != NULL)
            wanted = (struct plan_link){from->from, from->to, from->port, from->udp, 0};
        int order = from == NULL ? 1 : there == there_count ? -1 : compare_links(&wanted, &links[there]);
        if (order < 0)
            plan->added[plan->added_count++] = wanted;
        else if (order > 0)
            plan->removed[plan->removed_count++] =
                (struct plan_link){making->present_of[links[there].from], making->present_of[links[there].to],
                                   links[there].port, links[there].udp, 0};
        else
            plan->links_kept++;
        i += order <= 0;
        there += order >= 0;
    }
}

/* ---- how they behave ---- */

static int compare_ways(const void *left, const void *right)
{
    const struct plan_way *a = left, *b = right;
    if (a->from != b->from)
        return a->from < b->from ? -1 : 1;
    return a->to != b->to ? (a->to < b->to ? -1 : 1) : 0;
}

static bool behaves(const struct plan_behaviour *behaviour)
{
    return behaviour->rate != 0 || behaviour->delay_us != 0 || behaviour->loss_ppm != 0;
}

static bool same_behaviour(const struct plan_behaviour *a, const struct plan_behaviour *b)
{
    return a->rate == b->rate && a->delay_us == b->delay_us && a->jitter_us == b->jitter_us &&
           a->loss_ppm == b->loss_ppm;
}

/*
 * A wire behaves as it says in both directions, but where a wire of the other direction says something itself: its own
 * direction comes first, and sorting keeps that order.
 */
static struct plan_way *collect_ways(struct making *making, uint32_t *count)
{
    const struct topology *desired = making->input->desired;
    struct plan_way *ways = arena_array(&making->plan->arena, 2 * (size_t)desired->link_count, sizeof *ways);
    uint32_t all = 0, kept = 0;
    for (int back = 0; back < 2; back++) {
        for (uint32_t i = 0; i < desired->link_count; i++) {
            const struct topology_link *link = &desired->links[i];
            const struct topology_wire *wire = &desired->wires[link->wire];
            struct plan_way way = {
                back ? link->to : link->from,
                back ? link->from : link->to,
                {wire->rate, (uint32_t)wire->delay_us, (uint32_t)wire->jitter_us, wire->loss_ppm},
                {0},
            };
            if (behaves(&way.behaviour))
                ways[all++] = way;
        }
    }
    lookup_sort(&making->plan->arena, ways, all, sizeof *ways, compare_ways);
    for (uint32_t i = 0; i < all; i++)
        if (kept == 0 || compare_ways(&ways[kept - 1], &ways[i]) != 0)
            ways[kept++] = ways[i];
    *count = kept;
    return ways;
}

static struct plan_way *translate_ways(struct making *making, uint32_t *count)
{
    const struct plan_input *input = making->input;
    struct plan_way *ways = arena_array(&making->plan->arena, input->way_count, sizeof *ways);
    *count = 0;
    for (uint32_t i = 0; i < input->way_count; i++) {
        if (!keeps_net(making, input->ways[i].from) || !keeps_net(making, input->ways[i].to))
            continue;
        ways[*count] = input->ways[i];
        ways[*count].from = making->desired_of[input->ways[i].from];
        ways[(*count)++].to = making->desired_of[input->ways[i].to];
    }
    lookup_sort(&making->plan->arena, ways, *count, sizeof *ways, compare_ways);
    return ways;
}

static void plan_ways(struct making *making)
{
    struct plan *plan = making->plan;
    uint32_t there_count, there = 0;
    struct plan_way *is = translate_ways(making, &there_count);
    plan->all_ways = collect_ways(making, &plan->all_way_count);
    plan->ways = arena_array(&plan->arena, (size_t)plan->all_way_count + there_count, sizeof *plan->ways);
    for (uint32_t i = 0; i < plan->all_way_count || there < there_count;) {
        const struct plan_way *wanted = &plan->all_ways[i];
        int order = i == plan->all_way_count ? 1 : there == there_count ? -1 : compare_ways(wanted, &is[there]);
        if (order > 0)
            plan->ways[plan->way_count++] =
                (struct plan_way){.from = is[there].from, .to = is[there].to, .before = is[there].behaviour};
        else if (order < 0)
            plan->ways[plan->way_count++] =
                (struct plan_way){.from = wanted->from, .to = wanted->to, .behaviour = wanted->behaviour};
        else if (!same_behaviour(&wanted->behaviour, &is[there].behaviour))
            plan->ways[plan->way_count++] =
                (struct plan_way){wanted->from, wanted->to, wanted->behaviour, is[there].behaviour};
        i += order <= 0;
        there += order >= 0;
    }
}

/* ---- all of it ---- */

static void make(const struct plan_input *input, struct plan *plan)
{
    struct making making = {.input = input, .plan = plan};
    match(&making);
    plan_vms(&making);
    plan_links(&making);
    plan_ways(&making);
}

int plan_make(const struct plan_input *input, struct plan **out, struct bx_error *err)
{
    struct plan *plan = calloc(1, sizeof *plan);
    if (plan == NULL)
        return bx_fail_errno(err, ENOMEM, "the plan for a topology");
    arena_init(&plan->arena, TOPOLOGY_MEMORY_MAX);
    if (setjmp(plan->arena.out) != 0) {
        plan_free(plan);
        return bx_fail_errno(err, ENOMEM, "the plan for a topology");
    }
    make(input, plan);
    *out = plan;
    return 0;
}

void plan_free(struct plan *plan)
{
    if (plan == NULL)
        return;
    arena_fini(&plan->arena);
    free(plan);
}

bool plan_is_empty(const struct plan *plan)
{
    return plan->kept == plan->vm_count && plan->added_count == 0 && plan->removed_count == 0 && plan->way_count == 0;
}
