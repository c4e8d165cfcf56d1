/* test_cli_report.c - the report: its JSON, and every way in which FILE can be named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/run.h"

static char place[] = "/tmp/bxcli-XXXXXX";

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(place) != NULL ? chdir(place) : -1;
}

/* Every file in the test's directory; a temporary file that stayed would be counted. */
static int count_files(void)
{
    int count = 0;
    DIR *directory = opendir(".");
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(directory);
    return count;
}

static void remove_files(void)
{
    DIR *directory = opendir(".");
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            assert_int_equal(remove(entry->d_name), 0);
    closedir(directory);
}

static int tear_down(void **state)
{
    (void)state;
    remove_files();
    return rmdir(place);
}

static struct bioxen_record sample(void)
{
    return (struct bioxen_record){
        .name = "sample",
        .outcome = BIOXEN_OUTCOME_POLICY,
        .exit_code = 159,
        .signal = 31,
        .syscall = "ptrace",
        .error = {"bad \xff\xc3\xa9 \0end", 12},
        .wall_us = 1500,
        .cpu_us = 250,
        .memory_peak = 123456,
        .output_bytes = 7,
        .limits = {{"memory", 67108864, "cgroup-v1, allocator"},
                   {"cpus", 500, "cgroup-v1"},
                   {"timeout", 0, ""},
                   {"cpu_time", 2000, "timer"},
                   {"pids", 16, "seccomp"},
                   {"output_limit", 10, "bioxend"}},
    };
}

static json_t *at(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    if (value == NULL)
        fail_msg("no key %s", key);
    return value;
}

static void every_key(void **state)
{
    struct bioxen_record record = sample();
    char *text = run_report_json(&record);
    json_t *report = json_loads(text, JSON_ALLOW_NUL, NULL);
    (void)state;
    assert_non_null(report);
    assert_int_equal(text[strlen(text) - 1], '\n');
    assert_int_equal(json_object_size(report), 13);
    assert_string_equal(json_string_value(at(report, "outcome")), "policy");
    assert_string_equal(json_string_value(at(report, "name")), "sample");
    assert_int_equal(json_integer_value(at(report, "exit_code")), 159);
    assert_int_equal(json_integer_value(at(report, "signal")), 31);
    assert_string_equal(json_string_value(at(report, "syscall")), "ptrace");
    assert_memory_equal(json_string_value(at(report, "error")), "bad \xef\xbf\xbd\xc3\xa9 \0end", 14);
    assert_int_equal(json_string_length(at(report, "error")), 14);
    assert_true(json_is_null(at(report, "traceback")));
    assert_true(json_real_value(at(report, "wall_ms")) == 1.5);
    assert_true(json_real_value(at(report, "cpu_ms")) == 0.25);
    assert_int_equal(json_integer_value(at(report, "memory_peak")), 123456);
    assert_int_equal(json_integer_value(at(report, "output_bytes")), 7);
    assert_int_equal(json_integer_value(at(report, "restarts")), 0);
    json_t *limits = at(report, "limits");
    assert_int_equal(json_object_size(limits), 6);
    assert_int_equal(json_integer_value(at(at(limits, "memory"), "asked")), 67108864);
    assert_true(json_real_value(at(at(limits, "cpus"), "asked")) == 0.5);
    assert_true(json_is_null(at(at(limits, "timeout"), "asked")));
    assert_true(json_is_null(at(at(limits, "timeout"), "enforced_by")));
    assert_string_equal(json_string_value(at(at(limits, "memory"), "enforced_by")), "cgroup-v1, allocator");
    json_decref(report);
    free(text);
}

static void nulls_of_a_quiet_end(void **state)
{
    struct bioxen_record record = {.outcome = BIOXEN_OUTCOME_OK};
    char *text = run_report_json(&record);
    json_t *report = json_loads(text, 0, NULL);
    (void)state;
    assert_true(json_is_null(at(report, "signal")) && json_is_null(at(report, "error")) &&
                json_is_null(at(report, "syscall")));
    json_decref(report);
    free(text);
}

static void failure_has_all_limits(void **state)
{
    struct run_request request = {
        .config = {.name = "x", .memory = 1 << 21, .cpus_milli = 1000, .pids = 16, .output_limit = 5}};
    struct run_failure failure = {.status = 127, .text = "there is no script"};
    struct bioxen_record record;
    (void)state;
    run_record_of_failure(&request, &failure, &record);
    char *text = run_report_json(&record);
    json_t *report = json_loads(text, 0, NULL);
    assert_string_equal(json_string_value(at(report, "outcome")), "internal");
    assert_int_equal(json_integer_value(at(report, "exit_code")), 127);
    assert_string_equal(json_string_value(at(report, "error")), "there is no script");
    assert_int_equal(json_integer_value(at(at(at(report, "limits"), "memory"), "asked")), 1 << 21);
    json_decref(report);
    free(text);
}

/* Prepares and writes; returns 0 or the exit status of the failure. */
static int write_to(const char *path, enum run_report_way *way)
{
    struct bioxen_record record = sample();
    struct run_report report;
    struct run_failure failure = {0};
    int rc = run_report_prepare(&report, path, &failure);
    *way = report.way;
    if (rc == 0)
        rc = run_report_write(&report, &record, &failure);
    if (rc < 0)
        assert_non_null(strstr(failure.text, path));
    run_report_fini(&report);
    return rc == 0 ? 0 : failure.status;
}

static void expect_report_in(const char *path)
{
    json_t *report = json_load_file(path, JSON_ALLOW_NUL, NULL);
    assert_non_null(report);
    json_decref(report);
}

static void files_are_replaced_whole(void **state)
{
    enum run_report_way way;
    struct stat before, after;
    (void)state;
    assert_int_equal(write_to("new.json", &way), 0);
    assert_int_equal(way, RUN_REPORT_REPLACE);
    expect_report_in("new.json");
    assert_int_equal(stat("new.json", &before), 0);
    assert_int_equal(write_to("new.json", &way), 0);
    assert_int_equal(stat("new.json", &after), 0);
    assert_true(before.st_ino != after.st_ino);
    assert_int_equal(symlink("new.json", "link.json"), 0);
    assert_int_equal(write_to("link.json", &way), 0);
    assert_int_equal(lstat("link.json", &after), 0);
    assert_true(S_ISLNK(after.st_mode));
    expect_report_in("link.json");
    assert_int_equal(count_files(), 2);
    remove_files();
}

static void nothing_is_left_when_nothing_is_written(void **state)
{
    struct run_report report;
    struct run_failure failure;
    (void)state;
    assert_int_equal(run_report_prepare(&report, "r.json", &failure), 0);
    assert_int_equal(count_files(), 0);
    run_report_fini(&report);
    assert_int_equal(count_files(), 0);
}

static void wrong_places(void **state)
{
    static const char *const places[] = {
        "",          ".",          "no/such/r.json",   "new/",    "/proc/nothing",
        "/dev/full", "/dev/fd/99", "/proc/self/fd/99", "dangling"};
    enum run_report_way way;
    (void)state;
    assert_int_equal(symlink("nowhere", "dangling"), 0);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (write_to(places[i], &way) != CLI_HOST)
            fail_msg("%s", places[i]);
    assert_int_equal(count_files(), 1);
    remove_files();
}

static void descriptors_by_name(void **state)
{
    enum run_report_way way;
    char path[32], head[2] = {0};
    int ends[2], file = open("out", O_RDWR | O_CREAT | O_APPEND, 0644), null = open("/dev/null", O_RDONLY);
    (void)state;
    assert_int_equal(pipe(ends), 0);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[1]);
    assert_int_equal(write_to(path, &way), 0);
    assert_int_equal(way, RUN_REPORT_FD);
    assert_int_equal(read(ends[0], head, 1), 1);
    assert_int_equal(head[0], '{');
    assert_int_equal(write(file, "before\n", 7), 7);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    assert_int_equal(write_to(path, &way), 0);
    assert_int_equal(pread(file, head, 1, 0), 1);
    assert_int_equal(head[0], 'b'); /* what was in the file is still there */
    snprintf(path, sizeof path, "/dev/fd/%d", null);
    assert_int_equal(write_to(path, &way), CLI_HOST);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    assert_int_equal(write_to(path, &way), CLI_HOST);
    close(null), close(file), close(ends[0]), close(ends[1]);
    remove_files();
}

static void fifo_is_written_to(void **state)
{
    enum run_report_way way;
    char head = 0;
    (void)state;
    assert_int_equal(mkfifo("fifo", 0644), 0);
    int reader = open("fifo", O_RDONLY | O_NONBLOCK);
    assert_int_equal(write_to("fifo", &way), 0);
    assert_int_equal(way, RUN_REPORT_OPEN);
    assert_int_equal(read(reader, &head, 1), 1);
    assert_int_equal(head, '{');
    close(reader);
    remove_files();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key),
        cmocka_unit_test(nulls_of_a_quiet_end),
        cmocka_unit_test(failure_has_all_limits),
        cmocka_unit_test(files_are_replaced_whole),
        cmocka_unit_test(nothing_is_left_when_nothing_is_written),
        cmocka_unit_test(wrong_places),
        cmocka_unit_test(descriptors_by_name),
        cmocka_unit_test(fifo_is_written_to),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
