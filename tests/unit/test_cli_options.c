/*
 * test_cli_options.c - the command line of run: what is taken, what is refused and in which words, where
 * options end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/run.h"
#include "common/units.h"

#define ARGS_MAX 64

/* What a parse came to. */
struct parsed {
    enum cli_parsed result;
    struct run_request request;
    char said[4096]; /* on stderr */
};

static void parse(struct parsed *parsed, const char *const *words)
{
    char *argv[ARGS_MAX + 2] = {(char *)"run"};
    int argc = 1, saved = dup(STDERR_FILENO), capture = memfd_create("stderr", 0);
    for (; words[argc - 1] != NULL; argc++)
        argv[argc] = (char *)words[argc - 1];
    dup2(capture, STDERR_FILENO);
    parsed->result = run_request_parse(&parsed->request, argc, argv);
    dup2(saved, STDERR_FILENO);
    ssize_t n = pread(capture, parsed->said, sizeof parsed->said - 1, 0);
    parsed->said[n > 0 ? n : 0] = '\0';
    close(saved);
    close(capture);
}

#define PARSE(parsed, ...) parse(parsed, (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

#define expect_wrong(words, ...)                                                                             \
    do {                                                                                                     \
        struct parsed wrong_;                                                                                \
        PARSE(&wrong_, __VA_ARGS__);                                                                         \
        expect_refusal(&wrong_, words);                                                                      \
    } while (0)

/* `words`: what the message must contain, separated by "|". */
static void expect_refusal(struct parsed *parsed, const char *words)
{
    char list[256], *rest = list;
    assert_int_equal(parsed->result, CLI_PARSED_WRONG);
    assert_memory_equal(parsed->said, "bioxen: ", 8);
    assert_ptr_equal(strchr(parsed->said, '\n'), parsed->said + strlen(parsed->said) - 1);
    snprintf(list, sizeof list, "%s", words);
    for (char *word; (word = strsep(&rest, "|")) != NULL;)
        if (strstr(parsed->said, word) == NULL)
            fail_msg("no '%s' in: %s", word, parsed->said);
    run_request_fini(&parsed->request);
}

static void defaults(void **state)
{
    struct parsed p;
    struct bioxen_config want;
    (void)state;
    bioxen_config_init(&want);
    PARSE(&p, "dir/my script.lua");
    assert_int_equal(p.result, CLI_PARSED);
    const struct bioxen_config *got = &p.request.config;
    assert_int_equal(got->profile, BIOXEN_RESTRICTED);
    assert_true(got->memory == want.memory && got->cpus_milli == want.cpus_milli && got->pids == want.pids);
    assert_true(got->timeout_ms == 0 && got->cpu_time_ms == 0 && got->output_limit == want.output_limit);
    assert_int_equal(got->required, 0);
    assert_int_equal(got->env_count, 0);
    assert_int_equal(got->arg_count, 1);
    assert_string_equal(got->name, "my-script");
    assert_string_equal(got->chunk_name, "@dir/my script.lua");
    assert_int_equal(p.request.kind, RUN_FILE);
    assert_null(p.request.report);
    run_request_fini(&p.request);
}

/*
 * The defaults that help and manual promise are the ones that the library sets, and are within their own
 * ranges.
 */
static void defaults_of_the_table(void **state)
{
    struct bioxen_config config;
    (void)state;
    bioxen_config_init(&config);
    for (size_t i = 0; i < RUN_OPTION_COUNT; i++) {
        const struct cli_option *option = &run_options[i];
        uint64_t value = 0, want = 0;
        if (option->kind < CLI_SIZE || strcmp(option->fallback, "none") == 0)
            continue;
        int rc = option->kind == CLI_SIZE   ? units_size(option->fallback, &value)
                 : option->kind == CLI_CPUS ? units_cpus(option->fallback, &value)
                                            : units_count(option->fallback, &value);
        want = strcmp(option->name, "memory") == 0 ? config.memory
               : strcmp(option->name, "cpus") == 0 ? config.cpus_milli
               : strcmp(option->name, "pids") == 0 ? config.pids
                                                   : config.output_limit;
        assert_int_equal(rc, 0);
        assert_true(value == want);
        assert_true(value >= option->min && value <= option->max);
    }
}

static void every_option(void **state)
{
    struct parsed p;
    (void)state;
    PARSE(&p, "--profile", "full", "--memory=32MiB", "--cpus", "0.5", "--timeout", "5s", "--cpu-time=1500ms",
          "--pids", "8", "--output-limit", "1M", "--env", "K=a=b", "--env=E=", "--mount", "/usr:/x",
          "--mount=./a:b:/y/:rw", "--network", "none", "--report", "r.json", "--name", "w-1", "s.lua", "x",
          "--memory", "");
    assert_int_equal(p.result, CLI_PARSED);
    const struct bioxen_config *c = &p.request.config;
    assert_int_equal(c->profile, BIOXEN_FULL);
    assert_true(c->memory == 32u << 20 && c->cpus_milli == 500 && c->timeout_ms == 5000 &&
                c->cpu_time_ms == 1500);
    assert_true(c->pids == 8 && c->output_limit == 1u << 20);
    assert_int_equal(c->required, BIOXEN_REQUIRE_MEMORY | BIOXEN_REQUIRE_CPUS | BIOXEN_REQUIRE_PIDS |
                                      BIOXEN_REQUIRE_CPU_TIME);
    assert_int_equal(c->env_count, 2);
    assert_int_equal(c->env[0].length, 1);
    assert_string_equal(c->env[1].bytes, "a=b");
    assert_string_equal(c->env[3].bytes, "");
    assert_int_equal(p.request.mount_count, 2);
    assert_string_equal(p.request.mounts[0].host, "/usr");
    assert_false(p.request.mounts[0].writable);
    assert_string_equal(p.request.mounts[1].host, "./a:b");
    assert_string_equal(p.request.mounts[1].target, "/y");
    assert_true(p.request.mounts[1].writable);
    assert_string_equal(p.request.report, "r.json");
    assert_string_equal(c->name, "w-1");
    assert_int_equal(c->arg_count, 4);
    assert_string_equal(c->args[0].bytes, "s.lua");
    assert_string_equal(c->args[2].bytes, "--memory");
    assert_int_equal(c->args[3].length, 0);
    run_request_fini(&p.request);
}

static void where_the_script_comes_from(void **state)
{
    struct parsed p;
    (void)state;
    PARSE(&p, "-", "-x", "--");
    assert_int_equal(p.request.kind, RUN_STDIN);
    assert_string_equal(p.request.config.chunk_name, "=stdin");
    assert_string_equal(p.request.config.name, "stdin");
    assert_int_equal(p.request.config.arg_count, 3);
    run_request_fini(&p.request);
    PARSE(&p, "-e", "print(...)", "a", "-b", "--", "c");
    assert_int_equal(p.request.kind, RUN_CODE);
    assert_string_equal(p.request.config.chunk_name, "=(command line)");
    assert_string_equal(p.request.config.args[0].bytes, "-e");
    assert_int_equal(p.request.config.arg_count, 5);
    run_request_fini(&p.request);
    PARSE(&p, "-eprint(1)", "--", "--x");
    assert_string_equal(p.request.code, "print(1)");
    assert_string_equal(p.request.config.args[1].bytes, "--x");
    run_request_fini(&p.request);
    PARSE(&p, "--", "-odd.lua", "--help");
    assert_int_equal(p.request.kind, RUN_FILE);
    assert_string_equal(p.request.script, "-odd.lua");
    assert_int_equal(p.request.config.arg_count, 2);
    run_request_fini(&p.request);
}

static void environment(void **state)
{
    struct parsed p;
    (void)state;
    setenv("BX_TEST_CALLER", "theirs", 1);
    unsetenv("BX_TEST_UNSET");
    PARSE(&p, "--env", "A=1", "--env", "BX_TEST_CALLER", "--env", "A=2", "-e", "");
    assert_int_equal(p.result, CLI_PARSED);
    assert_int_equal(p.request.config.env_count, 2);
    assert_string_equal(p.request.config.env[1].bytes, "2");
    assert_string_equal(p.request.config.env[3].bytes, "theirs");
    run_request_fini(&p.request);
    expect_wrong("--env|'=v'|no name", "--env", "=v", "-e", "");
    expect_wrong("--env|''", "--env", "", "-e", "");
    expect_wrong("--env|BX_TEST_UNSET", "--env", "BX_TEST_UNSET", "-e", "");
}

static void refusals(void **state)
{
    (void)state;
    expect_wrong("no script");
    expect_wrong("--memroy|did you mean '--memory'", "--memroy", "1G", "x");
    expect_wrong("--mem'|did you mean '--memory'", "--mem", "64M", "x");
    expect_wrong("--mem'", "--mem=64M", "x");
    expect_wrong("--n'", "--n", "64M", "x");
    expect_wrong("--frobnicate|--help", "--frobnicate", "x");
    expect_wrong("'-Z'", "-Z", "x");
    expect_wrong("--publish", "--publish", "80", "x");
    expect_wrong("--restart", "--restart", "sometimes", "x");
    expect_wrong("--memory|needs a value|SIZE", "--memory");
    expect_wrong("-e|needs a value|CODE", "-e");
    expect_wrong("-e|twice", "-e", "1", "-e", "2");
    expect_wrong("--memory|'1K'|out of range|2MiB to 64TiB", "--memory", "1K", "x");
    expect_wrong("--memory|'1e9'|is not a size|64MiB|2MiB", "--memory", "1e9", "x");
    expect_wrong("--memory|'--'", "--memory", "--", "x");
    expect_wrong("--cpus|'0.001'|0.01 to 1000", "--cpus", "0.001", "x");
    expect_wrong("--cpus|'1000.1'", "--cpus", "1000.1", "x");
    expect_wrong("--timeout|'0s'|leave the option out", "--timeout", "0s", "x");
    expect_wrong("--timeout|'5'|is not a time|5s", "--timeout", "5", "x");
    expect_wrong("--cpu-time|'8761h'", "--cpu-time", "8761h", "x");
    expect_wrong("--pids|'0'|1 to 4194304", "--pids", "0", "x");
    expect_wrong("--pids|'4294967297'", "--pids", "4294967297", "x");
    expect_wrong("--output-limit|'0'", "--output-limit", "0", "x");
    expect_wrong("--profile|'ful'|restricted|full|did you mean 'full'", "--profile", "ful", "x");
    expect_wrong("--profile|''", "--profile", "", "x");
    expect_wrong("--network|'host'", "--network", "host", "x");
    expect_wrong("--name|'a b'", "--name", "a b", "x");
    expect_wrong("--name|'a\\x0ab'", "--name", "a\nb", "x");
    expect_wrong("--name|'-a'", "--name=-a", "x");
    expect_wrong("--name|''", "--name", "", "x");
    expect_wrong("--mount|--profile full", "--mount", "/usr:/x", "x");
    expect_wrong("--help|no value", "--help=x", "x");
}

static void mounts(void **state)
{
    static const char *const wrong[] = {
        "",
        ":",
        "/",
        "/tmp",
        "/tmp:",
        ":/x",
        "/tmp:relative",
        "/tmp:/",
        "/tmp:/x:",
        "/tmp:/x:rx",
        "/tmp:/x:ro:ro",
        "/tmp:/a/../b",
        "/tmp:/../x",
        "/tmp://",
        "/tmp:/a//b",
        "/tmp:/./x",
        "/tmp:/x/.",
        "/tmp:/x//",
    };
    char longest[200] = "/tmp:/";
    struct run_mount mount;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        expect_wrong("--mount|HOST:VM", "--profile", "full", "--mount", wrong[i], "x");
    memset(longest + 6, 'x', 126);
    assert_int_equal(run_mount_parse(longest, &mount), 0);
    assert_int_equal(strlen(mount.target), 127);
    free(mount.host);
    longest[132] = 'x';
    expect_wrong("--mount|127", "--profile", "full", "--mount", longest, "x");
    memset(longest + 6, 'x', 190);
    expect_wrong("--mount|127", "--profile", "full", "--mount", longest, "x");
    expect_wrong("--mount|already", "--profile", "full", "--mount", "/usr:/x", "--mount", "/etc:/x/", "x");
}

static void too_many_mounts(void **state)
{
    const char *words[ARGS_MAX] = {"--profile", "full"};
    char texts[BIOXEN_MOUNTS_MAX + 1][32];
    struct parsed p;
    (void)state;
    for (size_t i = 0; i <= BIOXEN_MOUNTS_MAX; i++) {
        snprintf(texts[i], sizeof texts[i], "/usr:/m%zu", i);
        words[2 + 2 * i] = "--mount";
        words[3 + 2 * i] = texts[i];
    }
    parse(&p, words);
    expect_refusal(&p, "--mount|one too many");
}

static void names(void **state)
{
    static const struct {
        const char *path, *name;
    } rows[] = {
        {"script.lua", "script"},  {"/a/b/c.lua", "c"},   {"x", "x"},       {"a b\xc3\xa9.lua", "a-b--"},
        {".hidden.lua", "hidden"}, {"-dash.lua", "dash"}, {".lua", "lua"},  {"--", "script"},
        {"dir/", "script"},        {"a.b.lua", "a.b"},    {"_x.lua", "_x"},
    };
    char name[RUN_NAME_MAX + 1], path[300];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        run_name_from_path(rows[i].path, name);
        assert_string_equal(name, rows[i].name);
        assert_true(run_name_is_legal(name));
    }
    memset(path, 'n', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_false(run_name_is_legal(path));
    run_name_from_path(path, name);
    assert_int_equal(strlen(name), RUN_NAME_MAX);
    assert_true(run_name_is_legal(name));
}

static void ten_thousand_arguments(void **state)
{
    enum { MANY = 10000 };
    static char *argv[MANY + 4];
    struct run_request request;
    (void)state;
    argv[0] = (char *)"run", argv[1] = (char *)"-e", argv[2] = (char *)"";
    for (int i = 0; i < MANY; i++)
        argv[3 + i] = (char *)"--x";
    assert_int_equal(run_request_parse(&request, MANY + 3, argv), CLI_PARSED_WRONG); /* still options */
    run_request_fini(&request);
    argv[3] = (char *)"x";
    assert_int_equal(run_request_parse(&request, MANY + 3, argv), CLI_PARSED);
    assert_int_equal(request.config.arg_count, MANY + 1);
    run_request_fini(&request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),     cmocka_unit_test(defaults_of_the_table),
        cmocka_unit_test(every_option), cmocka_unit_test(where_the_script_comes_from),
        cmocka_unit_test(environment),  cmocka_unit_test(refusals),
        cmocka_unit_test(mounts),       cmocka_unit_test(too_many_mounts),
        cmocka_unit_test(names),        cmocka_unit_test(ten_thousand_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
