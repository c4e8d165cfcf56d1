/*
 * test_vm_interrupt.c - calls that somebody ends while they run, whatever they do against it; what else comes over the
 * lifeline meanwhile; and that nothing of it is left behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "session_child.h"

static struct served vm;
static int fd;
static uint64_t call;

static void start(enum jw_profile profile, const char *text)
{
    vm = served_text(profile, text);
    fd = served_attach(&vm, 1);
    call = 0;
}

static void stop(void)
{
    expect_values(served_execute(fd, call + 1, "return 1 + 1"), VALUES(0x91, 2));
    expect_stop(&vm);
    close(fd);
}

/* Asks for something that prints "begun" and has no end. */
static void begin(const char *text)
{
    served_ask(fd, SW_EXECUTE, ++call, text, NULL);
    expect_output(served_reply(fd), call, 1, "begun\n");
}

static void expect_unwound(uint64_t session, uint64_t of)
{
    struct lw_frame unwound = served_hear(&vm, LW_UNWOUND);
    assert_int_equal(unwound.a, session);
    assert_int_equal(unwound.b, of);
}

static struct reply *interrupt(const char *why)
{
    served_interrupt(&vm, 1, call, why);
    struct reply *reply = served_reply(fd);
    assert_int_equal(reply->head.type, SW_ERROR);
    expect_unwound(1, call);
    return reply;
}

static void test_whatever_it_does(void **state)
{
    (void)state;
    static const char *const endless[] = {
        "print('begun') while true do end",
        "print('begun') for i = 1, math.huge do end",
        "print('begun') local function f() return f() end f()",
        "print('begun') ::again:: goto again",
        "print('begun') while true do pcall(function() while true do end end) end",
        "print('begun') while true do pcall(error) end",
        "local function f() while true do pcall(f) end end print('begun') f()",
        "print('begun') while true do xpcall(function() while true do end end, function() while true do end end) end",
        "coroutine.wrap(function() print('begun') while true do end end)()",
        "coroutine.wrap(function() print('begun') while true do pcall(function() while true do end end) end end)()",
        "local co = coroutine.create(function() print('begun') while true do end end)\n"
        "while true do coroutine.resume(co) end",
        "print('begun') while true do coroutine.wrap(function() for i = 1, 10 do coroutine.yield() end end)() end",
        "local function deep(n) if n == 0 then print('begun') while true do end end\n"
        "coroutine.wrap(deep)(n - 1) end deep(50)",
        "local co = coroutine.create(function()\n"
        "local x <close> = setmetatable({}, {__close = function() print('begun') while true do end end})\n"
        "coroutine.yield() end) coroutine.resume(co) coroutine.close(co) while true do end",
        "local x <close> = setmetatable({}, {__close = function() while true do end end}) print('begun') error('x')",
        "setmetatable(_G, {__index = function() while true do end end}) print('begun') return undefined",
        "print('begun') table.sort({1, 2, 3, 4}, function() while true do end end)",
        "print('begun') while true do (('x'):rep(1000)):gsub('.', string.upper) end",
        "print('begun') while true do load(function() while true do end end) end",
        "print('begun') while true do tostring(setmetatable({}, {__tostring = function() while true do end end})) end",
        "print('begun') error(setmetatable({}, {__tostring = function() while true do end end}))",
    };
    for (size_t i = 0; i < sizeof endless / sizeof *endless; i++) {
        start(i % 2 ? JW_FULL : JW_RESTRICTED, "");
        begin(endless[i]);
        struct reply *reply = interrupt("interrupted");
        if (reply->head.kind != SW_INTERRUPTED)
            fail_msg("kind %d for: %s", reply->head.kind, endless[i]);
        stop();
    }
}

static void test_what_is_said(void **state)
{
    (void)state;
    start(JW_RESTRICTED, "function forever() print('begun') while true do end end");
    begin("\nforever()");
    struct reply *reply = interrupt("timeout");
    expect_error(reply, SW_TIMEOUT, "script.lua:1: timeout");
    assert_non_null(strstr(reply->traceback, "script.lua:1: in function 'forever'"));
    assert_non_null(strstr(reply->traceback, ":2: in main chunk"));
    stop();
}

/* The error of a coroutine that was interrupted goes on in the one that resumed it, which may not use it up. */
static void test_coroutines_are_dead_afterwards(void **state)
{
    (void)state;
    start(JW_RESTRICTED, "");
    begin("co = coroutine.create(function() print('begun') while true do end end) coroutine.resume(co) went_on = true");
    assert_int_equal(interrupt("interrupted")->head.kind, SW_INTERRUPTED);
    expect_values(served_execute(fd, ++call, "return coroutine.status(co), went_on"),
                  VALUES(0x92, 0xa4, 'd', 'e', 'a', 'd', 0xc0));
    stop();
}

static void test_whatever_runs(void **state)
{
    (void)state;
    start(JW_RESTRICTED, "");
    served_interrupt(&vm, 0, 0, "interrupted");
    expect_unwound(0, 0); /* nothing */
    begin("print('begun') while true do end");
    served_interrupt(&vm, 0, 0, "interrupted");
    assert_int_equal(served_reply(fd)->head.kind, SW_INTERRUPTED);
    expect_unwound(0, 0);
    stop();
}

/* Somebody else's call is no reason to end this one. */
static void test_another_call(void **state)
{
    (void)state;
    start(JW_RESTRICTED, "");
    served_ask(fd, SW_EXECUTE, ++call, "print('begun') while not done do end return 5", NULL);
    expect_output(served_reply(fd), call, 1, "begun\n");
    served_interrupt(&vm, 2, call, "interrupted");
    expect_unwound(2, call);
    served_interrupt(&vm, 1, call - 1, "interrupted");
    expect_unwound(1, call - 1);
    assert_int_equal(interrupt("timeout")->head.kind, SW_TIMEOUT);
    served_interrupt(&vm, 1, call, "interrupted"); /* it is over */
    expect_unwound(1, call);
    stop();
}

/* Each is answered, however often the same call is interrupted. */
static void test_many_interrupts(void **state)
{
    (void)state;
    enum { COUNT = 50 };
    start(JW_RESTRICTED, "");
    begin("print('begun') while true do end");
    for (int i = 0; i < COUNT; i++)
        served_interrupt(&vm, 1, call, "interrupted");
    assert_int_equal(served_reply(fd)->head.kind, SW_INTERRUPTED);
    for (int i = 0; i < COUNT; i++)
        expect_unwound(1, call);
    stop();
}

/* A call that is interrupted before the VM has read it is not begun; those around it are. */
static void test_before_it_began(void **state)
{
    (void)state;
    start(JW_RESTRICTED, "n = 0");
    begin("print('begun') while true do end");
    served_interrupt(&vm, 1, 3, "interrupted");
    expect_unwound(1, 3);
    served_interrupt(&vm, 1, 4, "timeout");
    expect_unwound(1, 4);
    for (uint64_t i = 2; i <= 5; i++)
        served_ask(fd, SW_EXECUTE, i, "n = n + 1 return n", NULL);
    interrupt("interrupted");
    expect_values(served_reply(fd), VALUES(0x91, 1));
    expect_error(served_reply(fd), SW_INTERRUPTED, "interrupted before it began");
    expect_error(served_reply(fd), SW_TIMEOUT, "timeout: its time was up before it began");
    expect_values(served_reply(fd), VALUES(0x91, 2));
    call = 5;
    stop();
}

/* More than are remembered are no harm. */
static void test_many_that_never_come(void **state)
{
    (void)state;
    start(JW_RESTRICTED, "");
    for (uint64_t i = 1; i <= 100; i++) {
        served_interrupt(&vm, 1, 1000 + i, "interrupted");
        expect_unwound(1, 1000 + i);
    }
    call = 5000;
    stop();
}

static void test_the_script(void **state)
{
    (void)state;
    struct served loop = served_text(JW_RESTRICTED, "print('begun') while true do end");
    served_wait(loop.out, POLLIN, "output");
    served_interrupt(&loop, 0, 0, "interrupted");
    served_hear(&loop, LW_UNWOUND);
    struct lw_frame done = served_hear(&loop, LW_DONE);
    assert_int_equal(done.a, LW_ERROR);
    assert_memory_equal(done.text1, "script.lua:1: interrupted", done.length1);
    served_end(&loop);
}

/* ---- what else may come ---- */

static void test_stop_while_it_runs(void **state)
{
    (void)state;
    start(JW_RESTRICTED, "");
    begin("print('begun') while true do pcall(function() while true do end end) end");
    child_send(vm.lifeline, &(struct lw_frame){.type = LW_STOP}, -1);
    assert_int_equal(served_hear(&vm, LW_DONE).a, LW_OK);
    served_end(&vm);
    char byte;
    assert_int_equal(read(fd, &byte, 1), 0); /* no answer: what is to be said is the VM's end */
    close(fd);
    vm = served_text(JW_RESTRICTED, "print('begun') while true do end");
    served_wait(vm.out, POLLIN, "output");
    child_send(vm.lifeline, &(struct lw_frame){.type = LW_STOP}, -1);
    struct lw_frame done = served_hear(&vm, LW_DONE);
    assert_int_equal(done.a, LW_OK);
    assert_int_equal(done.length1, 0);
    served_end(&vm);
}

/* A client that comes while a call runs: nothing of the call is lost, and the client is served after it. */
static void test_sessions_come(void **state)
{
    (void)state;
    start(JW_FULL, "");
    begin("print('begun') n = 0 while not io.open('/nonexistent') and n < 30000 do n = n + 1 end\n"
          "return n, debug.gethook()");
    int others[10];
    for (int i = 0; i < 10; i++) {
        others[i] = served_attach(&vm, 2 + (uint64_t)i);
        served_ask(others[i], SW_EXECUTE, 1, "return n", NULL);
    }
    expect_values(served_reply(fd), VALUES(0x92, 0xcd, 0x75, 0x30, 0xc0));
    for (int i = 0; i < 10; i++) {
        expect_values(served_reply(others[i]), VALUES(0x91, 0xcd, 0x75, 0x30));
        close(others[i]);
        served_hear(&vm, LW_CLOSED);
    }
    stop();
}

/* A hook that the script has set is where it was when the VM has done with its own. */
static void test_hook_of_the_script(void **state)
{
    (void)state;
    start(JW_FULL, "lines = 0");
    begin("debug.sethook(function() lines = lines + 1 end, 'l') print('begun')\n"
          "local before, ran = lines, 0\n"
          "while not other do ran = ran + 1 if ran > 2e5 then break end end\n"
          "local f, mask = debug.gethook() debug.sethook() return mask, lines > 2e5");
    int other = served_attach(&vm, 2);
    expect_values(served_reply(fd), VALUES(0x92, 0xa1, 'l', 0xc3));
    close(other);
    served_hear(&vm, LW_CLOSED);
    stop();
}

/* ---- require ---- */

static void answer_module(const char *text)
{
    int module = memfd_create("module", MFD_CLOEXEC);
    child_write(module, text, strlen(text));
    lseek(module, 0, SEEK_SET);
    child_send(vm.lifeline, &(struct lw_frame){.type = LW_MODULE, .text1 = "@m.lua", .length1 = 6}, module);
}

/* Nobody answers: the wait can be interrupted, and the answer that comes later is not taken for another's. */
static void test_require(void **state)
{
    (void)state;
    start(JW_RESTRICTED, "");
    served_ask(fd, SW_EXECUTE, ++call, "return require 'first'", NULL);
    served_hear(&vm, LW_NEED);
    int other = served_attach(&vm, 2); /* other frames are taken meanwhile */
    assert_int_equal(interrupt("timeout")->head.kind, SW_TIMEOUT);
    expect_values(served_execute(other, 1, "return 1"), VALUES(0x91, 1));
    served_ask(fd, SW_EXECUTE, ++call, "return (require 'second')", NULL);
    answer_module("return 'first'");
    served_hear(&vm, LW_NEED); /* not before: one question at a time */
    answer_module("return 'second'");
    expect_values(served_reply(fd), VALUES(0x91, 0xa6, 's', 'e', 'c', 'o', 'n', 'd'));
    served_ask(fd, SW_EXECUTE, ++call, "return (require 'first')", NULL);
    served_hear(&vm, LW_NEED);
    interrupt("interrupted");
    answer_module("return 'late'"); /* between calls */
    served_ask(fd, SW_EXECUTE, ++call, "return (require 'first')", NULL);
    served_hear(&vm, LW_NEED);
    answer_module("return 'first'");
    expect_values(served_reply(fd), VALUES(0x91, 0xa5, 'f', 'i', 'r', 's', 't'));
    close(other);
    served_hear(&vm, LW_CLOSED);
    stop();
}

/* The pipe is full and nobody reads it. */
static void test_a_full_pipe(void **state)
{
    (void)state;
    start(JW_RESTRICTED, "line = ('x'):rep(60000)");
    served_ask(fd, SW_EXECUTE, ++call, "while true do print(line) end", NULL);
    served_wait(fd, POLLIN, "output");
    served_interrupt(&vm, 1, call, "interrupted");
    struct reply *reply;
    while ((reply = served_reply(fd))->head.type == SW_OUTPUT)
        continue;
    assert_int_equal(reply->head.kind, SW_INTERRUPTED);
    expect_unwound(1, call);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whatever_it_does), cmocka_unit_test(test_what_is_said),
        cmocka_unit_test(test_coroutines_are_dead_afterwards), cmocka_unit_test(test_whatever_runs),
        cmocka_unit_test(test_another_call), cmocka_unit_test(test_many_interrupts),
        cmocka_unit_test(test_before_it_began), cmocka_unit_test(test_many_that_never_come),
        cmocka_unit_test(test_the_script), cmocka_unit_test(test_stop_while_it_runs),
        cmocka_unit_test(test_sessions_come), cmocka_unit_test(test_hook_of_the_script), cmocka_unit_test(test_require),
        cmocka_unit_test(test_a_full_pipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
