/* cmd_help.c - bioxen help: what there is, and what a verb does. */
#include "verb.h"

static int no_options(const struct cli_option *option, const char *text, uint64_t number, void *context)
{
    (void)option, (void)text, (void)number, (void)context;
    return 0;
}

static int run_help(int argc, char **argv)
{
    int next;
    enum cli_parsed parsed = cli_parse_options(&verb_help, argc, argv, no_options, NULL, &next);
    if (parsed != CLI_PARSED)
        return parsed == CLI_PARSED_HELP ? cli_finish_output() : CLI_USAGE;
    if (argc - next > 1) {
        cli_say("help: one verb at a time");
        return CLI_USAGE;
    }
    if (next == argc) {
        cli_print_overview(stdout);
        return cli_finish_output();
    }
    const struct cli_verb *verb = cli_find_verb(argv[next]);
    if (verb == NULL) {
        cli_unknown_verb(argv[next]);
        return CLI_USAGE;
    }
    cli_print_verb_help(verb, stdout);
    return cli_finish_output();
}

const struct cli_verb verb_help = {
    .name = "help",
    .arguments = "[VERB]",
    .summary = "Tell what there is, or what a verb does",
    .run = run_help,
};
