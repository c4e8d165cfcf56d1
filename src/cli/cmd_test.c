/* cmd_test.c - bioxen test: runs test files and says, by TAP and the exit status, what became of them. */
#include <stdlib.h>
#include <unistd.h>

#include "run_table.h"
#include "test.h"

/* As pytest has it. */
#define NO_TESTS 5

/* A test that hangs is one that fails. */
#define TIMEOUT    "1m"
#define TIMEOUT_MS 60000u
#define JOBS_MAX   256u

enum { OPT_JOBS = 'j', OPT_JUNIT = OPT_OF_OTHERS };

struct request {
    struct run_request options;
    struct run_parsing parsing;
    unsigned jobs;
    const char *junit;
};

static int take_option(const struct cli_option *option, const char *text, uint64_t number, void *context)
{
    struct request *request = context;
    if (option->id == OPT_JOBS)
        request->jobs = (unsigned)number;
    else if (option->id == OPT_JUNIT)
        request->junit = text;
    else
        return run_take_option(option, text, number, &request->parsing);
    return 0;
}

static const struct cli_option options[] = {
    {.id = OPT_JOBS,
     .name = "jobs",
     .kind = CLI_COUNT,
     .value = "NUMBER",
     .min = 1,
     .max = JOBS_MAX,
     .fallback = "as many as there are processors",
     .help = "how many run at a time"},
    {.id = OPT_JUNIT,
     .name = "junit",
     .kind = CLI_FILE,
     .value = "FILE",
     .help = "write the results as JUnit's XML too"},
    RUN_VM_OPTIONS(TIMEOUT),
};

static unsigned default_jobs(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    return processors < 1 ? 1 : processors > (long)JOBS_MAX ? JOBS_MAX : (unsigned)processors;
}

static int parse(struct request *request, int argc, char **argv, int *next)
{
    bioxen_config_init(&request->options.config);
    request->options.config.timeout_ms = TIMEOUT_MS;
    request->parsing.request = &request->options;
    request->jobs = default_jobs();
    enum cli_parsed parsed = cli_parse_options(&verb_test, argc, argv, take_option, request, next);
    if (parsed == CLI_PARSED && request->options.mount_count > 0 &&
        request->options.config.profile != BIOXEN_FULL) {
        cli_say("--mount: needs --profile full; a restricted VM has no files");
        return CLI_PARSED_WRONG;
    }
    if (parsed == CLI_PARSED && *next == argc) {
        cli_say("test: which files or directories?");
        return CLI_PARSED_WRONG;
    }
    return (int)parsed;
}

static int find_all(struct tests *tests, int count, char **paths)
{
    int status = CLI_OK;
    for (int i = 0; i < count && status == CLI_OK; i++)
        status = tests_find(tests, paths[i]);
    tests_sort(tests);
    if (status != CLI_OK || tests->count > 0)
        return status;
    cli_say("test: no *_test.lua in %s%s", paths[0], count > 1 ? " and the other paths" : "");
    return NO_TESTS;
}

static int write_junit(const struct tests *tests, const struct run_report *report)
{
    struct run_failure failure;
    char *text = tests_junit(tests);
    int rc = run_report_put(report, text, &failure);
    free(text);
    if (rc == 0)
        return CLI_OK;
    cli_say("%s", failure.text);
    return failure.status;
}

static int test(const struct request *request, struct tests *tests, struct run_report *report)
{
    struct run_failure failure;
    run_signals_install();
    if (run_report_prepare(report, request->junit, &failure) != 0) {
        cli_say("%s", failure.text);
        return failure.status;
    }
    int status = tests_run(tests, &request->options, request->jobs);
    if (tests->told == tests->count)
        cli_say("test: %zu passed, %zu failed", tests->passed, tests->failed);
    int written = report->way != RUN_REPORT_NONE ? write_junit(tests, report) : CLI_OK;
    return written != CLI_OK ? written : status;
}

static int run_test(int argc, char **argv)
{
    struct request request = {0};
    struct tests tests = {0};
    struct run_report report = {0};
    int next, status = CLI_USAGE;
    int parsed = parse(&request, argc, argv, &next);
    if (parsed == CLI_PARSED_HELP)
        status = cli_finish_output();
    if (parsed == CLI_PARSED) {
        status = find_all(&tests, argc - next, argv + next);
        if (status == CLI_OK)
            status = test(&request, &tests, &report);
    }
    run_report_fini(&report);
    tests_fini(&tests);
    run_request_fini(&request.options);
    return status;
}

const struct cli_verb verb_test = {
    .name = "test",
    .arguments = "[options] PATH...",
    .summary = "Run test files, each in one fresh VM",
    .details =
        "PATH is a file, or a directory in which, and below, every *_test.lua is a test. A test is a script: it\n"
        "passes when it ends well, and fails by an error, a limit, or os.exit with another status than 0. What it\n"
        "prints is shown when it fails. Results are TAP on standard output, in the order of their names.\n"
        "\n"
        "Exit status: 0 when all passed; 1 when one failed; 2 wrong usage; 5 when there is no test; 125 bioxen or\n"
        "the host could not; 126 a path cannot be read; 127 there is no such path; 128+n interrupted by a signal.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run_test,
};
_Static_assert(sizeof options / sizeof options[0] == 2 + RUN_VM_OPTION_COUNT, "RUN_VM_OPTION_COUNT");
