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

/* Whenever it is told to: it ends, and is said to have been stopped. */
static void test_stop_at_any_time(void **state)
{
    (void)state;
    static const char *const scripts[] = {
        LOAD "b.receive()",
        LOAD "while true do pcall(b.send, 'nobody', 1) end", /* which asks for an address each time */
    };
    for (unsigned i = 0; i < 20; i++) {
        uint32_t a = make_running("a", scripts[i % 2]);
        for (unsigned looks = 0; looks < i / 2; looks++)
            assert_int_equal(bioxen_stats(manager, a, &(struct bioxen_stats){0}, NULL), 0);
        stop(a);
    }
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

/* Connections and messages at once: who is slow keeps nobody else waiting. */
static void test_serve(void **state)
{
    (void)state;
    uint32_t a = make_running("a", LOAD "b.serve{port = 7000, on_message = function(f, v) b.send(f, v + 1) end,"
                                        " handler = function(c) if c:receive() == 'fail' then error('oh') end"
                                        " c:send(c:receive(4) .. '!\\n') end}");
    uint32_t b = make("b", LOAD "s = require 'socket'");
    bioxen_session *to_b = attach(b), *to_a = attach(a);
    run(to_b, "repeat one = s.connect('a', 7000) until one", "");
    run(to_b, "two = s.connect('a', 7000) return (one:send('hello\\nab'))", "8");
    run(to_b, "two:send('hello\\n1234') return (two:receive())", "1234!");
    run(to_b, "return (two:receive())", "nil");
    run(to_b, "b.send('a', 5) return b.receive(10)", "a 6");
    run(to_b, "bad = s.connect('a', 7000) bad:send('fail\\n') return select(2, bad:receive()) == 'closed'", "true");
    run(to_b, "one:send('cd') return (one:receive())", "abcd!");
    run(to_a, "return 'serves'", "serves");
    bioxen_detach(to_b);
    bioxen_detach(to_a);
    stop(a);
    stop(b);
}

static void test_serve_messages(void **state)
{
    (void)state;
    uint32_t a = make_running("a", LOAD "b.serve{handler = function(from, v) return from .. v end}");
    uint32_t b = make("b", LOAD);
    bioxen_session *to_b = attach(b);
    run(to_b, "b.send('a', 5) return b.receive(10)", "a b5");
    run(to_b, "b.serve{port = 0, handler = print}", "! 'port' must be");
    run(to_b, "b.serve{}", "! 'handler' must be");
    bioxen_detach(to_b);
    stop(a);
    stop(b);
}

/* A VM that is connected later takes messages from then on, wherever it loaded the module. */
static void test_connected_later(void **state)
{
    (void)state;
    struct bioxen_config config = config_of("a", LOAD);
    config.network = BIOXEN_NETWORK_LATE;
    uint32_t a = create(&config), b = make("b", LOAD);
    bioxen_session *to_a = attach(a), *to_b = attach(b);
    run(to_a, "return (pcall(b.send, 'b', 1))", "false");
    run(to_b, "return (pcall(b.send, 'a', 1))", "false");
    assert_int_equal(bioxen_network(manager, a, NULL, NULL), 0);
    run(to_a, "b.send('b', 1)", "");
    run(to_b, "b.send('a', 2) return b.receive(10)", "a 1");
    run(to_a, "return b.receive(10)", "b 2");
    bioxen_detach(to_a);
    bioxen_detach(to_b);
    stop(a);
    stop(b);
}

/* As a wired neighbour may misbehave: what is not said as it should be ends that connection, and that only. */
static void test_garbage(void **state)
{
    (void)state;
    static const char *const lies[] = {
        "('x'):rep(1000)",                                                           /* no hello */
        "head(16, 1, 7) .. hello(1) .. head(16, 1, 7) .. hello(1)",                  /* two */
        "head(16, 1, 0) .. hello(1)",                                                /* of no incarnation */
        "head(16, 1, 7) .. hello(0)",                                                /* numbers begin with 1 */
        "head(16, 1, 7) .. hello(1) .. head(1, 2, 1) .. '\xc1'",                    /* no value */
        "head(16, 1, 7) .. hello(1) .. head(3, 2, 1) .. '\x92\xc0\xc0'",          /* two values */
        "head(16, 1, 7) .. hello(1) .. head(2, 2, 2) .. '\x91\xc0'",               /* out of order */
        "head(16, 1, 7) .. hello(1) .. head(1 << 31, 2, 1)",                         /* too large */
        "head(16, 1, 7) .. hello(1) .. head(0, 3, 1)",                               /* what a receiver says */
    };
    uint32_t a = make("a", LOAD), b = make("b", "s = require 'socket'");
    bioxen_session *to_a = attach(a), *to_b = attach(b);
    run(to_b,
        "function head(l, t, n) return ('<I4BI3I8'):pack(l, t, 0, n) end"
        " function hello(n) return ('<I4I4I8'):pack(0x314d5842, 0, n) end"
        " function say(x) c = assert(s.connect('a', 25208)) c:settimeout(10) c:send(x) return c end",
        "");
    for (unsigned i = 0; i < sizeof lies / sizeof *lies; i++) {
        char code[400];
        /* a good hello may be answered before the rest is seen: what counts is the end */
        snprintf(code, sizeof code, "local _, e = say(%s):receive('*a') return e == 'timeout' and e or 'over'",
                 lies[i]);
        run(to_b, code, "over");
    }
    run(to_b, "say(head(16, 1, 7) .. hello(1) .. head(2, 2, 1) .. '\x91\xc0' .. head(2, 2, 2) .. '\x91')", "");
    run(to_a, "return b.receive(10)", "b nil");
    run(to_a, "return b.receive(0.1)", "nil timeout"); /* half of it */
    run(to_b, "c:send('\x05') return #c:receive(16)", "16");
    run(to_a, "return b.receive(10)", "b 5");
    run(to_b, "for i = 1, 300 do say(head(16, 1, 7)) end return 'many'", "many");
    run(to_a, "return b.receive(0.1)", "nil timeout");
    bioxen_detach(to_a);
    bioxen_detach(to_b);
    stop(a);
    stop(b);
}

/* A receiver that says it took what it was never sent, or garbage: the sender goes on, and keeps what it has. */
static void test_lying_receiver(void **state)
{
    (void)state;
    uint32_t a = make("a", LOAD), b = make("b", "s = require 'socket' l = s.bind('*', 25208)");
    bioxen_session *to_a = attach(a), *to_b = attach(b);
    run(to_a, "b.send('b', 'one') return b.pending('b')", "1");
    run(to_b, "c = l:accept() c:settimeout(10) return #c:receive(48)", "48");
    run(to_b, "return (c:send(('<I4BI3I8'):pack(0, 3, 0, 99)))", "16");
    run(to_a, "return b.pending('b')", "1"); /* here it looks */
    run(to_b, "d = l:accept() d:settimeout(10) return #d:receive(48)", "48");
    run(to_b, "return (d:send(('y'):rep(50)))", "50");
    run(to_a, "return b.pending('b')", "1");
    run(to_b, "d = l:accept() return #d:receive(48)", "48");
    run(to_b, "return (d:send(('<I4BI3I8'):pack(0, 3, 0, 1)))", "16");
    run(to_a, "for i = 1, 100 do if b.pending('b') == 0 then break end b.sleep(0.05) end return b.pending('b')", "0");
    bioxen_detach(to_a);
    bioxen_detach(to_b);
    stop(a);
    stop(b);
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
        cmocka_unit_test_setup_teardown(test_stop_at_any_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_interrupt_while_it_serves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_serve, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_serve_messages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_connected_later, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_garbage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lying_receiver, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
