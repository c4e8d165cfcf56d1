/*
 * cmd_run.c - bioxen run: one script in one fresh VM, from the command line to the exit status.
 *
 * The daemons start while the script is read; what can be refused without them (the script's kind, the
 * mounts, the report's path) is refused before.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "run.h"

/* All that a run holds on to. */
struct run {
    struct run_request request;
    struct run_report report;
    struct run_source source;
    struct run_mounts mounts;
    struct run_modules modules;
    bioxen_manager *manager;
    int wake_fd;
};

static int write_report(struct run *run, const struct bioxen_record *record)
{
    struct run_failure failure;
    if (run_report_write(&run->report, record, &failure) == 0)
        return record->exit_code;
    cli_say("%s", failure.text);
    return failure.status;
}

/* Says why there was no VM, or none to the end, and writes that down too. Returns the exit status. */
static int fail(struct run *run, const struct run_failure *failure)
{
    struct bioxen_record record;
    cli_say("%s", failure->text);
    run_record_of_failure(&run->request, failure, &record);
    return write_report(run, &record);
}

static int prepare(struct run *run, struct run_failure *failure)
{
    if (run_source_open(&run->source, &run->request, failure) < 0)
        return -1;
    if (run_mounts_open(&run->mounts, &run->request, failure) < 0)
        return -1;
    if (run_modules_init(&run->modules, &run->request) < 0)
        return run_fail(failure, CLI_HOST, "out of memory");
    return 0;
}

static int start(struct run *run, uint32_t *vm, struct run_failure *failure)
{
    struct bioxen_config *config = &run->request.config;
    struct bioxen_error err;
    if (bioxen_open(&run->manager, &err) < 0)
        return run_fail(failure, CLI_HOST, "%s", err.text);
    run_signals_ignore_pipe();
    if (run_source_read(&run->source, &run->request, failure) < 0)
        return -1;
    config->text = run->source.text;
    config->mounts = run->mounts.list;
    config->mount_count = run->mounts.count;
    config->module_dir = run->modules.fd;
    config->module_dir_name = run->modules.directory;
    config->only = 1; /* the end of a short run takes as long as its script */
    if (bioxen_create(run->manager, config, vm, &err) < 0)
        return run_fail(failure, CLI_HOST, "%s", err.text);
    run_source_fini(&run->source); /* the VM has its own: a long run need not hold 64 MiB of text */
    run_mounts_fini(&run->mounts);
    run->wake_fd = run_signals_arm();
    if (run->wake_fd < 0)
        return run_fail(failure, CLI_HOST, "cannot watch for signals: %s", strerror(-run->wake_fd));
    return 0;
}

static int run_script(struct run *run)
{
    struct run_failure failure;
    struct bioxen_record record;
    char text[128];
    uint32_t vm;
    if (prepare(run, &failure) < 0 || start(run, &vm, &failure) < 0)
        return fail(run, &failure);
    struct run_loop loop = {
        .manager = run->manager, .vm = vm, .request = &run->request, .modules = &run->modules, .wake_fd = run->wake_fd};
    if (run_loop_follow(&loop, &record, &failure) < 0)
        return fail(run, &failure);
    run_record_correct(&record, &loop, text, sizeof text);
    run_say_death(&run->request, &record);
    run_say_given_up(&run->request, loop.given_up);
    return write_report(run, &record);
}

static int run_run(int argc, char **argv)
{
    struct run run = {.source.fd = -1, .modules.fd = -1, .wake_fd = -1};
    struct run_failure failure;
    int status = CLI_USAGE;
    enum cli_parsed parsed = run_request_parse(&run.request, argc, argv);
    if (parsed == CLI_PARSED_HELP)
        status = cli_finish_output();
    if (parsed == CLI_PARSED) {
        run_signals_install();
        if (run_report_prepare(&run.report, run.request.report, &failure) == 0) {
            status = run_script(&run);
        } else {
            cli_say("%s", failure.text);
            status = failure.status;
        }
    }
    bioxen_close(run.manager);
    run_modules_fini(&run.modules);
    run_mounts_fini(&run.mounts);
    run_source_fini(&run.source);
    run_report_fini(&run.report);
    run_request_fini(&run.request);
    if (run.wake_fd >= 0)
        close(run.wake_fd);
    return status;
}

static const char details[] =
    "SCRIPT is a file, or - for standard input. What follows it is the script's own: arguments in arg and ...\n"
    "\n"
    "Times are 250ms, 5s, 2m, 1h; sizes are bytes, 64K or 64KiB, 64M or 64MiB, 1G or 1GiB.\n"
    "\n"
    "Exit status: the script's own (0 at its end, os.exit(n)); 1 a Lua error; 2 wrong usage; 124 a time limit;\n"
    "125 bioxen or the host could not; 126 the script cannot be read or does not compile; 127 there is no such\n"
    "script; 137 killed for memory or output; 159 killed by the system call policy; 128+n by another signal.\n";

const struct cli_verb verb_run = {
    .name = "run",
    .arguments = "[options] SCRIPT|- [ARG...]\n       bioxen run [options] -e CODE [ARG...]",
    .summary = "Run one script in one fresh VM",
    .details = details,
    .options = run_options,
    .option_count = RUN_OPTION_COUNT,
    .run = run_run,
};
