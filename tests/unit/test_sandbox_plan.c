/*
 * test_sandbox_plan.c - from a spec to a plan: who enforces what, what is refused, and that nothing is left
 * open.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/internal.h"

static const char *const argv_of_jail[] = {"program", NULL};

static struct sb_host host_without_cgroups(void)
{
    return (struct sb_host){.privileged = true, .empty_root = true, .cgroups = {.base = {-1, -1, -1}}};
}

static struct sb_spec plain_spec(void)
{
    return (struct sb_spec){
        .argv = argv_of_jail,
        .handed = {10, 11, 12},
        .hostname = "vm",
        .limits = {64ull << 20, 16, 1000},
    };
}

static uint64_t rlimit_of(const struct sb_plan *plan, int resource)
{
    for (unsigned i = 0; i < plan->rlimit_count; i++)
        if (plan->rlimits[i].resource == resource)
            return plan->rlimits[i].value;
    return UINT64_MAX;
}

static void test_without_cgroups(void **state)
{
    (void)state;
    struct sb_host host = host_without_cgroups();
    struct sb_spec spec = plain_spec();
    struct sb_plan plan;
    struct sb_error err = {0};
    assert_int_equal(sb_plan_make(&host, &spec, &plan, &err), 0);
    assert_int_equal(plan.memory_by, SB_BY_RLIMIT);
    assert_int_equal(plan.pids_by, SB_BY_SECCOMP);
    assert_int_equal(plan.cpus_by, SB_BY_SINGLE_THREAD);
    assert_true(rlimit_of(&plan, RLIMIT_AS) >= 64u << 20 && rlimit_of(&plan, RLIMIT_AS) < 128u << 20);
    assert_true(rlimit_of(&plan, RLIMIT_DATA) >= 64u << 20);
}

static void test_with_cgroups(void **state)
{
    (void)state;
    struct sb_host host = host_without_cgroups();
    host.cgroups.ops = &sb_cgroup_v2;
    host.cgroups.base[SB_MEMORY] = host.cgroups.base[SB_PIDS] = host.cgroups.base[SB_CPU] = 0;
    struct sb_spec spec = plain_spec();
    struct sb_plan plan;
    struct sb_error err = {0};
    spec.limits.cpus_milli = 500;
    assert_int_equal(sb_plan_make(&host, &spec, &plan, &err), 0);
    assert_int_equal(plan.memory_by, SB_BY_CGROUP_V2);
    assert_int_equal(plan.pids_by, SB_BY_CGROUP_V2);
    assert_int_equal(plan.cpus_by, SB_BY_CGROUP_V2);
    assert_int_equal(rlimit_of(&plan, RLIMIT_AS), UINT64_MAX);
    spec.limits.cpus_milli = 1000; /* one thread needs no quota */
    assert_int_equal(sb_plan_make(&host, &spec, &plan, &err), 0);
    assert_int_equal(plan.cpus_by, SB_BY_SINGLE_THREAD);
}

static void test_what_nothing_enforces(void **state)
{
    (void)state;
    struct sb_host host = host_without_cgroups();
    struct sb_spec spec = plain_spec();
    struct sb_plan plan;
    struct sb_error err = {0};
    spec.limits.cpus_milli = 500;
    assert_int_equal(sb_plan_make(&host, &spec, &plan, &err), 0);
    assert_int_equal(plan.cpus_by, SB_BY_NOTHING);
    spec.required = SB_LIMIT_CPUS;
    assert_int_equal(sb_plan_make(&host, &spec, &plan, &err), -ENOTSUP);
    assert_non_null(strstr(err.text, "/sys/fs/cgroup"));
    assert_non_null(strstr(err.text, "cpus=0.500"));
    host.privileged = false;
    host.cgroups.seen = SB_BY_CGROUP_V2;
    assert_int_equal(sb_plan_make(&host, &spec, &plan, &err), -ENOTSUP);
    assert_non_null(strstr(err.text, "systemd-run --user --scope"));
    host.cgroups.seen = SB_BY_CGROUP_V1;
    assert_int_equal(sb_plan_make(&host, &spec, &plan, &err), -ENOTSUP);
    assert_null(strstr(err.text, "systemd-run"));
    assert_non_null(strstr(err.text, "root can delegate one (bioxen doctor says what mends it)"));
    spec.required = SB_LIMIT_MEMORY | SB_LIMIT_PIDS;
    assert_int_equal(sb_plan_make(&host, &spec, &plan, &err), 0);
}

static void test_fixed_limits(void **state)
{
    (void)state;
    struct sb_host host = host_without_cgroups();
    struct sb_spec spec = plain_spec();
    struct sb_plan plan;
    struct sb_error err = {0};
    assert_int_equal(sb_plan_make(&host, &spec, &plan, &err), 0);
    static const int zero[] = {RLIMIT_CORE,     RLIMIT_FSIZE,  RLIMIT_MEMLOCK,
                               RLIMIT_MSGQUEUE, RLIMIT_RTPRIO, RLIMIT_NICE};
    for (unsigned i = 0; i < sizeof zero / sizeof *zero; i++)
        assert_int_equal(rlimit_of(&plan, zero[i]), 0);
    assert_int_equal(rlimit_of(&plan, RLIMIT_NPROC), 1);
    assert_int_equal(rlimit_of(&plan, RLIMIT_NOFILE), 80);
    assert_int_equal(rlimit_of(&plan, RLIMIT_CPU), UINT64_MAX);
    spec.has_files = true;
    spec.cpu_seconds = 3;
    assert_int_equal(sb_plan_make(&host, &spec, &plan, &err), 0);
    assert_true(rlimit_of(&plan, RLIMIT_NOFILE) > 80 && rlimit_of(&plan, RLIMIT_FSIZE) > 0);
    assert_int_equal(rlimit_of(&plan, RLIMIT_CPU), 3);
}

/* What the caller lives under is not raised: that would fail without a privilege. */
static void test_inherited_limit(void **state)
{
    (void)state;
    struct rlimit before, low = {7, 7};
    getrlimit(RLIMIT_NOFILE, &before);
    struct sb_host host = host_without_cgroups();
    struct sb_spec spec = plain_spec();
    struct sb_plan plan;
    struct sb_error err = {0};
    if (geteuid() != 0 || setrlimit(RLIMIT_NOFILE, &low) != 0) {
        print_message("SKIP: needs root, to raise the limit again\n");
        skip();
    }
    int rc = sb_plan_make(&host, &spec, &plan, &err);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(rc, 0);
    assert_int_equal(rlimit_of(&plan, RLIMIT_NOFILE), 7);
}

static void test_refused_specs(void **state)
{
    (void)state;
    struct sb_host host = host_without_cgroups();
    struct sb_plan plan;
    struct sb_error err = {0};
    struct sb_spec spec = plain_spec();
    spec.handed[1] = -1;
    assert_int_equal(sb_plan_make(&host, &spec, &plan, &err), -EBADF);
    spec = plain_spec();
    char name[SB_HOSTNAME_MAX + 1];
    memset(name, 'a', sizeof name);
    name[SB_HOSTNAME_MAX] = '\0';
    spec.hostname = name;
    assert_int_equal(sb_plan_make(&host, &spec, &plan, &err), -ENAMETOOLONG);
    spec = plain_spec();
    host.empty_root = false;
    assert_int_equal(sb_plan_make(&host, &spec, &plan, &err), -EINVAL);
}

static int mount_once(int source, const char *target, bool has_files, struct sb_plan *plan)
{
    static struct sb_host host;
    host = host_without_cgroups();
    struct sb_spec spec = plain_spec();
    struct sb_mount mount = {source, target, true};
    struct sb_error err = {0};
    spec.has_files = has_files;
    spec.mounts = &mount;
    spec.mount_count = 1;
    return sb_plan_make(&host, &spec, plan, &err);
}

static void test_mounts(void **state)
{
    (void)state;
    struct sb_plan plan;
    char too_long[SB_TARGET_MAX + 8];
    memset(too_long, 'a', sizeof too_long);
    too_long[0] = '/';
    too_long[sizeof too_long - 1] = '\0';
    int directory = open("/", O_PATH), file = open("/proc/self/exe", O_PATH),
        device = open("/dev/null", O_PATH);
    assert_int_equal(mount_once(directory, "/a/b", true, &plan), 0);
    assert_string_equal(plan.mounts[0].target, "a/b");
    assert_true(plan.mounts[0].is_directory && plan.mounts[0].writable);
    assert_int_equal(mount_once(file, "/a", true, &plan), 0);
    assert_false(plan.mounts[0].is_directory);
    assert_int_equal(mount_once(device, "/a", true, &plan), -ENOTDIR);
    assert_int_equal(mount_once(-1, "/a", true, &plan), -EBADF);
    assert_int_equal(mount_once(directory, "a", true, &plan), -EINVAL);
    assert_int_equal(mount_once(directory, "/", true, &plan), -EINVAL);
    assert_int_equal(mount_once(directory, "/a", false, &plan), -EINVAL);
    assert_int_equal(mount_once(directory, too_long, true, &plan), -ENAMETOOLONG);
    close(directory);
    close(file);
    close(device);
}

static void test_step_names(void **state)
{
    (void)state;
    assert_string_equal(sb_child_step_name(0), "name");
    assert_string_equal(sb_child_step_name(-1), "unknown");
    assert_string_equal(sb_child_step_name(1000), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_cgroups),
        cmocka_unit_test(test_with_cgroups),
        cmocka_unit_test(test_what_nothing_enforces),
        cmocka_unit_test(test_fixed_limits),
        cmocka_unit_test(test_inherited_limit),
        cmocka_unit_test(test_refused_specs),
        cmocka_unit_test(test_mounts),
        cmocka_unit_test(test_step_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
