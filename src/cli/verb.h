/*
 * verb.h - what a verb of the command line is: one verb, one file (cmd_x.c), one constant descriptor.
 *
 * The same tables feed the parser, the help texts and the test that compares man pages and completions
 * with them. Nothing here knows what a verb does.
 */
#ifndef BX_CLI_VERB_H
#define BX_CLI_VERB_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "client/bioxen.h"

/* Exit statuses that bioxen gives itself; the rest is the script's own, or 128 and a signal's number. */
enum cli_status {
    CLI_OK = 0,
    CLI_FAILED = 1,       /* the verb's answer is no (doctor found something) */
    CLI_USAGE = 2,        /* wrong usage */
    CLI_HOST = 125,       /* bioxen or the host could not */
    CLI_UNREADABLE = 126, /* the script cannot be read or does not compile */
    CLI_NOT_FOUND = 127,  /* there is no such script */
};

enum cli_kind {
    CLI_FLAG,  /* takes no value */
    CLI_TEXT,  /* any text */
    CLI_FILE,  /* any text, completed as a file name */
    CLI_WORD,  /* one of `words` */
    CLI_SIZE,  /* bytes: 65536, 64K, 64KiB, 64M, 1G ... within min..max */
    CLI_TIME,  /* milliseconds: 250ms, 5s, 2m, 1h ... within min..max */
    CLI_CPUS,  /* thousandths of a processor: 0.5, 2 ... within min..max */
    CLI_COUNT, /* a whole number within min..max */
};

struct cli_option {
    int id; /* the letter of its short form, or a number of 256 and up when it has none; 'h' is help's */
    const char *name; /* long form without the dashes; NULL: it has only its letter */
    enum cli_kind kind;
    const char *value;    /* what help calls its value, e.g. "SIZE"; NULL for CLI_FLAG */
    uint64_t min, max;    /* CLI_SIZE, CLI_TIME, CLI_CPUS, CLI_COUNT */
    const char *words;    /* CLI_WORD: "restricted|full" */
    const char *fallback; /* its default as one would write it; NULL when there is none */
    const char *help;     /* one line, no full stop */
};

struct cli_verb {
    const char *name;
    const char *arguments; /* as in the synopsis: "[options] SCRIPT|- [ARG...]" */
    const char *summary;   /* one line, no full stop */
    const char *details; /* paragraphs for its help, each line ended by a newline; NULL when there are none */
    const struct cli_option *options; /* NULL when it has none but --help, which every verb has */
    size_t option_count;
    /* argv[0] is the verb's name. Returns the exit status. */
    int (*run)(int argc, char **argv);
};

extern const struct cli_verb verb_run;
extern const struct cli_verb verb_check;
extern const struct cli_verb verb_graph;
extern const struct cli_verb verb_doctor;
extern const struct cli_verb verb_up;
extern const struct cli_verb verb_down;
extern const struct cli_verb verb_ps;
extern const struct cli_verb verb_logs;
extern const struct cli_verb verb_events;
extern const struct cli_verb verb_exec;
extern const struct cli_verb verb_attach;
extern const struct cli_verb verb_stop;
extern const struct cli_verb verb_start;
extern const struct cli_verb verb_restart;
extern const struct cli_verb verb_kill;
extern const struct cli_verb verb_stats;
extern const struct cli_verb verb_inspect;
extern const struct cli_verb verb_test;
extern const struct cli_verb verb_daemon;
extern const struct cli_verb verb_help;

/* Every verb in the order of the help text; ends with NULL. */
extern const struct cli_verb *const cli_verbs[];

const struct cli_verb *cli_find_verb(const char *name);

/* Prints "unknown verb" with a near match. */
void cli_unknown_verb(const char *name);

void cli_print_overview(FILE *out);
void cli_print_verb_help(const struct cli_verb *verb, FILE *out);

/* Flushes what went to stdout. Returns CLI_OK, or CLI_HOST with a message when it could not be written. */
int cli_finish_output(void);

/*
 * Takes one option. `text` is its value as given (NULL for CLI_FLAG), `number` the value of a CLI_SIZE,
 * CLI_TIME, CLI_CPUS or CLI_COUNT, already checked. Returns 0, or -1 after a message.
 */
typedef int cli_take_option(const struct cli_option *option, const char *text, uint64_t number,
                            void *context);

enum cli_parsed { CLI_PARSED, CLI_PARSED_HELP, CLI_PARSED_WRONG };

/*
 * Reads the verb's options up to the first argument that is none, whose index goes to *next.
 * CLI_PARSED_HELP: help was asked for and printed, the exit status is cli_finish_output().
 * CLI_PARSED_WRONG: a message was printed, the exit status is CLI_USAGE.
 */
enum cli_parsed cli_parse_options(const struct cli_verb *verb, int argc, char **argv, cli_take_option *take,
                                  void *context, int *next);

/* Writes "2MiB to 64TiB" and the like, or "" for kinds without a range. */
#define CLI_RANGE_MAX 80
void cli_format_range(const struct cli_option *option, char out[CLI_RANGE_MAX]);

/*
 * Prints "bioxen: ", the text and a newline to stderr. One line, whatever names are in it: control
 * characters, newlines too, and what is no UTF-8 are written as \xNN.
 */
void cli_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Prints several lines that a script may have a part in: newlines and tabs stay, and where stderr is no
 * terminal so does what is no UTF-8.
 */
void cli_say_bytes(const char *bytes, size_t length);

#endif
