/*
 * test_topology_restarts.c - VMs of a topology that are started again by their policy: what they keep, what depends on
 * them, what ends the waiting.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fleet.h"

#define WAITING "network: fabric, code: \"require('bioxen').receive()\""
#define AT_ONCE "restart: {policy: always, delay: 0s, max: 1000}"

/* Whatever else it says: the next of them that is one of a death. */
static const bioxen_node *next_death(uint32_t listener, const char *vm)
{
    return wait_change(listener, "death", vm).node;
}

/* Ends it by code of its own. */
static void end_by(const char *vm, const char *code)
{
    struct bioxen_reply reply;
    bioxen_session *session = attach(number_of_vm(vm));
    ask(session, code);
    while (bioxen_session_next(session, &reply, patience(), NULL) == 1)
        assert_int_equal(reply.type, BIOXEN_REPLY_OUTPUT);
    bioxen_detach(session);
}

static uint64_t restarts_of(const char *vm)
{
    bioxen_answer *answer = inspect(vm);
    uint64_t restarts = number_at(bioxen_answer_node(answer), "restarts");
    bioxen_answer_free(answer);
    return restarts;
}

static void test_it_comes_back_with_all_that_it_has(void **state)
{
    (void)state;
    up_quietly("version: 1\nname: t\nvms:\n"
               "  a: {" WAITING ", server: 8080, " AT_ONCE "}\n"
               "  b: {" WAITING ", client: a}\n", 0);
    uint32_t listener = listen_to("t"), number = number_of_vm("a");
    wait_change(listener, "live", NULL);
    bioxen_session *to_b = attach(number_of_vm("b"));
    for (uint64_t i = 0; i < 5; i++) {
        bioxen_session *to_a = attach(number);
        run(to_a, "s = require 'socket' l = assert(s.bind('*', 8080)) return type(l)", "userdata");
        run(to_b, "s = require 'socket' c, e = s.connect('a', 8080) return c and 'in' or e", "in");
        bioxen_detach(to_a);
        end_by("a", "os.exit(3)");
        const bioxen_node *death = next_death(listener, "a");
        assert_true(text_is(death, "state", "backoff"));
        assert_int_equal(number_at(bioxen_node_find(death, "record"), "restarts"), i);
        wait_change(listener, "start", "a");
        assert_int_equal(number_of_vm("a"), number);
        assert_int_equal(restarts_of("a"), i + 1);
    }
    bioxen_detach(to_b);
    expect_state("b", "running");
    down("t");
}

static void test_no_policy_is_no_restart(void **state)
{
    (void)state;
    up_quietly("version: 1\nname: t\nvms:\n  a: {" WAITING "}\n  b: {" WAITING ", restart: on-failure}\n", 0);
    uint32_t listener = listen_to("t");
    end_by("a", "os.exit(3)");
    assert_true(text_is(next_death(listener, "a"), "state", "ended"));
    end_by("b", "os.exit(0)");
    assert_true(text_is(next_death(listener, "b"), "state", "ended"));
    down("t");
}

static void test_it_is_given_up(void **state)
{
    (void)state;
    up_quietly("version: 1\nname: t\nvms:\n"
               "  a: {code: \"error 'no'\", restart: {policy: on-failure, delay: 0s, max: 3}}\n"
               "  b: {" WAITING "}\n", 0);
    uint32_t listener = listen_to("t");
    const bioxen_node *death;
    do
        death = next_death(listener, "a");
    while (!text_is(death, "state", "failed"));
    assert_true(text_is(death, "why", "it would be restarted more than 3 times within 1m"));
    assert_int_equal(number_at(bioxen_node_find(death, "record"), "restarts"), 3);
    expect_state("b", "running");
    down("t");
}

static void test_whoever_stops_it_means_it(void **state)
{
    (void)state;
    struct bioxen_error err;
    uint32_t request;
    up_quietly("version: 1\nname: t\nvms:\n"
               "  a: {" WAITING ", restart: {policy: always, delay: 1h, max_delay: 1h}}\n", 0);
    uint32_t listener = listen_to("t");
    end_by("a", "os.exit(3)");
    assert_true(text_is(next_death(listener, "a"), "state", "backoff"));
    expect_state("a", "backoff");
    assert_int_equal(bioxen_vm_start(manager, BIOXEN_VM_STOP, "a", 1000, &request, &err), 0);
    bioxen_answer_free(wait_answer(request));
    expect_state("a", "stopped");
    assert_int_equal(bioxen_vm_start(manager, BIOXEN_VM_START, "a", 0, &request, &err), 0);
    bioxen_answer_free(wait_answer(request));
    expect_state("a", "running");
    assert_int_equal(bioxen_vm_start(manager, BIOXEN_VM_STOP, "a", 1000, &request, &err), 0);
    bioxen_answer_free(wait_answer(request));
    expect_state("a", "stopped");
    down("t");
}

static void test_a_start_cuts_the_wait_short(void **state)
{
    (void)state;
    struct bioxen_error err;
    uint32_t request;
    up_quietly("version: 1\nname: t\nvms:\n"
               "  a: {" WAITING ", restart: {policy: always, delay: 1h, max_delay: 1h}}\n", 0);
    uint32_t listener = listen_to("t");
    end_by("a", "os.exit(3)");
    next_death(listener, "a");
    assert_int_equal(bioxen_vm_start(manager, BIOXEN_VM_START, "a", 0, &request, &err), 0);
    bioxen_answer_free(wait_answer(request));
    expect_state("a", "running");
    down("t");
}

static void test_a_topology_that_waits_goes_down(void **state)
{
    (void)state;
    up_quietly("version: 1\nname: t\nvms:\n"
               "  a: {code: os.exit(1), restart: {policy: always, delay: 1h, max_delay: 1h}}\n"
               "  b: {" WAITING ", client: [c]}\n  c: {" WAITING ", server: 8080, " AT_ONCE "}\n", 0);
    down("t");
    assert_int_equal(count_of(BIOXEN_LIST_VMS), 0);
}

/* What is waited for follows restarts: ready in the third life. */
static void test_depends_follow_restarts(void **state)
{
    (void)state;
    up_quietly("version: 1\nname: t\nvms:\n"
               "  a: {code: \"if os.time() % 3 > 0 then os.exit(1) end require('bioxen').receive()\", " AT_ONCE "}\n"
               "  b: {" WAITING ", depends_on: [a]}\n", BIOXEN_UP_WAIT);
    expect_state("b", "running");
    down("t");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_comes_back_with_all_that_it_has),
        cmocka_unit_test(test_no_policy_is_no_restart),
        cmocka_unit_test(test_it_is_given_up),
        cmocka_unit_test(test_whoever_stops_it_means_it),
        cmocka_unit_test(test_a_start_cuts_the_wait_short),
        cmocka_unit_test(test_a_topology_that_waits_goes_down),
        cmocka_unit_test(test_depends_follow_restarts),
    };
    return cmocka_run_group_tests_name("topology restarts", tests, set_up, tear_down);
}
