/*
 * test_restarts.c - libbioxen and the real programs: VMs that are started again, with all that they keep, and those
 * that are not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "serving.h"

static struct bioxen_config restarting(const char *name, const char *script, enum bioxen_restart_policy policy)
{
    struct bioxen_config config = config_of(name, script);
    config.restart.policy = policy;
    config.restart.delay_ms = 0;
    config.restart.max = 1000;
    return config;
}

static struct bioxen_event next_of(enum bioxen_event_type type)
{
    struct bioxen_event event;
    struct bioxen_error err;
    do {
        int rc = bioxen_next(manager, &event, patience(), &err);
        if (rc != 1)
            fail_msg("%d: %s", rc, rc == 0 ? "no event" : err.text);
    } while (event.type == BIOXEN_EVENT_OUTPUT);
    assert_int_equal(event.type, type);
    return event;
}

/* Code that ends the VM. */
static void say(uint32_t vm, const char *code)
{
    bioxen_session *session = attach(vm);
    struct bioxen_reply reply;
    ask(session, code);
    while (bioxen_session_next(session, &reply, patience(), NULL) == 1)
        assert_int_equal(reply.type, BIOXEN_REPLY_OUTPUT);
    bioxen_detach(session);
}

static void expect_life(uint32_t vm, enum bioxen_outcome outcome, uint32_t lives)
{
    struct bioxen_event event = next_of(BIOXEN_EVENT_ENDED);
    assert_int_equal(event.vm, vm);
    assert_int_equal(event.record.outcome, outcome);
    assert_int_equal(event.record.restarts, lives);
    event = next_of(BIOXEN_EVENT_AGAIN);
    assert_int_equal(event.vm, vm);
    assert_int_equal(event.restarts, lives + 1);
}

static void kill_it(uint32_t vm)
{
    assert_int_equal(bioxen_kill(manager, vm, SIGKILL, NULL), 0);
}

static void test_it_comes_back_each_time(void **state)
{
    (void)state;
    struct bioxen_config config = restarting("back", "n = (n or 0) + 1", BIOXEN_RESTART_ON_FAILURE);
    uint32_t vm = create(&config);
    for (uint32_t i = 0; i < 20; i++) {
        bioxen_session *session = attach(vm);
        run(session, "n = n + 1 return n", "2"); /* a new state each time */
        bioxen_detach(session);
        say(vm, "os.exit(3)");
        expect_life(vm, BIOXEN_OUTCOME_EXIT, i);
    }
    kill_it(vm);
    assert_int_equal(death(vm, BIOXEN_OUTCOME_KILLED, 137).restarts, 20);
}

/* A crash, an error of the script, too much memory: whatever ended it. */
static void test_whatever_ended_it(void **state)
{
    (void)state;
    struct bioxen_config config = restarting("ends", "", BIOXEN_RESTART_ON_FAILURE);
    config.memory = 16 << 20;
    config.output_limit = 1000;
    uint32_t vm = create(&config);
    say(vm, "print(('x'):rep(5000)) while true do end");
    expect_life(vm, BIOXEN_OUTCOME_OUTPUT, 0);
    say(vm, "print(('x'):rep(900)) os.exit(1)"); /* each life has an output limit of its own */
    expect_life(vm, BIOXEN_OUTCOME_EXIT, 1);
    say(vm, "print(('x'):rep(900)) os.exit(2)");
    expect_life(vm, BIOXEN_OUTCOME_EXIT, 2);
    kill_it(vm);
    death(vm, BIOXEN_OUTCOME_KILLED, 137);
}

static void test_a_good_end_is_an_end(void **state)
{
    (void)state;
    struct bioxen_config config = restarting("good", "", BIOXEN_RESTART_ON_FAILURE);
    uint32_t vm = create(&config);
    say(vm, "os.exit(0)");
    struct bioxen_event event = next_of(BIOXEN_EVENT_DEATH);
    assert_int_equal(event.record.outcome, BIOXEN_OUTCOME_EXIT);
    assert_int_equal(event.why.length, 0);
    config = restarting("good", "", BIOXEN_RESTART_ALWAYS);
    vm = create(&config);
    say(vm, "os.exit(0)");
    expect_life(vm, BIOXEN_OUTCOME_EXIT, 0);
    stop(vm);
}

static void test_given_up(void **state)
{
    (void)state;
    struct bioxen_config config = restarting("limit", "error('no')", BIOXEN_RESTART_ALWAYS);
    config.restart.max = 3;
    uint32_t vm = create(&config);
    for (uint32_t i = 0; i < 3; i++)
        expect_life(vm, BIOXEN_OUTCOME_ERROR, i);
    struct bioxen_event event = next_of(BIOXEN_EVENT_DEATH);
    assert_int_equal(event.record.restarts, 3);
    assert_int_equal(event.record.outcome, BIOXEN_OUTCOME_ERROR);
    assert_string_equal(event.why.bytes, "it would be restarted more than 3 times within 1m");
    config = restarting("syntax", "x =", BIOXEN_RESTART_ALWAYS);
    create(&config);
    event = next_of(BIOXEN_EVENT_DEATH);
    assert_int_equal(event.record.outcome, BIOXEN_OUTCOME_SYNTAX);
    assert_string_equal(event.why.bytes, "its script does not compile");
}

static void test_between_two_lives(void **state)
{
    (void)state;
    struct bioxen_config config = restarting("rests", "", BIOXEN_RESTART_ALWAYS);
    struct bioxen_error err;
    struct bioxen_stats stats;
    bioxen_session *session;
    config.restart.delay_ms = config.restart.max_delay_ms = 3600000;
    config.restart.jitter_ppm = 0;
    for (int by_kill = 0; by_kill < 2; by_kill++) {
        uint32_t vm = create(&config);
        say(vm, "os.exit(4)");
        struct bioxen_event event = next_of(BIOXEN_EVENT_ENDED);
        assert_int_equal(event.wait_us, 3600000000u);
        assert_int_equal(bioxen_attach(manager, vm, &session, &err), -ESRCH);
        assert_int_equal(bioxen_stats(manager, vm, &stats, &err), -ESRCH);
        if (by_kill)
            assert_int_equal(bioxen_kill(manager, vm, SIGINT, NULL), 0);
        else
            assert_int_equal(bioxen_stop(manager, vm, 1000, NULL), 0);
        death(vm, by_kill ? BIOXEN_OUTCOME_KILLED : BIOXEN_OUTCOME_STOPPED, by_kill ? 130 : 0);
    }
}

static void test_a_wait_is_waited(void **state)
{
    (void)state;
    struct bioxen_config config = restarting("waits", "", BIOXEN_RESTART_ALWAYS);
    config.restart.delay_ms = 200;
    config.restart.jitter_ppm = 0;
    uint32_t vm = create(&config);
    say(vm, "os.exit(1)");
    struct bioxen_event event = next_of(BIOXEN_EVENT_ENDED);
    uint64_t ended = bx_now_us();
    assert_int_equal(event.wait_us, 200000);
    next_of(BIOXEN_EVENT_AGAIN);
    assert_true(bx_now_us() - ended > 150000);
    kill_it(vm);
    death(vm, BIOXEN_OUTCOME_KILLED, 137);
}

static void test_name_and_address_stay(void **state)
{
    (void)state;
    struct bioxen_config config = restarting("server", "", BIOXEN_RESTART_ALWAYS);
    static const char listens[] = "s = require 'socket' l = assert(s.bind('*', 7000)) return s.dns.toip('server')";
    uint32_t before, after;
    config.network = BIOXEN_NETWORK_SHARED;
    uint32_t server = create(&config);
    struct bioxen_config other = config_of("client", "");
    other.network = BIOXEN_NETWORK_SHARED;
    uint32_t client = create(&other);
    bioxen_session *to_client = attach(client);
    assert_int_equal(bioxen_network(manager, server, &before, NULL), 0);
    for (uint32_t i = 0; i < 3; i++) {
        bioxen_session *to_server = attach(server);
        ask(to_server, listens);
        hear(to_server);
        run(to_client, "s = require 'socket' c, e = s.connect('server', 7000) return c and 'in' or e", "in");
        bioxen_detach(to_server);
        say(server, "os.exit(1)");
        expect_life(server, BIOXEN_OUTCOME_EXIT, i);
        assert_int_equal(bioxen_network(manager, server, &after, NULL), 0);
        assert_int_equal(before, after);
        run(to_client, "c:settimeout(10) return (c:receive())", "nil"); /* the old connection has ended */
    }
    bioxen_detach(to_client);
    kill_it(server);
    death(server, BIOXEN_OUTCOME_KILLED, 137);
    stop(client);
}

static void test_modules_are_found_again(void **state)
{
    (void)state;
    struct bioxen_config config = restarting("module", "local m = require 'm'", BIOXEN_RESTART_ALWAYS);
    struct bioxen_error err;
    uint32_t vm = create(&config);
    for (int i = 0; i < 3; i++) {
        struct bioxen_event event = next_of(BIOXEN_EVENT_NEED);
        assert_memory_equal(event.bytes.bytes, "m", 1);
        assert_int_equal(bioxen_answer_module(manager, vm, "@m.lua", text_of("os.exit(1)"), &err), 0);
        next_of(BIOXEN_EVENT_ENDED);
        next_of(BIOXEN_EVENT_AGAIN);
    }
    next_of(BIOXEN_EVENT_NEED);
    kill_it(vm);
    death(vm, BIOXEN_OUTCOME_KILLED, 137);
}

/* An answer that comes after the life that had asked is not the next life's. */
static void test_a_late_answer_is_dropped(void **state)
{
    (void)state;
    struct bioxen_config config = restarting("late", "while not life do end", BIOXEN_RESTART_ALWAYS);
    struct bioxen_error err;
    config.text = text_of("return require 'm'.x");
    config.timeout_ms = 100u * (unsigned)slow();
    uint32_t vm = create(&config);
    next_of(BIOXEN_EVENT_NEED);
    assert_int_equal(next_of(BIOXEN_EVENT_ENDED).record.outcome, BIOXEN_OUTCOME_TIMEOUT);
    next_of(BIOXEN_EVENT_AGAIN);
    next_of(BIOXEN_EVENT_NEED);
    assert_int_equal(bioxen_answer_module(manager, vm, "@m.lua", text_of("os.exit(7)"), &err), 0); /* the first's */
    assert_int_equal(bioxen_answer_module(manager, vm, "@m.lua", text_of("os.exit(8)"), &err), 0);
    assert_int_equal(next_of(BIOXEN_EVENT_ENDED).record.exit_code, 8);
    kill_it(vm);
    struct bioxen_event event;
    do
        assert_int_equal(bioxen_next(manager, &event, patience(), &err), 1);
    while (event.type != BIOXEN_EVENT_DEATH);
}

static void test_what_is_out_of_range(void **state)
{
    (void)state;
    struct bioxen_config config = restarting("range", "", BIOXEN_RESTART_ALWAYS);
    struct bioxen_error err;
    uint32_t vm;
    config.restart.factor_milli = 999;
    assert_int_equal(bioxen_create(manager, &config, &vm, &err), -EINVAL);
    assert_non_null(strstr(err.text, "restart: factor"));
    config = restarting("range", "", BIOXEN_RESTART_ALWAYS);
    config.restart.within_ms = 0;
    assert_int_equal(bioxen_create(manager, &config, &vm, &err), -EINVAL);
    assert_non_null(strstr(err.text, "restart: within"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_comes_back_each_time),
        cmocka_unit_test(test_whatever_ended_it),
        cmocka_unit_test(test_a_good_end_is_an_end),
        cmocka_unit_test(test_given_up),
        cmocka_unit_test(test_between_two_lives),
        cmocka_unit_test(test_a_wait_is_waited),
        cmocka_unit_test(test_name_and_address_stay),
        cmocka_unit_test(test_modules_are_found_again),
        cmocka_unit_test(test_a_late_answer_is_dropped),
        cmocka_unit_test(test_what_is_out_of_range),
    };
    return cmocka_run_group_tests_name("restarts", tests, set_up, tear_down);
}
