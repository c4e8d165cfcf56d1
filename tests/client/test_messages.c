/*
 * test_messages.c - bioxen.send and bioxen.receive between real VMs: order, values, who sent it, and what becomes of
 * messages when one end dies, does not listen, or does not read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "serving.h"

#define LOAD "b = require 'bioxen' "

static uint32_t make(const char *name, const char *script)
{
    struct bioxen_config config = config_of(name, script);
    config.network = BIOXEN_NETWORK_SHARED;
    return create(&config);
}

/* One that ends with its script, and serves while that waits. */
static uint32_t make_running(const char *name, const char *script)
{
    struct bioxen_config config = config_of(name, script);
    config.network = BIOXEN_NETWORK_SHARED;
    config.serve = BIOXEN_SERVE_WHILE_WAITING;
    return create(&config);
}

static void test_there_and_back(void **state)
{
    (void)state;
    uint32_t a = make("a", LOAD), b = make("b", LOAD);
    bioxen_session *to_a = attach(a), *to_b = attach(b);
    run(to_a, "b.send('b', 'hello') return b.name", "a");
    run(to_b, "return b.receive(10)", "a hello");
    run(to_b, "b.send('a', {1, 2, x = {true}}) b.send('a', nil) b.send('a', 2^53 | 1)", "");
    run(to_a, "f, v = b.receive(10) return f, v[2], v.x[1]", "b 2 true");
    run(to_a, "return b.receive(10)", "b nil");
    run(to_a, "return b.receive(10)", "b 9007199254740993");
    run(to_a, "return b.receive(0)", "nil timeout");
    run(to_a, "return b.pending('b'), #b.peers(), b.peers()[1].name, b.peers()[1].role", "0 1 b peer");
    bioxen_detach(to_a);
    bioxen_detach(to_b);
    stop(a);
    stop(b);
}

/* More than the queues of both ends hold, while the receiver takes them one by one. */
static void test_order_of_many(void **state)
{
    (void)state;
    uint32_t a = make("a", LOAD), b = make("b", LOAD);
    bioxen_session *to_a = attach(a), *to_b = attach(b);
    ask(to_a, "for i = 1, 20000 do b.send('b', {i, ('x'):rep(i % 300)}, 60) end return 'sent'");
    run(to_b,
        "for i = 1, 20000 do local f, v = b.receive(60)"
        " if f ~= 'a' or v[1] ~= i or #v[2] ~= i % 300 then return i, f, v end end return 'all'",
        "all");
    expect(to_a, "sent");
    run(to_b, "return b.receive(0)", "nil timeout");
    bioxen_detach(to_a);
    bioxen_detach(to_b);
    stop(a);
    stop(b);
}

static void test_large(void **state)
{
    (void)state;
    uint32_t a = make("a", LOAD), b = make("b", LOAD);
    bioxen_session *to_a = attach(a), *to_b = attach(b);
    ask(to_a, "s = ('0123456789'):rep(500000) for i = 1, 3 do b.send('b', s, 60) end return 'sent'");
    run(to_b, "for i = 1, 3 do local f, v = b.receive(60) if #v ~= 5000000 then return #v end end return 'all'", "all");
    expect(to_a, "sent");
    run(to_a, "return b.send('b', ('x'):rep(9 * 1024 * 1024))", "! a message has 8 MiB at most");
    run(to_a, "return b.send('b', {f = print})", "! .f");
    run(to_a, "return b.pending('b')", "0");
    bioxen_detach(to_a);
    bioxen_detach(to_b);
    stop(a);
    stop(b);
}

static void test_refusals(void **state)
{
    (void)state;
    uint32_t a = make("a", LOAD);
    bioxen_session *to_a = attach(a);
    run(to_a, "b.send('nobody', 1)", "! there is no such peer");
    run(to_a, "b.send(1, 1)", "! bad argument #1 to 'send'");
    run(to_a, "b.receive(-1)", "! seconds expected");
    run(to_a, "b.send('', 1)", "! there is no such peer");
    run(to_a, "b.send(('x'):rep(100), 1)", "! there is no such peer");
    run(to_a, "return (b.broadcast(1))", "0");
    bioxen_detach(to_a);
    stop(a);
}

/* What receive never returned is there again after the receiver's death; what it returned is not. */
static void test_receiver_dies(void **state)
{
    (void)state;
    uint32_t a = make("a", LOAD), b = make("b", LOAD);
    bioxen_session *to_a = attach(a), *to_b = attach(b);
    run(to_a, "for i = 1, 5 do b.send('b', i) end return 'sent'", "sent");
    run(to_b, "return select(2, b.receive(10)), select(2, b.receive(10))", "1 2");
    assert_int_equal(bioxen_kill(manager, b, SIGKILL, NULL), 0);
    death(b, BIOXEN_OUTCOME_KILLED, 128 + SIGKILL);
    bioxen_detach(to_b);
    run(to_a, "return b.pending('b')", "3");
    b = make("b", LOAD);
    to_b = attach(b);
    run(to_a, "b.send('b', 6)", "");
    run(to_b, "local t = {} for i = 1, 4 do t[i] = select(2, b.receive(10)) end return table.unpack(t)", "3 4 5 6");
    run(to_b, "return b.receive(0.1)", "nil timeout");
    bioxen_detach(to_a);
    bioxen_detach(to_b);
    stop(a);
    stop(b);
}

/* A serving VM sends again while nobody calls it. */
static void test_connects_again_by_itself(void **state)
{
    (void)state;
    uint32_t a = make("a", LOAD), b = make("b", "");
    bioxen_session *to_a = attach(a), *to_b = attach(b);
    run(to_a, "b.send('b', 'early') return b.pending('b')", "1");
    run(to_b, LOAD "return b.receive(10)", "a early");
    run(to_a, "return b.pending('b')", "0");
    bioxen_detach(to_a);
    bioxen_detach(to_b);
    stop(a);
    stop(b);
}

/* A script that ends has its messages delivered before. */
static void test_sender_ends(void **state)
{
    (void)state;
    uint32_t b = make("b", LOAD);
    bioxen_session *to_b = attach(b);
    uint32_t a = make_running("a", LOAD "for i = 1, 100 do b.send('b', i) end");
    run(to_b, "for i = 1, 100 do if select(2, b.receive(10)) ~= i then return i end end return 'all'", "all");
    death(a, BIOXEN_OUTCOME_OK, 0);
    bioxen_detach(to_b);
    stop(b);
}

static void test_full_queue(void **state)
{
    (void)state;
    uint32_t a = make("a", LOAD), b = make("b", LOAD);
    bioxen_session *to_a = attach(a), *to_b = attach(b);
    run(to_a, "s = ('x'):rep(100000) n = 0 repeat ok, e = pcall(b.send, 'b', s, 0.05) n = n + 1 until not ok return e",
        "cannot send to 'b': 10 messages wait for it already (it does not take them)");
    run(to_b, "for i = 1, 5 do b.receive(10) end", "");
    run(to_a, "return pcall(b.send, 'b', s, 10)", "true");
    bioxen_detach(to_a);
    bioxen_detach(to_b);
    stop(a);
    stop(b);
}

/* While the script waits for a message its VM serves calls, and the script goes on afterwards. */
static void test_serves_while_it_waits(void **state)
{
    (void)state;
    uint32_t a = make_running("a", LOAD "count = 0 while true do local f, v = b.receive() count = count + 1"
                                        " if v == 'end' then os.exit(count) end b.send(f, count) end");
    uint32_t b = make("b", LOAD);
    bioxen_session *to_a = attach(a), *to_b = attach(b);
    run(to_a, "return count", "0");
    run(to_b, "b.send('a', 1) return b.receive(10)", "a 1");
    run(to_a, "x = 5 return count, x", "1 5");
    run(to_a, "error('mine')", "! mine");
    run(to_a, "local co = coroutine.wrap(function() return count + x end) return co()", "6");
    run(to_a, "return b.receive(0.05)", "nil timeout");
    run(to_b, "b.send('a', 'end')", "");
    death(a, BIOXEN_OUTCOME_EXIT, 2);
    expect_gone(to_a);
    bioxen_detach(to_b);
    stop(b);
}

static void test_interrupt_while_it_serves(void **state)
{
    (void)state;
    uint32_t a = make_running("a", LOAD "while true do b.sleep(1000) end");
    bioxen_session *to_a = attach(a);
    uint64_t call = ask(to_a, "print('busy') while true do end");
    struct bioxen_reply reply = hear(to_a);
    assert_int_equal(reply.type, BIOXEN_REPLY_OUTPUT);
    assert_int_equal(bioxen_interrupt(manager, a, to_a, call, BIOXEN_BY_CLIENT, (unsigned)patience(), NULL), 0);
    expect(to_a, "! interrupted");
    run(to_a, "return 'lives'", "lives");
    call = ask(to_a, "print('waits') b.sleep(1000)");
    reply = hear(to_a);
    assert_int_equal(reply.type, BIOXEN_REPLY_OUTPUT);
    assert_int_equal(bioxen_interrupt(manager, a, to_a, call, BIOXEN_BY_TIMEOUT, (unsigned)patience(), NULL), 0);
    expect(to_a, "! timeout");
    run(to_a, "return 'lives'", "lives");
    stop(a);
    expect_gone(to_a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_there_and_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_order_of_many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_large, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_receiver_dies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_connects_again_by_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sender_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_full_queue, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_serves_while_it_waits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_interrupt_while_it_serves, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
