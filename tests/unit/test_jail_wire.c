/* test_jail_wire.c - the checks of the link's messages: each field by itself, at its limits and beyond. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/jail_wire.h"

static struct jw_request spawn_request(void)
{
    struct jw_request request = {.magic = JW_MAGIC, .type = JW_SPAWN, .vm = 7};
    request.spawn.memory_bytes = BX_DEFAULT_MEMORY;
    request.spawn.pids = BX_DEFAULT_PIDS;
    request.spawn.cpus_milli = BX_DEFAULT_CPUS_MILLI;
    strcpy(request.spawn.hostname, "vm-1.example");
    return request;
}

static struct jw_request full_request(unsigned mounts)
{
    static const char *const targets[] = {"/app", "/data", "/a/b/c"};
    struct jw_request request = spawn_request();
    request.spawn.profile = JW_FULL;
    request.spawn.tmp_bytes = BX_DEFAULT_TMP_BYTES;
    request.spawn.tmp_inodes = BX_DEFAULT_TMP_INODES;
    request.spawn.mount_count = (uint8_t)mounts;
    for (unsigned i = 0; i < mounts; i++)
        strcpy(request.spawn.mounts[i].target, targets[i]);
    return request;
}

static const char *check(const struct jw_request *request, unsigned fds)
{
    return jw_request_check(request, sizeof *request, fds);
}

#define SOUND(request, fds)  assert_null(check(&(request), fds))
#define WRONG(request, fds)  assert_non_null(check(&(request), fds))
#define WRONG_WITH(field, value)                        \
    do {                                                \
        struct jw_request changed_ = full_request(2);   \
        SOUND(changed_, 5);                             \
        changed_.field = (value);                       \
        WRONG(changed_, 5);                             \
    } while (0)

static void test_sound(void **state)
{
    (void)state;
    struct jw_request restricted = spawn_request(), full = full_request(3), bare = full_request(0);
    SOUND(restricted, 3);
    SOUND(full, 6);
    SOUND(bare, 3);
    struct jw_request kill = {.magic = JW_MAGIC, .type = JW_KILL, .vm = 7};
    struct jw_request end = {.magic = JW_MAGIC, .type = JW_SHUTDOWN};
    SOUND(kill, 0);
    SOUND(end, 0);
}

static void test_header(void **state)
{
    (void)state;
    struct jw_request request = spawn_request();
    assert_non_null(jw_request_check(&request, sizeof request - 1, 3));
    assert_non_null(jw_request_check(&request, sizeof request + 1, 3));
    assert_non_null(jw_request_check(&request, 0, 3));
    WRONG_WITH(magic, JW_MAGIC + 1);
    WRONG_WITH(type, 0);
    WRONG_WITH(type, JW_SPAWNED);
    WRONG_WITH(type, JW_STATS);
    WRONG_WITH(type, 5);
    WRONG_WITH(vm, 0);
    WRONG_WITH(tag, 1);
    WRONG_WITH(type, 5);
    WRONG_WITH(type, 12);
}

static void test_descriptors(void **state)
{
    (void)state;
    struct jw_request request = full_request(2);
    for (unsigned fds = 0; fds < 24; fds++)
        assert_int_equal(check(&request, fds) == NULL, fds == 5);
    struct jw_request kill = {.magic = JW_MAGIC, .type = JW_KILL, .vm = 7};
    WRONG(kill, 1);
}

static void test_limits(void **state)
{
    (void)state;
    WRONG_WITH(spawn.memory_bytes, BX_MEMORY_MIN - 1);
    WRONG_WITH(spawn.memory_bytes, UINT64_MAX);
    WRONG_WITH(spawn.cpu_time_ms, UINT64_MAX);
    WRONG_WITH(spawn.pids, 0);
    WRONG_WITH(spawn.pids, UINT32_MAX);
    WRONG_WITH(spawn.cpus_milli, 9);
    WRONG_WITH(spawn.cpus_milli, UINT32_MAX);
    WRONG_WITH(spawn.required, 1u << 4);
    WRONG_WITH(spawn.tmp_bytes, 0);
    WRONG_WITH(spawn.tmp_bytes, UINT64_MAX);
    WRONG_WITH(spawn.tmp_inodes, 1);
    WRONG_WITH(spawn.tmp_inodes, UINT32_MAX);
    WRONG_WITH(spawn.profile, 2);
    WRONG_WITH(spawn.pad[0], 1);
    struct jw_request smallest = spawn_request();
    smallest.spawn.memory_bytes = BX_MEMORY_MIN;
    smallest.spawn.pids = 1;
    smallest.spawn.cpus_milli = 10;
    smallest.spawn.required = 15;
    SOUND(smallest, 3);
}

static void test_restricted_has_no_files(void **state)
{
    (void)state;
    struct jw_request request = spawn_request();
    request.spawn.tmp_bytes = 4096;
    WRONG(request, 3);
    request = spawn_request();
    request.spawn.tmp_inodes = 2;
    WRONG(request, 3);
    request = spawn_request();
    request.spawn.mount_count = 1;
    strcpy(request.spawn.mounts[0].target, "/a");
    WRONG(request, 4);
}

static void test_hostname(void **state)
{
    (void)state;
    struct jw_request request = spawn_request();
    memset(request.spawn.hostname, 'a', sizeof request.spawn.hostname);
    WRONG(request, 3); /* not terminated */
    request.spawn.hostname[BX_NAME_MAX] = '\0';
    SOUND(request, 3);
    static const char *const bad[] = {"", "a/b", "a b", "\xc3\xa4", "a\n", "..\t"};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        request = spawn_request();
        memset(request.spawn.hostname, 0, sizeof request.spawn.hostname);
        strcpy(request.spawn.hostname, bad[i]);
        WRONG(request, 3);
    }
    request = spawn_request();
    request.spawn.hostname[40] = 'x'; /* behind the end */
    WRONG(request, 3);
}

static void test_mount_targets(void **state)
{
    (void)state;
    static const char *const good[] = {"/a", "/app/x", "/...", "/.a", "/a..b", "/tmpx", "/a b"};
    static const char *const bad[] = {"",    "a",    "/",     "//",      "/a/",  "/a//b", "/.",
                                      "/..", "/a/.", "/a/..", "/a/../b", "/./a", "/tmp",  "/tmp/x"};
    for (unsigned i = 0; i < sizeof good / sizeof *good; i++) {
        struct jw_request request = full_request(0);
        request.spawn.mount_count = 1;
        strcpy(request.spawn.mounts[0].target, good[i]);
        SOUND(request, 4);
    }
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct jw_request request = full_request(0);
        request.spawn.mount_count = 1;
        strcpy(request.spawn.mounts[0].target, bad[i]);
        WRONG(request, 4);
    }
}

static void test_mounts_do_not_overlap(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        int sound;
    } pairs[] = {{"/a", "/b", 1}, {"/a", "/ab", 1},  {"/a/b", "/a/c", 1},
                 {"/a", "/a", 0}, {"/a", "/a/b", 0}, {"/a/b", "/a", 0}};
    for (unsigned i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct jw_request request = full_request(0);
        request.spawn.mount_count = 2;
        strcpy(request.spawn.mounts[0].target, pairs[i].a);
        strcpy(request.spawn.mounts[1].target, pairs[i].b);
        assert_int_equal(check(&request, 5) == NULL, pairs[i].sound);
    }
}

static void test_mount_fields(void **state)
{
    (void)state;
    WRONG_WITH(spawn.mounts[0].writable, 2);
    WRONG_WITH(spawn.mounts[1].pad[6], 1);
    WRONG_WITH(spawn.mounts[0].target[100], 'x');
    WRONG_WITH(spawn.mounts[2].target[0], '/'); /* behind the last one */
    WRONG_WITH(spawn.mount_count, BX_MOUNTS_MAX + 1);
    struct jw_request request = full_request(1);
    memset(request.spawn.mounts[0].target + 1, 'a', BX_MOUNT_TARGET_MAX - 1);
    WRONG(request, 4); /* not terminated */
    request.spawn.mounts[0].target[BX_MOUNT_TARGET_MAX - 1] = '\0';
    SOUND(request, 4);
}

static void test_stray_bytes(void **state)
{
    (void)state;
    struct jw_request kill = {.magic = JW_MAGIC, .type = JW_KILL, .vm = 7};
    kill.spawn.memory_bytes = 1;
    WRONG(kill, 0);
    struct jw_request end = {.magic = JW_MAGIC, .type = JW_SHUTDOWN, .vm = 7};
    WRONG(end, 0);
}

static const char *check_reply(const struct jw_reply *reply)
{
    return jw_reply_check(reply, sizeof *reply);
}

static void test_replies(void **state)
{
    (void)state;
    struct jw_reply spawned = {
        .magic = JW_MAGIC, .type = JW_SPAWNED, .vm = 1, .u.spawned = {.pid = 4, .cpus_enforcer = 6}};
    struct jw_reply failed = {.magic = JW_MAGIC, .type = JW_FAILED, .vm = 1, .u.failed = {12, "no memory"}};
    struct jw_reply death = {
        .magic = JW_MAGIC, .type = JW_DEATH, .vm = 1, .u.death = {.wait_code = 2, .wait_status = 9}};
    assert_null(check_reply(&spawned));
    assert_null(check_reply(&failed));
    assert_null(check_reply(&death));
    assert_non_null(jw_reply_check(&death, sizeof death - 1));
    spawned.u.spawned.cpus_enforcer = 7;
    assert_non_null(check_reply(&spawned));
    spawned.u.spawned = (struct jw_spawned){.pid = 0};
    assert_non_null(check_reply(&spawned));
    failed.u.failed.code = 0;
    assert_non_null(check_reply(&failed));
    failed.u.failed.code = 1;
    memset(failed.u.failed.text, 'x', sizeof failed.u.failed.text);
    assert_non_null(check_reply(&failed));
}

static void test_bad_deaths(void **state)
{
    (void)state;
    struct jw_reply death = {.magic = JW_MAGIC, .type = JW_DEATH, .vm = 1, .u.death = {.wait_code = 1}};
    for (int code = -1; code < 8; code++) {
        death.u.death.wait_code = code;
        assert_int_equal(check_reply(&death) == NULL, code >= 1 && code <= 3);
    }
    death.u.death = (struct jw_death){.wait_code = 1, .wait_status = 256};
    assert_non_null(check_reply(&death));
    death.u.death = (struct jw_death){.wait_code = 1, .cpu_time_hit = 2};
    assert_non_null(check_reply(&death));
    death.u.death = (struct jw_death){.wait_code = 1};
    ((char *)&death)[sizeof death - 1] = 1;
    assert_non_null(check_reply(&death));
    death = (struct jw_reply){.magic = JW_MAGIC, .type = JW_DEATH, .vm = 0, .u.death = {.wait_code = 1}};
    assert_non_null(check_reply(&death));
    death = (struct jw_reply){.magic = JW_MAGIC, .type = JW_KILL, .vm = 1};
    assert_non_null(check_reply(&death));
}

static void test_statistics(void **state)
{
    (void)state;
    struct jw_request ask = {.magic = JW_MAGIC, .type = JW_STATS, .vm = 7};
    SOUND(ask, 0);
    WRONG(ask, 1);
    ask.spawn.pids = 1;
    WRONG(ask, 0);
    ask = (struct jw_request){.magic = JW_MAGIC, .type = JW_STATS};
    WRONG(ask, 0);
    struct jw_reply reply = {
        .magic = JW_MAGIC, .type = JW_STATISTICS, .vm = 7, .u.statistics = {UINT64_MAX, UINT64_MAX, UINT64_MAX}};
    assert_null(check_reply(&reply));
    ((char *)&reply.u)[sizeof reply.u.statistics] = 1;
    assert_non_null(check_reply(&reply));
    assert_non_null(jw_reply_check(&reply, sizeof reply - 1));
}

static struct jw_request net_request(uint32_t type)
{
    struct jw_request request = {.magic = JW_MAGIC, .type = type, .tag = 5};
    request.vm = type == JW_ATTACH || type == JW_DROP ? 7 : 0;
    if (type == JW_WIRES) {
        request.wires.count = 2;
        request.wires.wires[0] = (struct jw_wire){1, 2, 80, JW_TCP, 1};
        request.wires.wires[1] = (struct jw_wire){2, 1, 65535, JW_UDP, 0};
    }
    if (type == JW_SHAPE)
        request.shape = (struct jw_shape){.from = 1, .to = 2, .rate = BX_RATE_MAX, .delay_us = BX_DELAY_MAX_US};
    return request;
}

#define NET_WRONG_WITH(type_, field, value)               \
    do {                                                  \
        struct jw_request changed_ = net_request(type_);  \
        SOUND(changed_, 0);                               \
        changed_.field = (value);                         \
        WRONG(changed_, 0);                               \
    } while (0)

static void test_net_heads(void **state)
{
    (void)state;
    for (uint32_t type = JW_ATTACH; type <= JW_SHAPE; type++) {
        struct jw_request request = net_request(type);
        SOUND(request, 0);
        WRONG(request, 1);
        NET_WRONG_WITH(type, tag, 0);
        NET_WRONG_WITH(type, vm, net_request(type).vm == 0);
        NET_WRONG_WITH(type, spawn.mounts[BX_MOUNTS_MAX - 1].pad[6], 1);
    }
    struct jw_request spawn = spawn_request();
    spawn.spawn.net = 9;
    SOUND(spawn, 3);
}

static void test_wires(void **state)
{
    (void)state;
    NET_WRONG_WITH(JW_ATTACH, attach.low_port, 1024);
    NET_WRONG_WITH(JW_WIRES, wires.pad, 1);
    NET_WRONG_WITH(JW_WIRES, wires.count, 0);
    NET_WRONG_WITH(JW_WIRES, wires.count, 1);
    NET_WRONG_WITH(JW_WIRES, wires.count, 3);
    NET_WRONG_WITH(JW_WIRES, wires.count, JW_WIRES_MAX + 1);
    NET_WRONG_WITH(JW_WIRES, wires.count, UINT32_MAX);
    NET_WRONG_WITH(JW_WIRES, wires.wires[0].from, 0);
    NET_WRONG_WITH(JW_WIRES, wires.wires[0].to, 0);
    NET_WRONG_WITH(JW_WIRES, wires.wires[1].to, 2);
    NET_WRONG_WITH(JW_WIRES, wires.wires[1].port, 0);
    NET_WRONG_WITH(JW_WIRES, wires.wires[1].protocol, 1);
    NET_WRONG_WITH(JW_WIRES, wires.wires[1].protocol, 0);
    NET_WRONG_WITH(JW_WIRES, wires.wires[1].on, 2);
    struct jw_request most = net_request(JW_WIRES);
    most.wires.count = JW_WIRES_MAX;
    for (unsigned i = 0; i < JW_WIRES_MAX; i++)
        most.wires.wires[i] = (struct jw_wire){1, 2, (uint16_t)(i + 1), JW_TCP, 1};
    SOUND(most, 0);
}

static void test_shapes(void **state)
{
    (void)state;
    NET_WRONG_WITH(JW_SHAPE, shape.from, 0);
    NET_WRONG_WITH(JW_SHAPE, shape.to, 1);
    NET_WRONG_WITH(JW_SHAPE, shape.rate, BX_RATE_MIN - 1);
    NET_WRONG_WITH(JW_SHAPE, shape.rate, BX_RATE_MAX + 1);
    NET_WRONG_WITH(JW_SHAPE, shape.rate, UINT64_MAX);
    NET_WRONG_WITH(JW_SHAPE, shape.delay_us, BX_DELAY_MAX_US + 1);
    NET_WRONG_WITH(JW_SHAPE, shape.jitter_us, UINT32_MAX);
    NET_WRONG_WITH(JW_SHAPE, shape.loss_ppm, BX_LOSS_MAX_PPM + 1);
    NET_WRONG_WITH(JW_SHAPE, shape.pad, 1);
    struct jw_request none = net_request(JW_SHAPE);
    none.shape = (struct jw_shape){.from = 1, .to = 2};
    SOUND(none, 0);
}

static void test_net_replies(void **state)
{
    (void)state;
    struct jw_reply done = {.magic = JW_MAGIC, .type = JW_NET_DONE, .vm = 7, .tag = 5, .u.net.address = 1};
    assert_null(check_reply(&done));
    done.vm = 0;
    assert_null(check_reply(&done));
    done.u.net.pad = 1;
    assert_non_null(check_reply(&done));
    done.u.net.pad = 0;
    done.tag = 0;
    assert_non_null(check_reply(&done));
    struct jw_reply failed = {.magic = JW_MAGIC, .type = JW_NET_FAILED, .tag = 5, .u.failed = {12, "no memory"}};
    assert_null(check_reply(&failed));
    failed.u.failed.code = 0;
    assert_non_null(check_reply(&failed));
    struct jw_reply death = {.magic = JW_MAGIC, .type = JW_DEATH, .vm = 1, .tag = 5, .u.death = {.wait_code = 1}};
    assert_non_null(check_reply(&death));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound),
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_restricted_has_no_files),
        cmocka_unit_test(test_hostname),
        cmocka_unit_test(test_mount_targets),
        cmocka_unit_test(test_mounts_do_not_overlap),
        cmocka_unit_test(test_mount_fields),
        cmocka_unit_test(test_stray_bytes),
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_bad_deaths),
        cmocka_unit_test(test_statistics),
        cmocka_unit_test(test_net_heads),
        cmocka_unit_test(test_wires),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_net_replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
