/*
 * test_sandbox_cgroup.c - what the sandbox reads of the kernel's words about cgroups, and what it writes. The
 * files of a cgroup are played by ordinary ones: which bytes go where is what is tested, not the kernel.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/internal.h"

static void test_mount_lines(void **state)
{
    (void)state;
    struct sb_cgroup_mount mount;
    const char *v1 = "35 31 0:32 /a /sys/fs/cgroup/memory rw,relatime shared:7 - cgroup cgroup rw,memory\n";
    assert_true(sb_cgroup_parse_mount(v1, "memory", &mount));
    assert_string_equal(mount.root, "/a");
    assert_string_equal(mount.point, "/sys/fs/cgroup/memory");
    assert_false(sb_cgroup_parse_mount(v1, "mem", &mount));
    assert_false(sb_cgroup_parse_mount(v1, "pids", &mount));
    assert_false(sb_cgroup_parse_mount(v1, NULL, &mount));
    const char *both = "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n";
    assert_true(sb_cgroup_parse_mount(both, "cpu", &mount));
    assert_true(sb_cgroup_parse_mount(both, "cpuacct", &mount));
    const char *v2 = "41 31 0:38 / /sys/fs/my\\040cgroup\\134x rw,relatime - cgroup2 cgroup2 rw,nsdelegate";
    assert_true(sb_cgroup_parse_mount(v2, NULL, &mount));
    assert_string_equal(mount.point, "/sys/fs/my cgroup\\x");
    assert_false(sb_cgroup_parse_mount(v2, "memory", &mount));
}

static void test_broken_mount_lines(void **state)
{
    (void)state;
    struct sb_cgroup_mount mount;
    static const char *const broken[] = {"",
                                         "\n",
                                         " - ",
                                         "1 2 3",
                                         "1 2 3 / /x rw",
                                         " - cgroup2 a b",
                                         "1 2 - cgroup2 a b",
                                         "1 2 3 / /x rw - cgroup2",
                                         "1 2 3 / /x rw - cgroup2 x",
                                         "- - - - - cgroup"};
    for (unsigned i = 0; i < sizeof broken / sizeof *broken; i++) {
        assert_false(sb_cgroup_parse_mount(broken[i], NULL, &mount));
        assert_false(sb_cgroup_parse_mount(broken[i], "memory", &mount));
    }
    char *long_line = calloc(1, 3 * SB_CGROUP_PATH_MAX);
    size_t used = (size_t)sprintf(long_line, "1 2 3 / /");
    memset(long_line + used, 'x', 2 * SB_CGROUP_PATH_MAX);
    strcpy(long_line + used + 2 * SB_CGROUP_PATH_MAX, " rw - cgroup2 x rw");
    assert_false(sb_cgroup_parse_mount(long_line, NULL, &mount));
    free(long_line);
}

static void test_own_lines(void **state)
{
    (void)state;
    char path[32] = "untouched";
    assert_false(sb_cgroup_parse_own("4:memory:/a", "pids", path, sizeof path));
    assert_string_equal(path, "untouched");
    assert_true(sb_cgroup_parse_own("4:memory:/a/b\n5:pids:/c\n", "memory", path, sizeof path));
    assert_string_equal(path, "/a/b");
    assert_true(sb_cgroup_parse_own("3:cpu,cpuacct:/\n", "cpu", path, sizeof path));
    assert_string_equal(path, "/");
    assert_true(sb_cgroup_parse_own("0::/user.slice/x:y\n", NULL, path, sizeof path));
    assert_string_equal(path, "/user.slice/x:y");
    assert_false(sb_cgroup_parse_own("1:name=systemd:/x\n", NULL, path, sizeof path));
    assert_false(sb_cgroup_parse_own("10::/x\n", NULL, path, sizeof path));
    assert_false(sb_cgroup_parse_own("0::relative\n", NULL, path, sizeof path));
    assert_false(sb_cgroup_parse_own("", NULL, path, sizeof path));
    assert_false(sb_cgroup_parse_own("0::/0123456789012345678901234567890\n", NULL, path, sizeof path));
}

static void test_directory(void **state)
{
    (void)state;
    static const struct {
        const char *root, *own, *directory;
    } cases[] = {
        {"/", "/", "/cg"},
        {"/", "/a/b", "/cg/a/b"},
        {"/a", "/a", "/cg"},
        {"/a", "/a/b", "/cg/b"},
        {"/a", "/ab", NULL},
        {"/a", "/", NULL},
        {"/", "/../..", NULL},
        {"/", "/../x", NULL},
        {"/", "/..", NULL},
        {"/", "/..x", "/cg/..x"},
        {"/docker/1", "/docker/2", NULL},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sb_cgroup_mount mount = {.point = "/cg"};
        strcpy(mount.root, cases[i].root);
        char out[32];
        bool shows = sb_cgroup_directory(&mount, cases[i].own, out, sizeof out);
        assert_int_equal(shows, cases[i].directory != NULL);
        if (shows)
            assert_string_equal(out, cases[i].directory);
    }
}

static void test_words(void **state)
{
    (void)state;
    assert_true(sb_has_word("cpu memory pids\n", "memory"));
    assert_true(sb_has_word("pids\n", "pids"));
    assert_false(sb_has_word("cpuset memory", "cpu"));
    assert_false(sb_has_word("", "cpu"));
    assert_int_equal(sb_number_after("low 1\noom 2\noom_kill 3\n", "oom_kill"), 3);
    assert_int_equal(sb_number_after("oom_kill_disable 0\nunder_oom 0\noom_kill 5", "oom_kill"), 5);
    assert_int_equal(sb_number_after("low 1\n", "oom_kill"), 0);
}

static void test_names(void **state)
{
    (void)state;
    static const char *const ours[] = {"bioxen-1.0", "bioxen-4194304.4294967295"};
    static const char *const others[] = {"bioxen-",
                                         "bioxen-1",
                                         "bioxen-1.",
                                         "bioxen-.1",
                                         "bioxen-1.2.3",
                                         "bioxen-1.2x",
                                         "xbioxen-1.2",
                                         "bioxen--1.2",
                                         "bioxen-99999999999.1",
                                         "bioxen",
                                         ""};
    for (unsigned i = 0; i < sizeof ours / sizeof *ours; i++)
        assert_true(sb_cgroup_name_ours(ours[i]));
    for (unsigned i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(sb_cgroup_name_ours(others[i]));
}

/* ---- a directory that plays a cgroup ---- */

static char scratch[64];

static void put(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", scratch, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void expect_text(const char *name, const char *text)
{
    char path[256], found[256] = "";
    snprintf(path, sizeof path, "%s/%s", scratch, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t length = fread(found, 1, sizeof found - 1, file);
    found[length] = '\0';
    fclose(file);
    assert_string_equal(found, text);
}

static int make_scratch(void **state)
{
    (void)state;
    strcpy(scratch, "/tmp/bx-test-XXXXXX");
    return mkdtemp(scratch) == NULL;
}

static int remove_scratch(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", scratch);
    return system(command);
}

static struct sb_cgroup group_of(int fd)
{
    struct sb_cgroup group = {.name = "x", .dir = {fd, fd, fd}, .join = {-1, -1, -1}};
    return group;
}

static void test_v1_limits(void **state)
{
    (void)state;
    static const char *const files[] = {"memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "pids.max",
                                        "cpu.cfs_period_us", "cpu.cfs_quota_us"};
    for (unsigned i = 0; i < 5; i++)
        put(files[i], "");
    int fd = open(scratch, O_PATH | O_DIRECTORY);
    struct sb_cgroup group = group_of(fd);
    const struct sb_limits limits = {64ull << 20, 16, 500};
    const char *what = "";
    assert_int_equal(sb_cgroup_v1.limit(&group, &limits, &what), 0);
    expect_text("memory.limit_in_bytes", "67108864");
    expect_text("memory.memsw.limit_in_bytes", "67108864");
    expect_text("pids.max", "16");
    expect_text("cpu.cfs_quota_us", "50000");
    /* What is already set is not written again. */
    group.limits = limits;
    put("pids.max", "kept");
    assert_int_equal(sb_cgroup_v1.limit(&group, &limits, &what), 0);
    expect_text("pids.max", "kept");
    close(fd);
}

static void test_v1_without_swap_accounting(void **state)
{
    (void)state;
    put("memory.limit_in_bytes", "");
    put("memory.swappiness", "60");
    int fd = open(scratch, O_PATH | O_DIRECTORY);
    struct sb_cgroup group = group_of(fd);
    group.dir[SB_PIDS] = group.dir[SB_CPU] = -1;
    const struct sb_limits limits = {64ull << 20, 16, 500};
    const char *what = "";
    assert_int_equal(sb_cgroup_v1.limit(&group, &limits, &what), 0);
    expect_text("memory.swappiness", "00"); /* an ordinary file is not cut by the kernel's write */
    close(fd);
}

static void test_v2_limits_and_figures(void **state)
{
    (void)state;
    put("memory.max", "");
    put("pids.max", "");
    put("cpu.max", "");
    put("memory.swap.max", "");
    put("memory.peak", "123456\n");
    put("memory.events", "low 0\nhigh 0\nmax 7\noom 1\noom_kill 1\noom_group_kill 0\n");
    int fd = open(scratch, O_PATH | O_DIRECTORY);
    struct sb_cgroup group = group_of(fd);
    const struct sb_limits limits = {32ull << 20, 4, 250};
    const char *what = "";
    assert_int_equal(sb_cgroup_v2.limit(&group, &limits, &what),
                     0); /* memory.oom.group is not there: an old kernel */
    expect_text("memory.max", "33554432");
    expect_text("memory.swap.max", "0");
    expect_text("pids.max", "4");
    expect_text("cpu.max", "25000 100000");
    struct sb_death death = {.status = SIGKILL};
    sb_cgroup_v2.figures(&group, &death);
    assert_int_equal(death.memory_peak, 123456);
    assert_int_equal(death.oom_kills, 1);
    close(fd);
}

static void test_limit_that_is_refused(void **state)
{
    (void)state;
    int fd = open(scratch, O_PATH | O_DIRECTORY);
    struct sb_cgroup group = group_of(fd);
    const struct sb_limits limits = {32ull << 20, 4, 250};
    const char *what = "";
    assert_int_equal(sb_cgroup_v2.limit(&group, &limits, &what), -2); /* ENOENT: memory.max is a must */
    assert_string_equal(what, "memory");
    close(fd);
}

/* The walk of v2: our own cgroup gives its children nothing, its parent does. */
static void test_v2_walk(void **state)
{
    (void)state;
    char path[256];
    static const char *const directories[] = {"slice", "slice/scope"};
    for (unsigned i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", scratch, directories[i]);
        assert_int_equal(mkdir(path, 0755), 0);
    }
    put("slice/cgroup.procs", "");
    put("slice/cgroup.controllers", "cpu memory pids\n");
    put("slice/cgroup.subtree_control", "memory pids\n");
    put("slice/scope/cgroup.procs", "");
    put("slice/scope/cgroup.controllers", "");
    put("slice/scope/cgroup.subtree_control", "");
    bool found[SB_CONTROLLERS] = {false};
    int dir = sb_cgroup_v2_find(path, scratch, found);
    assert_true(dir >= 0);
    close(dir);
    assert_true(found[SB_MEMORY] && found[SB_PIDS] && found[SB_CPU]);
    expect_text("slice/cgroup.subtree_control", "+cpu"
                                                "ry pids\n"); /* switched on: the kernel would add it */
    snprintf(path, sizeof path, "%s/slice/scope", scratch);
    put("slice/cgroup.subtree_control", "pids\n");
    put("slice/cgroup.controllers", "pids\n");
    assert_true(sb_cgroup_v2_find(path, scratch, found) < 0);
    assert_false(found[SB_PIDS]);
}

#define WITH_SCRATCH(test) cmocka_unit_test_setup_teardown(test, make_scratch, remove_scratch)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mount_lines),
        cmocka_unit_test(test_broken_mount_lines),
        cmocka_unit_test(test_own_lines),
        cmocka_unit_test(test_directory),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_names),
        WITH_SCRATCH(test_v1_limits),
        WITH_SCRATCH(test_v1_without_swap_accounting),
        WITH_SCRATCH(test_v2_limits_and_figures),
        WITH_SCRATCH(test_limit_that_is_refused),
        WITH_SCRATCH(test_v2_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
