/*
 * test_vm_run.c - a script from its first byte to its last word: arguments, ends, errors, messages. What
 * lua(1) does is the measure.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "vm_child.h"

#include <cmocka.h>

#define TEXT(literal) {literal, sizeof(literal) - 1}

static const enum jw_profile profiles[] = {JW_RESTRICTED, JW_FULL};

/* The end of a script in both profiles: outcome, status, message and what it printed. */
static void expect_input(struct child_input input, enum lw_outcome outcome, int status, const char *message,
                         const char *out)
{
    for (int i = 0; i < 2; i++) {
        input.profile = profiles[i];
        struct child_result *r = child_run(&input);
        if (!r->done)
            fail_msg("no LW_DONE for: %s\n%s", input.text, r->err);
        assert_string_equal(r->message, message);
        assert_int_equal(r->last.a, outcome);
        assert_int_equal(r->last.b, status);
        assert_true(WIFEXITED(r->wait_status));
        assert_int_equal(WEXITSTATUS(r->wait_status), status);
        if (out != NULL)
            assert_string_equal(r->out, out);
    }
}

static void expect(const char *text, enum lw_outcome outcome, int status, const char *message, const char *out)
{
    expect_input((struct child_input){.text = text}, outcome, status, message, out);
}

static void test_ends(void **state)
{
    (void)state;
    expect("", LW_OK, 0, "", "");
    expect("print(1, 'two', nil)", LW_OK, 0, "", "1\ttwo\tnil\n");
    expect("return 1, {}, nil", LW_OK, 0, "", "");
    expect("os.exit()", LW_EXIT, 0, "", "");
    expect("os.exit(true)", LW_EXIT, 0, "", "");
    expect("os.exit(false)", LW_EXIT, 1, "", "");
    expect("os.exit(42)", LW_EXIT, 42, "", "");
    expect("os.exit(256 + 7)", LW_EXIT, 7, "", "");
    expect("os.exit(-1)", LW_EXIT, 255, "", "");
    expect("print('x') os.exit(3, true)", LW_EXIT, 3, "", "x\n");
    expect("coroutine.wrap(function() os.exit(4, true) end)()", LW_EXIT, 4, "", "");
    expect("pcall(os.exit, 5) print('not reached')", LW_EXIT, 5, "", "");
    expect("os.exit('x')", LW_ERROR, 1, "script.lua:1: bad argument #1 to 'exit' (number expected, got string)", "");
}

static void test_errors(void **state)
{
    (void)state;
    expect("error('boom')", LW_ERROR, 1, "script.lua:1: boom", "");
    expect("error('boom', 0)", LW_ERROR, 1, "boom", "");
    expect("\n\nlocal x = nil + 1", LW_ERROR, 1, "script.lua:3: attempt to perform arithmetic on a nil value", "");
    expect("error()", LW_ERROR, 1, "(error object is a nil value)", "");
    expect("error({})", LW_ERROR, 1, "(error object is a table value)", "");
    expect("error(print)", LW_ERROR, 1, "(error object is a function value)", "");
    expect("error(42)", LW_ERROR, 1, "42", "");
    expect("error(setmetatable({}, {__tostring = function() return 'mine' end}))", LW_ERROR, 1, "mine", "");
    expect("error(setmetatable({}, {__tostring = function() return 1 end}))", LW_ERROR, 1,
           "(error object is a table value)", "");
    expect("error(setmetatable({}, {__name = 'Mine'}))", LW_ERROR, 1, "(error object is a table value)", "");
    expect_input((struct child_input){.text = "local function f(n) return 1 + f(n) end f(1)",
                                      .ceiling = (size_t)512 << 20},
                 LW_ERROR, 1, "script.lua:1: stack overflow", "");
}

static struct child_result *run(const char *text)
{
    return child_run_text(JW_RESTRICTED, text);
}

static void test_traceback(void **state)
{
    (void)state;
    struct child_result *r = run("local function f() error('deep') end\nfunction g() f() end\ng()");
    assert_string_equal(r->message, "script.lua:1: deep");
    assert_string_equal(r->traceback, "stack traceback:\n"
                                      "\t[C]: in function 'error'\n"
                                      "\tscript.lua:1: in upvalue 'f'\n"
                                      "\tscript.lua:2: in function 'g'\n"
                                      "\tscript.lua:3: in main chunk\n"
                                      "\t[C]: in ?");
    r = run("coroutine.wrap(function() error('inside', 0) end)()");
    assert_string_equal(r->message, "script.lua:1: inside");
    assert_non_null(strstr(r->traceback, "in main chunk"));
    r = run("error(setmetatable({}, {__tostring = function() return 'x' end}))");
    assert_int_equal(r->last.length2, 0);
    r = run("local x <close> = setmetatable({}, {__close = function() error('second') end}) error('first')");
    assert_string_equal(r->message, "script.lua:1: second");
}

/* An error that the script has caught leaves no traceback behind. */
static void test_no_stale_traceback(void **state)
{
    (void)state;
    static const char speaks[] = " error(setmetatable({}, {__tostring = function() return 'x' end}))";
    const char *const ends[] = {"", " os.exit(0)", speaks, " pcall(string.rep, 'x', 1 << 40)"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        char text[200];
        snprintf(text, sizeof text, "load(function() error('in a reader') end)%s", ends[i]);
        struct child_result *r = run(text);
        assert_true(r->done);
        assert_null(strstr(r->traceback, "reader"));
        assert_int_equal(r->last.length2, 0);
    }
}

/* A message as long as a script likes: the frame holds, and no character is cut in two. */
static void test_long_messages(void **state)
{
    (void)state;
    struct child_result *r = run("error(('x'):rep(1 << 20), 0)");
    assert_int_equal(r->last.a, LW_ERROR);
    assert_int_equal(r->last.length1, BX_MESSAGE_MAX);
    for (int shift = 0; shift < 4; shift++) {
        char text[200];
        snprintf(text, sizeof text, "error(('x'):rep(%d) .. ('\\u{1F600}'):rep(10000), 0)", shift);
        r = run(text);
        assert_int_equal((r->last.length1 - (unsigned)shift) % 4, 0);
        assert_in_range(r->last.length1, BX_MESSAGE_MAX - 3, BX_MESSAGE_MAX);
    }
    r = run("local s = ('f'):rep(60) local function f(n) if n == 0 then error('end') end local _ = f(n - 1) end "
            "f(150)");
    assert_string_equal(r->message, "script.lua:1: end");
    assert_non_null(strstr(r->traceback, "levels)"));
}

static void test_syntax(void **state)
{
    (void)state;
    expect("x =", LW_SYNTAX, 126, "script.lua:1: unexpected symbol near <eof>", "");
    expect("\x1bLua", LW_SYNTAX, 126, "attempt to load a binary chunk (mode is 't')", "");
    expect("\xff", LW_SYNTAX, 126, "script.lua:1: unexpected symbol near '<\\255>'", "");
    expect("x = = 1", LW_SYNTAX, 126, "script.lua:1: unexpected symbol near '='", "");
    struct child_result *r = run("x = ");
    assert_int_equal(r->last.length2, 0);
}

static void test_what_a_file_may_begin_with(void **state)
{
    (void)state;
    expect("#!/usr/bin/env bioxen\nprint('ran')", LW_OK, 0, "", "ran\n");
    expect("#!/usr/bin/env bioxen\nerror('x')", LW_ERROR, 1, "script.lua:2: x", "");
    expect("#", LW_OK, 0, "", "");
    expect("#\n", LW_OK, 0, "", "");
    expect("\xEF\xBB\xBFprint('mark')", LW_OK, 0, "", "mark\n");
    expect("\xEF\xBB\xBF#!x\nprint('both')", LW_OK, 0, "", "both\n");
    expect("\xEF\xBB\xBF", LW_OK, 0, "", "");
    expect("print('a')\r\nprint('b')\r\n", LW_OK, 0, "", "a\nb\n");
    expect("print('a')\n#", LW_SYNTAX, 126, "script.lua:2: unexpected symbol near '#'", "");
    expect_input((struct child_input){.text = "#x", .chunk = "=(command line)"}, LW_SYNTAX, 126,
                 "(command line):1: unexpected symbol near '#'", "");
    expect_input((struct child_input){.text = "#x\nprint(1)", .chunk = "=stdin"}, LW_OK, 0, "", "1\n");
    expect_input((struct child_input){.text = "print(#'a\0b')", .length = 13}, LW_OK, 0, "", "3\n");
}

/* A first line that is longer than any buffer, and a text of some size. */
static void test_long_texts(void **state)
{
    (void)state;
    size_t size = 200000;
    char *text = malloc(size + 100);
    memset(text, '#', size);
    strcpy(text + size, "\nprint('after')");
    expect(text, LW_OK, 0, "", "after\n");
    memset(text, ' ', size);
    strcpy(text + size, "print('far')");
    expect(text, LW_OK, 0, "", "far\n");
    memset(text, '-', size);
    expect(text, LW_OK, 0, "", "");
    free(text);
}

static void test_arguments(void **state)
{
    (void)state;
    struct program_string args[] = {TEXT("dir/script.lua"), TEXT("one"), TEXT(""), TEXT("a\0b")};
    expect_input((struct child_input){.text = "assert(select(3, ...) == 'a\\0b') "
                                              "print(#arg, arg[0], arg[1], arg[2] == '', #arg[3], arg[-1], "
                                              "select('#', ...))",
                                      .args = args, .arg_count = 4},
                 LW_OK, 0, "", "3\tdir/script.lua\tone\ttrue\t3\tnil\t3\n");
    expect_input((struct child_input){.text = "print(#arg, arg[0], ...)", .args = args, .arg_count = 1}, LW_OK, 0, "",
                 "0\tdir/script.lua\n");
    struct program_string *many = calloc(10001, sizeof *many);
    for (int i = 0; i <= 10000; i++)
        many[i] = (struct program_string){"argument", 8};
    expect_input((struct child_input){.text = "print(#arg, select('#', ...), (select(10000, ...)))", .args = many,
                                      .arg_count = 10001},
                 LW_OK, 0, "", "10000\t10000\targument\n");
    free(many);
    many = calloc(400000, sizeof *many);
    for (int i = 0; i < 400000; i++)
        many[i] = (struct program_string){"", 0};
    struct child_result *r =
        child_run(&(struct child_input){.text = "print(select('#', ...))", .args = many, .arg_count = 400000});
    assert_true(r->done && (r->last.a == LW_OK || strstr(r->message, "too many arguments") != NULL));
    free(many);
}

static void test_environment(void **state)
{
    (void)state;
    struct program_string env[] = {TEXT("NAME"), TEXT("a value"), TEXT("EMPTY"), TEXT(""), TEXT("TZ"), TEXT("ABC-5")};
    setenv("BX_OUTSIDE", "leak", 1);
    expect_input((struct child_input){
                     .text = "print(os.getenv('NAME'), os.getenv('EMPTY') == '', os.getenv('PATH'), "
                             "os.getenv('BX_OUTSIDE'), "
                             "os.date('%H', 0))",
                     .env = env, .env_count = 3},
                 LW_OK, 0, "", "a value\ttrue\tnil\tnil\t05\n");
}

static void test_warnings(void **state)
{
    (void)state;
    struct child_result *r = run("warn('lost') warn('@on') warn('a', 'b', '@off') warn('@off') warn('lost') "
                                 "warn('@x')");
    assert_string_equal(r->err, "Lua warning: ab@off\n");
    r = run("warn('@on') setmetatable({}, {__gc = function() error('in gc') end}) print('x')");
    assert_int_equal(r->last.a, LW_OK);
    assert_non_null(strstr(r->err, "Lua warning: error in __gc"));
}

/* What is printed before a sudden end is printed; finalizers run at a proper one. */
static void test_output_at_the_end(void **state)
{
    (void)state;
    struct child_result *r = child_run_text(JW_FULL, "io.stdout:setvbuf('full', 1 << 20) io.write('kept') "
                                                     "os.exit(0, false)");
    assert_string_equal(r->out, "kept");
    r = child_run_text(JW_FULL, "io.write('no newline')");
    assert_string_equal(r->out, "no newline");
    expect("setmetatable({}, {__gc = function() print('gc') end})", LW_OK, 0, "", "gc\n");
    expect("setmetatable({}, {__gc = function() print('gc') end}) os.exit(2, true)", LW_EXIT, 2, "", "gc\n");
    expect("setmetatable({}, {__gc = function() print('gc') end}) os.exit(2)", LW_EXIT, 2, "", "");
    expect("setmetatable({}, {__gc = function() os.exit(3, true) end})", LW_EXIT, 3, "", "");
    expect("setmetatable({}, {__gc = function() os.exit(3) end}) error('first')", LW_ERROR, 3,
           "script.lua:1: first", "");
    expect("local t <close> = setmetatable({}, {__close = function() print('closed') end}) os.exit(1, true)",
           LW_EXIT, 1, "", "closed\n");
}

static void test_memory(void **state)
{
    (void)state;
    struct child_input input = {.ceiling = (size_t)16 << 20};
    input.text = "local t = {} for i = 1, 1e9 do t[i] = {i} end";
    expect_input(input, LW_ERROR, 1, "not enough memory", "");
    input.text = "print(pcall(string.rep, 'x', 1 << 30)) print(pcall(string.rep, 'x', 1 << 62))";
    expect_input(input, LW_OK, 0, "", "false\tnot enough memory\nfalse\tresulting string too large\n");
    input.text = "local ok, e = pcall(function() local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t "
                 "end end)\n"
                 "collectgarbage() local t = {} for i = 1, 1000 do t[i] = {} end print(ok, e)";
    expect_input(input, LW_OK, 0, "", "false\tnot enough memory\n");
    input.text = "collectgarbage('stop') for i = 1, 1e6 do local s = ('x'):rep(10000) .. i end";
    expect_input(input, LW_ERROR, 1, "not enough memory", "");
    input.text = "error(setmetatable({}, {__tostring = function() return ('x'):rep(1 << 30) end}))";
    struct child_result *r = child_run(&input);
    assert_true(r->done && r->last.a == LW_ERROR);
}

/* Lua has no traceback for an error of memory; here it says where the script was. */
static void test_where_memory_ran_out(void **state)
{
    (void)state;
    struct child_input input = {.ceiling = (size_t)24 << 20};
    input.text = "local t = {}\nlocal function fill()\n  while true do t[#t + 1] = {} end\nend\nfill()";
    struct child_result *r = child_run(&input);
    assert_string_equal(r->message, "not enough memory");
    assert_string_equal(r->traceback, "stack traceback:\n"
                                      "\tscript.lua:3: in local 'fill'\n"
                                      "\tscript.lua:5: in main chunk\n"
                                      "\t[C]: in ?");
    input.text = "function endless(n) return 1 + endless(n) end endless(1)";
    r = child_run(&input);
    assert_string_equal(r->message, "not enough memory");
    assert_non_null(strstr(r->traceback, "\n\tscript.lua:1: in function 'endless'\n"));
    assert_string_equal(r->traceback + r->last.length2 - 5, "\n\t...");
    input.text = "pcall(function() local t = {} while true do t[#t + 1] = {} end end) error('another')";
    r = child_run(&input);
    assert_string_equal(r->message, "script.lua:1: another");
    assert_non_null(strstr(r->traceback, "in function 'error'"));
    input.text = "setmetatable({}, {__gc = function() local t = {} while true do t[#t + 1] = {} end end}) "
                 "error('first')";
    r = child_run(&input);
    assert_string_equal(r->message, "script.lua:1: first");
    assert_non_null(strstr(r->traceback, "in function 'error'"));
}

/* The ceiling covers the program's own text, arguments and environment. */
static void test_no_memory_for_the_program(void **state)
{
    (void)state;
    size_t size = 3 << 20;
    char *big = malloc(size);
    memset(big, 'x', size);
    struct program_string args[] = {{"x", 1}, {big, (uint32_t)size}};
    struct child_result *r = child_run(&(struct child_input){.args = args, .arg_count = 2, .ceiling = 1 << 20});
    assert_true(r->done);
    assert_int_equal(r->last.a, LW_MEMORY);
    memset(big, '-', size);
    big[0] = 's';
    big[1] = '=';
    big[2] = big[size - 1] = '"';
    r = child_run(&(struct child_input){.text = big, .length = size, .ceiling = 1 << 20});
    assert_int_equal(r->last.a, LW_ERROR);
    assert_string_equal(r->message, "not enough memory");
    free(big);
}

static void refuse_raw(const char *raw, size_t length)
{
    struct child_result *r = child_run(&(struct child_input){.raw = raw, .raw_length = length});
    assert_true(r->done);
    assert_int_equal(r->last.a, LW_SYNTAX);
    assert_non_null(strstr(r->message, "cannot read"));
    assert_int_equal(WEXITSTATUS(r->wait_status), r->last.b);
}

static void test_broken_programs(void **state)
{
    (void)state;
    struct program_header header = {PROGRAM_MAGIC, 6, 20};
    char bytes[sizeof header + 64] = {0};
    refuse_raw(bytes, 0);
    refuse_raw(bytes, 5);
    refuse_raw(bytes, sizeof bytes);
    memcpy(bytes, &header, sizeof header);
    refuse_raw(bytes, sizeof header);
    refuse_raw(bytes, sizeof header + 6); /* six zeros are no head */
    memcpy(bytes + sizeof header, "\x93\xa2@x\x90\x80", 7);
    refuse_raw(bytes, sizeof header + 7);
    refuse_raw(bytes, sizeof header + 7 + 10); /* the text is cut short */
}

/* Nobody is there any more: the VM ends, and says nothing. */
static void test_lifeline_ends(void **state)
{
    (void)state;
    struct child_result *r = child_run(&(struct child_input){.no_spec = true});
    assert_true(r->ready && !r->done);
    assert_true(WIFEXITED(r->wait_status));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_traceback),
        cmocka_unit_test(test_no_stale_traceback),
        cmocka_unit_test(test_long_messages),
        cmocka_unit_test(test_syntax),
        cmocka_unit_test(test_what_a_file_may_begin_with),
        cmocka_unit_test(test_long_texts),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_output_at_the_end),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_where_memory_ran_out),
        cmocka_unit_test(test_no_memory_for_the_program),
        cmocka_unit_test(test_broken_programs),
        cmocka_unit_test(test_lifeline_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
