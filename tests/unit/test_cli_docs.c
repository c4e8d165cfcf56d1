/*
 * test_cli_docs.c - manual pages and completions say what the tables say: every verb, every option, value,
 * range and default, and no option that is not there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cli/run.h"

#define FILE_MAX (64u << 10)

/* The top of the source tree, seen from the build directory's tests or from itself. */
static char *read_source(const char *path)
{
    char full[512];
    const char *file = __FILE__; /* .../tests/unit/test_cli_docs.c */
    int top = (int)(strlen(file) - strlen("tests/unit/test_cli_docs.c"));
    snprintf(full, sizeof full, "%.*s%s", top, file, path);
    FILE *in = fopen(full, "r");
    if (in == NULL)
        fail_msg("cannot read %s", full);
    char *text = calloc(1, FILE_MAX);
    assert_true(fread(text, 1, FILE_MAX - 1, in) > 0);
    fclose(in);
    return text;
}

static void expect_in(const char *text, const char *part, const char *where)
{
    if (strstr(text, part) == NULL)
        fail_msg("%s lacks: %s", where, part);
}

/* The item of an option in a manual page: from its .It line to the next one. */
static char *item_of(const char *page, const struct cli_option *option)
{
    char head[64];
    if (option->name != NULL)
        snprintf(head, sizeof head, "\n.It Fl -%s", option->name);
    else
        snprintf(head, sizeof head, "\n.It Fl %c", option->id);
    const char *start = strstr(page, head);
    if (start == NULL)
        fail_msg("the manual lacks %s", head + 1);
    const char *end = strstr(start + 1, "\n.It ");
    return strndup(start, end != NULL ? (size_t)(end - start) : strlen(start));
}

static void manual_of(const struct cli_verb *verb)
{
    char path[64], text[CLI_RANGE_MAX + 64], range[CLI_RANGE_MAX];
    snprintf(path, sizeof path, "docs/man/bioxen-%s.1", verb->name);
    char *page = read_source(path);
    for (size_t i = 0; i < verb->option_count; i++) {
        const struct cli_option *option = &verb->options[i];
        char *item = item_of(page, option);
        cli_format_range(option, range);
        expect_in(item, range, path);
        if (option->fallback != NULL) {
            snprintf(text, sizeof text, "The default is %s.", option->fallback);
            if (strchr(option->fallback, ' ') != NULL) /* words, not a value */
                snprintf(text, sizeof text, "The default is %s", option->fallback);
            expect_in(item, text, path);
        }
        free(item);
    }
    free(page);
}

static void manual_pages(void **state)
{
    char *overview = read_source("docs/man/bioxen.1");
    char text[64];
    (void)state;
    for (size_t i = 0; cli_verbs[i] != NULL; i++) {
        snprintf(text, sizeof text, ".It Cm %s\n", cli_verbs[i]->name);
        expect_in(overview, text, "docs/man/bioxen.1");
    }
    for (size_t i = 0; cli_verbs[i] != NULL; i++)
        if (cli_verbs[i] != &verb_help) /* bioxen(1) has it */
            manual_of(cli_verbs[i]);
    free(overview);
}

/* Does a table have the option? */
static bool is_known(const char *name, size_t length)
{
    static const char *const always[] = {"help", "version"};
    for (size_t i = 0; i < sizeof always / sizeof always[0]; i++)
        if (strlen(always[i]) == length && memcmp(always[i], name, length) == 0)
            return true;
    for (size_t v = 0; cli_verbs[v] != NULL; v++)
        for (size_t i = 0; i < cli_verbs[v]->option_count; i++) {
            const char *known = cli_verbs[v]->options[i].name;
            if (known != NULL && strlen(known) == length && memcmp(known, name, length) == 0)
                return true;
        }
    return false;
}

/* Nothing is offered that does not exist: every word after `mark` is an option. */
static void expect_only_known(const char *text, const char *mark, const char *where)
{
    for (const char *at = text; (at = strstr(at, mark)) != NULL;) {
        at += strlen(mark);
        size_t length = strspn(at, "abcdefghijklmnopqrstuvwxyz-");
        if (length > 0 && strncmp(at, "option=", 7) != 0 && !is_known(at, length))
            fail_msg("%s offers --%.*s", where, (int)length, at);
    }
}

static void completion(const char *path, const char *before, const char *mark)
{
    char *text = read_source(path);
    char want[64];
    for (size_t v = 0; cli_verbs[v] != NULL; v++)
        for (size_t i = 0; i < cli_verbs[v]->option_count; i++) {
            const struct cli_option *option = &cli_verbs[v]->options[i];
            if (option->name == NULL)
                continue;
            snprintf(want, sizeof want, "%s%s", before, option->name);
            expect_in(text, want, path);
        }
    expect_in(text, "restricted full", path);
    expect_only_known(text, mark, path);
    free(text);
}

static void completions(void **state)
{
    (void)state;
    completion("config/completions/bioxen.bash", "--", " --");
    completion("config/completions/_bioxen", "--", "--");
    completion("config/completions/bioxen.fish", " -l ", " -l ");
}

static void help_names_everything(void **state)
{
    char *text = NULL;
    size_t length = 0;
    (void)state;
    for (size_t v = 0; cli_verbs[v] != NULL; v++) {
        FILE *out = open_memstream(&text, &length);
        cli_print_verb_help(cli_verbs[v], out);
        fclose(out);
        expect_in(text, "--help", cli_verbs[v]->name);
        for (size_t i = 0; i < cli_verbs[v]->option_count; i++) {
            char range[CLI_RANGE_MAX];
            const struct cli_option *option = &cli_verbs[v]->options[i];
            cli_format_range(option, range);
            expect_in(text, option->name != NULL ? option->name : "-e CODE", cli_verbs[v]->name);
            expect_in(text, range, cli_verbs[v]->name);
            expect_in(text, option->help, cli_verbs[v]->name);
        }
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(manual_pages),
        cmocka_unit_test(completions),
        cmocka_unit_test(help_names_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
