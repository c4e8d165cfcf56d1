/*
 * cmd_doctor.c - bioxen doctor: shows what this host can enforce, what it cannot, why, and what mends it.
 *
 * It only renders: the trials are made by a jailer of its own, where they are what `run` really does.
 */
#include "verb.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "client/bioxen.h"

/* Titles that are named beside one cause. */
#define TITLES_NAMED 4

struct row {
    enum bioxen_finding_status status;
    bool required;
    char *id, *title, *needed_by, *note, *cause, *fix;
};

struct report {
    struct row *rows;
    size_t count, room;
    bool privileged;
    bool out_of_memory;
};

/* ---- collecting ---- */

static void row_fini(struct row *row)
{
    free(row->id);
    free(row->title);
    free(row->needed_by);
    free(row->note);
    free(row->cause);
    free(row->fix);
}

static void report_fini(struct report *report)
{
    for (size_t i = 0; i < report->count; i++)
        row_fini(&report->rows[i]);
    free(report->rows);
}

static bool grow(struct report *report)
{
    if (report->count < report->room)
        return true;
    size_t room = report->room == 0 ? 32 : 2 * report->room;
    struct row *rows = realloc(report->rows, room * sizeof *rows);
    if (rows == NULL)
        return false;
    report->rows = rows;
    report->room = room;
    return true;
}

static void on_finding(const struct bioxen_finding *finding, void *context)
{
    struct report *report = context;
    report->privileged = finding->privileged != 0;
    if (!grow(report)) {
        report->out_of_memory = true;
        return;
    }
    struct row *row = &report->rows[report->count++];
    *row = (struct row){finding->status,        finding->required != 0,     strdup(finding->id),
                        strdup(finding->title), strdup(finding->needed_by), strdup(finding->note),
                        strdup(finding->cause), strdup(finding->fix)};
    if (!row->id || !row->title || !row->needed_by || !row->note || !row->cause || !row->fix) {
        row_fini(row);
        report->count--;
        report->out_of_memory = true;
    }
}

static bool all_required(const struct report *report)
{
    for (size_t i = 0; i < report->count; i++)
        if (report->rows[i].required && report->rows[i].status == BIOXEN_FINDING_MISSING)
            return false;
    return true;
}

/* ---- JSON ---- */

static const char *const status_names[] = {"ok", "degraded", "missing"};

static json_t *text_or_null(const char *text)
{
    return text[0] == '\0' ? json_null() : json_string(text);
}

static json_t *row_json(const struct row *row)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:b, s:o, s:o, s:o}", "id", row->id, "title", row->title, "status",
                     status_names[row->status], "needed_by", row->needed_by, "required", row->required,
                     "note", text_or_null(row->note), "cause", text_or_null(row->cause), "fix",
                     text_or_null(row->fix));
}

static int print_json(const struct report *report, const struct utsname *kernel)
{
    json_t *checks = json_array();
    for (size_t i = 0; i < report->count; i++)
        json_array_append_new(checks, row_json(&report->rows[i]));
    json_t *all = json_pack("{s:b, s:b, s:s, s:o}", "ok", all_required(report), "privileged",
                            report->privileged, "kernel", kernel->release, "checks", checks);
    int rc = all == NULL ? -1 : json_dumpf(all, stdout, JSON_COMPACT);
    json_decref(all);
    if (rc != 0)
        return -1;
    putchar('\n');
    return 0;
}

/* ---- text ---- */

static const char *colour(enum bioxen_finding_status status)
{
    static const char *const colours[] = {"\033[32m", "\033[33m", "\033[31m"};
    const char *no_color = getenv("NO_COLOR");
    if (!isatty(STDOUT_FILENO) || (no_color != NULL && no_color[0] != '\0'))
        return "";
    return colours[status];
}

static int widest_title(const struct report *report)
{
    size_t width = 0;
    for (size_t i = 0; i < report->count; i++) {
        size_t length = strlen(report->rows[i].title);
        width = length > width ? length : width;
    }
    return (int)width;
}

static void print_row(const struct row *row, int width)
{
    const char *start = colour(row->status);
    const char *text = row->status == BIOXEN_FINDING_OK ? row->note : row->needed_by;
    const char *label = row->status == BIOXEN_FINDING_OK || text[0] == '\0' ? "" : "needed by ";
    printf("%s%-8s%s  ", start, status_names[row->status], start[0] == '\0' ? "" : "\033[0m");
    if (text[0] == '\0')
        printf("%s\n", row->title);
    else
        printf("%-*s  %s%s\n", width, row->title, label, text);
}

static bool same_cause(const struct row *a, const struct row *b)
{
    return b->status != BIOXEN_FINDING_OK && strcmp(a->cause, b->cause) == 0 && strcmp(a->fix, b->fix) == 0;
}

/* Every cause once: many trials fail for the same one. */
static bool said_before(const struct report *report, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (same_cause(&report->rows[index], &report->rows[i]))
            return true;
    return false;
}

/* The first titles of one cause; a switched-off user namespace takes nearly everything with it. */
static void print_titles(const struct report *report, size_t index)
{
    size_t named = 1, others = 0;
    printf("\n%s", report->rows[index].title);
    for (size_t i = index + 1; i < report->count; i++) {
        if (!same_cause(&report->rows[index], &report->rows[i]))
            continue;
        if (named < TITLES_NAMED) {
            printf("; %s", report->rows[i].title);
            named++;
        } else {
            others++;
        }
    }
    if (others > 0)
        printf("; and %zu more", others);
    printf("\n");
}

static void print_fixes(const struct report *report)
{
    for (size_t i = 0; i < report->count; i++) {
        const struct row *row = &report->rows[i];
        if (row->status == BIOXEN_FINDING_OK || said_before(report, i))
            continue;
        print_titles(report, i);
        printf("  why: %s\n", row->cause);
        if (row->fix[0] != '\0')
            printf("  fix: %s\n", row->fix);
    }
}

static void print_text(const struct report *report, const struct utsname *kernel)
{
    int width = widest_title(report);
    printf("Linux %s, as %s\n\n", kernel->release, report->privileged ? "root" : "an ordinary user");
    for (size_t i = 0; i < report->count; i++)
        print_row(&report->rows[i], width);
    print_fixes(report);
    printf("\n%s\n", all_required(report) ? "'bioxen run' works here." : "'bioxen run' does not work here.");
}

/* ---- the verb ---- */

static int diagnose(bool json)
{
    struct report report = {0};
    struct bioxen_error err = {0};
    struct utsname kernel;
    int rc = bioxen_doctor(on_finding, &report, &err);
    uname(&kernel);
    if (rc != 0 || report.out_of_memory) {
        cli_say("doctor: %s", rc != 0 ? err.text : "out of memory");
        report_fini(&report);
        return CLI_HOST;
    }
    int status = all_required(&report) ? CLI_OK : CLI_FAILED;
    if (!json)
        print_text(&report, &kernel);
    else if (print_json(&report, &kernel) != 0)
        status = CLI_HOST;
    report_fini(&report);
    int written = cli_finish_output();
    return written != CLI_OK ? written : status;
}

static const struct cli_option options[] = {
    {.id = 256, .name = "json", .kind = CLI_FLAG, .help = "one JSON object instead of text"},
};

static int take_option(const struct cli_option *option, const char *text, uint64_t number, void *context)
{
    (void)option, (void)text, (void)number;
    *(bool *)context = true;
    return 0;
}

static int run_doctor(int argc, char **argv)
{
    bool json = false;
    int next;
    enum cli_parsed parsed = cli_parse_options(&verb_doctor, argc, argv, take_option, &json, &next);
    if (parsed != CLI_PARSED)
        return parsed == CLI_PARSED_HELP ? cli_finish_output() : CLI_USAGE;
    if (next != argc) {
        cli_say("doctor: takes no arguments ('%s')", argv[next]);
        return CLI_USAGE;
    }
    return diagnose(json);
}

const struct cli_verb verb_doctor = {
    .name = "doctor",
    .arguments = "[--json]",
    .summary = "Try what this host can enforce; say what it can't, why, and what mends it",
    .details =
        "Each thing that a jail needs is tried by doing it, in processes that leave nothing behind, as whoever\n"
        "you are: run it as root and as the user who will run scripts.\n"
        "\n"
        "Exit status: 0 when everything works that 'bioxen run' needs by default, 1 when not, 125 when\n"
        "it could not be found out.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run_doctor,
};
