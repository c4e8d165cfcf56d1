/*
 * test_restart.c - restart policies against a clock that the test sets: who is started again, after what wait, and when
 * it is given up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "daemon/restart.h"

#define MS       UINT64_C(1000)
#define SECOND   (1000 * MS)
#define UNLUCKY  UINT32_MAX /* the longest wait that jitter makes */
#define MIDDLE   0x80000000u

static const struct vm_restart usual = {
    .policy = VM_RESTART_ON_FAILURE,
    .delay_ms = 100,
    .factor_milli = 2000,
    .max_delay_ms = 30000,
    .max = 5,
    .within_ms = 60000,
    .reset_after_ms = 10000,
};

static struct restart_decision decide(const struct vm_restart *policy, struct restart_history *history,
                                      enum record_outcome outcome, uint64_t ready_us, uint64_t now_us)
{
    struct restart_decision decision;
    struct restart_end end = {.outcome = outcome, .exit_code = outcome == RECORD_OK ? 0 : 1, .ready_us = ready_us};
    restart_decide(policy, history, &end, now_us, MIDDLE, &decision);
    return decision;
}

static enum restart_verdict verdict_of(enum vm_restart_policy kind, enum record_outcome outcome, uint32_t exit_code)
{
    struct vm_restart policy = usual;
    struct restart_history history = {0};
    struct restart_decision decision;
    struct restart_end end = {.outcome = outcome, .exit_code = exit_code};
    policy.policy = kind;
    restart_decide(&policy, &history, &end, 1, 0, &decision);
    assert_true((decision.reason[0] != '\0') == (decision.verdict == RESTART_GIVE_UP));
    restart_forget(&history);
    return decision.verdict;
}

static void test_who_is_started_again(void **state)
{
    (void)state;
    for (int outcome = 0; outcome < RECORD_OUTCOME_COUNT; outcome++) {
        enum restart_verdict failed = RESTART_AGAIN, always = RESTART_AGAIN;
        if (outcome == RECORD_OK || outcome == RECORD_STOPPED)
            failed = RESTART_ENDED;
        if (outcome == RECORD_SYNTAX || outcome == RECORD_POLICY)
            failed = always = RESTART_GIVE_UP;
        assert_int_equal(verdict_of(VM_RESTART_NEVER, outcome, 1), RESTART_ENDED);
        assert_int_equal(verdict_of(VM_RESTART_ON_FAILURE, outcome, 1), failed);
        assert_int_equal(verdict_of(VM_RESTART_ALWAYS, outcome, 1), always);
    }
}

static void test_os_exit_is_judged_by_its_number(void **state)
{
    (void)state;
    assert_int_equal(verdict_of(VM_RESTART_ON_FAILURE, RECORD_EXIT, 0), RESTART_ENDED);
    assert_int_equal(verdict_of(VM_RESTART_ON_FAILURE, RECORD_EXIT, 3), RESTART_AGAIN);
    assert_int_equal(verdict_of(VM_RESTART_ALWAYS, RECORD_EXIT, 0), RESTART_AGAIN);
}

static void test_what_no_restart_mends(void **state)
{
    (void)state;
    struct restart_history history = {0};
    struct restart_decision decision = decide(&usual, &history, RECORD_SYNTAX, 0, 1);
    assert_true(decision.hopeless);
    assert_string_equal(decision.reason, "its script does not compile");
    decision = decide(&usual, &history, RECORD_POLICY, 0, 1);
    assert_true(decision.hopeless);
    assert_string_equal(decision.reason, "the system call policy ended it");
    assert_int_equal(history.tally.count, 0);
    restart_forget(&history);
}

static void test_waits_grow_to_the_longest(void **state)
{
    (void)state;
    struct vm_restart policy = usual;
    struct restart_history history = {0};
    policy.max = 100;
    policy.max_delay_ms = 1000;
    static const uint64_t waits_ms[] = {100, 200, 400, 800, 1000, 1000, 1000};
    for (unsigned i = 0; i < sizeof waits_ms / sizeof *waits_ms; i++) {
        struct restart_decision decision = decide(&policy, &history, RECORD_ERROR, 0, i * SECOND);
        assert_int_equal(decision.verdict, RESTART_AGAIN);
        assert_int_equal(decision.wait_us, waits_ms[i] * MS);
    }
    restart_forget(&history);
}

static void test_factor_of_one_and_a_fraction(void **state)
{
    (void)state;
    struct vm_restart policy = usual;
    struct restart_history history = {0};
    policy.factor_milli = 1000;
    for (int i = 0; i < 3; i++)
        assert_int_equal(decide(&policy, &history, RECORD_ERROR, 0, 1).wait_us, 100 * MS);
    restart_forget(&history);
    policy.factor_milli = 1500;
    policy.delay_ms = 1;
    assert_int_equal(decide(&policy, &history, RECORD_ERROR, 0, 1).wait_us, 1000);
    assert_int_equal(decide(&policy, &history, RECORD_ERROR, 0, 1).wait_us, 1500);
    assert_int_equal(decide(&policy, &history, RECORD_ERROR, 0, 1).wait_us, 2250);
    restart_forget(&history);
}

static void test_no_delay_stays_none(void **state)
{
    (void)state;
    struct vm_restart policy = usual;
    struct restart_history history = {0};
    policy.delay_ms = 0;
    policy.jitter_ppm = 1000000;
    policy.max = 1000;
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(decide(&policy, &history, RECORD_ERROR, 0, i).wait_us, 0);
    assert_int_equal(decide(&policy, &history, RECORD_ERROR, 0, 1000).verdict, RESTART_GIVE_UP);
    restart_forget(&history);
}

static uint64_t wait_with(const struct vm_restart *policy, uint32_t streak, uint32_t random)
{
    struct restart_history history = {.streak = streak};
    struct restart_end end = {.outcome = RECORD_ERROR};
    struct restart_decision decision;
    restart_decide(policy, &history, &end, 1, random, &decision);
    restart_forget(&history);
    return decision.wait_us;
}

static void test_jitter_goes_both_ways_and_not_past_the_longest(void **state)
{
    (void)state;
    struct vm_restart policy = usual;
    policy.jitter_ppm = 250000;
    assert_int_equal(wait_with(&policy, 0, 0), 75 * MS);
    assert_int_equal(wait_with(&policy, 0, MIDDLE), 100 * MS);
    assert_in_range(wait_with(&policy, 0, UNLUCKY), 125 * MS - 1, 125 * MS);
    /* at the longest wait they still differ from each other */
    assert_int_equal(wait_with(&policy, 50, 0), 22500 * MS);
    assert_in_range(wait_with(&policy, 50, UNLUCKY), 30000 * MS - 1, 30000 * MS);
    policy.jitter_ppm = 1000000;
    assert_int_equal(wait_with(&policy, 0, 0), 0);
}

static void test_a_stable_life_begins_anew(void **state)
{
    (void)state;
    struct restart_history history = {0};
    decide(&usual, &history, RECORD_ERROR, 0, SECOND);
    assert_int_equal(decide(&usual, &history, RECORD_ERROR, 9999 * MS, 20 * SECOND).wait_us, 200 * MS);
    assert_int_equal(decide(&usual, &history, RECORD_ERROR, 10000 * MS, 40 * SECOND).wait_us, 100 * MS);
    assert_int_equal(decide(&usual, &history, RECORD_ERROR, 0, 41 * SECOND).wait_us, 200 * MS);
    restart_forget(&history);
}

static void test_reset_after_nothing_always_begins_anew(void **state)
{
    (void)state;
    struct vm_restart policy = usual;
    struct restart_history history = {0};
    policy.reset_after_ms = 0;
    for (int i = 0; i < 4; i++)
        assert_int_equal(decide(&policy, &history, RECORD_ERROR, 0, 1).wait_us, 100 * MS);
    restart_forget(&history);
}

static void test_one_too_many_is_given_up(void **state)
{
    (void)state;
    struct restart_history history = {0};
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(decide(&usual, &history, RECORD_ERROR, 0, i * SECOND).verdict, RESTART_AGAIN);
    struct restart_decision decision = decide(&usual, &history, RECORD_ERROR, 0, 5 * SECOND);
    assert_int_equal(decision.verdict, RESTART_GIVE_UP);
    assert_false(decision.hopeless);
    assert_string_equal(decision.reason, "it would be restarted more than 5 times within 1m");
    assert_int_equal(decision.wait_us, 3200 * MS);
    restart_forget(&history);
    assert_int_equal(decide(&usual, &history, RECORD_ERROR, 0, 6 * SECOND).verdict, RESTART_AGAIN);
    restart_forget(&history);
}

/* The window is counted from restart to restart, the waits included, and its edge is inside. */
static void test_the_edge_of_the_window(void **state)
{
    (void)state;
    struct vm_restart policy = usual;
    policy.max = 1;
    policy.factor_milli = 1000;
    for (unsigned late = 0; late < 2; late++) {
        struct restart_history history = {0};
        decide(&policy, &history, RECORD_ERROR, 0, SECOND);
        struct restart_decision second = decide(&policy, &history, RECORD_ERROR, 0, 61 * SECOND + late);
        assert_int_equal(second.verdict, late ? RESTART_AGAIN : RESTART_GIVE_UP);
        restart_forget(&history);
    }
}

static void test_no_restart_at_all(void **state)
{
    (void)state;
    struct vm_restart policy = usual;
    struct restart_history history = {0};
    policy.max = 0;
    struct restart_decision decision = decide(&policy, &history, RECORD_ERROR, 0, 1);
    assert_int_equal(decision.verdict, RESTART_GIVE_UP);
    assert_string_equal(decision.reason, "it would be restarted more than 0 times within 1m");
    restart_forget(&history);
}

static void test_slow_deaths_go_on_for_ever(void **state)
{
    (void)state;
    struct restart_history history = {0};
    for (unsigned i = 0; i < 1000; i++) {
        struct restart_decision decision = decide(&usual, &history, RECORD_MEMORY, 12 * SECOND, i * 13 * SECOND);
        assert_int_equal(decision.verdict, RESTART_AGAIN);
        assert_int_equal(decision.wait_us, 100 * MS);
    }
    assert_in_range(history.tally.capacity, 5, 16); /* what is kept does not grow */
    restart_forget(&history);
}

/* Is it given up, when it dies at once each time and chance is on its side? */
static bool is_met(const struct vm_restart *policy)
{
    struct restart_history history = {0};
    struct restart_end end = {.outcome = RECORD_ERROR};
    struct restart_decision decision;
    uint64_t now = SECOND;
    for (uint32_t i = 0; i <= policy->max; i++) {
        restart_decide(policy, &history, &end, now, 0, &decision);
        now += decision.wait_us;
    }
    restart_forget(&history);
    return decision.verdict == RESTART_GIVE_UP;
}

/* What `check` computes is what happens. */
static void test_the_shortest_time_is_exact(void **state)
{
    (void)state;
    static const uint32_t factors[] = {1000, 2000, 10000};
    for (unsigned f = 0; f < 3; f++)
        for (uint32_t max = 1; max < 12; max++)
            for (unsigned reset = 0; reset < 2; reset++) {
                struct vm_restart policy = usual;
                policy.factor_milli = factors[f];
                policy.max = max;
                policy.jitter_ppm = 100000;
                policy.reset_after_ms = reset * 10000;
                uint64_t shortest = restart_shortest_us(&policy);
                assert_int_equal(shortest % 1000, 0);
                policy.within_ms = shortest / 1000;
                assert_true(is_met(&policy));
                policy.within_ms--;
                assert_false(is_met(&policy));
            }
}

static void test_shortest_times(void **state)
{
    (void)state;
    struct vm_restart policy = usual;
    assert_int_equal(restart_shortest_us(&policy), (200 + 400 + 800 + 1600 + 3200) * MS);
    policy.jitter_ppm = 500000;
    assert_int_equal(restart_shortest_us(&policy), 3100 * MS);
    policy.reset_after_ms = 0;
    assert_int_equal(restart_shortest_us(&policy), 250 * MS);
    policy = usual;
    policy.delay_ms = 0;
    policy.max = 1000000;
    assert_int_equal(restart_shortest_us(&policy), 0);
    policy = usual;
    policy.delay_ms = policy.max_delay_ms = 60000;
    policy.max = 10;
    assert_int_equal(restart_shortest_us(&policy), 600 * SECOND);
    policy = (struct vm_restart){.delay_ms = 86400000, .factor_milli = 100000, .max_delay_ms = 86400000,
                                 .max = 1000000, .reset_after_ms = 1};
    assert_int_equal(restart_shortest_us(&policy), UINT64_C(86400000) * MS * 1000000);
}

static void test_tally_keeps_what_the_limit_needs(void **state)
{
    (void)state;
    struct tally tally = {0};
    for (uint64_t i = 0; i < 1000; i++)
        assert_int_equal(tally_add(&tally, i, 1000, 1000), 1);
    assert_int_equal(tally_add(&tally, 1000, 1000, 1000), 0);
    assert_int_equal(tally_add(&tally, 1001, 1000, 1000), 1); /* the first is 1001 ago */
    assert_int_equal(tally_add(&tally, 1001, 1000, 1000), 0);
    assert_int_equal(tally.capacity, 1024);
    tally_fini(&tally);
    assert_int_equal(tally_add(&tally, 0, 0, 1), 0);
    assert_null(tally.times_us);
    tally_fini(&tally);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_is_started_again),
        cmocka_unit_test(test_os_exit_is_judged_by_its_number),
        cmocka_unit_test(test_what_no_restart_mends),
        cmocka_unit_test(test_waits_grow_to_the_longest),
        cmocka_unit_test(test_factor_of_one_and_a_fraction),
        cmocka_unit_test(test_no_delay_stays_none),
        cmocka_unit_test(test_jitter_goes_both_ways_and_not_past_the_longest),
        cmocka_unit_test(test_a_stable_life_begins_anew),
        cmocka_unit_test(test_reset_after_nothing_always_begins_anew),
        cmocka_unit_test(test_one_too_many_is_given_up),
        cmocka_unit_test(test_the_edge_of_the_window),
        cmocka_unit_test(test_no_restart_at_all),
        cmocka_unit_test(test_slow_deaths_go_on_for_ever),
        cmocka_unit_test(test_the_shortest_time_is_exact),
        cmocka_unit_test(test_shortest_times),
        cmocka_unit_test(test_tally_keeps_what_the_limit_needs),
    };
    return cmocka_run_group_tests_name("restart", tests, NULL, NULL);
}
