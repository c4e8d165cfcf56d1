/*
 * test_cli_run.c - the parts of run that need no VM: reading scripts, finding modules, writing output, last
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

static void module_paths(void **state)
{
    static const struct {
        const char *name, *path; /* NULL: refused */
    } rows[] = {
        {"a", "a"},     {"a.b.c", "a/b/c"}, {"A-b_9.z", "A-b_9/z"}, {"", NULL},
        {".", NULL},    {"a.", NULL},       {".a", NULL},           {"a..b", NULL},
        {"../a", NULL}, {"/etc", NULL},     {"a/b", NULL},          {"a b", NULL},
        {"a\\b", NULL}, {"\xc3\xa9", NULL}, {"a;b", NULL},          {"?", NULL},
    };
    char path[RUN_MODULE_NAME_MAX + 1];
    static char longest[RUN_MODULE_NAME_MAX + 1];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int rc = run_module_path((struct bioxen_string){rows[i].name, strlen(rows[i].name)}, path);
        assert_int_equal(rc, rows[i].path != NULL ? (int)strlen(rows[i].path) : -1);
        if (rows[i].path != NULL)
            assert_string_equal(path, rows[i].path);
    }
    assert_int_equal(run_module_path((struct bioxen_string){"a\0b", 3}, path), -1);
    memset(longest, 'm', sizeof longest);
    assert_int_equal(run_module_path((struct bioxen_string){longest, RUN_MODULE_NAME_MAX}, path),
                     RUN_MODULE_NAME_MAX);
    assert_int_equal(run_module_path((struct bioxen_string){longest, RUN_MODULE_NAME_MAX + 1}, path), -1);
}

static void expect_found(struct run_modules *modules, const char *name, const char *chunk, const char *text)
{
    struct run_module module;
    char *why;
    assert_int_equal(run_modules_find(modules, (struct bioxen_string){name, strlen(name)}, &module, &why), 0);
    assert_string_equal(module.chunk, chunk);
    assert_int_equal(module.length, strlen(text));
    assert_memory_equal(module.text, text, module.length);
    free(module.chunk);
    free(module.text);
}

static void expect_missing(struct run_modules *modules, const char *name, const char *word)
{
    struct run_module module;
    char *why;
    assert_int_equal(run_modules_find(modules, (struct bioxen_string){name, strlen(name)}, &module, &why),
                     -1);
    assert_non_null(why);
    assert_memory_equal(why, "\n\t", 2);
    if (strstr(why, word) == NULL)
        fail_msg("no '%s' in: %s", word, why);
    free(why);
}

static void modules_of_a_directory(void **state)
{
    struct run_request request = {.kind = RUN_FILE, .script = "app//main.lua"};
    struct run_modules modules;
    (void)state;
    assert_int_equal(mkdir("app", 0755), 0);
    assert_int_equal(mkdir("app/pkg", 0755), 0);
    assert_int_equal(mkdir("app/folder.lua", 0755), 0);
    put("app/m.lua", "return 1");
    put("app/pkg/init.lua", "return 2");
    put("app/pkg/sub.lua", "");
    put("secret.lua", "secret");
    put("app/huge.lua", "");
    assert_int_equal(truncate("app/huge.lua", 1 << 30), 0);
    assert_int_equal(mkfifo("app/fifo.lua", 0644), 0);
    assert_int_equal(symlink("m.lua", "app/alias.lua"), 0);
    assert_int_equal(symlink("../secret.lua", "app/out.lua"), 0);
    assert_int_equal(symlink("..", "app/up"), 0);
    assert_int_equal(symlink("/dev/zero", "app/zero.lua"), 0);
    assert_int_equal(run_modules_init(&modules, &request), 0);
    expect_found(&modules, "m", "@app/m.lua", "return 1");
    expect_found(&modules, "pkg", "@app/pkg/init.lua", "return 2");
    expect_found(&modules, "pkg.sub", "@app/pkg/sub.lua", "");
    expect_found(&modules, "alias", "@app/alias.lua", "return 1");
    expect_missing(&modules, "gone.x", "no file 'app/gone/x.lua'\n\tno file 'app/gone/x/init.lua'");
    expect_missing(&modules, "out", "leads out");
    expect_missing(&modules, "up.secret", "leads out");
    expect_missing(&modules, "zero", "leads out");
    expect_missing(&modules, "folder", "not a regular file");
    expect_missing(&modules, "fifo", "not a regular file");
    expect_missing(&modules, "huge", "over 64 MiB");
    expect_missing(&modules, "../secret", "the name must be");
    run_modules_fini(&modules);
}

static void no_modules_without_a_file(void **state)
{
    struct run_request request = {.kind = RUN_CODE, .script = "-e"};
    struct run_modules modules;
    (void)state;
    put("m.lua", "leak");
    assert_int_equal(run_modules_init(&modules, &request), 0);
    expect_missing(&modules, "m", "no directory to search");
    run_modules_fini(&modules);
}

static void a_script_cannot_ask_for_ever(void **state)
{
    struct run_request request = {.kind = RUN_FILE, .script = "s.lua"};
    struct run_modules modules;
    (void)state;
    assert_int_equal(run_modules_init(&modules, &request), 0);
    modules.asked = 10000;
    expect_missing(&modules, "nowhere", "more than 10000");
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
        cmocka_unit_test(module_paths),
        cmocka_unit_test(modules_of_a_directory),
        cmocka_unit_test(no_modules_without_a_file),
        cmocka_unit_test(a_script_cannot_ask_for_ever),
        cmocka_unit_test(directories),
        cmocka_unit_test(what_may_be_mounted),
        cmocka_unit_test(output_waits_and_wakes),
        cmocka_unit_test(last_words),
        cmocka_unit_test(exit_status_when_output_failed),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
