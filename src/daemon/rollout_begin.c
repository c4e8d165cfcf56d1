/* rollout_begin.c - what is to be done: the plan, what a client is told of it, and the first step. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "common/clock.h"
#include "manager.h"
#include "rollout_parts.h"

/* Wires that an answer names; there may be a hundred thousand. */
#define WIRES_SHOWN 1000u

/* ---- what is there ---- */

struct present {
    struct plan_present *vms;
    struct instance **instances;
    uint32_t count;
    struct plan_link *links;
    struct plan_way *ways;
    const struct bundle *bundle; /* that is to come */
};

static bool same_program(void *context, uint32_t desired, uint32_t index)
{
    const struct present *present = context;
    const struct instance *instance = present->instances[index];
    return bundle_same_program(present->bundle, desired, instance->bundle, instance_entry(instance)->program);
}

static uint32_t index_of(const struct fleet *fleet, uint32_t number)
{
    const struct instance *instance = instance_find(fleet->manager, number);
    return instance->place;
}

static void list_wires(const struct fleet *fleet, struct present *present)
{
    uint32_t count = 0;
    for (const struct fleet_wire *wire = fleet->wires; wire != NULL; wire = wire->hh.next, count++) {
        present->links[count] = wire->link;
        present->links[count].from = index_of(fleet, wire->link.from);
        present->links[count].to = index_of(fleet, wire->link.to);
    }
    count = 0;
    for (const struct fleet_way *way = fleet->ways; way != NULL; way = way->hh.next, count++) {
        present->ways[count] = way->way;
        present->ways[count].from = index_of(fleet, way->way.from);
        present->ways[count].to = index_of(fleet, way->way.to);
    }
}

static int list_present(const struct fleet *fleet, struct present *present, struct bx_error *err)
{
    uint32_t count = HASH_CNT(in_fleet, fleet->instances);
    present->vms = calloc(count + 1u, sizeof *present->vms);
    present->instances = calloc(count + 1u, sizeof(struct instance *));
    present->links = calloc(HASH_COUNT(fleet->wires) + 1u, sizeof *present->links);
    present->ways = calloc(HASH_COUNT(fleet->ways) + 1u, sizeof *present->ways);
    if (present->vms == NULL || present->instances == NULL || present->links == NULL || present->ways == NULL)
        return bx_fail_errno(err, ENOMEM, "topology '%s'", fleet->name);
    for (struct instance *at = fleet->instances; at != NULL; at = at->in_fleet.next) {
        at->place = present->count;
        present->instances[present->count] = at;
        present->vms[present->count++] = (struct plan_present){
            .name = at->name,
            .vm = instance_entry(at),
            .runs = (at->vm != NULL && at->state != INSTANCE_STOPPING) || instance_is_completed(at),
        };
    }
    list_wires(fleet, present);
    return 0;
}

static void present_fini(struct present *present)
{
    free(present->vms);
    free(present->instances);
    free(present->links);
    free(present->ways);
}

/* ---- what is said of the plan ---- */

static const char *action_name(enum plan_action action)
{
    static const char *const names[] = {"keep", "add", "change", "start", "remove"};
    return names[action];
}

static void put_vm(struct answer *answer, const char *name, const struct plan_vm *vm)
{
    uint32_t reasons = 0;
    for (unsigned i = 0; i < PLAN_WHY_COUNT; i++)
        reasons += vm->why >> i & 1;
    answer_map(answer, 3);
    answer_put_text(answer, "name", name);
    answer_put_text(answer, "action", action_name(vm->action));
    answer_put_list(answer, "why", reasons);
    for (unsigned i = 0; i < PLAN_WHY_COUNT; i++)
        if ((vm->why >> i & 1) != 0)
            answer_text(answer, plan_why_name(i));
}

static void put_vms(struct answer *answer, const struct plan *plan, const struct topology *topology,
                    const struct present *present)
{
    answer_put_list(answer, "vms", plan->vm_count - plan->kept);
    for (uint32_t i = 0; i < plan->vm_count; i++) {
        const struct plan_vm *vm = &plan->vms[i];
        if (vm->action != PLAN_KEEP)
            put_vm(answer, vm->desired != TOPOLOGY_NONE ? topology->instances[vm->desired].name
                                                        : present->vms[vm->present].name,
                   vm);
    }
    answer_put_number(answer, "vms_kept", plan->kept);
}

static void put_wire(struct answer *answer, const char *from, const char *to, const struct plan_link *link,
                     const char *action)
{
    answer_map(answer, 5);
    answer_put_text(answer, "from", from);
    answer_put_text(answer, "to", to);
    answer_put_number(answer, "port", link->port);
    answer_put_text(answer, "proto", link->udp ? "udp" : "tcp");
    answer_put_text(answer, "action", action);
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static void put_wires(struct answer *answer, const struct plan *plan, const struct topology *topology,
                      const struct present *present)
{
    uint32_t added = least(plan->added_count, WIRES_SHOWN), removed = least(plan->removed_count, WIRES_SHOWN);
    uint32_t shaped = least(plan->way_count, WIRES_SHOWN);
    const struct topology_instance *names = topology->instances;
    answer_put_list(answer, "wires", added + removed + shaped);
    for (uint32_t i = 0; i < added; i++)
        put_wire(answer, names[plan->added[i].from].name, names[plan->added[i].to].name, &plan->added[i], "add");
    for (uint32_t i = 0; i < removed; i++)
        put_wire(answer, present->vms[plan->removed[i].from].name, present->vms[plan->removed[i].to].name,
                 &plan->removed[i], "remove");
    for (uint32_t i = 0; i < shaped; i++) {
        const struct plan_link every_port = {0};
        put_wire(answer, names[plan->ways[i].from].name, names[plan->ways[i].to].name, &every_port, "shape");
    }
    answer_put_number(answer, "wires_added", plan->added_count);
    answer_put_number(answer, "wires_removed", plan->removed_count + plan->links_gone);
    answer_put_number(answer, "wires_kept", plan->links_kept);
}

/* All but how long it took. */
static void describe(struct answer *answer, const struct plan *plan, const struct topology *topology,
                     const struct present *present, bool dry_run)
{
    answer_map(answer, 9);
    answer_put_text(answer, "topology", topology->name);
    answer_put_bool(answer, "dry_run", dry_run);
    put_vms(answer, plan, topology, present);   /* two entries */
    put_wires(answer, plan, topology, present); /* four */
}

/* ---- up ---- */

/* From which port on a VM may bind is settled when it gets its place in the network, and that stays. */
static int check_ports(const struct plan *plan, const struct topology *topology, const struct present *present,
                       struct bx_error *err)
{
    for (uint32_t i = 0; i < topology->instance_count; i++) {
        const struct plan_vm *vm = &plan->vms[i];
        if (vm->action != PLAN_CHANGE || !present->vms[vm->present].vm->networked)
            continue;
        uint16_t low = rollout_low_port(&topology->vms[topology->instances[i].vm]);
        uint16_t had = rollout_low_port(present->vms[vm->present].vm);
        if (low != 0 && (had == 0 || low < had))
            return bx_fail(err, EBUSY,
                           "'%s' was made without port %u, which is below 1024: take the topology '%s' down first",
                           topology->instances[i].name, low, topology->name);
    }
    return 0;
}

static int make_plan(const struct fleet *fleet, const struct bundle *bundle, struct present *present,
                     struct plan **out, struct bx_error *err)
{
    present->bundle = bundle;
    if (fleet != NULL) {
        int rc = list_present(fleet, present, err);
        if (rc != 0)
            return rc;
    }
    const struct plan_input input = {
        .desired = bundle->topology,
        .present = present->vms,
        .present_count = present->count,
        .links = present->links,
        .link_count = fleet != NULL ? HASH_COUNT(fleet->wires) : 0,
        .ways = present->ways,
        .way_count = fleet != NULL ? HASH_COUNT(fleet->ways) : 0,
        .same_program = same_program,
        .context = present,
    };
    int rc = plan_make(&input, out, err);
    return rc == 0 ? check_ports(*out, bundle->topology, present, err) : rc;
}

static int dry_run(struct manager *manager, struct bundle *bundle, struct client_request request, struct bx_error *err)
{
    struct present present = {0};
    struct plan *plan = NULL;
    struct answer answer;
    int rc = make_plan(fleet_find(manager, bundle->topology->name), bundle, &present, &plan, err);
    if (rc == 0) {
        answer_init(&answer);
        describe(&answer, plan, bundle->topology, &present, true);
        answer_put_number(&answer, "duration_us", 0);
        answer_finish(&answer, manager_client(manager, request.client), request.id);
    }
    plan_free(plan);
    present_fini(&present);
    bundle_leave(bundle);
    return rc;
}

/* The numbers of what was there and of what will be; what is new is made, and what goes is marked. */
static int fill_tables(struct rollout *rollout, const struct present *present, struct bx_error *err)
{
    const struct topology *topology = rollout->bundle->topology;
    rollout->present = calloc(present->count + 1u, sizeof *rollout->present);
    rollout->targets = calloc(topology->instance_count + 1u, sizeof *rollout->targets);
    if (rollout->present == NULL || rollout->targets == NULL)
        return bx_fail_errno(err, ENOMEM, "topology '%s'", topology->name);
    for (uint32_t i = 0; i < present->count; i++)
        rollout->present[i] = present->instances[i]->number;
    for (uint32_t i = 0; i < rollout->plan->vm_count; i++) {
        const struct plan_vm *vm = &rollout->plan->vms[i];
        struct instance *instance = vm->present != TOPOLOGY_NONE ? present->instances[vm->present] : NULL;
        if (instance == NULL) {
            instance = instance_new(rollout->fleet, rollout->bundle, vm->desired, err);
            if (instance == NULL)
                return -err->code;
            instance->fresh = true;
        }
        instance->doomed = vm->action == PLAN_CHANGE || vm->action == PLAN_REMOVE || vm->action == PLAN_START;
        if (vm->desired != TOPOLOGY_NONE)
            rollout->targets[vm->desired] = instance->number;
    }
    return 0;
}

static int begin_up(struct fleet *fleet, struct bundle *bundle, struct client_request request, unsigned flags,
                    struct bx_error *err)
{
    struct present present = {0};
    struct plan *plan = NULL;
    int rc = make_plan(fleet, bundle, &present, &plan, err);
    struct rollout *rollout = rc == 0 ? rollout_new(fleet, request) : NULL;
    if (rc == 0 && rollout == NULL)
        rc = bx_fail_errno(err, ENOMEM, "topology '%s'", fleet->name);
    if (rollout == NULL) {
        plan_free(plan);
        present_fini(&present);
        bundle_leave(bundle);
        return rc;
    }
    rollout->bundle = bundle;
    rollout->plan = plan;
    rollout->flags = flags;
    rollout->fresh = rollout->fleet->bundle == NULL;
    describe(&rollout->answer, plan, bundle->topology, &present, false);
    feed_say("up", fleet, NULL);
    if (fill_tables(rollout, &present, err) != 0)
        rollout_fail(rollout, err->code, err->text);
    present_fini(&present);
    rollout_go_on(rollout);
    return 0;
}

int rollout_up(struct manager *manager, struct bundle *bundle, struct client_request request, unsigned flags,
               struct bx_error *err)
{
    if ((flags & CTL_UP_DRY_RUN) != 0)
        return dry_run(manager, bundle, request, err);
    struct fleet *fleet = fleet_find(manager, bundle->topology->name);
    bool fresh = fleet == NULL;
    int rc = 0;
    if (fleet != NULL && fleet->rollout != NULL)
        rc = bx_fail(err, EBUSY, "the topology '%s' is %s already: wait until that is over, or take it down",
                     fleet->name, strcmp(rollout_state(fleet), "coming") == 0 ? "coming up" : "going down");
    else if (fleet == NULL && (fleet = fleet_new(manager, bundle->topology->name)) == NULL)
        rc = bx_fail_errno(err, ENOMEM, "topology '%s'", bundle->topology->name);
    if (rc != 0) {
        bundle_leave(bundle);
        return rc;
    }
    rc = begin_up(fleet, bundle, request, flags, err);
    if (rc != 0 && fresh)
        fleet_free(fleet);
    return rc;
}

/* ---- down ---- */

/* It comes or goes already: the answer follows that. */
static int add_down(struct rollout *rollout, struct client_request request, struct bx_error *err)
{
    struct client_request *larger = realloc(rollout->downs, (rollout->down_count + 1) * sizeof *larger);
    if (larger == NULL)
        return bx_fail_errno(err, ENOMEM, "topology '%s'", rollout->fleet->name);
    rollout->downs = larger;
    larger[rollout->down_count++] = request;
    if (!rollout->down)
        rollout_fail(rollout, ECANCELED, "it was taken down meanwhile");
    rollout_go_on(rollout);
    return 0;
}

int rollout_begin_down(struct fleet *fleet, struct client_request request, struct bx_error *err)
{
    if (fleet->rollout != NULL)
        return add_down(fleet->rollout, request, err);
    struct rollout *rollout = rollout_new(fleet, request);
    if (rollout == NULL)
        return bx_fail_errno(err, ENOMEM, "topology '%s'", fleet->name);
    rollout->down = true;
    feed_say("down", fleet, NULL);
    for (struct instance *at = fleet->instances; at != NULL; at = at->in_fleet.next)
        at->doomed = true;
    rollout->phase = ROLLOUT_STOP;
    rollout_stop_begin(rollout);
    rollout_go_on(rollout);
    return 0;
}

/* ---- a request of several: it is answered when the last one is gone ---- */

struct fleet_down {
    struct fleet_down *prev, *next;
    struct client_request request;
    uint32_t left, vms, count;
    char (*names)[BX_NAME_MAX + 1];
};

static struct fleet_down *find_down(struct manager *manager, struct client_request request)
{
    struct fleet_down *down;
    DL_FOREACH(manager->fleets.downs, down)
        if (down->request.client == request.client && down->request.id == request.id)
            return down;
    return NULL;
}

static void free_down(struct manager *manager, struct fleet_down *down)
{
    DL_DELETE(manager->fleets.downs, down);
    free(down->names);
    free(down);
}

void rollout_downs_fini(struct manager *manager)
{
    while (manager->fleets.downs != NULL)
        free_down(manager, manager->fleets.downs);
}

void rollout_down_gone(struct manager *manager, struct client_request request, const char *name, uint32_t vms)
{
    struct fleet_down *down = find_down(manager, request);
    struct answer answer;
    if (down == NULL)
        return;
    memcpy(down->names[down->count++], name, sizeof *down->names);
    down->vms += vms;
    if (--down->left > 0)
        return;
    answer_init(&answer);
    answer_map(&answer, 2);
    answer_put_list(&answer, "topologies", down->count);
    for (uint32_t i = 0; i < down->count; i++)
        answer_text(&answer, down->names[i]);
    answer_put_number(&answer, "vms", down->vms);
    answer_finish(&answer, manager_client(manager, request.client), request.id);
    free_down(manager, down);
}

void rollout_down_failed(struct manager *manager, struct client_request request, const struct bx_error *err)
{
    struct fleet_down *down = find_down(manager, request);
    if (down == NULL)
        return;
    client_send_note(manager_client(manager, request.client), CTL_ERROR, request.id, 0, (uint32_t)err->code, err->text,
                     strlen(err->text));
    free_down(manager, down);
}

static struct fleet_down *new_down(struct manager *manager, uint32_t fleets, struct client_request request)
{
    struct fleet_down *down = calloc(1, sizeof *down);
    if (down == NULL)
        return NULL;
    down->request = request;
    down->left = fleets;
    down->names = calloc(fleets, sizeof *down->names);
    DL_APPEND(manager->fleets.downs, down);
    if (down->names != NULL)
        return down;
    free_down(manager, down);
    return NULL;
}

int rollout_down(struct manager *manager, struct fleet *only, struct client_request request, struct bx_error *err)
{
    struct fleet *fleet, *next;
    uint32_t count = 0;
    DL_COUNT(manager->fleets.list, fleet, count);
    if (count == 0)
        return bx_fail(err, ENOENT, "no topology is up");
    if (new_down(manager, only != NULL ? 1 : count, request) == NULL)
        return bx_fail_errno(err, ENOMEM, "taking a topology down");
    DL_FOREACH_SAFE(manager->fleets.list, fleet, next) {
        struct bx_error wrong = {0};
        if ((only == NULL || only == fleet) && rollout_begin_down(fleet, request, &wrong) != 0)
            rollout_down_failed(manager, request, &wrong);
    }
    return 0;
}
