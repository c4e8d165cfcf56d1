/*
 * test_topology.c - a topology file's text becomes the desired set: values, defaults, replicas, wires, order,
 * groups.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/check_wire.h"
#include "common/codec.h"
#include "common/jail_wire.h"
#include "daemon/check.h"
#include "daemon/schema.h"
#include "daemon/topology.h"

static struct topology *load(const char *text)
{
    static const struct topology_variable variables[] = {{"SIZE", "8MiB"}, {"EMPTY", ""}};
    struct topology_source source = {text, strlen(text), "fallback", variables, 2};
    struct topology *topology = NULL;
    struct bx_error err = {0};
    if (topology_load(&source, &topology, &err) != 0)
        fail_msg("%s", err.text);
    return topology;
}

static struct topology *load_good(const char *text)
{
    struct topology *topology = load(text);
    if (topology->diags.errors > 0)
        fail_msg("%u:%u: %s", topology->diags.list[0].mark.line, topology->diags.list[0].mark.column,
                 topology->diags.list[0].message);
    return topology;
}

static void test_defaults_of_the_contract(void **state)
{
    (void)state;
    struct topology *topology = load_good("version: 1\nvms: {a: {code: return}}\n");
    const struct topology_vm *vm = &topology->vms[0];
    assert_string_equal(topology->name, "fallback");
    assert_int_equal(vm->spec.profile, JW_RESTRICTED);
    assert_int_equal(vm->spec.memory, BX_DEFAULT_MEMORY);
    assert_int_equal(vm->spec.cpus_milli, BX_DEFAULT_CPUS_MILLI);
    assert_int_equal(vm->spec.pids, BX_DEFAULT_PIDS);
    assert_int_equal(vm->spec.output_limit, BX_DEFAULT_OUTPUT);
    assert_int_equal(vm->spec.timeout_ms, 0);
    assert_int_equal(vm->spec.cpu_time_ms, 0);
    assert_int_equal(vm->spec.required, 0);
    assert_int_equal(vm->restart.policy, VM_RESTART_NEVER);
    assert_int_equal(vm->restart.delay_ms, 100);
    assert_int_equal(vm->restart.factor_milli, 2000);
    assert_int_equal(vm->restart.max_delay_ms, 30000);
    assert_int_equal(vm->restart.jitter_ppm, 250000);
    assert_int_equal(vm->restart.max, 5);
    assert_int_equal(vm->restart.within_ms, 60000);
    assert_int_equal(vm->restart.reset_after_ms, 10000);
    assert_int_equal(vm->health.program, TOPOLOGY_NONE);
    assert_int_equal(vm->watchdog_ms, 0);
    assert_int_equal(vm->group, TOPOLOGY_NONE);
    assert_false(vm->networked);
    topology_free(topology);
}

static void test_every_value_arrives(void **state)
{
    (void)state;
    struct topology *topology = load_good(
        "version: 1\nname: lab\nvms:\n  a:\n    script: x/a.lua\n    args: [one, 2]\n    env: {A: b}\n"
        "    profile: full\n    memory: ${SIZE}\n    cpus: ${EMPTY:-0.5}\n    timeout: 5s\n"
        "    cpu-time: 250ms\n    pids: 7\n    output_limit: 1K\n    mount: ['/h:/m:rw', '/i:/n/']\n"
        "    network: fabric\n    report: r.json\n    watchdog: 2s\n    publish: 1.2.3.4:81:80\n    server: "
        "[80, 53/udp]\n"
        "    health: {check: ok(), every: 1s, timeout: 20ms, retries: 2, start_period: 3s}\n"
        "    restart: {policy: always, delay: 1s, factor: 1.5, max_delay: 9s, jitter: 0%, max: 3, within: 2m, "
        "reset_after: 4s}\n");
    const struct topology_vm *vm = &topology->vms[0];
    assert_string_equal(topology->name, "lab");
    assert_string_equal(topology->programs[vm->program].text, "x/a.lua");
    assert_int_equal(topology->programs[vm->program].kind, TOPOLOGY_FILE);
    assert_int_equal(vm->arg_count, 2);
    assert_string_equal(vm->args[1].text, "2");
    assert_string_equal(vm->env[0].value, "b");
    assert_int_equal(vm->spec.profile, JW_FULL);
    assert_int_equal(vm->spec.memory, 8 << 20);
    assert_int_equal(vm->spec.cpus_milli, 500);
    assert_int_equal(vm->spec.timeout_ms, 5000);
    assert_int_equal(vm->spec.cpu_time_ms, 250);
    assert_int_equal(vm->spec.pids, 7);
    assert_int_equal(vm->spec.output_limit, 1024);
    assert_int_equal(vm->spec.required, JW_LIMIT_MEMORY | JW_LIMIT_CPUS | JW_LIMIT_PIDS | JW_LIMIT_CPU_TIME);
    assert_int_equal(vm->spec.mount_count, 2);
    assert_string_equal(vm->mount_hosts[0], "/h");
    assert_string_equal(vm->spec.mounts[1].target, "/n");
    assert_int_equal(vm->spec.mounts[0].writable, 1);
    assert_true(vm->networked);
    assert_string_equal(vm->report, "r.json");
    assert_int_equal(vm->watchdog_ms, 2000);
    assert_string_equal(vm->publish[0].host, "1.2.3.4");
    assert_int_equal(vm->publish[0].host_port, 81);
    assert_int_equal(vm->port_count, 2);
    assert_true(vm->ports[1].udp);
    assert_int_equal(vm->health.every_ms, 1000);
    assert_int_equal(vm->health.retries, 2);
    assert_string_equal(topology->programs[vm->health.program].text, "ok()");
    assert_int_equal(vm->restart.policy, VM_RESTART_ALWAYS);
    assert_int_equal(vm->restart.factor_milli, 1500);
    assert_int_equal(vm->restart.jitter_ppm, 0);
    assert_int_equal(vm->restart.reset_after_ms, 4000);
    topology_free(topology);
}

static void test_defaults_are_merged(void **state)
{
    (void)state;
    struct topology *topology = load_good(
        "version: 1\ndefaults: {code: return 1, memory: 4MiB, env: {A: 1, B: 2}, timeout: 1s, restart: always,\n"
        "           health: {check: 'true', every: 2s}}\n"
        "vms:\n  a: {}\n  b: {memory: 8MiB, env: {B: 3, C: 4}, timeout: none, restart: no}\n  c: {script: c.lua}\n");
    const struct topology_vm *a = &topology->vms[0], *b = &topology->vms[1], *c = &topology->vms[2];
    assert_int_equal(a->spec.memory, 4 << 20);
    assert_int_equal(b->spec.memory, 8 << 20);
    assert_int_equal(a->spec.timeout_ms, 1000);
    assert_int_equal(b->spec.timeout_ms, 0);
    assert_int_equal(a->restart.policy, VM_RESTART_ALWAYS);
    assert_int_equal(b->restart.policy, VM_RESTART_NEVER);
    assert_int_equal(a->env_count, 2);
    assert_int_equal(b->env_count, 3);
    assert_string_equal(b->env[0].name, "A");
    assert_string_equal(b->env[1].value, "3");
    assert_ptr_equal(c->env, a->env);
    assert_int_equal(a->program, b->program); /* the same place in the file is one program */
    assert_int_equal(a->health.program, c->health.program);
    assert_int_equal(topology->programs[c->program].kind, TOPOLOGY_FILE);
    assert_int_equal(topology->program_count, 3);
    topology_free(topology);
}

static const struct topology_link *find_link(const struct topology *topology, const char *from, const char *to)
{
    for (uint32_t i = 0; i < topology->link_count; i++)
        if (strcmp(topology->instances[topology->links[i].from].name, from) == 0 &&
            strcmp(topology->instances[topology->links[i].to].name, to) == 0)
            return &topology->links[i];
    return NULL;
}

static void test_wires_of_roles(void **state)
{
    (void)state;
    struct topology *topology = load_good(
        "version: 1\ndefaults: {code: return}\nvms:\n  echo: {server: [8080, 9/udp]}\n"
        "  caller: {client: echo, replicas: 3}\n  one: {client: ['echo:8080', 'echo:8080']}\n"
        "  alice: {p2p: {port: 9000, peers: [bob]}}\n  bob: {p2p: {port: 9001, peers: alice}}\n  alone: {}\n");
    assert_int_equal(topology->instance_count, 8);
    assert_int_equal(topology->link_count, 3 * 2 + 1 + 2);
    assert_non_null(find_link(topology, "caller-2", "echo"));
    assert_null(find_link(topology, "echo", "caller-2"));
    assert_int_equal(find_link(topology, "alice", "bob")->port, 9001);
    assert_int_equal(find_link(topology, "bob", "alice")->port, 9000);
    assert_true(topology->vms[1].networked);
    assert_false(topology->vms[5].networked);
    topology_free(topology);
}

static void test_how_wires_behave(void **state)
{
    (void)state;
    struct topology *topology = load_good(
        "version: 1\ndefaults: {code: return}\nvms:\n  echo: {server: 80}\n  c: {client: echo, replicas: 3}\n  d: {}\n"
        "wires:\n  - {from: c, to: echo, delay: 20ms, jitter: 500us, loss: 0.5%, rate: 10mbit}\n"
        "  - {from: c-2, to: echo, delay: 1s}\n  - {from: [d, c], to: echo, port: [81, 82], proto: udp}\n");
    const struct topology_wire *all = &topology->wires[find_link(topology, "c-1", "echo")->wire];
    const struct topology_wire *second = &topology->wires[find_link(topology, "c-2", "echo")->wire];
    assert_int_equal(all->delay_us, 20000);
    assert_int_equal(all->jitter_us, 500);
    assert_int_equal(all->loss_ppm, 5000);
    assert_int_equal(all->rate, 10000000);
    assert_int_equal(second->delay_us, 1000000);
    assert_int_equal(second->rate, 0);
    assert_int_equal(topology->link_count, 3 + 4 * 2);
    assert_true(find_link(topology, "d", "echo")->udp);
    topology_free(topology);
}

static void test_a_mesh_of_replicas(void **state)
{
    (void)state;
    struct topology *topology =
        load_good("version: 1\nvms: {peer: {code: return, replicas: 10, p2p: {port: 9000, peers: peer}}}\n");
    assert_int_equal(topology->link_count, 90);
    for (uint32_t i = 0; i < topology->link_count; i++)
        assert_int_not_equal(topology->links[i].from, topology->links[i].to);
    topology_free(topology);
}

static void test_names_are_found(void **state)
{
    (void)state;
    struct topology *topology =
        load_good("version: 1\ndefaults: {code: return}\nvms: {a: {}, b: {replicas: 3}, one: {replicas: 1}}\n");
    struct topology_peer peer;
    uint32_t first;
    assert_true(topology_find(topology, "b", &peer));
    assert_int_equal(topology_instances_of(topology, peer, &first), 3);
    assert_int_equal(first, 1);
    assert_true(topology_find(topology, "b-3", &peer));
    assert_int_equal(peer.replica, 3);
    assert_int_equal(topology_instances_of(topology, peer, &first), 1);
    assert_string_equal(topology->instances[first].name, "b-3");
    assert_string_equal(topology->instances[4].name, "one-1");
    assert_false(topology_find(topology, "b-4", &peer));
    assert_false(topology_find(topology, "a-1", &peer));
    topology_free(topology);
}

static void test_order(void **state)
{
    (void)state;
    struct topology *topology = load_good(
        "version: 1\ndefaults: {code: return}\nvms:\n  a: {depends_on: [b, c]}\n  b: {depends_on: {d: completed}}\n"
        "  c: {depends_on: d}\n  d: {}\n");
    uint32_t place[4];
    for (uint32_t i = 0; i < 4; i++)
        place[topology->order[i]] = i;
    assert_true(place[3] < place[1] && place[3] < place[2] && place[1] < place[0] && place[2] < place[0]);
    assert_int_equal(topology->vms[0].depends[0].condition, TOPOLOGY_READY);
    assert_int_equal(topology->vms[1].depends[0].condition, TOPOLOGY_COMPLETED);
    topology_free(topology);
}

static void test_groups(void **state)
{
    (void)state;
    struct topology *topology =
        load_good("version: 1\ndefaults: {code: return}\nvms: {a: {}, b: {}, c: {replicas: 2}}\ngroups:\n"
                  "  all: {vms: [a], groups: [pool], strategy: rest_for_one, max: 2, within: 5s, escalate: stop}\n"
                  "  pool: {vms: [c, b]}\n");
    const struct topology_group *all = &topology->groups[0], *pool = &topology->groups[1];
    assert_int_equal(all->strategy, TOPOLOGY_REST_FOR_ONE);
    assert_int_equal(all->max, 2);
    assert_int_equal(all->within_ms, 5000);
    assert_true(all->stop);
    assert_int_equal(all->groups[0], 1);
    assert_int_equal(all->parent, TOPOLOGY_NONE);
    assert_int_equal(pool->parent, 0);
    assert_int_equal(pool->strategy, TOPOLOGY_ONE_FOR_ONE);
    assert_int_equal(pool->vms[0], 2);
    assert_int_equal(topology->vms[1].group, 1);
    topology_free(topology);
}

static void test_what_is_too_large_is_an_error(void **state)
{
    (void)state;
    size_t size = 900000;
    char *text = malloc(size + 64), *at = text, *value = malloc(200001);
    memset(value, 'x', 200000);
    value[200000] = '\0';
    struct topology_variable variable = {"V", value};
    at = stpcpy(at, "version: 1\nvms: {a: {code: return, args: [");
    while (at < text + size)
        at = stpcpy(at, "'${V}',");
    strcpy(at, "x]}}");
    struct topology_source source = {text, strlen(text), "x", &variable, 1};
    struct topology *topology = NULL;
    struct bx_error err = {0};
    assert_int_equal(topology_load(&source, &topology, &err), -ENOMEM);
    assert_null(topology);
    assert_non_null(strstr(err.text, "256 MiB"));
    free(value);
    free(text);
}

static void test_pack(void **state)
{
    (void)state;
    struct topology *topology =
        load("version: 1\nvms: {a: {code: x, server: 80, env: {SECRET: hunter2}}, b: {script: b.lua, client: a}}\n");
    msgpack_sbuffer buffer;
    msgpack_unpacked answer;
    struct bx_error err = {0};
    msgpack_sbuffer_init(&buffer);
    assert_int_equal(topology_pack(topology, &buffer, &err), 0);
    assert_int_equal(bx_unpack(&answer, buffer.data, buffer.size), 0);
    const msgpack_object *packed = bx_map_find(&answer.data, "topology");
    assert_int_equal(bx_map_find(packed, "vms")->via.array.size, 2);
    assert_int_equal(bx_map_find(packed, "wires")->via.array.size, 1);
    assert_int_equal(bx_map_find(&answer.data, "programs")->via.array.size, 2);
    assert_null(memmem(buffer.data, buffer.size, "hunter2", 7)); /* secrets of env go nowhere */
    msgpack_unpacked_destroy(&answer);
    msgpack_sbuffer_destroy(&buffer);
    topology_free(topology);
}

static void test_pack_of_a_broken_one(void **state)
{
    (void)state;
    struct topology *topology = load("version: 1\nvms: {a: {code: x, nmae: y}}\n");
    msgpack_sbuffer buffer;
    msgpack_unpacked answer;
    struct bx_error err = {0};
    msgpack_sbuffer_init(&buffer);
    assert_int_equal(topology_pack(topology, &buffer, &err), 0);
    assert_int_equal(bx_unpack(&answer, buffer.data, buffer.size), 0);
    assert_int_equal(bx_map_find(&answer.data, "topology")->type, MSGPACK_OBJECT_NIL);
    assert_int_equal(bx_map_find(&answer.data, "errors")->via.u64, 1);
    msgpack_unpacked_destroy(&answer);
    msgpack_sbuffer_destroy(&buffer);
    topology_free(topology);
}

/* ---- parts ---- */

static int compare_first(const void *a, const void *b)
{
    return (*(const int(*)[2])a)[0] - (*(const int(*)[2])b)[0];
}

static void test_sorting_is_stable(void **state)
{
    (void)state;
    struct arena arena;
    int pairs[1000][2];
    arena_init(&arena, 1 << 20);
    assert_int_equal(setjmp(arena.out), 0);
    for (int i = 0; i < 1000; i++) {
        pairs[i][0] = i * 7919 % 37;
        pairs[i][1] = i;
    }
    lookup_sort(&arena, pairs, 1000, sizeof pairs[0], compare_first);
    for (int i = 1; i < 1000; i++)
        assert_true(pairs[i - 1][0] < pairs[i][0] || (pairs[i - 1][0] == pairs[i][0] && pairs[i - 1][1] < pairs[i][1]));
    arena_fini(&arena);
}

static void test_an_arena_has_an_end(void **state)
{
    (void)state;
    struct arena arena;
    static volatile unsigned taken;
    taken = 0;
    arena_init(&arena, 1 << 20);
    if (setjmp(arena.out) == 0)
        for (;;) {
            memset(arena_take(&arena, 1000), 1, 1000);
            taken++;
        }
    assert_in_range(taken, 900, 1100);
    if (setjmp(arena.out) == 0) {
        arena_array(&arena, SIZE_MAX / 2, 3);
        fail();
    }
    arena_fini(&arena);
}

static void test_source_must_agree(void **state)
{
    (void)state;
    char bytes[64] = {0};
    struct check_header header = {CHECK_MAGIC, 8, 3, 2};
    struct check_source source;
    memcpy(bytes, &header, sizeof header);
    memcpy(bytes + sizeof header, "A=1\0B=\0", 7);
    memcpy(bytes + sizeof header + 7, "\0xyz", 4);
    assert_int_equal(check_decode(bytes, sizeof header + 11, &source), -EBADMSG); /* "" is no variable */
    memcpy(bytes + sizeof header, "A=1\0B=2", 8);
    assert_int_equal(check_decode(bytes, sizeof header + 11, &source), 0);
    assert_int_equal(source.count, 2);
    assert_memory_equal(source.text, "xyz", 3);
    assert_int_equal(check_decode(bytes, sizeof header + 10, &source), -EBADMSG);
    assert_int_equal(check_decode(bytes, sizeof header + 12, &source), -EBADMSG);
    assert_int_equal(check_decode(bytes, 15, &source), -EBADMSG);
    bytes[sizeof header] = '=';
    assert_int_equal(check_decode(bytes, sizeof header + 11, &source), -EBADMSG);
}

/* Every default of the table is a value that its key takes. */
static void test_table_is_sound(void **state)
{
    (void)state;
    for (unsigned i = 0; i < schema_key_count; i++) {
        const struct schema_key *key = &schema_keys[i];
        uint64_t value;
        assert_true(key->in != 0 && key->forms != 0 && strlen(key->help) > 3);
        assert_int_not_equal(key->help[strlen(key->help) - 1], '.');
        if (key->fallback != NULL)
            assert_int_equal(schema_read(key, key->kind, key->fallback, &value), 0);
        assert_ptr_equal(schema_find(key->in & -key->in, key->key), key); /* no key twice in a map */
        if (key->max > 0)
            assert_true(key->min < key->max);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_of_the_contract),
        cmocka_unit_test(test_every_value_arrives),
        cmocka_unit_test(test_defaults_are_merged),
        cmocka_unit_test(test_wires_of_roles),
        cmocka_unit_test(test_how_wires_behave),
        cmocka_unit_test(test_a_mesh_of_replicas),
        cmocka_unit_test(test_names_are_found),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_what_is_too_large_is_an_error),
        cmocka_unit_test(test_pack),
        cmocka_unit_test(test_pack_of_a_broken_one),
        cmocka_unit_test(test_sorting_is_stable),
        cmocka_unit_test(test_an_arena_has_an_end),
        cmocka_unit_test(test_source_must_agree),
        cmocka_unit_test(test_table_is_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
