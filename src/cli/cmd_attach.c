/* cmd_attach.c - bioxen attach: a prompt inside a running VM. Ctrl-D leaves it, and the VM lives on. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "eval.h"
#include "line_edit.h"
#include "run.h"

struct prompt {
    struct eval eval;
    struct line_edit edit;
    bool terminal;
    char *read; /* by getline, where there is no terminal */
    size_t read_room;
    char *source; /* what was entered so far */
};

/* The next line without its newline; NULL with *end. */
static const char *next_line(struct prompt *prompt, enum line_end *end)
{
    char text[160];
    if (prompt->terminal) {
        snprintf(text, sizeof text, "%s%s ", prompt->eval.name, prompt->source != NULL ? ">>" : ">");
        *end = line_edit_read(&prompt->edit, text);
        prompt->edit.prompt = "";
        if (*end == LINE_ENTERED)
            line_edit_remember(&prompt->edit, prompt->edit.bytes);
        return *end == LINE_ENTERED ? prompt->edit.bytes : NULL;
    }
    ssize_t length = getline(&prompt->read, &prompt->read_room, stdin);
    *end = run_signals_caught() != 0 ? LINE_WATCHED : LINE_EOF;
    if (length < 0)
        return NULL;
    if (length > 0 && prompt->read[length - 1] == '\n')
        prompt->read[length - 1] = '\0';
    return prompt->read;
}

static void forget_source(struct prompt *prompt)
{
    free(prompt->source);
    prompt->source = NULL;
}

static bool add_line(struct prompt *prompt, const char *line)
{
    char *whole;
    int length = asprintf(&whole, "%s%s%s", prompt->source != NULL ? prompt->source : "",
                          prompt->source != NULL ? "\n" : "", line);
    if (length < 0)
        return false;
    free(prompt->source);
    prompt->source = whole;
    return true;
}

static void show(const struct eval_result *result)
{
    if (result->text == NULL || result->end == EVAL_MORE)
        return;
    fwrite(result->text, 1, result->length, stdout);
    putchar('\n');
    (void)fflush(stdout);
}

/* False when the VM is gone. */
static bool evaluate(struct prompt *prompt)
{
    struct eval_result result;
    eval_run(&prompt->eval, prompt->source, 0, NULL, 0, &result);
    show(&result);
    free(result.text);
    if (result.end == EVAL_BROKEN)
        run_signals_forget();
    if (result.end != EVAL_MORE)
        forget_source(prompt);
    return result.end != EVAL_GONE;
}

static bool session_lives(const struct prompt *prompt)
{
    struct bioxen_reply reply;
    struct bioxen_error err;
    return bioxen_session_next(prompt->eval.session, &reply, 0, &err) >= 0;
}

static int gone(const struct prompt *prompt)
{
    cli_say("VM '%s' has ended", prompt->eval.name);
    return CLI_FAILED;
}

static int converse(struct prompt *prompt)
{
    enum line_end end;
    for (;;) {
        const char *line = next_line(prompt, &end);
        if (line == NULL && end == LINE_EOF)
            return CLI_OK;
        if (line == NULL && end == LINE_INTERRUPTED) {
            forget_source(prompt);
            continue;
        }
        if (line == NULL && run_signals_caught() != 0)
            return 128 + run_signals_caught();
        if (line == NULL && !session_lives(prompt))
            return gone(prompt);
        if (line == NULL)
            continue;
        if (!add_line(prompt, line)) {
            cli_say("out of memory");
            return CLI_HOST;
        }
        if (prompt->source[strspn(prompt->source, " \t\n")] == '\0')
            forget_source(prompt);
        else if (!evaluate(prompt))
            return gone(prompt);
    }
}

static int attach(struct remote *remote, const char *vm)
{
    struct prompt prompt = {.terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)};
    int status = eval_open(&prompt.eval, remote, vm);
    if (status == CLI_OK) {
        prompt.edit.watch[0] = prompt.eval.wake_fd;
        prompt.edit.watch[1] = bioxen_session_fd(prompt.eval.session);
        if (prompt.terminal)
            cli_say("attached to '%s': Ctrl-D detaches, Ctrl-C interrupts", vm);
        status = converse(&prompt);
    }
    forget_source(&prompt);
    free(prompt.read);
    line_edit_fini(&prompt.edit);
    eval_close(&prompt.eval);
    return status;
}

static int run_attach(int argc, char **argv)
{
    struct remote remote = {0};
    int count;
    enum cli_parsed parsed =
        remote_parse(&verb_attach, argc, argv, remote_take_option, &remote, 1, 1, &count);
    if (parsed != CLI_PARSED)
        return parsed == CLI_PARSED_HELP ? cli_finish_output() : CLI_USAGE;
    int status = remote_open(&remote);
    if (status == CLI_OK)
        status = attach(&remote, argv[1]);
    remote_close(&remote);
    return status;
}

static const struct cli_option options[] = {
    REMOTE_OPTION_SOCKET,
};

const struct cli_verb verb_attach = {
    .name = "attach",
    .arguments = "[options] VM",
    .summary = "Open a prompt inside a running VM",
    .details =
        "Expressions and statements, as lua(1) takes them; what is not complete goes on in the next line. Ctrl-C\n"
        "interrupts what runs, Ctrl-D detaches, and the VM lives on. Without a terminal, lines of standard input\n"
        "are evaluated.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run_attach,
};
