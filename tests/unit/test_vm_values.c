/*
 * test_vm_values.c - Lua values to bytes and back, in a serving VM: each type, tables that are shared, cyclic, deep,
 * wide and weak, what cannot cross and how it is named, and tables that change while they are read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "session_child.h"

#include <errno.h>

static struct served vm;
static int fd;
static uint64_t call;

static int begin(void **state)
{
    (void)state;
    vm = served_text(JW_FULL, "");
    fd = served_attach(&vm, 1);
    return 0;
}

static int end(void **state)
{
    (void)state;
    expect_stop(&vm);
    return 0;
}

static struct reply *execute(const char *text, const void *arguments, size_t length)
{
    struct bx_values with;
    bx_values_init(&with, SW_BODY_MAX, NULL, NULL);
    if (length > 0)
        memcpy(bx_values_room(&with, length), arguments, length);
    served_ask(fd, SW_EXECUTE, ++call, text, &with);
    bx_values_fini(&with);
    return served_reply(fd);
}

#define BYTES(literal) literal, sizeof(literal) - 1

/* What the Lua expression is as bytes. */
static void expect(const char *expression, const char *bytes, size_t length)
{
    char text[500];
    snprintf(text, sizeof text, "return %s", expression);
    struct reply *reply = execute(text, NULL, 0);
    if (reply->head.type != SW_RESULT)
        fail_msg("%s: %s", text, reply->message);
    if (reply->values_length != length || memcmp(reply->values, bytes, length) != 0)
        fail_msg("%s is something else", text);
}

/* What comes back of bytes as they are. */
static void expect_same(const char *bytes, size_t length)
{
    expect_values(execute("return ...", bytes, length), bytes, length);
}

static void test_types(void **state)
{
    (void)state;
    expect("nil", BYTES("\x91\xc0"));
    expect("true, false", BYTES("\x92\xc3\xc2"));
    expect("1, -1, 300", BYTES("\x93\x01\xff\xcd\x01\x2c"));
    expect("math.maxinteger, math.mininteger",
           BYTES("\x92\xcf\x7f\xff\xff\xff\xff\xff\xff\xff\xd3\x80\x00\x00\x00\x00\x00\x00\x00"));
    expect("1.0, -0.0", BYTES("\x92\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00\xcb\x80\x00\x00\x00\x00\x00\x00\x00"));
    expect("1 / 0", BYTES("\x91\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00"));
    expect("'', 'a\\0\\xff'", BYTES("\x92\xa0\xa3"
                                    "a\0\xff"));
}

static void test_types_come_back(void **state)
{
    (void)state;
    expect_same(BYTES("\x90"));
    expect_same(BYTES("\x97\xc0\xc3\xc2\x05\xd0\xdf\xcb\x80\x00\x00\x00\x00\x00\x00\x00\xa3"
                      "a\0\xff"));
    expect_same(BYTES("\x91\xcb\x7f\xf8\x00\x00\x00\x00\x00\x01")); /* NaN keeps its payload */
    expect_same(BYTES("\x92\xcf\x7f\xff\xff\xff\xff\xff\xff\xff\xd3\x80\x00\x00\x00\x00\x00\x00\x00"));
    struct reply *reply = execute("return select('#', ...), math.type((...)), math.type((select(2, ...)))",
                                  BYTES("\x93\x02\xcb\x40\x00\x00\x00\x00\x00\x00\x00\xc0"));
    expect_values(reply, BYTES("\x93\x03\xa7integer\xa5"
                               "float"));
}

static void test_tables(void **state)
{
    (void)state;
    expect("{}", BYTES("\x91\xd6\x01\x00\x00\x00\x00\x80"));
    expect("{1, 'two', false}", BYTES("\x91\xd6\x01\x00\x00\x00\x00\x93\x01\xa3two\xc2"));
    expect("{n = 1}", BYTES("\x91\xd6\x01\x00\x00\x00\x00\x81\xa1n\x01"));
    expect("{[2] = 1}", BYTES("\x91\xd6\x01\x00\x00\x00\x00\x81\x02\x01"));
    expect("{[0] = 1}", BYTES("\x91\xd6\x01\x00\x00\x00\x00\x81\x00\x01"));
    expect("{[1.5] = true}", BYTES("\x91\xd6\x01\x00\x00\x00\x00\x81\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\xc3"));
    expect("{[true] = 1}", BYTES("\x91\xd6\x01\x00\x00\x00\x00\x81\xc3\x01"));
    expect("{[1] = 1, [2] = 2}", BYTES("\x91\xd6\x01\x00\x00\x00\x00\x92\x01\x02"));
    expect("{[2.0] = 2, [1] = 1}", BYTES("\x91\xd6\x01\x00\x00\x00\x00\x92\x01\x02"));
    expect("{nil, nil, 3}", BYTES("\x91\xd6\x01\x00\x00\x00\x00\x81\x03\x03"));
    expect("{1, nil}", BYTES("\x91\xd6\x01\x00\x00\x00\x00\x91\x01"));
    expect("setmetatable({1}, {__index = error, __len = error, __pairs = error})",
           BYTES("\x91\xd6\x01\x00\x00\x00\x00\x91\x01"));
    expect("{1, x = 1} ~= nil", BYTES("\x91\xc3"));
}

/* Numbers are given in the order of first mention, breadth first. */
static void test_shape(void **state)
{
    (void)state;
    expect("{{{}}, {}}", BYTES("\x91\xd6\x01\x00\x00\x00\x00"
                               "\x92\xd6\x01\x01\x00\x00\x00\xd6\x01\x02\x00\x00\x00"
                               "\x91\xd6\x01\x03\x00\x00\x00"
                               "\x80\x80"));
    struct reply *reply = execute("local t = {} t[1] = t return t, t", NULL, 0);
    expect_values(reply, BYTES("\x92\xd6\x01\x00\x00\x00\x00\xd6\x01\x00\x00\x00\x00\x91\xd6\x01\x00\x00\x00\x00"));
    reply = execute("local a, b = ... return rawequal(a, b), rawequal(a[1], a), #a",
                    BYTES("\x92\xd6\x01\x00\x00\x00\x00\xd6\x01\x00\x00\x00\x00\x91\xd6\x01\x00\x00\x00\x00"));
    expect_values(reply, BYTES("\x93\xc3\xc3\x01"));
    expect_same(BYTES("\x92\xd6\x01\x00\x00\x00\x00\xd6\x01\x01\x00\x00\x00"
                      "\x91\xd6\x01\x01\x00\x00\x00"
                      "\x81\xa1k\xd6\x01\x00\x00\x00\x00"));
    expect_same(BYTES("\x91\xd6\x01\x00\x00\x00\x00\x92\xc3\xc3"));
}

static void test_arguments(void **state)
{
    (void)state;
    /* a list with holes, a key that is there twice, a nil under a key */
    struct reply *reply = execute("local t = ... return t[1], t[2], t[3]",
                                  BYTES("\x91\xd6\x01\x00\x00\x00\x00\x93\x01\xc0\x03"));
    expect_values(reply, BYTES("\x93\x01\xc0\x03"));
    reply = execute("local t = ... return t.a, next(t, 'a')",
                    BYTES("\x91\xd6\x01\x00\x00\x00\x00\x83\xa1"
                          "a\x01\xa1"
                          "a\x02\xa1"
                          "b\xc0"));
    expect_values(reply, BYTES("\x92\x02\xc0"));
}

/* Deep, and wide: each a hundred thousand tables. The shape comes back as it went. */
static void test_deep_and_wide(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "local t = {} local at = t for i = 1, 100000 do at[1] = {} at = at[1] end at[1] = 'end' return t",
        "local t = {} for i = 1, 100000 do t[i] = {i} end return t",
        "local t = {} for i = 1, 100000 do t['k' .. i] = i / 2 end return t",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct reply *reply = execute(texts[i], NULL, 0);
        assert_int_equal(reply->head.type, SW_RESULT);
        size_t length = reply->values_length;
        char *kept = malloc(length);
        memcpy(kept, reply->values, length);
        reply = execute("return ...", kept, length);
        assert_int_equal(reply->head.type, SW_RESULT);
        assert_int_equal(reply->values_length, length);
        if (i < 2) /* in the last one the order may be another */
            assert_memory_equal(reply->values, kept, length);
        free(kept);
    }
}

static void test_many_values(void **state)
{
    (void)state;
    struct reply *reply = execute("return table.unpack({}, 1, 100000)", NULL, 0);
    assert_int_equal(reply->head.type, SW_RESULT);
    assert_int_equal(reply->values_length, 100005);
    reply = execute("return select('#', ...)", reply->values, reply->values_length);
    expect_values(reply, BYTES("\x91\xce\x00\x01\x86\xa0"));
    size_t many = 3000000;
    char *nils = malloc(5 + many);
    memset(nils, 0xc0, 5 + many);
    memcpy(nils, "\xdd\x00\x2d\xc6\xc0", 5);
    reply = execute("return 1", nils, 5 + many);
    free(nils);
    expect_error(reply, SW_FAILED, "too many arguments");
}

/* ---- what cannot cross ---- */

static void refused(const char *text, const char *message)
{
    struct reply *reply = execute(text, NULL, 0);
    if (reply->head.type != SW_ERROR)
        fail_msg("%s crosses", text);
    expect_error(reply, SW_CONVERSION, message);
    assert_int_equal(reply->traceback[0], '\0');
}

static void test_what_cannot_cross(void **state)
{
    (void)state;
    refused("return print", "result 1: a function cannot cross");
    refused("return 1, coroutine.create(print)", "result 2: a thread cannot cross");
    refused("return 1, 2, io.stdout", "result 3: a userdata cannot cross");
    refused("return 1, {config = {handlers = {1, 2, print}}}", "result 2.config.handlers[3]: a function cannot cross");
    refused("return {['a key'] = {[1.5] = {[true] = print}}}",
            "result 1[\"a key\"][1.5][true]: a function cannot cross");
    refused("return {['\\n\\xff\"'] = print}", "result 1[\"\\x0a\\xff\\\"\"]: a function cannot cross");
    refused("return {[('k'):rep(100)] = print}",
            "result 1[\"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk...\"]: a function cannot cross");
    refused("return {x = {[{}] = 1}}", "result 1.x: a key that is a table cannot cross");
    refused("return {[print] = 1}", "result 1: a key that is a function cannot cross");
    refused("local t = {} t.self = t t.f = print return 1, t", "result 2.f: a function cannot cross");
    refused("local inner = {print} return {}, {a = {b = inner}, c = 1}", "result 2.a.b[1]: a function cannot cross");
}

/* The path is found again from its end, in time that does not grow with its square, and what is long is cut. */
static void test_long_path(void **state)
{
    (void)state;
    struct reply *reply = execute("local t = {} local at = t for i = 1, 100000 do at.n = {} at = at.n end\n"
                                  "at.bad = print return t", NULL, 0);
    assert_int_equal(reply->head.kind, SW_CONVERSION);
    assert_in_range(strlen(reply->message), 380, 480);
    assert_memory_equal(reply->message, "result 1....n.n", 15);
    const char *tail = ".n.n.n.bad: a function cannot cross";
    assert_string_equal(reply->message + strlen(reply->message) - strlen(tail), tail);
    reply = execute("local t = {} for i = 1, 100000 do t[i] = {} end t[100000].bad = print return t", NULL, 0);
    expect_error(reply, SW_CONVERSION, "result 1[100000].bad: a function cannot cross");
}

/* An error object that cannot cross is its message. */
static void test_error_objects(void **state)
{
    (void)state;
    struct reply *reply = execute("error({1, {2}, print})", NULL, 0);
    expect_error(reply, SW_FAILED, "(error object is a table value)");
    assert_int_equal(reply->tables, 0);
    reply = execute("local e = {} e.e = e error(e)", NULL, 0);
    assert_int_equal(reply->tables, 1);
}

/* ---- tables that change while they are read ---- */

/* Weak entries go when the collector runs, and it runs when the buffers grow: counts stay true. */
static void test_weak_tables(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct reply *reply = execute("local t = setmetatable({}, {__mode = 'kv'}) local all = {}\n"
                                      "for i = 1, 1000 do t['k' .. i] = {i} all[i] = {} end\n"
                                      "local l = setmetatable({}, {__mode = 'v'}) for i = 1, 1000 do l[i] = {i} end\n"
                                      "collectgarbage('incremental', 1, 1000) return all, t, l", NULL, 0);
        assert_int_equal(reply->head.type, SW_RESULT);
    }
}

/* Finalizers run then too, and can do whatever they like to the tables. */
static void test_finalizers(void **state)
{
    (void)state;
    static const char *const acts[] = {
        "for k in pairs(t) do t[k] = nil end",
        "for i = 1, 10000 do t[i] = i end",
        "for i = 1, 10000 do t['x' .. i] = print end",
        "for k in pairs(t) do t[k] = nil break end",
        "t[#t] = nil",
        "print('hello')",
        "collectgarbage()",
        "error('x')",
        "coroutine.wrap(function() t.x = 1 end)()",
    };
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        char text[600];
        snprintf(text, sizeof text,
                 "local t, all = {}, {} for i = 1, 100 do t['k' .. i] = i end for i = 1, 1000 do all[i] = {i} end\n"
                 "collectgarbage('incremental', 1, 1000)\n"
                 "local left = 50 local function again() setmetatable({}, {__gc = function()\n"
                 "left = left - 1 if left > 0 then again() end %s end}) end again()\n"
                 "return all, t, {t, all}", acts[i]);
        struct reply *reply;
        while ((reply = execute(text, NULL, 0))->head.type == SW_OUTPUT)
            continue;
        if (reply->head.type == SW_ERROR && reply->head.kind != SW_CONVERSION && reply->head.kind != SW_FAILED)
            fail_msg("kind %d: %s", reply->head.kind, reply->message);
        served_ask(fd, SW_EXECUTE, ++call, "collectgarbage('generational')", NULL);
        while (served_reply(fd)->head.type == SW_OUTPUT)
            continue;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types), cmocka_unit_test(test_types_come_back), cmocka_unit_test(test_tables),
        cmocka_unit_test(test_shape), cmocka_unit_test(test_arguments), cmocka_unit_test(test_deep_and_wide),
        cmocka_unit_test(test_many_values), cmocka_unit_test(test_what_cannot_cross), cmocka_unit_test(test_long_path),
        cmocka_unit_test(test_error_objects), cmocka_unit_test(test_weak_tables), cmocka_unit_test(test_finalizers),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
