/* cmd_exec.c - bioxen exec: evaluates code in a running VM, and prints its value. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "eval.h"
#include "run.h"

enum { OPT_TIMEOUT = 256, EXIT_TIME = 124 };

struct request {
    struct remote remote;
    uint64_t timeout_ms;
};

static int take_option(const struct cli_option *option, const char *text, uint64_t number, void *context)
{
    struct request *request = context;
    if (option->id != OPT_TIMEOUT)
        return remote_take_option(option, text, number, &request->remote);
    request->timeout_ms = number;
    return 0;
}

static int print_value(const struct eval_result *result)
{
    if (result->text != NULL) {
        fwrite(result->text, 1, result->length, stdout);
        putchar('\n');
    }
    return cli_finish_output();
}

static int say_error(const struct eval_result *result, int status)
{
    char *text;
    int length =
        asprintf(&text, "bioxen: %.*s\n", (int)result->length, result->text != NULL ? result->text : "error");
    if (length >= 0) {
        cli_say_bytes(text, (size_t)length);
        free(text);
    }
    return status;
}

static int show(const struct eval *eval, const struct eval_result *result)
{
    switch (result->end) {
    case EVAL_DONE:
        return print_value(result);
    case EVAL_MORE:
    case EVAL_WRONG:
        return say_error(result, CLI_UNREADABLE);
    case EVAL_ERROR:
        return say_error(result, CLI_FAILED);
    case EVAL_TIME:
        cli_say("exec: the time is up (--timeout raises it)");
        return EXIT_TIME;
    case EVAL_BROKEN:
        return run_signals_caught() != 0 ? 128 + run_signals_caught() : CLI_FAILED;
    default:
        cli_say("VM '%s' has ended", eval->name);
        return CLI_FAILED;
    }
}

static int run_exec(int argc, char **argv)
{
    struct request request = {0};
    struct eval eval = {0};
    struct eval_result result;
    int next;
    enum cli_parsed parsed = cli_parse_options(&verb_exec, argc, argv, take_option, &request, &next);
    if (parsed != CLI_PARSED)
        return parsed == CLI_PARSED_HELP ? cli_finish_output() : CLI_USAGE;
    if (argc - next < 2) {
        cli_say("exec: an argument is missing: bioxen exec %s", verb_exec.arguments);
        return CLI_USAGE;
    }
    int status = remote_open(&request.remote);
    if (status == CLI_OK)
        status = eval_open(&eval, &request.remote, argv[next]);
    if (status == CLI_OK) {
        eval_run(&eval, argv[next + 1], argc - next - 2, argv + next + 2, request.timeout_ms, &result);
        status = show(&eval, &result);
        free(result.text);
    }
    eval_close(&eval);
    remote_close(&request.remote);
    return status;
}

static const struct cli_option options[] = {
    {.id = OPT_TIMEOUT,
     .name = "timeout",
     .kind = CLI_TIME,
     .value = "TIME",
     .min = 1,
     .max = UINT64_C(8760) * 3600000,
     .fallback = "none",
     .help = "how long it may take"},
    REMOTE_OPTION_SOCKET,
};

const struct cli_verb verb_exec = {
    .name = "exec",
    .arguments = "[options] VM CODE [ARG...]",
    .summary = "Evaluate code in a running VM, and print its value",
    .details =
        "CODE is an expression or statements; ARGs are strings, its '...'. A VM whose script is busy answers when it\n"
        "waits. What CODE prints comes before its value.\n"
        "\n"
        "Exit status: 0; 1 a Lua error, or there is no such VM; 2 wrong usage; 124 the time was up; 125 no daemon;\n"
        "126 CODE does not compile; 128+n interrupted by a signal.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run_exec,
};
