/* test_death.c - the verdict on a VM's end, and the totality of the state table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/lifeline.h"
#include "daemon/death.h"
#include "daemon/vm.h"

static struct vm exited(int status)
{
    struct vm vm = {.spec = {.name = "t", .memory = 1}, .words.ready = true};
    vm.death = (struct jw_death){.wait_code = CLD_EXITED, .wait_status = status};
    return vm;
}

static struct vm killed(int signal)
{
    struct vm vm = {.spec = {.name = "t", .memory = 1}, .words.ready = true};
    vm.death = (struct jw_death){.wait_code = CLD_KILLED, .wait_status = signal};
    return vm;
}

static void check(struct vm vm, uint32_t outcome, uint32_t exit_code, uint32_t signal)
{
    struct record record = {0};
    death_describe(&vm, &record);
    assert_int_equal(record.outcome, outcome);
    assert_int_equal(record.exit_code, exit_code);
    assert_int_equal(record.signal, signal);
    record_fini(&record);
}

static void test_own_ends(void **state)
{
    (void)state;
    struct vm vm = exited(0);
    vm.words.done = true;
    check(vm, RECORD_OK, 0, 0);
    vm.words.outcome = LW_ERROR;
    check(vm, RECORD_ERROR, 1, 0);
    vm.words.outcome = LW_SYNTAX;
    check(vm, RECORD_SYNTAX, 126, 0);
    vm.words.outcome = LW_EXIT;
    vm.words.exit_status = 7;
    check(vm, RECORD_EXIT, 7, 0);
    vm.output_cut = true; /* faster than the kill for its output */
    check(vm, RECORD_OUTPUT, 137, 0);
}

static void test_without_words(void **state)
{
    (void)state;
    check(exited(3), RECORD_EXIT, 3, 0); /* native code that called exit_group */
    struct vm vm = exited(1);
    vm.words.ready = false;
    check(vm, RECORD_INTERNAL, 125, 0);
}

static void test_our_kills(void **state)
{
    (void)state;
    struct vm vm = killed(SIGKILL);
    vm.kill = VM_KILL_TIMEOUT;
    check(vm, RECORD_TIMEOUT, 124, SIGKILL);
    vm.kill = VM_KILL_OUTPUT;
    check(vm, RECORD_OUTPUT, 137, SIGKILL);
    vm.kill = VM_KILL_ASKED;
    vm.kill_signal = SIGINT;
    check(vm, RECORD_KILLED, 130, SIGKILL);
    vm.death.oom_kills = 1;
    check(vm, RECORD_MEMORY, 137, SIGKILL);
    vm.death.oom_kills = 0;
    vm.death.cpu_time_hit = 1;
    check(vm, RECORD_CPU, 124, SIGKILL);
}

static void test_a_liar_does_not_change_the_verdict(void **state)
{
    (void)state;
    struct vm vm = killed(SIGKILL);
    vm.words.done = true; /* says that all is well, and is then out of memory */
    vm.words.outcome = LW_OK;
    vm.death.oom_kills = 1;
    check(vm, RECORD_MEMORY, 137, SIGKILL);
    vm.death.oom_kills = 0;
    vm.words.fatal_signal = SIGSYS;
    check(vm, RECORD_KILLED, 137, SIGKILL);
}

static void test_signals(void **state)
{
    (void)state;
    check(killed(SIGSEGV), RECORD_CRASH, 139, SIGSEGV);
    struct vm vm = killed(SIGSYS); /* its handler for SIGABRT could end itself in no other way */
    vm.words.fatal_signal = SIGABRT;
    check(vm, RECORD_CRASH, 134, SIGABRT);
}

static void test_policy_names_the_call(void **state)
{
    (void)state;
    struct vm vm = killed(SIGSYS);
    vm.words.fatal_signal = SIGSYS;
    vm.words.fatal_syscall = SYS_ptrace;
    struct record record = {0};
    death_describe(&vm, &record);
    assert_int_equal(record.outcome, RECORD_POLICY);
    assert_int_equal(record.exit_code, 159);
    assert_string_equal(record.syscall, "ptrace");
    record_fini(&record);
    vm.words.fatal_syscall = INT64_MIN; /* any number is safe */
    death_describe(&vm, &record);
    assert_string_equal(record.syscall, "-9223372036854775808");
    record_fini(&record);
}

static void test_limits(void **state)
{
    (void)state;
    struct vm vm = exited(0);
    vm.spawned.memory_enforcer = JW_BY_CGROUP_V1;
    vm.spawned.pids_enforcer = JW_BY_SECCOMP;
    vm.spec.pids = 16;
    struct record record = {0};
    death_describe(&vm, &record);
    assert_string_equal(record.limits[RECORD_LIMIT_MEMORY].enforced_by, "cgroup-v1, allocator");
    assert_string_equal(record.limits[RECORD_LIMIT_PIDS].enforced_by, "seccomp");
    assert_string_equal(record.limits[RECORD_LIMIT_TIMEOUT].enforced_by, "");
    record_fini(&record);
}

static void test_table_is_total(void **state)
{
    (void)state;
    for (int s = 0; s < VM_STATE_COUNT; s++)
        for (int e = 0; e < VM_EVENT_COUNT; e++)
            assert_true(vm_table_has((enum vm_state)s, (enum vm_event)e));
}

/* The smallest VM still has a heap, and the ceiling never reaches the kernel's limit. */
static void test_heap_ceiling(void **state)
{
    (void)state;
    for (uint64_t memory = BX_MEMORY_MIN; memory < 1ull << 40; memory *= 2) {
        assert_true(vm_heap_ceiling(memory) < memory);
        assert_true(vm_heap_ceiling(memory) >= memory / 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_ends),
        cmocka_unit_test(test_without_words),
        cmocka_unit_test(test_our_kills),
        cmocka_unit_test(test_a_liar_does_not_change_the_verdict),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_policy_names_the_call),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_table_is_total),
        cmocka_unit_test(test_heap_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
