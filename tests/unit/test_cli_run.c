/*
 * test_cli_run.c - the parts of run that need no VM: reading scripts, where modules are, writing output, last
 * words, exit status.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/run.h"

static char place[] = "/tmp/bxcli-XXXXXX";

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(place) != NULL ? chdir(place) : -1;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static int tear_down(void **state)
{
    (void)state;
    return nftw(place, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

/* ---- the script ---- */

static int open_status(const char *path, const char *word)
{
    struct run_request request = {.kind = RUN_FILE, .script = path, .title = path};
    struct run_source source = {.fd = -1};
    struct run_failure failure = {0};
    int rc = run_source_open(&source, &request, &failure);
    if (rc == 0)
        rc = run_source_read(&source, &request, &failure);
    run_source_fini(&source);
    if (rc < 0 && strstr(failure.text, word) == NULL)
        fail_msg("no '%s' in: %s", word, failure.text);
    return rc == 0 ? 0 : failure.status;
}

static void what_a_script_may_be(void **state)
{
    (void)state;
    put("ok.lua", "print(1)");
    put("empty.lua", "");
    put("huge.lua", "");
    put("largest.lua", "");
    assert_int_equal(truncate("huge.lua", 1 << 30), 0);
    assert_int_equal(truncate("largest.lua", RUN_SCRIPT_MAX), 0);
    assert_int_equal(mkdir("dir", 0755), 0);
    assert_int_equal(mkfifo("fifo", 0644), 0);
    assert_int_equal(symlink("nowhere", "dangling"), 0);
    assert_int_equal(symlink("loop", "loop"), 0);
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "socket"};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&name, sizeof name), 0);
    assert_int_equal(open_status("ok.lua", ""), 0);
    assert_int_equal(open_status("empty.lua", ""), 0);
    assert_int_equal(open_status("largest.lua", ""), 0);
    assert_int_equal(open_status("huge.lua", "too large"), CLI_UNREADABLE);
    assert_int_equal(open_status("dir", "directory"), CLI_UNREADABLE);
    assert_int_equal(open_status("fifo", "use - to read"), CLI_UNREADABLE);
    assert_int_equal(open_status("socket", "socket"), CLI_UNREADABLE);
    assert_int_equal(open_status("/dev/zero", "device"), CLI_UNREADABLE);
    assert_int_equal(open_status("loop", "symbolic links"), CLI_UNREADABLE);
    assert_int_equal(open_status("gone.lua", "No such file"), CLI_NOT_FOUND);
    assert_int_equal(open_status("dangling", "No such file"), CLI_NOT_FOUND);
    assert_int_equal(open_status("", "No such file"), CLI_NOT_FOUND);
    close(listener);
}

static void stdin_is_bounded(void **state)
{
    struct run_request request = {.kind = RUN_STDIN, .script = "-", .title = "stdin"};
    struct run_source source = {.fd = -1};
    struct run_failure failure;
    int saved = dup(STDIN_FILENO), zeros = open("/dev/zero", O_RDONLY);
    (void)state;
    dup2(zeros, STDIN_FILENO);
    assert_int_equal(run_source_read(&source, &request, &failure), -1);
    assert_int_equal(failure.status, CLI_UNREADABLE);
    assert_non_null(strstr(failure.text, "too large"));
    run_source_fini(&source);
    close(STDIN_FILENO);
    source = (struct run_source){.fd = -1};
    assert_int_equal(run_source_read(&source, &request, &failure), -1);
    assert_int_equal(failure.status, CLI_UNREADABLE);
    assert_non_null(strstr(failure.text, "closed"));
    dup2(saved, STDIN_FILENO);
    close(saved);
    close(zeros);
}

/* ---- modules ---- */

static void where_modules_are(void **state)
{
    struct run_request request = {.kind = RUN_FILE, .script = "there/main.lua"};
    struct run_modules modules;
    char why[200];
    (void)state;
    assert_int_equal(mkdir("there", 0755), 0);
    assert_int_equal(run_modules_init(&modules, &request), 0);
    assert_true(modules.fd >= 0);
    assert_string_equal(modules.directory, "there");
    run_modules_fini(&modules);
    request.config.profile = BIOXEN_FULL; /* it has them mounted */
    assert_int_equal(run_modules_init(&modules, &request), 0);
    assert_int_equal(modules.fd, -1);
    run_modules_fini(&modules);
    request = (struct run_request){.kind = RUN_FILE, .script = "nowhere/main.lua"};
    assert_int_equal(run_modules_init(&modules, &request), 0);
    assert_int_equal(modules.fd, -1);
    run_modules_why_none(&modules, why, sizeof why);
    assert_string_equal(why, "\n\tcannot open directory 'nowhere': No such file or directory");
    run_modules_fini(&modules);
    request = (struct run_request){.kind = RUN_CODE, .script = "-e"};
    assert_int_equal(run_modules_init(&modules, &request), 0);
    assert_int_equal(modules.fd, -1);
    run_modules_why_none(&modules, why, sizeof why);
    assert_non_null(strstr(why, "no directory to search"));
    run_modules_fini(&modules);
}

static void directories(void **state)
{
    static const char *const rows[][2] = {{"a.lua", "."},     {"x/a.lua", "x"}, {"/a.lua", ""},
                                          {"/x/y/a", "/x/y"}, {"x//a", "x"},    {"//a", ""}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *directory = run_directory_of(rows[i][0]);
        assert_string_equal(directory, rows[i][1]);
        free(directory);
    }
}

/* ---- mounts ---- */

static void what_may_be_mounted(void **state)
{
    struct run_request request = {.kind = RUN_FILE, .script = "proj/s.lua", .mount_count = 1};
    struct run_mounts mounts = {.count = 0};
    struct run_failure failure;
    (void)state;
    assert_int_equal(mkdir("proj", 0755), 0);
    assert_int_equal(mkfifo("proj/pipe", 0644), 0);
    request.config.profile = BIOXEN_FULL;
    request.mounts[0] = (struct run_mount){.host = (char *)"proj", .target = "/data", .writable = true};
    assert_int_equal(run_mounts_open(&mounts, &request, &failure), 0);
    assert_int_equal(mounts.count, 2);
    assert_true(mounts.list[0].writable && !mounts.list[1].writable);
    assert_string_equal(mounts.list[1].target, "/app");
    assert_int_equal(fcntl(mounts.list[1].fd, F_GETFL) & O_PATH, O_PATH);
    run_mounts_fini(&mounts);
    strcpy(request.mounts[0].target, "/app"); /* an explicit one comes instead of the script's directory */
    assert_int_equal(run_mounts_open(&mounts, &request, &failure), 0);
    assert_int_equal(mounts.count, 1);
    run_mounts_fini(&mounts);
    request.mounts[0].host = (char *)"proj/pipe";
    assert_int_equal(run_mounts_open(&mounts, &request, &failure), -1);
    assert_int_equal(failure.status, CLI_HOST);
    assert_non_null(strstr(failure.text, "neither a directory nor a regular file"));
    run_mounts_fini(&mounts);
    request.mounts[0].host = (char *)"proj/none";
    assert_int_equal(run_mounts_open(&mounts, &request, &failure), -1);
    assert_non_null(strstr(failure.text, "No such file"));
    run_mounts_fini(&mounts);
}

/* ---- output ---- */

static void output_waits_and_wakes(void **state)
{
    static char big[1 << 20];
    const char *at = big;
    size_t left = sizeof big;
    int ends[2], wake = eventfd(0, EFD_CLOEXEC);
    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(run_output_write(ends[1], &at, &left, wake, 20),
                     -ETIME); /* blocking pipe, nobody reads */
    assert_true(left > 0 && left < sizeof big);
    assert_ptr_equal(at, big + sizeof big - left);
    assert_int_equal(eventfd_write(wake, 1), 0);
    assert_int_equal(run_output_write(ends[1], &at, &left, wake, -1), -EINTR);
    close(ends[0]);
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(run_output_write(ends[1], &at, &left, -1, -1), -EPIPE);
    close(ends[1]);
    int full = open("/dev/full", O_WRONLY), null = open("/dev/null", O_RDONLY);
    assert_int_equal(run_output_write(full, &at, &left, -1, -1), -ENOSPC);
    assert_int_equal(run_output_write(null, &at, &left, -1, -1),
                     -EBADF); /* what stands in for a closed stdout */
    close(full);
    close(null);
    close(wake);
}

/* ---- the end ---- */

static void expect_words(enum bioxen_outcome outcome, int signal, int exit_code, const char *want)
{
    struct run_request request = {.title = "s\033.lua"};
    struct bioxen_record record = {.outcome = outcome, .signal = signal, .exit_code = exit_code};
    size_t length = 0;
    request.config.memory = 64u << 20;
    request.config.timeout_ms = 2000;
    request.config.cpu_time_ms = 1500;
    request.config.output_limit = 10u << 20;
    if (outcome == BIOXEN_OUTCOME_ERROR || outcome == BIOXEN_OUTCOME_SYNTAX) {
        record.error = (struct bioxen_string){"s.lua:1: boom", 13};
        record.traceback = (struct bioxen_string){"stack traceback:\n\t[C]: in ?", 27};
    }
    if (outcome == BIOXEN_OUTCOME_INTERNAL)
        record.error = (struct bioxen_string){"no namespace", 12};
    if (outcome == BIOXEN_OUTCOME_POLICY)
        record.syscall = "ptrace";
    char *text = run_death_text(&request, &record, &length);
    assert_string_equal(text != NULL ? text : "", want);
    assert_int_equal(length, strlen(want));
    free(text);
}

static void last_words(void **state)
{
    (void)state;
    expect_words(BIOXEN_OUTCOME_OK, 0, 0, "");
    expect_words(BIOXEN_OUTCOME_EXIT, 0, 3, "");
    expect_words(BIOXEN_OUTCOME_ERROR, 0, 1, "bioxen: s.lua:1: boom\nstack traceback:\n\t[C]: in ?\n");
    expect_words(BIOXEN_OUTCOME_SYNTAX, 0, 126, "bioxen: s.lua:1: boom\nstack traceback:\n\t[C]: in ?\n");
    expect_words(BIOXEN_OUTCOME_TIMEOUT, 9, 124,
                 "bioxen: s\\x1b.lua: killed: time limit of 2s reached (--timeout raises it)\n");
    expect_words(BIOXEN_OUTCOME_CPU, 9, 124,
                 "bioxen: s\\x1b.lua: killed: CPU time limit of 1.5s reached (--cpu-time raises it)\n");
    expect_words(BIOXEN_OUTCOME_MEMORY, 9, 137,
                 "bioxen: s\\x1b.lua: killed: memory limit of 64MiB reached (--memory raises it)\n");
    expect_words(BIOXEN_OUTCOME_OUTPUT, 9, 137,
                 "bioxen: s\\x1b.lua: killed: output limit of 10MiB reached (--output-limit raises it)\n");
    expect_words(BIOXEN_OUTCOME_POLICY, SIGSYS, 159,
                 "bioxen: s\\x1b.lua: killed: the system call ptrace is not allowed in profile restricted\n");
    expect_words(BIOXEN_OUTCOME_CRASH, SIGSEGV, 139, "bioxen: s\\x1b.lua: the VM crashed with SIGSEGV\n");
    expect_words(BIOXEN_OUTCOME_KILLED, SIGKILL, 130, "bioxen: s\\x1b.lua: killed by SIGINT\n");
    expect_words(BIOXEN_OUTCOME_KILLED, SIGKILL, 141, "");
    expect_words(BIOXEN_OUTCOME_INTERNAL, 0, 125, "bioxen: s\\x1b.lua: no namespace\n");
}

static struct bioxen_record corrected(int output_error, int signal)
{
    struct run_loop loop = {.output_error = output_error, .output_stream = 1, .signal = signal};
    struct bioxen_record record = {.outcome = BIOXEN_OUTCOME_OK};
    static char text[128];
    run_record_correct(&record, &loop, text, sizeof text);
    return record;
}

static void exit_status_when_output_failed(void **state)
{
    struct bioxen_record record = corrected(0, 0);
    (void)state;
    assert_int_equal(record.exit_code, 0);
    record = corrected(EPIPE, 0);
    assert_int_equal(record.exit_code, 141);
    assert_int_equal(record.outcome, BIOXEN_OUTCOME_KILLED);
    record = corrected(ENOSPC, 0);
    assert_int_equal(record.exit_code, 125);
    assert_int_equal(record.outcome, BIOXEN_OUTCOME_INTERNAL);
    assert_non_null(strstr(record.error.bytes, "standard output: No space left"));
    record = corrected(EBADF, 0);
    assert_non_null(strstr(record.error.bytes, "closed"));
    record = corrected(EPIPE, SIGINT);
    assert_int_equal(record.exit_code, 0); /* the record of the signal stands */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_script_may_be),
        cmocka_unit_test(stdin_is_bounded),
        cmocka_unit_test(where_modules_are),
        cmocka_unit_test(directories),
        cmocka_unit_test(what_may_be_mounted),
        cmocka_unit_test(output_waits_and_wakes),
        cmocka_unit_test(last_words),
        cmocka_unit_test(exit_status_when_output_failed),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
