/*
 * test_report.c - results of tests: TAP (version 14) on standard output, and JUnit's XML. What a test printed is a
 * stranger's text: it is made fit for a terminal, and for XML.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "test.h"

/* ---- TAP ---- */

int tests_print_plan(const struct tests *tests)
{
    errno = 0;
    printf("TAP version 14\n1..%zu\n", tests->count);
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : -1;
}

/* A description ends at a '#', behind which TAP has directives. */
static void print_name(const char *path)
{
    size_t length;
    char *safe = text_escape(path, strlen(path), 0, &length);
    for (const char *at = safe; at != NULL && *at != '\0'; at++) {
        if (*at == '#' || *at == '\\')
            putchar('\\');
        putchar(*at);
    }
    free(safe);
}

/* Each line as a comment. */
static void print_comment(const char *bytes, size_t length)
{
    char *safe = text_escape(bytes, length, TEXT_KEEP_LINES, &length);
    for (char *line = safe, *end; line != NULL && *line != '\0'; line = end) {
        end = line + strcspn(line, "\n");
        printf("# %.*s\n", (int)(end - line), line);
        end += *end == '\n';
    }
    free(safe);
}

static void print_failure(const struct test *test)
{
    printf("  ---\n  outcome: %s\n  exit_code: %d\n  ...\n", bioxen_outcome_name(test->outcome),
           test->exit_code);
    if (test->why != NULL)
        print_comment(test->why, strlen(test->why));
    if (test->output_length > 0)
        printf("# output%s:\n", test->output_cut ? " (its end)" : "");
    print_comment(test->output, test->output_length);
}

static void print_result(const struct test *test, size_t number)
{
    printf("%s %zu - ", test->state == TEST_PASSED ? "ok" : "not ok", number);
    print_name(test->path);
    printf(" # time=%llums\n", (unsigned long long)(test->wall_us / 1000));
    if (test->state == TEST_FAILED)
        print_failure(test);
}

int tests_print_new(struct tests *tests)
{
    errno = 0;
    for (; tests->told < tests->count; tests->told++) {
        const struct test *test = &tests->list[tests->told];
        if (test->state != TEST_PASSED && test->state != TEST_FAILED)
            break;
        print_result(test, tests->told + 1);
        tests->passed += test->state == TEST_PASSED;
        tests->failed += test->state == TEST_FAILED;
    }
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : -1;
}

/* ---- JUnit ---- */

/* XML 1.0 knows no way to write most control characters. */
static void put_xml(FILE *out, const char *bytes, size_t length)
{
    char *valid = text_valid_utf8(bytes, length, &length);
    for (size_t i = 0; valid != NULL && i < length; i++) {
        unsigned char c = (unsigned char)valid[i];
        switch (c) {
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '&':
            fputs("&amp;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        case '\n':
        case '\t':
            fputc(c, out);
            break;
        default:
            if (c < 0x20)
                fputs("\xef\xbf\xbd", out);
            else
                fputc(c, out);
        }
    }
    free(valid);
}

static void put_text(FILE *out, const char *text)
{
    put_xml(out, text, strlen(text));
}

static void put_case(FILE *out, const struct test *test)
{
    fputs("    <testcase classname=\"bioxen\" name=\"", out);
    put_text(out, test->path);
    fprintf(out, "\" time=\"%.3f\">\n", (double)test->wall_us / 1e6);
    if (test->state == TEST_FAILED) {
        const char *element = test->outcome == BIOXEN_OUTCOME_INTERNAL ? "error" : "failure";
        fprintf(out, "      <%s type=\"%s\" message=\"exit status %d\">", element,
                bioxen_outcome_name(test->outcome), test->exit_code);
        put_text(out, test->why != NULL ? test->why : "");
        fprintf(out, "</%s>\n", element);
    } else if (test->state != TEST_PASSED) {
        fputs("      <skipped message=\"interrupted\"/>\n", out);
    }
    if (test->output_length > 0) {
        fputs("      <system-out>", out);
        put_xml(out, test->output, test->output_length);
        fputs("</system-out>\n", out);
    }
    fputs("    </testcase>\n", out);
}

/* Of those that were told of: an interrupted run may have failures that were not. */
static void count(const struct tests *tests, size_t *failed, size_t *broken, size_t *not_run,
                  uint64_t *wall_us)
{
    for (size_t i = 0; i < tests->count; i++) {
        const struct test *test = &tests->list[i];
        bool internal = test->outcome == BIOXEN_OUTCOME_INTERNAL;
        *failed += test->state == TEST_FAILED && !internal;
        *broken += test->state == TEST_FAILED && internal;
        *not_run += test->state != TEST_FAILED && test->state != TEST_PASSED;
        *wall_us += test->wall_us;
    }
}

char *tests_junit(const struct tests *tests)
{
    char *text = NULL;
    size_t length = 0, failed = 0, broken = 0, not_run = 0;
    uint64_t wall_us = 0;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL)
        return NULL;
    count(tests, &failed, &broken, &not_run, &wall_us);
    fprintf(
        out,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"bioxen\" tests=\"%zu\" "
        "failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\" time=\"%.3f\">\n",
        tests->count, failed, broken, not_run, (double)wall_us / 1e6);
    for (size_t i = 0; i < tests->count; i++)
        put_case(out, &tests->list[i]);
    fputs("  </testsuite>\n</testsuites>\n", out);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}
