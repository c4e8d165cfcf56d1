/*
 * options.c - reads the options of any verb from its table; getopt_long does the splitting.
 *
 * Every refusal names the option, the value and what is allowed. Long options must be written out: an
 * abbreviation that works today would be ambiguous, and so an error, in a script of tomorrow.
 */
#include "verb.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <string.h>

#include "common/suggest.h"
#include "common/units.h"

/* No verb has more; checked when the tables for getopt_long are made. */
#define OPTIONS_MAX 40

static const struct cli_option help_option = {.id = 'h', .name = "help", .kind = CLI_FLAG};

struct getopt_tables {
    struct option longs[OPTIONS_MAX + 2];
    char shorts[2 * OPTIONS_MAX + 8];
};

static void make_tables(const struct cli_verb *verb, struct getopt_tables *tables)
{
    size_t longs = 0;
    char *s = tables->shorts;
    s += strlen(
        strcpy(s, "+:h")); /* "+": stop at the first argument that is no option; ":": we print the errors */
    tables->longs[longs++] = (struct option){.name = "help", .has_arg = no_argument, .val = 'h'};
    for (size_t i = 0; i < verb->option_count && i < OPTIONS_MAX; i++) {
        const struct cli_option *option = &verb->options[i];
        int has_arg = option->kind == CLI_FLAG ? no_argument : required_argument;
        if (option->name != NULL)
            tables->longs[longs++] =
                (struct option){.name = option->name, .has_arg = has_arg, .val = option->id};
        if (option->id < 256) {
            *s++ = (char)option->id;
            if (has_arg == required_argument)
                *s++ = ':';
        }
    }
}

static const struct cli_option *find_option(const struct cli_verb *verb, int id)
{
    for (size_t i = 0; i < verb->option_count; i++)
        if (verb->options[i].id == id)
            return &verb->options[i];
    return id == 'h' ? &help_option : NULL;
}

/* The option as a user writes it: "--memory" or "-e". */
#define LABEL_MAX 48
static void label(const struct cli_option *option, char out[LABEL_MAX])
{
    if (option->name != NULL)
        snprintf(out, LABEL_MAX, "--%s", option->name);
    else
        snprintf(out, LABEL_MAX, "-%c", option->id);
}

static void format_number(enum cli_kind kind, uint64_t number, char out[UNITS_TEXT_MAX])
{
    switch (kind) {
    case CLI_SIZE:
        units_format_size(number, out);
        break;
    case CLI_TIME:
        units_format_time(number, out);
        break;
    case CLI_CPUS:
        units_format_cpus(number, out);
        break;
    default:
        snprintf(out, UNITS_TEXT_MAX, "%llu", (unsigned long long)number);
        break;
    }
}

void cli_format_range(const struct cli_option *option, char out[CLI_RANGE_MAX])
{
    char low[UNITS_TEXT_MAX], high[UNITS_TEXT_MAX];
    out[0] = '\0';
    if (option->kind < CLI_SIZE)
        return;
    format_number(option->kind, option->min, low);
    format_number(option->kind, option->max, high);
    snprintf(out, CLI_RANGE_MAX, "%s to %s", low, high);
}

static const char *form_of(enum cli_kind kind)
{
    switch (kind) {
    case CLI_SIZE:
        return "a size: bytes, or a number with K, M, G or T (or KiB, MiB, GiB, TiB), like 64MiB";
    case CLI_TIME:
        return "a time: a number with ms, s, m or h, like 250ms or 5s";
    case CLI_CPUS:
        return "a number of processors, like 0.5 or 2";
    default:
        return "a whole number";
    }
}

static int read_number(enum cli_kind kind, const char *text, uint64_t *number)
{
    switch (kind) {
    case CLI_SIZE:
        return units_size(text, number);
    case CLI_TIME:
        return units_time(text, number);
    case CLI_CPUS:
        return units_cpus(text, number);
    default:
        return units_count(text, number);
    }
}

static int check_number(const struct cli_option *option, const char *text, uint64_t *number)
{
    char name[LABEL_MAX], range[CLI_RANGE_MAX];
    label(option, name);
    cli_format_range(option, range);
    int rc = read_number(option->kind, text, number);
    if (rc == -EINVAL) {
        cli_say("%s: '%s' is not %s; allowed is %s", name, text, form_of(option->kind), range);
        return -1;
    }
    if (rc < 0 || *number < option->min || *number > option->max) {
        const char *hint =
            option->kind == CLI_TIME && rc == 0 && *number == 0 ? "; leave the option out for no limit" : "";
        cli_say("%s: '%s' is out of range: allowed is %s%s", name, text, range, hint);
        return -1;
    }
    return 0;
}

static int check_word(const struct cli_option *option, const char *text)
{
    struct suggestion near;
    char name[LABEL_MAX], words[128], *rest = words;
    label(option, name);
    suggest_init(&near, text, strlen(text));
    snprintf(words, sizeof words, "%s", option->words);
    for (char *word; (word = strsep(&rest, "|")) != NULL;) {
        if (strcmp(word, text) == 0)
            return 0;
        suggest_offer(&near, word);
    }
    cli_say("%s: '%s' is not one of %s%s%s%s", name, text, option->words,
            near.best != NULL ? "; did you mean '" : "", near.best != NULL ? near.best : "",
            near.best != NULL ? "'?" : "");
    return -1;
}

static int take_one(const struct cli_option *option, const char *text, cli_take_option *take, void *context)
{
    uint64_t number = 0;
    if (option->kind >= CLI_SIZE && check_number(option, text, &number) < 0)
        return -1;
    if (option->kind == CLI_WORD && check_word(option, text) < 0)
        return -1;
    return take(option, text, number, context);
}

static void say_unknown(const struct cli_verb *verb, const char *argument)
{
    size_t length = strcspn(argument, "=");
    struct suggestion near;
    suggest_init(&near, argument + 2, length < 2 ? 0 : length - 2);
    if (strncmp(argument, "--", 2) == 0) {
        suggest_offer(&near, help_option.name);
        for (size_t i = 0; i < verb->option_count; i++)
            if (verb->options[i].name != NULL)
                suggest_offer(&near, verb->options[i].name);
    }
    if (near.best != NULL)
        cli_say("%s: unknown option '%.*s'; did you mean '--%s'?", verb->name, (int)length, argument,
                near.best);
    else
        cli_say("%s: unknown option '%.*s' (see 'bioxen %s --help')", verb->name, (int)length, argument,
                verb->name);
}

/* Is the argument a long option that was written out? getopt_long also takes beginnings. */
static bool is_written_out(const char *argument, const struct cli_option *option)
{
    if (strncmp(argument, "--", 2) != 0)
        return true;
    return option->name != NULL && strcspn(argument + 2, "=") == strlen(option->name);
}

/* getopt_long found `found` wrong ('?' or ':') in `argument`; optopt is the letter or the option's id. */
static void say_wrong(const struct cli_verb *verb, int found, const char *argument)
{
    const struct cli_option *option = find_option(verb, optopt);
    char name[LABEL_MAX];
    bool is_long = strncmp(argument, "--", 2) == 0;
    if (option == NULL || (is_long && !is_written_out(argument, option))) {
        char letter[3] = {'-', (char)optopt, '\0'};
        say_unknown(verb, is_long ? argument : letter);
        return;
    }
    label(option, name);
    if (found == ':')
        cli_say("%s: %s needs a value: %s", verb->name, name, option->value);
    else
        cli_say("%s: %s takes no value", verb->name, name);
}

enum cli_parsed cli_parse_options(const struct cli_verb *verb, int argc, char **argv, cli_take_option *take,
                                  void *context, int *next)
{
    struct getopt_tables tables = {0};
    make_tables(verb, &tables);
    opterr = 0;
    optind = 0; /* glibc: start anew */
    for (int at = 1;; at = optind) {
        int found = getopt_long(argc, argv, tables.shorts, tables.longs, NULL);
        if (found == -1)
            break;
        if (found == '?' || found == ':') {
            say_wrong(verb, found, argv[at]);
            return CLI_PARSED_WRONG;
        }
        const struct cli_option *option = find_option(verb, found);
        if (!is_written_out(argv[at], option)) {
            say_unknown(verb, argv[at]);
            return CLI_PARSED_WRONG;
        }
        if (option == &help_option) {
            cli_print_verb_help(verb, stdout);
            return CLI_PARSED_HELP;
        }
        if (take_one(option, optarg, take, context) < 0)
            return CLI_PARSED_WRONG;
    }
    *next = optind;
    return CLI_PARSED;
}
