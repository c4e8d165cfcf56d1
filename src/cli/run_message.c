/*
 * run_message.c - the last words: how a VM ended, in one line that names the limit and the option that
 * raises it, or as lua(1) prints errors.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"
#include "common/text.h"
#include "common/units.h"

static void print_bytes(FILE *out, struct bioxen_string string)
{
    if (string.length > 0)
        fwrite(string.bytes, 1, string.length, out);
}

static void print_lua_error(FILE *out, const struct bioxen_record *record)
{
    fputs("bioxen: ", out);
    print_bytes(out, record->error);
    fputc('\n', out);
    print_bytes(out, record->traceback);
    if (record->traceback.length > 0 && record->traceback.bytes[record->traceback.length - 1] != '\n')
        fputc('\n', out);
}

static void print_limit(FILE *out, const char *title, const char *what, const char *value, const char *option)
{
    fprintf(out, "bioxen: %s: killed: %s limit of %s reached (%s raises it)\n", title, what, value, option);
}

static void print_memory(FILE *out, const struct run_request *request, const char *title,
                         const struct bioxen_record *record)
{
    char value[UNITS_TEXT_MAX];
    if (record->error.length > 0) /* met inside Lua: an error with a place in the script */
        print_lua_error(out, record);
    units_format_size(request->config.memory, value);
    print_limit(out, title, "memory", value, "--memory");
}

static void print_time(FILE *out, const struct run_request *request, const char *title, bool cpu)
{
    char value[UNITS_TEXT_MAX];
    units_format_time(cpu ? request->config.cpu_time_ms : request->config.timeout_ms, value);
    print_limit(out, title, cpu ? "CPU time" : "time", value, cpu ? "--cpu-time" : "--timeout");
}

static void print_output(FILE *out, const struct run_request *request, const char *title)
{
    char value[UNITS_TEXT_MAX];
    units_format_size(request->config.output_limit, value);
    print_limit(out, title, "output", value, "--output-limit");
}

/* "SIGSEGV", or "signal 40". */
static void print_signal(FILE *out, int number)
{
    static const char *const names[] = {
        [SIGHUP] = "HUP",   [SIGINT] = "INT",       [SIGQUIT] = "QUIT", [SIGILL] = "ILL",       [SIGTRAP] = "TRAP",
        [SIGABRT] = "ABRT", [SIGBUS] = "BUS",       [SIGFPE] = "FPE",   [SIGKILL] = "KILL",     [SIGUSR1] = "USR1",
        [SIGSEGV] = "SEGV", [SIGUSR2] = "USR2",     [SIGPIPE] = "PIPE", [SIGALRM] = "ALRM",     [SIGTERM] = "TERM",
        [SIGCHLD] = "CHLD", [SIGSTKFLT] = "STKFLT", [SIGCONT] = "CONT", [SIGSTOP] = "STOP",     [SIGTSTP] = "TSTP",
        [SIGTTIN] = "TTIN", [SIGTTOU] = "TTOU",     [SIGURG] = "URG",   [SIGXCPU] = "XCPU",     [SIGXFSZ] = "XFSZ",
        [SIGPROF] = "PROF", [SIGVTALRM] = "VTALRM", [SIGPOLL] = "POLL", [SIGWINCH] = "WINCH",   [SIGPWR] = "PWR",
        [SIGSYS] = "SYS",
    };
    const char *name = number > 0 && number < (int)(sizeof names / sizeof *names) ? names[number] : NULL;
    if (name != NULL)
        fprintf(out, "SIG%s", name);
    else
        fprintf(out, "signal %d", number);
}

static void print_by_signal(FILE *out, const char *title, const char *how, const char *joint, int number,
                            const struct bioxen_record *record)
{
    fprintf(out, "bioxen: %s: %s", title, how);
    if (number > 0) {
        fputs(joint, out);
        print_signal(out, number);
    }
    if (record->error.length > 0) {
        fputs(": ", out);
        print_bytes(out, record->error);
    }
    fputc('\n', out);
}

static void print_internal(FILE *out, const char *title, const struct bioxen_record *record)
{
    fprintf(out, "bioxen: %s: ", title);
    if (record->error.length > 0)
        print_bytes(out, record->error);
    else
        fputs("bioxen or the host failed", out);
    fputc('\n', out);
}

static void print_death(FILE *out, const struct run_request *request, const char *title,
                        const struct bioxen_record *record)
{
    switch (record->outcome) {
    case BIOXEN_OUTCOME_OK:
    case BIOXEN_OUTCOME_EXIT:
    case BIOXEN_OUTCOME_STOPPED:
        break;
    case BIOXEN_OUTCOME_ERROR:
    case BIOXEN_OUTCOME_SYNTAX:
        print_lua_error(out, record);
        break;
    case BIOXEN_OUTCOME_TIMEOUT:
        print_time(out, request, title, false);
        break;
    case BIOXEN_OUTCOME_CPU:
        print_time(out, request, title, true);
        break;
    case BIOXEN_OUTCOME_MEMORY:
        print_memory(out, request, title, record);
        break;
    case BIOXEN_OUTCOME_OUTPUT:
        print_output(out, request, title);
        break;
    case BIOXEN_OUTCOME_POLICY:
        fprintf(out, "bioxen: %s: killed: the system call %s is not allowed in profile %s\n", title,
                record->syscall != NULL ? record->syscall : "(unknown)",
                request->config.profile == BIOXEN_FULL ? "full" : "restricted");
        break;
    case BIOXEN_OUTCOME_CRASH:
        print_by_signal(out, title, "the VM crashed", " with ", record->signal, record);
        break;
    case BIOXEN_OUTCOME_KILLED:
        /*
         * Ended by SIGKILL, but on behalf of the signal that the exit status tells of. Silent as any
         * program in a pipeline when that is because nobody reads.
         */
        if (record->exit_code != 128 + SIGPIPE)
            print_by_signal(out, title, "killed", " by ", record->exit_code - 128, record);
        break;
    case BIOXEN_OUTCOME_INTERNAL:
        print_internal(out, title, record);
        break;
    }
}

char *run_death_text(const struct run_request *request, const struct bioxen_record *record, size_t *length)
{
    char *text = NULL;
    size_t title_length;
    char *title = text_escape(request->title, strlen(request->title), 0, &title_length);
    FILE *out = title != NULL ? open_memstream(&text, length) : NULL;
    if (out != NULL)
        print_death(out, request, title, record);
    free(title);
    if (out == NULL)
        return NULL;
    if (fclose(out) == 0 && *length > 0)
        return text;
    free(text);
    return NULL;
}

void run_say_death(const struct run_request *request, const struct bioxen_record *record)
{
    size_t length;
    if (record->outcome == BIOXEN_OUTCOME_OK || record->outcome == BIOXEN_OUTCOME_EXIT)
        return;
    char *text = run_death_text(request, record, &length);
    if (text != NULL)
        cli_say_bytes(text, length);
    free(text);
}

void run_record_of_failure(const struct run_request *request, const struct run_failure *failure,
                           struct bioxen_record *record)
{
    const struct bioxen_config *config = &request->config;
    *record = (struct bioxen_record){
        .name = config->name,
        .outcome = BIOXEN_OUTCOME_INTERNAL,
        .exit_code = failure->status,
        .error = {.bytes = failure->text, .length = strlen(failure->text)},
        .limits =
            {
                {.name = "memory", .asked = config->memory, .enforced_by = ""},
                {.name = "cpus", .asked = config->cpus_milli, .enforced_by = ""},
                {.name = "timeout", .asked = config->timeout_ms, .enforced_by = ""},
                {.name = "cpu_time", .asked = config->cpu_time_ms, .enforced_by = ""},
                {.name = "pids", .asked = config->pids, .enforced_by = ""},
                {.name = "output_limit", .asked = config->output_limit, .enforced_by = ""},
            },
    };
}

void run_record_correct(struct bioxen_record *record, const struct run_loop *loop, char *text, size_t size)
{
    if (loop->output_error == 0 || loop->signal != 0)
        return;
    if (loop->output_error == EPIPE) {
        record->outcome = BIOXEN_OUTCOME_KILLED;
        record->signal = SIGPIPE;
        record->exit_code = 128 + SIGPIPE;
        return;
    }
    snprintf(text, size, "cannot write to standard %s: %s", loop->output_stream == 2 ? "error" : "output",
             loop->output_error == EBADF ? "it is closed" : strerror(loop->output_error));
    record->outcome = BIOXEN_OUTCOME_INTERNAL;
    record->exit_code = CLI_HOST;
    record->error = (struct bioxen_string){.bytes = text, .length = strlen(text)};
    record->traceback = (struct bioxen_string){.bytes = NULL};
}

void run_say_again(const struct run_request *request, const struct bioxen_record *record, uint64_t wait_us)
{
    char wait[UNITS_TEXT_MAX];
    run_say_death(request, record);
    units_format_time((wait_us + 999) / 1000, wait);
    cli_say("%s: ended with %d; it is started again in %s", request->title, record->exit_code, wait);
}

void run_say_given_up(const struct run_request *request, struct bioxen_string why)
{
    if (why.length > 0)
        cli_say("%s: not started again: %.*s", request->title, (int)why.length, why.bytes);
}
