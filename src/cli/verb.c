/* verb.c - the table of verbs, and the help texts that are made from the tables. */
#include "verb.h"

#include <errno.h>
#include <string.h>

#include "common/suggest.h"

const struct cli_verb *const cli_verbs[] = {
    &verb_run,     &verb_up,    &verb_down,  &verb_ps,      &verb_logs,  &verb_events, &verb_exec,
    &verb_attach,  &verb_stop,  &verb_start, &verb_restart, &verb_kill,  &verb_stats,  &verb_inspect,
    &verb_check,   &verb_graph, &verb_test,  &verb_daemon,  &verb_doctor, &verb_help,  NULL,
};

/* Where the explanation of an option begins. */
#define HELP_COLUMN 27

const struct cli_verb *cli_find_verb(const char *name)
{
    for (size_t i = 0; cli_verbs[i] != NULL; i++)
        if (strcmp(cli_verbs[i]->name, name) == 0)
            return cli_verbs[i];
    return NULL;
}

void cli_unknown_verb(const char *name)
{
    struct suggestion near;
    suggest_init(&near, name, strlen(name));
    for (size_t i = 0; cli_verbs[i] != NULL; i++)
        suggest_offer(&near, cli_verbs[i]->name);
    if (near.best != NULL)
        cli_say("unknown verb '%s'; did you mean '%s'?", name, near.best);
    else if (strchr(name, '.') != NULL || strchr(name, '/') != NULL)
        cli_say("unknown verb '%s'; to run a script: bioxen run %s", name, name);
    else
        cli_say("unknown verb '%s' (see 'bioxen help')", name);
}

void cli_print_overview(FILE *out)
{
    fputs("usage: bioxen VERB [ARGUMENT...]\n"
          "\n"
          "Runs Lua scripts that nobody has to trust, each in a virtual machine with a jail of its own.\n"
          "\n"
          "verbs:\n",
          out);
    for (size_t i = 0; cli_verbs[i] != NULL; i++)
        fprintf(out, "  %-10s %s\n", cli_verbs[i]->name, cli_verbs[i]->summary);
    fputs("\n"
          "options:\n"
          "  --help     this text\n"
          "  --version  the version\n"
          "\n"
          "'bioxen help VERB' tells more of a verb.\n",
          out);
}

static void print_option(const struct cli_option *option, FILE *out)
{
    char range[CLI_RANGE_MAX];
    int width = 0;
    cli_format_range(option, range);
    if (option->id < 256)
        width += fprintf(out, "  -%c%s", option->id, option->name != NULL ? ", " : " ");
    else
        width += fprintf(out, "      ");
    if (option->name != NULL)
        width += fprintf(out, "--%s%s", option->name, option->kind != CLI_FLAG ? " " : "");
    if (option->kind != CLI_FLAG)
        width += fprintf(out, "%s", option->value);
    if (width >= HELP_COLUMN)
        width = fprintf(out, "\n") - 1;
    fprintf(out, "%*s%s", HELP_COLUMN - width, "", option->help);
    if (range[0] != '\0')
        fprintf(out, "; %s", range);
    if (option->fallback != NULL)
        fprintf(out, " (default %s)", option->fallback);
    fputc('\n', out);
}

void cli_print_verb_help(const struct cli_verb *verb, FILE *out)
{
    static const struct cli_option help = {.id = 'h', .name = "help", .kind = CLI_FLAG, .help = "this text"};
    fprintf(out, "usage: bioxen %s %s\n\n%s.\n", verb->name, verb->arguments, verb->summary);
    fputs("\noptions:\n", out);
    for (size_t i = 0; i < verb->option_count; i++)
        print_option(&verb->options[i], out);
    print_option(&help, out);
    if (verb->details != NULL)
        fprintf(out, "\n%s", verb->details);
}

int cli_finish_output(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return CLI_OK;
    cli_say("cannot write to standard output: %s", strerror(errno));
    return CLI_HOST;
}
