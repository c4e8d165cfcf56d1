/*
 * test_run.c - runs test files, several at a time, each in a VM of its own. A test passes when its script ends well, as
 * `bioxen run` would say by the exit status 0.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test.h"

struct runner {
    struct tests *tests;
    const struct run_request *options;
    bioxen_manager *manager;
    struct test **running; /* jobs places; NULL: free */
    unsigned jobs, busy;
    size_t next;
    int wake_fd;
};

/* ---- starting ---- */

static void finish_unrun(struct runner *runner, struct test *test, const char *why)
{
    test->state = TEST_FAILED;
    test->outcome = BIOXEN_OUTCOME_INTERNAL;
    test->exit_code = CLI_HOST;
    test->why = strdup(why);
    runner->tests->host_failed = true;
}

/* Of a script that cannot be read: its test has failed, and the host has not. */
static void finish_unread(struct test *test, const struct run_failure *failure)
{
    test->state = TEST_FAILED;
    test->outcome = failure->status == CLI_HOST ? BIOXEN_OUTCOME_INTERNAL : BIOXEN_OUTCOME_SYNTAX;
    test->exit_code = failure->status;
    test->why = strdup(failure->text);
}

static int create(struct runner *runner, struct test *test, struct run_failure *failure)
{
    struct run_source source = {.fd = -1};
    struct run_mounts mounts = {0};
    struct run_modules modules = {.fd = -1};
    struct run_request *request = &test->request;
    struct bioxen_error err;
    int rc = run_source_open(&source, request, failure);
    if (rc == 0)
        rc = run_source_read(&source, request, failure);
    if (rc == 0)
        rc = run_mounts_open(&mounts, request, failure);
    if (rc == 0 && run_modules_init(&modules, request) < 0)
        rc = run_fail(failure, CLI_HOST, "out of memory");
    if (rc == 0) {
        struct bioxen_config config = request->config;
        config.text = source.text;
        config.mounts = mounts.list;
        config.mount_count = mounts.count;
        config.module_dir = modules.fd;
        config.module_dir_name = modules.directory;
        if (bioxen_create_start(runner->manager, &config, &test->id, &err) != 0)
            rc = run_fail(failure, CLI_HOST, "%s", err.text);
    }
    run_modules_fini(&modules);
    run_mounts_fini(&mounts);
    run_source_fini(&source);
    return rc;
}

static void start(struct runner *runner, struct test *test, struct test **place)
{
    struct run_failure failure;
    test->request = *runner->options;
    if (run_request_set_script(&test->request, test->path) < 0) {
        finish_unrun(runner, test, "out of memory");
    } else if (create(runner, test, &failure) == 0) {
        test->state = TEST_STARTING;
        *place = test;
        runner->busy++;
    } else if (failure.status == CLI_HOST) {
        finish_unrun(runner, test, failure.text);
    } else {
        finish_unread(test, &failure);
    }
}

static void start_more(struct runner *runner)
{
    for (unsigned i = 0; i < runner->jobs; i++)
        while (runner->running[i] == NULL && runner->next < runner->tests->count)
            start(runner, &runner->tests->list[runner->next++], &runner->running[i]);
}

/* ---- events ---- */

static struct test **find(struct runner *runner, enum test_state state, uint32_t id)
{
    for (unsigned i = 0; i < runner->jobs; i++)
        if (runner->running[i] != NULL && runner->running[i]->state == state && runner->running[i]->id == id)
            return &runner->running[i];
    return NULL;
}

static void keep_output(struct test *test, struct bioxen_string bytes)
{
    size_t over = 0;
    if (bytes.length > TEST_OUTPUT_MAX) {
        bytes.bytes += bytes.length - TEST_OUTPUT_MAX;
        bytes.length = TEST_OUTPUT_MAX;
    }
    if (test->output == NULL)
        test->output = malloc(TEST_OUTPUT_MAX);
    if (test->output == NULL)
        return;
    if (test->output_length + bytes.length > TEST_OUTPUT_MAX)
        over = test->output_length + bytes.length - TEST_OUTPUT_MAX;
    memmove(test->output, test->output + over, test->output_length - over);
    memcpy(test->output + test->output_length - over, bytes.bytes, bytes.length);
    test->output_length += bytes.length - over;
    test->output_cut = test->output_cut || over > 0;
}

static void finish(struct runner *runner, struct test **place, const struct bioxen_record *record)
{
    struct test *test = *place;
    size_t length;
    test->outcome = record->outcome;
    test->exit_code = record->exit_code;
    test->wall_us = record->wall_us;
    test->state = record->exit_code == 0 ? TEST_PASSED : TEST_FAILED;
    test->why = run_death_text(&test->request, record, &length);
    runner->tests->host_failed = runner->tests->host_failed || record->outcome == BIOXEN_OUTCOME_INTERNAL;
    *place = NULL;
    runner->busy--;
}

static void take_event(struct runner *runner, const struct bioxen_event *event)
{
    bool is_answer = event->type == BIOXEN_EVENT_CREATED || event->type == BIOXEN_EVENT_REFUSED;
    struct test **place =
        find(runner, is_answer ? TEST_STARTING : TEST_RUNS, is_answer ? event->request : event->vm);
    if (place == NULL)
        return;
    switch (event->type) {
    case BIOXEN_EVENT_CREATED:
        (*place)->state = TEST_RUNS;
        (*place)->id = event->vm;
        break;
    case BIOXEN_EVENT_REFUSED:
        finish_unrun(runner, *place, event->error.text);
        *place = NULL;
        runner->busy--;
        break;
    case BIOXEN_EVENT_OUTPUT:
        keep_output(*place, event->bytes);
        break;
    case BIOXEN_EVENT_NEED: /* only where its directory cannot be opened; the library answers else */
        (void)bioxen_answer_no_module(runner->manager, event->vm, "\n\tits directory cannot be opened", NULL);
        break;
    case BIOXEN_EVENT_DEATH:
        finish(runner, place, &event->record);
        break;
    default:
        break;
    }
}

/* ---- all of it ---- */

static int bail_out(int signal)
{
    printf("Bail out! interrupted by signal %d\n", signal);
    (void)fflush(stdout);
    return 128 + signal;
}

static int cannot_print(void)
{
    if (errno == EPIPE)
        return 128 + SIGPIPE;
    cli_say("cannot write to standard output: %s", strerror(errno));
    return CLI_HOST;
}

static int follow(struct runner *runner)
{
    struct pollfd ready[2] = {{.fd = bioxen_fd(runner->manager), .events = POLLIN},
                              {.fd = runner->wake_fd, .events = POLLIN}};
    struct bioxen_event event;
    struct bioxen_error err;
    for (;;) {
        start_more(runner);
        if (tests_print_new(runner->tests) < 0)
            return cannot_print();
        if (runner->busy == 0)
            return CLI_OK;
        int rc = bioxen_next(runner->manager, &event, 0, &err);
        if (rc == 1)
            take_event(runner, &event);
        else if (rc == 0)
            (void)poll(ready, 2, -1);
        else if (rc != -EINTR) {
            cli_say("test: %s", err.text);
            return CLI_HOST;
        }
        int signal = run_signals_caught();
        if (signal != 0)
            return bail_out(signal);
    }
}

static int run_all(struct runner *runner)
{
    struct bioxen_error err;
    if (bioxen_open(&runner->manager, &err) < 0) {
        cli_say("%s", err.text);
        return CLI_HOST;
    }
    run_signals_ignore_pipe();
    runner->wake_fd = run_signals_arm();
    if (runner->wake_fd < 0) {
        cli_say("cannot watch for signals: %s", strerror(-runner->wake_fd));
        return CLI_HOST;
    }
    return tests_print_plan(runner->tests) == 0 ? follow(runner) : cannot_print();
}

int tests_run(struct tests *tests, const struct run_request *options, unsigned jobs)
{
    struct runner runner = {.tests = tests, .options = options, .jobs = jobs};
    int status = CLI_HOST;
    runner.running = calloc(jobs, sizeof *runner.running);
    if (runner.running == NULL)
        cli_say("out of memory");
    else
        status = run_all(&runner);
    bioxen_close(runner.manager); /* which ends whatever still runs */
    free(runner.running);
    if (status == CLI_OK && tests->failed > 0)
        status = tests->host_failed ? CLI_HOST : CLI_FAILED;
    return status;
}
