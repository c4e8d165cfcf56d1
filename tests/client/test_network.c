/* test_network.c - libbioxen and the real programs: VMs that reach each other by name, at once, later, or never. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "serving.h"

#define LISTEN "s = require 'socket' l = assert(s.bind('*', 7000)) return type(l)"
#define CONNECT(name) "s = require 'socket' c, e = s.connect('" name "', 7000) return c and 'in' or e"

static uint32_t make(const char *name, enum bioxen_network network, enum bioxen_profile profile)
{
    struct bioxen_config config = config_of(name, "");
    config.network = network;
    config.profile = profile;
    return create(&config);
}

static void test_by_name(void **state)
{
    (void)state;
    uint32_t a = make("a", BIOXEN_NETWORK_SHARED, BIOXEN_RESTRICTED), b = make("b", BIOXEN_NETWORK_SHARED, BIOXEN_FULL);
    bioxen_session *to_a = attach(a), *to_b = attach(b);
    run(to_b, LISTEN, "userdata");
    run(to_a, CONNECT("b"), "in");
    run(to_b, "d = l:accept() d:settimeout(10) d:send('from b\\n') return (d:getpeername() ~= nil)", "true");
    run(to_a, "return (c:receive())", "from b");
    run(to_a, "return s.dns.gethostname(), (s.dns.toip('localhost'))", "a 127.0.0.1");
    run(to_a, "return (s.connect('nobody', 7000))", "nil");
    run(to_a, "return s.dns.toip('a') ~= nil, s.dns.toip('a') ~= s.dns.toip('b')", "true true");
    bioxen_detach(to_a);
    bioxen_detach(to_b);
    stop(a);
    stop(b);
}

/* Whoever is not of the same network is neither reached nor known by name. */
static void test_alone(void **state)
{
    (void)state;
    uint32_t a = make("a", BIOXEN_NETWORK_FABRIC, BIOXEN_FULL), b = make("b", BIOXEN_NETWORK_SHARED, BIOXEN_FULL);
    uint32_t c = make("c", BIOXEN_NETWORK_NONE, BIOXEN_FULL);
    bioxen_session *to_a = attach(a), *to_b = attach(b), *to_c = attach(c);
    run(to_b, LISTEN, "userdata");
    run(to_a, CONNECT("b"), "host or service not provided, or not known");
    run(to_b, "return (s.dns.toip('a'))", "nil");
    run(to_b, "return (s.dns.toip('b'))", "100.64.0.2");
    run(to_a, CONNECT("100.64.0.2"), "connection refused");
    run(to_a, LISTEN, "userdata");
    run(to_a, CONNECT("localhost"), "in");
    run(to_c, "return (pcall(require, 'socket'))", "false");
    bioxen_detach(to_a);
    bioxen_detach(to_b);
    bioxen_detach(to_c);
    stop(a);
    stop(b);
    stop(c);
}

static void test_later(void **state)
{
    (void)state;
    uint32_t a = make("a", BIOXEN_NETWORK_LATE, BIOXEN_RESTRICTED);
    uint32_t b = make("b", BIOXEN_NETWORK_LATE, BIOXEN_RESTRICTED);
    bioxen_session *to_a = attach(a), *to_b = attach(b);
    struct bioxen_error err;
    uint32_t address = 0, again = 0;
    run(to_a, "kept = 5 " CONNECT("100.64.0.1"), "Network is unreachable");
    assert_int_equal(bioxen_network(manager, a, &address, &err), 0);
    run(to_a, "return kept, (s.dns.toip('b'))", "5 nil");
    assert_int_equal(bioxen_network(manager, b, NULL, &err), 0);
    assert_int_equal(bioxen_network(manager, a, &again, &err), 0);
    assert_true(address >> 16 == 0x6440 && again == address);
    run(to_b, LISTEN, "userdata");
    run(to_a, CONNECT("b"), "in");
    bioxen_detach(to_a);
    bioxen_detach(to_b);
    stop(a);
    stop(b);
}

static void test_refusals(void **state)
{
    (void)state;
    uint32_t a = make("a", BIOXEN_NETWORK_SHARED, BIOXEN_RESTRICTED);
    uint32_t none = make("c", BIOXEN_NETWORK_NONE, BIOXEN_RESTRICTED);
    struct bioxen_config config = config_of("a", "");
    struct bioxen_error err;
    uint32_t vm;
    config.network = BIOXEN_NETWORK_LATE;
    assert_int_equal(bioxen_create(manager, &config, &vm, &err), -EEXIST);
    assert_non_null(strstr(err.text, "'a'"));
    config.network = (enum bioxen_network)7;
    assert_int_equal(bioxen_create(manager, &config, &vm, &err), -EINVAL);
    assert_int_equal(bioxen_network(manager, none, NULL, &err), -EINVAL);
    assert_int_equal(bioxen_network(manager, 4000, NULL, &err), -ESRCH);
    stop(a);
    stop(none);
    uint32_t next = make("a", BIOXEN_NETWORK_SHARED, BIOXEN_RESTRICTED); /* the name is free again */
    stop(next);
}

/* A call that waits for a socket ends when it is told to, and its VM lives on. */
static void test_waits_can_be_interrupted(void **state)
{
    (void)state;
    static const char *const waits[] = {
        "l:settimeout(nil) return l:accept()",
        "s.select({l})",
        "s.select(nil, nil, 1000)",
        "s.sleep(1000)",
        "u = s.udp() u:setsockname('*', 0) return u:receive()",
        "while true do pcall(s.sleep, 1000) end",
    };
    uint32_t a = make("a", BIOXEN_NETWORK_SHARED, BIOXEN_FULL);
    bioxen_session *session = attach(a);
    run(session, LISTEN, "userdata");
    for (unsigned i = 0; i < sizeof waits / sizeof *waits; i++) {
        char code[200];
        snprintf(code, sizeof code, "print('waits') %s", waits[i]);
        uint64_t call = ask(session, code);
        struct bioxen_reply reply = hear(session);
        assert_int_equal(reply.type, BIOXEN_REPLY_OUTPUT);
        assert_int_equal(
            bioxen_interrupt(manager, a, session, call, BIOXEN_BY_CLIENT, (unsigned)patience(), NULL), 0);
        expect(session, "! interrupted");
    }
    run(session, "return type(l)", "userdata");
    bioxen_detach(session);
    stop(a);
}

/* Clients that come while a call waits for a socket are taken on, and served afterwards. */
static void test_attach_while_it_waits(void **state)
{
    (void)state;
    uint32_t a = make("a", BIOXEN_NETWORK_SHARED, BIOXEN_RESTRICTED);
    bioxen_session *first = attach(a);
    run(first, LISTEN, "userdata");
    ask(first, "l:settimeout(0.2) local c, e = l:accept() return e");
    bioxen_session *second = attach(a);
    ask(second, "return 'second'");
    expect(first, "timeout");
    expect(second, "second");
    bioxen_detach(first);
    bioxen_detach(second);
    stop(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_by_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_later, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_waits_can_be_interrupted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_attach_while_it_waits, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
