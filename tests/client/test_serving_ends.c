/* test_serving_ends.c - libbioxen and the real programs: how calls end, how VMs end, what they use meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "serving.h"

#include <sys/stat.h>

/* One call of C, which no interrupt enters: a pattern that goes back and forth. */
#define ENDLESS_C "return (('a'):rep(40)):find(('a*'):rep(40) .. 'b')"

/* ---- ends of calls ---- */

static void test_interrupt(void **state)
{
    (void)state;
    uint32_t vm = start("");
    bioxen_session *session = attach(vm);
    static const char *const loops[] = {
        "started() while true do end",
        "started() local function f() return f() end f()",
        "started() coroutine.wrap(function() while true do end end)()",
        "started() for i = 1, math.huge do table.concat{1} end",
        "started() pcall(function() while true do end end) while true do end",
        "started() while true do pcall(function() while true do end end) end",
        "started() while true do xpcall(function() while true do end end, function() end) end",
        "started() while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
    };
    run(session, "function started() print('started') end", "");
    for (size_t i = 0; i < sizeof loops / sizeof *loops; i++) {
        uint64_t call = ask(session, loops[i]);
        assert_int_equal(hear(session).type, BIOXEN_REPLY_OUTPUT);
        assert_int_equal(bioxen_interrupt(manager, vm, session, call, BIOXEN_BY_CLIENT, (unsigned)patience(), NULL), 0);
        expect(session, "! 5: ");
        ask(session, loops[i]);
        assert_int_equal(hear(session).type, BIOXEN_REPLY_OUTPUT);
        assert_int_equal(bioxen_interrupt(manager, vm, NULL, 0, BIOXEN_BY_TIMEOUT, (unsigned)patience(), NULL), 0);
        expect(session, "! 4: ");
        run(session, "return 'usable'", "usable");
    }
    /* one that is over, and one that never was */
    assert_int_equal(bioxen_interrupt(manager, vm, session, 1, BIOXEN_BY_CLIENT, 100, NULL), 0);
    assert_int_equal(bioxen_interrupt(manager, vm, session, 1u << 30, BIOXEN_BY_CLIENT, 100, NULL), 0);
    run(session, "local t = os.clock() while os.clock() - t < 0.2 do end return 'alive'", "alive");
    bioxen_detach(session);
    stop(vm);
}

/* It is killed when the grace is over, and pending calls fail at once. */
static void test_stubborn(void **state)
{
    (void)state;
    static const char *const stubborn[] = {
        ENDLESS_C,
        "while true do pcall(string.gsub, ('a'):rep(40), ('a*'):rep(40) .. 'b', '') end",
    };
    for (size_t i = 0; i < sizeof stubborn / sizeof *stubborn; i++) {
        uint32_t vm = start("");
        bioxen_session *session = attach(vm), *other = attach(vm);
        run(session, "", ""); /* it is up: what it uses from now on is the call's */
        uint64_t call = ask(session, stubborn[i]);
        ask(session, "return 'never'");
        wait_busy(vm);
        ask(other, "return 'never'");
        uint64_t before = bx_now_us();
        int by_time = i % 2 == 0;
        assert_int_equal(bioxen_interrupt(manager, vm, session, call, by_time ? BIOXEN_BY_TIMEOUT : BIOXEN_BY_CLIENT,
                                          100, NULL), 0);
        struct bioxen_record record =
            death(vm, by_time ? BIOXEN_OUTCOME_TIMEOUT : BIOXEN_OUTCOME_KILLED, by_time ? 124 : 137);
        uint64_t took = bx_now_us() - before;
        assert_true(took >= 99000 && took < 3000000 * (uint64_t)slow());
        assert_non_null(memmem(record.error.bytes, record.error.length, "grace", 5));
        expect_gone(session);
        expect_gone(other);
    }
}

static void test_execute_with_a_limit(void **state)
{
    (void)state;
    uint32_t vm = start("");
    bioxen_session *session = attach(vm);
    struct bioxen_reply reply;
    struct bioxen_error err;
    run(session, "", ""); /* it is up: a limit is for work, not for a start on a busy machine */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(bioxen_execute(manager, session, text_of("while true do end"), nothing, 50, &reply, NULL, NULL,
                                        &err), 0);
        assert_true(reply.type == BIOXEN_REPLY_ERROR && reply.failure == BIOXEN_FAILED_TIMEOUT);
        assert_int_equal(bioxen_execute(manager, session, text_of("return 1"), nothing, (unsigned)patience(), &reply,
                                        NULL, NULL, &err), 0);
        assert_int_equal(reply.type, BIOXEN_REPLY_RESULT);
    }
    assert_int_equal(bioxen_execute(manager, session, text_of(ENDLESS_C), nothing, 50, &reply, NULL, NULL, &err),
                     -EPIPE);
    death(vm, BIOXEN_OUTCOME_TIMEOUT, 124);
    bioxen_detach(session);
}

/* ---- ends of VMs ---- */

static void test_stop_runs_finalizers(void **state)
{
    (void)state;
    uint32_t vm = start("kept = setmetatable({}, {__gc = function() print('finalized') end})");
    bioxen_session *session = attach(vm);
    struct bioxen_event event;
    run(session, "", "");
    assert_int_equal(bioxen_stop(manager, vm, (unsigned)patience(), NULL), 0);
    assert_int_equal(bioxen_next(manager, &event, patience(), NULL), 1);
    assert_int_equal(event.type, BIOXEN_EVENT_OUTPUT);
    assert_memory_equal(event.bytes.bytes, "finalized\n", 10);
    death(vm, BIOXEN_OUTCOME_STOPPED, 0);
    expect_gone(session);
}

static void test_stop_of_the_busy(void **state)
{
    (void)state;
    uint32_t vm = start("while true do end");
    wait_busy(vm);
    stop(vm); /* what runs is ended */
    vm = start(ENDLESS_C);
    wait_busy(vm);
    uint64_t before = bx_now_us();
    assert_int_equal(bioxen_stop(manager, vm, 100, NULL), 0);
    struct bioxen_record record = death(vm, BIOXEN_OUTCOME_STOPPED, 137);
    assert_int_equal(record.signal, SIGKILL);
    assert_true(bx_now_us() - before >= 99000);
}

static void test_killed_with_calls_pending(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        uint32_t vm = start("");
        bioxen_session *session = attach(vm);
        ask(session, "print('started') while true do end");
        for (int j = 0; j < 100; j++)
            ask(session, "return 1");
        assert_int_equal(hear(session).type, BIOXEN_REPLY_OUTPUT);
        assert_int_equal(bioxen_kill(manager, vm, SIGTERM, NULL), 0);
        expect_gone(session);
        death(vm, BIOXEN_OUTCOME_KILLED, 143);
    }
}

static void test_end_by_its_own(void **state)
{
    (void)state;
    uint32_t vm = start("");
    bioxen_session *session = attach(vm);
    ask(session, "os.exit(7)");
    expect_gone(session);
    death(vm, BIOXEN_OUTCOME_EXIT, 7);
    struct bioxen_error err;
    struct bioxen_stats stats;
    assert_int_equal(bioxen_stats(manager, vm, &stats, &err), -ESRCH);
    assert_int_equal(bioxen_attach(manager, vm, &session, &err), -ESRCH);
    assert_int_equal(bioxen_stop(manager, vm, 0, &err), 0); /* gone already: no error */
    struct bioxen_config once = config_of("once", "while true do end");
    once.serve = 0;
    vm = create(&once);
    assert_int_equal(bioxen_attach(manager, vm, &session, &err), -EINVAL);
    assert_int_equal(bioxen_kill(manager, vm, SIGKILL, &err), 0);
    death(vm, BIOXEN_OUTCOME_KILLED, 137);
}

/* ---- figures and modules ---- */

static void test_stats(void **state)
{
    (void)state;
    uint32_t vm = start("");
    bioxen_session *session = attach(vm);
    struct bioxen_stats first, second;
    run(session, "", "");
    assert_int_equal(bioxen_stats(manager, vm, &first, NULL), 0);
    assert_true(first.sessions == 1 && first.uptime_us > 0 && first.memory > 100000 && first.memory < 64u << 20);
    assert_true(first.memory_peak >= first.memory && first.cpu_us > 0);
    run(session, "big = ('x'):rep(20 * 1024 * 1024) local t = os.clock() while os.clock() - t < 0.05 do end", "");
    assert_int_equal(bioxen_stats(manager, vm, &second, NULL), 0);
    assert_true(second.memory >= first.memory + (19u << 20) && second.memory_peak >= second.memory);
    assert_true(second.cpu_us >= first.cpu_us + 49000 && second.uptime_us > first.uptime_us);
    bioxen_detach(session);
    stop(vm);
}

static void test_modules(void **state)
{
    (void)state;
    char place[] = "/tmp/bxserving-XXXXXX", path[64];
    assert_non_null(mkdtemp(place));
    snprintf(path, sizeof path, "%s/m.lua", place);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(write(fd, "return {n = 41}", 15), 15);
    close(fd);
    struct bioxen_config config = config_of("modules", "first = require('m').n");
    config.module_dir = open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);
    uint32_t vm = create(&config);
    close(config.module_dir);
    bioxen_session *session = attach(vm);
    struct bioxen_reply reply;
    struct bioxen_error err;
    assert_int_equal(bioxen_execute(manager, session, text_of("return first + 1, pcall(require, 'none')"), nothing,
                                    (unsigned)patience(), &reply, NULL, NULL, &err), 0);
    if (strncmp(show(&reply), "42 false ", 9) != 0 || strstr(show(&reply), "no file './none.lua'") == NULL)
        fail_msg("%s", show(&reply));
    bioxen_detach(session);
    stop(vm);
    unlink(path);
    rmdir(place);
}

/* ---- what is left ---- */

static int next_fd(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(fd);
    return fd;
}

static void test_close_ends_everything(void **state)
{
    (void)state;
    int before = next_fd();
    for (int i = 0; i < 3; i++) {
        bioxen_manager *own;
        struct bioxen_config config = config_of("left", "");
        struct bioxen_error err;
        bioxen_session *session;
        uint32_t vms[5];
        open_manager(&own);
        for (int j = 0; j < 5; j++)
            assert_int_equal(bioxen_create(own, &config, &vms[j], &err), 0);
        assert_int_equal(bioxen_attach(own, vms[0], &session, &err), 0);
        ask(session, "while true do end");
        bioxen_close(own);
        expect_gone(session); /* a session outlives its manager, and hears of the end */
    }
    assert_int_equal(next_fd(), before);
}

/* After an only VM there is nothing left that could make another one. */
static void test_only(void **state)
{
    (void)state;
    bioxen_manager *own;
    struct bioxen_event event;
    struct bioxen_error err;
    uint32_t vm;
    struct bioxen_config config = config_of("only", "print('hello')");
    config.serve = BIOXEN_SERVE_NEVER;
    config.only = 1;
    open_manager(&own);
    assert_int_equal(bioxen_create(own, &config, &vm, &err), 0);
    assert_int_equal(bioxen_next(own, &event, patience(), &err), 1);
    assert_int_equal(event.type, BIOXEN_EVENT_OUTPUT);
    assert_int_equal(bioxen_next(own, &event, patience(), &err), 1);
    assert_int_equal(event.type, BIOXEN_EVENT_DEATH);
    assert_int_equal(event.record.outcome, BIOXEN_OUTCOME_OK);
    assert_int_equal(bioxen_create(own, &config, &vm, &err), -EPIPE);
    bioxen_close(own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_stubborn),
        cmocka_unit_test(test_execute_with_a_limit),
        cmocka_unit_test(test_stop_runs_finalizers),
        cmocka_unit_test(test_stop_of_the_busy),
        cmocka_unit_test(test_killed_with_calls_pending),
        cmocka_unit_test(test_end_by_its_own),
        cmocka_unit_test(test_stats),
        cmocka_unit_test(test_modules),
        cmocka_unit_test(test_close_ends_everything),
        cmocka_unit_test(test_only),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
