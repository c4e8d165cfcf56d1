/* test_plan.c - what has to be done to make what is there into what a file asks for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/plan.h"

#define MAX 64

/* What is there is told by a file, too: all of it runs, unless `down` names it. */
struct world {
    struct topology *present, *desired;
    struct plan_present vms[MAX];
    struct plan_link links[MAX];
    struct plan_way ways[MAX];
    uint32_t way_count;
    struct plan *plan;
};

static struct topology *load(const char *text)
{
    struct topology_source source = {text, strlen(text), "t", NULL, 0};
    struct topology *topology = NULL;
    struct bx_error err = {0};
    if (topology_load(&source, &topology, &err) != 0)
        fail_msg("%s", err.text);
    if (topology->diags.errors > 0)
        fail_msg("%u: %s", topology->diags.list[0].mark.line, topology->diags.list[0].message);
    return topology;
}

static bool same_text(void *context, uint32_t desired, uint32_t present)
{
    const struct world *world = context;
    uint32_t program = world->vms[present].vm->program;
    return strcmp(world->desired->programs[desired].text, world->present->programs[program].text) == 0;
}

static void make(struct world *world, const char *present, const char *desired, const char *down)
{
    *world = (struct world){.present = load(present), .desired = load(desired)};
    const struct topology *there = world->present;
    assert_true(there->instance_count < MAX && there->link_count < MAX);
    for (uint32_t i = 0; i < there->instance_count; i++)
        world->vms[i] = (struct plan_present){there->instances[i].name, &there->vms[there->instances[i].vm],
                                              down == NULL || strcmp(there->instances[i].name, down) != 0};
    for (uint32_t i = 0; i < there->link_count; i++) {
        const struct topology_link *link = &there->links[i];
        const struct topology_wire *wire = &there->wires[link->wire];
        world->links[i] = (struct plan_link){link->from, link->to, link->port, link->udp, 0};
        if (wire->rate == 0)
            continue;
        world->ways[world->way_count++] = (struct plan_way){link->from, link->to, {.rate = wire->rate}, {0}};
        world->ways[world->way_count++] = (struct plan_way){link->to, link->from, {.rate = wire->rate}, {0}};
    }
    const struct plan_input input = {world->desired, world->vms, there->instance_count, world->links,
                                     there->link_count, world->ways, world->way_count, same_text, world};
    struct bx_error err = {0};
    if (plan_make(&input, &world->plan, &err) != 0)
        fail_msg("%s", err.text);
}

static void unmake(struct world *world)
{
    plan_free(world->plan);
    topology_free(world->present);
    topology_free(world->desired);
}

/* "add a, keep b, change c(env)", then wires: "+a>b:80 -b>a:90 ~a>b". */
static const char *show(const struct world *world)
{
    static const char *const actions[] = {"keep", "add", "change", "start", "remove"};
    static char text[2000];
    const struct plan *plan = world->plan;
    const struct topology_instance *is = world->desired->instances, *was = world->present->instances;
    FILE *out = fmemopen(text, sizeof text, "w");
    for (uint32_t i = 0; i < plan->vm_count; i++) {
        const struct plan_vm *vm = &plan->vms[i];
        fprintf(out, "%s%s %s", i > 0 ? ", " : "", actions[vm->action],
                vm->desired != TOPOLOGY_NONE ? is[vm->desired].name : was[vm->present].name);
        for (unsigned bit = 0; bit < PLAN_WHY_COUNT; bit++)
            if ((vm->why >> bit & 1) != 0)
                fprintf(out, "(%s)", plan_why_name(bit));
    }
    for (uint32_t i = 0; i < plan->added_count; i++)
        fprintf(out, " +%s>%s:%u%s", is[plan->added[i].from].name, is[plan->added[i].to].name, plan->added[i].port,
                plan->added[i].udp ? "/udp" : "");
    for (uint32_t i = 0; i < plan->removed_count; i++)
        fprintf(out, " -%s>%s:%u%s", was[plan->removed[i].from].name, was[plan->removed[i].to].name,
                plan->removed[i].port, plan->removed[i].udp ? "/udp" : "");
    for (uint32_t i = 0; i < plan->way_count; i++)
        fprintf(out, " ~%s>%s=%llu", is[plan->ways[i].from].name, is[plan->ways[i].to].name,
                (unsigned long long)plan->ways[i].behaviour.rate);
    fclose(out);
    return text;
}

#define NOTHING "version: 1\nvms: {z: {code: z}}\n"
#define HEAD    "version: 1\nvms:\n"

static void expect(const char *present, const char *desired, const char *down, const char *want)
{
    struct world world;
    make(&world, present, desired, down);
    assert_string_equal(show(&world), want);
    unmake(&world);
}

static void test_the_same_again_is_nothing(void **state)
{
    (void)state;
    static const char text[] = HEAD "  a: {code: a, server: 80, args: [x], env: {K: v}}\n"
                                    "  b: {code: b, client: a, replicas: 2}\n"
                                    "wires: [{from: b, to: a, port: 80, rate: 1mbit}]\n";
    struct world world;
    make(&world, text, text, NULL);
    assert_string_equal(show(&world), "keep a, keep b-1, keep b-2");
    assert_true(plan_is_empty(world.plan));
    assert_int_equal(world.plan->links_kept, 2);
    assert_int_equal(world.plan->all_way_count, 4);
    unmake(&world);
}

static void test_what_comes_and_goes(void **state)
{
    (void)state;
    expect(NOTHING, HEAD "  a: {code: a, replicas: 2}\n", NULL, "add a-1, add a-2, remove z");
    expect(HEAD "  a: {code: a, replicas: 2}\n", HEAD "  a: {code: a, replicas: 3}\n", NULL,
           "keep a-1, keep a-2, add a-3");
    expect(HEAD "  a: {code: a}\n", HEAD "  a: {code: a, replicas: 1}\n", NULL, "add a-1, remove a");
}

static void test_what_is_down_is_started(void **state)
{
    (void)state;
    static const char text[] = HEAD "  a: {code: a}\n  b: {code: b}\n";
    expect(text, text, "b", "keep a, start b");
    expect(text, HEAD "  a: {code: a}\n  b: {code: c}\n", "b", "keep a, change b(script)");
}

static void test_why_it_changes(void **state)
{
    (void)state;
    static const struct {
        const char *desired, *want;
    } cases[] = {
        {"{code: b}", "change a(script)"},
        {"{code: a, args: [x]}", "change a(args)"},
        {"{code: a, env: {K: v}}", "change a(env)"},
        {"{code: a, memory: 32MiB}", "change a(limits)"},
        {"{code: a, timeout: 1s}", "change a(limits)"},
        {"{code: a, output_limit: 1MiB}", "change a(limits)"},
        {"{code: a, profile: full}", "change a(profile)"},
        {"{code: a, profile: full, mount: '/x:/y'}", "change a(profile)(mounts)"},
        {"{code: a, server: 80}", "change a(network)"},
        {"{code: a, network: fabric}", "change a(network)"},
        {"{code: a, restart: always}", "change a(policy)"},
        {"{code: a, watchdog: 5s}", "change a(policy)"},
        {"{code: b, args: [x]}", "change a(script)(args)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[300];
        snprintf(text, sizeof text, HEAD "  a: %s\n", cases[i].desired);
        expect(HEAD "  a: {code: a}\n", text, NULL, cases[i].want);
    }
}

static void test_wires_come_and_go_while_all_runs(void **state)
{
    (void)state;
#define VMS HEAD "  a: {code: a, server: [80, 90]}\n  b: {code: b, network: fabric}\n"
    expect(VMS, VMS "wires: [{from: b, to: a, port: 80}]\n", NULL, "keep a, keep b +b>a:80");
    expect(VMS "wires: [{from: b, to: a, port: 80}]\n", VMS, NULL, "keep a, keep b -b>a:80");
    expect(VMS "wires: [{from: b, to: a, port: 80}]\n", VMS "wires: [{from: b, to: a, port: 90}]\n", NULL,
           "keep a, keep b +b>a:90 -b>a:80");
    expect(VMS "wires: [{from: b, to: a, port: 80}]\n", VMS "wires: [{from: b, to: a, port: 80, rate: 1mbit}]\n", NULL,
           "keep a, keep b ~a>b=1000000 ~b>a=1000000");
    expect(VMS "wires: [{from: b, to: a, port: 80, rate: 1mbit}]\n", VMS "wires: [{from: b, to: a, port: 80}]\n", NULL,
           "keep a, keep b ~a>b=0 ~b>a=0");
#undef VMS
}

/* The wires of a VM that goes are gone with it; those of one that only changes stay. */
static void test_wires_of_those_that_go(void **state)
{
    (void)state;
    static const char both[] = HEAD "  a: {code: a, server: 80}\n  b: {code: b, client: a}\n";
    struct world world;
    make(&world, both, HEAD "  a: {code: a, server: 80}\n", NULL);
    assert_string_equal(show(&world), "keep a, remove b");
    assert_int_equal(world.plan->links_gone, 1);
    unmake(&world);
    expect(both, HEAD "  a: {code: a, server: 80}\n  b: {code: c, client: a}\n", NULL, "keep a, change b(script)");
    expect(both, HEAD "  a: {code: a, server: 80}\n  b: {code: b}\n", NULL, "keep a, change b(network)");
    expect(HEAD "  a: {code: a, server: 80}\n  b: {code: b}\n", both, NULL, "keep a, change b(network) +b>a:80");
}

/* A direction that says something itself is not overruled by the way back of the other. */
static void test_each_direction_has_its_own_behaviour(void **state)
{
    (void)state;
    expect(NOTHING,
           HEAD "  a: {code: a, server: 80}\n  b: {code: b, server: 80}\n"
                "wires: [{from: a, to: b, port: 80, rate: 1mbit}, {from: b, to: a, port: 80, rate: 2mbit}]\n",
           NULL, "add a, add b, remove z +a>b:80 +b>a:80 ~a>b=1000000 ~b>a=2000000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_again_is_nothing),      cmocka_unit_test(test_what_comes_and_goes),
        cmocka_unit_test(test_what_is_down_is_started),        cmocka_unit_test(test_why_it_changes),
        cmocka_unit_test(test_wires_come_and_go_while_all_runs), cmocka_unit_test(test_wires_of_those_that_go),
        cmocka_unit_test(test_each_direction_has_its_own_behaviour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
