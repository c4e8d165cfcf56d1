/*
 * test_cli_text.c - strangers' bytes on their way to a terminal, a log or JSON; near matches of mistyped
 * words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/suggest.h"
#include "common/text.h"

#define LINES (TEXT_KEEP_LINES)
#define BYTES (TEXT_KEEP_BYTES)

static void utf8_characters(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
    } rows[] = {
        {"a", 1},
        {"\x7f", 1},
        {"\xc3\xa9", 2},
        {"\xe2\x82\xac", 3},
        {"\xf0\x9f\x98\x80", 4},
        {"\xf4\x8f\xbf\xbf", 4},
        {"\x80", 0},
        {"\xbf", 0},
        {"\xc0\x80", 0},
        {"\xc1\xbf", 0},
        {"\xc3", 0},
        {"\xc3z", 0},
        {"\xe0\x80\x80", 0},
        {"\xed\xa0\x80", 0},
        {"\xe2\x82", 0},
        {"\xe2\x82z", 0},
        {"\xf0\x80\x80\x80", 0},
        {"\xf4\x90\x80\x80", 0},
        {"\xf5\x80\x80\x80", 0},
        {"\xff", 0},
        {"\xf0\x9f\x98", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(text_utf8_length(rows[i].bytes, strlen(rows[i].bytes)), rows[i].length);
    assert_int_equal(text_utf8_length("", 0), 0);
    assert_int_equal(text_utf8_length("\0", 1), 1);
}

static void expect_escaped(const char *bytes, size_t length, unsigned keep, const char *want)
{
    size_t got_length = 0;
    char *got = text_escape(bytes, length, keep, &got_length);
    assert_non_null(got);
    assert_string_equal(got, want);
    assert_int_equal(got_length, strlen(want));
    free(got);
}

static void escapes(void **state)
{
    (void)state;
    expect_escaped("", 0, 0, "");
    expect_escaped("plain \xc3\xa9", 8, 0, "plain \xc3\xa9");
    expect_escaped("a\033[31m\007\r", 8, LINES, "a\\x1b[31m\\x07\\x0d");
    expect_escaped("a\n\tb", 4, LINES, "a\n\tb");
    expect_escaped("a\n\tb", 4, 0, "a\\x0a\\x09b");
    expect_escaped("\xff\x9b", 2, 0, "\\xff\\x9b");
    expect_escaped("\xff", 1, BYTES, "\xff");
    expect_escaped("\xc2\x9b", 2, BYTES, "\\xc2\\x9b"); /* a C1 control in UTF-8 is one */
    expect_escaped("\0\x7f", 2, LINES | BYTES, "\\x00\\x7f");
    expect_escaped("\xe2\x82", 2, 0, "\\xe2\\x82");
}

static void replacements(void **state)
{
    size_t length;
    char *text = text_valid_utf8("a\xff\xc3\xa9\xe2\x82z\0!", 9, &length);
    (void)state;
    assert_int_equal(length, 1 + 3 + 2 + 3 + 3 + 1 + 1 + 1);
    assert_memory_equal(text, "a\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbdz\0!", length);
    free(text);
}

static const char *near(const char *word)
{
    static const char *const known[] = {"memory",  "timeout", "cpu-time", "cpus",  "profile",
                                        "network", "name",    "pids",     "report"};
    struct suggestion suggestion;
    suggest_init(&suggestion, word, strlen(word));
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        suggest_offer(&suggestion, known[i]);
    return suggestion.best != NULL ? suggestion.best : "";
}

static void suggestions(void **state)
{
    (void)state;
    assert_string_equal(near("memroy"), "memory");
    assert_string_equal(near("mem"), "memory");
    assert_string_equal(near("time-out"), "timeout");
    assert_string_equal(near("cpu"), "cpus");
    assert_string_equal(near("cputime"), "cpu-time");
    assert_string_equal(near("porfile"), "profile");
    assert_string_equal(near("frobnicate"), "");
    assert_string_equal(near("x"), "");
    assert_string_equal(near(""), "");
    assert_string_equal(near("memorymemorymemorymemorymemorymemorymemory"), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_characters),
        cmocka_unit_test(escapes),
        cmocka_unit_test(replacements),
        cmocka_unit_test(suggestions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
