/*
 * test_vm_session.c - one client of a serving VM: results, errors, calls by name, output, large things, memory,
 * deadlines.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "session_child.h"

#include <time.h>

/* ---- what is executed ---- */

static void test_results(void **state)
{
    (void)state;
    struct served vm = served_text(JW_RESTRICTED, "x = 41");
    int fd = served_attach(&vm, 1);
    expect_values(served_execute(fd, 1, ""), VALUES(0x90));
    expect_values(served_execute(fd, 2, "return 1 + 1"), VALUES(0x91, 2));
    expect_values(served_execute(fd, 3, "x = x + 1"), VALUES(0x90));
    expect_values(served_execute(fd, 4, "return x, nil, true, 'a'"), VALUES(0x94, 42, 0xc0, 0xc3, 0xa1, 'a'));
    expect_values(served_execute(fd, 10, "return nil"), VALUES(0x91, 0xc0));
    expect_values(served_execute(fd, 11, "local n = ... return select('#', ...)"), VALUES(0x91, 0));
    expect_stop(&vm);
}

static void test_errors(void **state)
{
    (void)state;
    struct served vm = served_text(JW_FULL, "");
    int fd = served_attach(&vm, 1);
    struct reply *reply = served_execute(fd, 1, "local function f() error('boom') end\nf()");
    expect_error(reply, SW_FAILED, "[string \"local function f() error('boom') end...\"]:1: boom");
    assert_non_null(strstr(reply->traceback, "stack traceback:\n\t[C]: in function 'error'"));
    assert_non_null(strstr(reply->traceback, ":2: in main chunk"));
    expect_error(served_execute(fd, 2, "x ="), SW_SYNTAX, "[string \"x =\"]:1: unexpected symbol near <eof>");
    expect_error(served_execute(fd, 3, "\x1bLua"), SW_SYNTAX, "attempt to load a binary chunk (mode is 't')");
    reply = served_execute(fd, 4, "error({code = 7})");
    expect_error(reply, SW_FAILED, "(error object is a table value)");
    assert_memory_equal(reply->values, "\x91\xd6\x01\x00\x00\x00\x00\x81\xa4" "code\x07", 14);
    reply = served_execute(fd, 5, "error(print)");
    expect_error(reply, SW_FAILED, "(error object is a function value)");
    assert_memory_equal(reply->values, "\x91\xd9\x22(error", 8);
    reply = served_execute(fd, 6, "error(setmetatable({}, {__tostring = function() return 'mine' end}))");
    expect_error(reply, SW_FAILED, "mine");
    assert_memory_equal(reply->values, "\x91\xd6", 2);
    assert_true(reply->traceback[0] != '\0');
    reply = served_execute(fd, 7, "error()");
    expect_error(reply, SW_FAILED, "(error object is a nil value)");
    assert_memory_equal(reply->values, "\x91\xc0", 2);
    expect_error(served_execute(fd, 8, "error(42)"), SW_FAILED, "42");
    reply = served_execute(fd, 9, "xpcall(error, function() error('again') end) error('last', 0)");
    expect_error(reply, SW_FAILED, "last");
    reply = served_execute(fd, 10, "setmetatable({}, {__gc = error}) collectgarbage() return 1");
    expect_values(reply, VALUES(0x91, 1));
    reply = served_execute(fd, 11, "error(('x'):rep(1 << 20), 0)");
    assert_int_equal(strlen(reply->message), BX_MESSAGE_MAX);
    assert_int_equal(reply->values_length, (1 << 20) + 6);
    expect_stop(&vm);
}

static void test_deep_recursion(void **state)
{
    (void)state;
    struct served vm = served_start((struct child_input){.ceiling = (size_t)256 << 20, .text = ""});
    int fd = served_attach(&vm, 1);
    struct reply *reply = served_execute(fd, 1, "local function f(n) return 1 + f(n) end f(1)");
    assert_int_equal(reply->head.kind, SW_FAILED);
    assert_non_null(strstr(reply->message, "stack overflow"));
    assert_non_null(strstr(reply->traceback, "in upvalue 'f'"));
    expect_values(served_execute(fd, 2, "return 1"), VALUES(0x91, 1));
    expect_stop(&vm);
}

static void test_calls(void **state)
{
    (void)state;
    static const char script[] = "function add(a, b) return a + b end\n"
                                 "mod = {deep = {f = function(...) return select('#', ...), ... end}}\n"
                                 "obj = setmetatable({}, {__call = function(_, v) return v end})";
    struct served vm = served_text(JW_RESTRICTED, script);
    int fd = served_attach(&vm, 1);
    struct bx_values with;
    bx_values_init(&with, 1 << 16, NULL, NULL);
    bx_values_list(&with, 2);
    bx_values_integer(&with, 2);
    bx_values_number(&with, 0.5);
    served_ask(fd, SW_CALL, 1, "add", &with);
    expect_values(served_reply(fd), VALUES(0x91, 0xcb, 0x40, 4, 0, 0, 0, 0, 0, 0));
    served_ask(fd, SW_CALL, 2, "mod.deep.f", NULL);
    expect_values(served_reply(fd), VALUES(0x91, 0));
    served_ask(fd, SW_CALL, 3, "obj", &with);
    expect_values(served_reply(fd), VALUES(0x91, 2));
    served_ask(fd, SW_CALL, 4, "math.max", &with);
    expect_values(served_reply(fd), VALUES(0x91, 2));
    served_ask(fd, SW_CALL, 5, "nothing", NULL);
    expect_error(served_reply(fd), SW_FAILED, "cannot call 'nothing': it is a nil value");
    served_ask(fd, SW_CALL, 6, "mod.other.f", NULL);
    expect_error(served_reply(fd), SW_FAILED, "cannot call 'mod.other.f': 'mod.other' is a nil value");
    served_ask(fd, SW_CALL, 7, "", NULL);
    expect_error(served_reply(fd), SW_FAILED, "cannot call '': it is a nil value");
    served_ask(fd, SW_CALL, 8, "add", NULL);
    assert_non_null(strstr(served_reply(fd)->message, "arithmetic on a nil value"));
    bx_values_fini(&with);
    expect_stop(&vm);
}

/* ---- output ---- */

static void test_output(void **state)
{
    (void)state;
    struct served vm = served_text(JW_FULL, "print('from the script')");
    int fd = served_attach(&vm, 1);
    served_ask(fd, SW_EXECUTE, 1, "print('a', 1) io.write('no end of line') io.stderr:write('wrong') return 1", NULL);
    expect_output(served_reply(fd), 1, 1, "a\t1\n");
    expect_output(served_reply(fd), 1, 2, "wrong");
    expect_output(served_reply(fd), 1, 1, "no end of line");
    expect_values(served_reply(fd), VALUES(0x91, 1));
    served_ask(fd, SW_EXECUTE, 2, "warn('@on') warn('careful') coroutine.wrap(print)('inside') error('x', 0)", NULL);
    expect_output(served_reply(fd), 2, 2, "Lua warning: ");
    expect_output(served_reply(fd), 2, 2, "careful");
    expect_output(served_reply(fd), 2, 2, "\n");
    expect_output(served_reply(fd), 2, 1, "inside\n");
    expect_error(served_reply(fd), SW_FAILED, "x");
    char out[200] = "", err[200] = "";
    assert_true(read(vm.out, out, sizeof out - 1) > 0 && read(vm.err, err, sizeof err - 1) > 0);
    assert_string_equal(out, "from the script\na\t1\nno end of lineinside\n");
    assert_string_equal(err, "wrongLua warning: careful\n");
    expect_stop(&vm);
}

/* Output leaves as it comes, not at the end of its call. */
static void test_output_of_a_running_call(void **state)
{
    (void)state;
    struct served vm = served_text(JW_RESTRICTED, "");
    int fd = served_attach(&vm, 1);
    served_ask(fd, SW_EXECUTE, 1, "print('begun') while true do end", NULL);
    expect_output(served_reply(fd), 1, 1, "begun\n");
    served_interrupt(&vm, 1, 1, "interrupted");
    assert_int_equal(served_reply(fd)->head.kind, SW_INTERRUPTED);
    served_hear(&vm, LW_UNWOUND);
    expect_stop(&vm);
}

/* A process that takes what is printed, and throws it away. */
static pid_t start_drain(int fd)
{
    pid_t pid = fork();
    char lost[65536];
    if (pid != 0)
        return pid;
    while (read(fd, lost, sizeof lost) > 0)
        continue;
    _exit(0);
}

/* A client that does not take what its call prints: the call waits, and goes on when it does; nothing is lost. */
static void test_output_that_is_not_taken(void **state)
{
    (void)state;
    struct served vm = served_text(JW_RESTRICTED, "line = ('x'):rep(65535)");
    pid_t drain = start_drain(vm.out);
    int fd = served_attach(&vm, 1), other = served_attach(&vm, 2);
    served_ask(fd, SW_EXECUTE, 1, "for i = 1, 100 do n = i print(line) end return 7", NULL);
    served_wait(fd, POLLIN, "output");
    served_ask(other, SW_EXECUTE, 1, "return n", NULL);
    size_t printed = 0;
    struct reply *reply;
    while ((reply = served_reply(fd))->head.type == SW_OUTPUT)
        printed += reply->head.length;
    expect_values(reply, VALUES(0x91, 7));
    assert_int_equal(printed, 100 * 65536);
    expect_values(served_reply(other), VALUES(0x91, 100));
    served_ask(fd, SW_EXECUTE, 2, "n = 0 while true do n = n + 1 print(line) end", NULL);
    served_wait(fd, POLLIN, "output");
    served_interrupt(&vm, 1, 2, "interrupted");
    served_hear(&vm, LW_UNWOUND);
    while ((reply = served_reply(fd))->head.type == SW_OUTPUT)
        continue;
    assert_int_equal(reply->head.kind, SW_INTERRUPTED);
    expect_stop(&vm);
    waitpid(drain, NULL, 0);
}

/* ---- large things ---- */

static void test_large(void **state)
{
    (void)state;
    struct served vm = served_text(JW_RESTRICTED, "");
    int fd = served_attach(&vm, 1);
    size_t length = (size_t)8 << 20;
    char *big = malloc(length);
    memset(big, 'b', length);
    struct bx_values with;
    bx_values_init(&with, SW_BODY_MAX, NULL, NULL);
    bx_values_list(&with, 1);
    bx_values_string(&with, big, length);
    for (uint64_t call = 1; call <= 3; call++) {
        served_ask(fd, SW_EXECUTE, call, "return ...", &with);
        struct reply *reply = served_reply(fd);
        assert_int_equal(reply->head.type, SW_RESULT);
        assert_int_equal(reply->values_length, with.length);
        assert_memory_equal(reply->values, with.bytes, with.length);
    }
    bx_values_fini(&with);
    free(big);
    expect_stop(&vm);
}

static void test_results_too_large(void **state)
{
    (void)state;
    struct served vm = served_start((struct child_input){.text = "", .ceiling = (size_t)400 << 20});
    int fd = served_attach(&vm, 1);
    expect_error(served_execute(fd, 1, "return ('x'):rep(64 << 20)"), SW_TOO_LARGE,
                 "the results are larger than 64 MiB");
    struct reply *reply = served_execute(fd, 2, "return ('x'):rep((64 << 20) - 6)");
    assert_int_equal(reply->head.type, SW_RESULT);
    assert_int_equal(reply->head.length, 64 << 20);
    expect_values(served_execute(fd, 3, "return 3"), VALUES(0x91, 3));
    expect_stop(&vm);
}

/* ---- memory ---- */

static void test_memory(void **state)
{
    (void)state;
    struct served vm = served_start((struct child_input){.text = "", .ceiling = (size_t)8 << 20});
    int fd = served_attach(&vm, 1);
    struct reply *reply = served_execute(fd, 1, "local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end");
    expect_error(reply, SW_MEMORY, "not enough memory");
    assert_non_null(strstr(reply->traceback, "in main chunk"));
    expect_values(served_execute(fd, 2, "return 2"), VALUES(0x91, 2));
    expect_values(served_execute(fd, 300, "held = ('x'):rep(3 << 20)"), VALUES(0x90));
    expect_error(served_execute(fd, 301, "return held, held"), SW_MEMORY, "not enough memory for the results");
    expect_values(served_execute(fd, 302, "held = nil"), VALUES(0x90));
    expect_error(served_execute(fd, 400, "local ok, e = pcall(string.rep, 'x', 9 << 20) error(e, 0)"), SW_MEMORY,
                 "not enough memory");
    /* all of it is held, and still there is an answer to everything */
    static const char fill[] = "keep = {} for size = 20, 3, -1 do while pcall(function() "
                               "keep[#keep + 1] = ('x'):rep(1 << size) .. #keep end) do end end error('full', 0)";
    expect_error(served_execute(fd, 500, fill), SW_FAILED, "full");
    for (uint64_t call = 600; call < 630; call++)
        assert_true(served_execute(fd, call, "return ('x'):rep(200000)")->head.type != SW_OUTPUT);
    assert_int_equal(served_execute(fd, 700, "keep = nil")->head.type, SW_RESULT);
    expect_values(served_execute(fd, 701, "return 31"), VALUES(0x91, 31));
    expect_stop(&vm);
}

/* A request that does not fit into the VM is read to its end and answered; garbage of the script does not count. */
static void test_request_too_large_for_memory(void **state)
{
    (void)state;
    struct served vm = served_start((struct child_input){.text = "", .ceiling = (size_t)8 << 20});
    int fd = served_attach(&vm, 1);
    struct bx_values with;
    bx_values_init(&with, SW_BODY_MAX, NULL, NULL);
    for (size_t size = (size_t)3 << 20, call = 1; call < 6; call++, size *= 2) {
        bx_values_clear(&with);
        bx_values_list(&with, 1);
        bx_values_string(&with, NULL, 0);
        with.bytes[1] = (char)0xdb; /* the same string, longer */
        with.length = 2;
        char *to = bx_values_room(&with, 4 + size);
        memset(to, 'x', 4 + size);
        for (int i = 0; i < 4; i++)
            to[i] = (char)(size >> (24 - 8 * i));
        served_ask(fd, SW_EXECUTE, 2 * call, "g = ('y'):rep(2 << 20) g = nil return #...", &with);
        struct reply *reply = served_reply(fd);
        if (call == 1)
            assert_int_equal(reply->head.type, SW_RESULT);
        else
            assert_int_equal(reply->head.kind, SW_MEMORY);
        expect_values(served_execute(fd, 2 * call + 1, "return 1"), VALUES(0x91, 1));
    }
    bx_values_fini(&with);
    expect_stop(&vm);
}

/* ---- deadlines ---- */

static void test_deadline_before_it_began(void **state)
{
    (void)state;
    struct served vm = served_text(JW_RESTRICTED, "");
    int fd = served_attach(&vm, 1);
    struct sw_head head = {.length = 5, .type = SW_EXECUTE, .call = 1, .name_length = 5, .deadline_us = 1};
    char bytes[sizeof head + 5];
    memcpy(bytes, &head, sizeof head);
    memcpy(bytes + sizeof head, "x = 1", 5);
    served_write(fd, bytes, sizeof bytes);
    expect_error(served_reply(fd), SW_TIMEOUT, "timeout: its time was up before it began");
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    head.call = 2;
    head.deadline_us = ((uint64_t)now.tv_sec + 1000) * 1000000;
    memcpy(bytes, &head, sizeof head);
    memcpy(bytes + sizeof head, "x = 2", 5);
    served_write(fd, bytes, sizeof bytes);
    expect_values(served_reply(fd), VALUES(0x90));
    expect_values(served_execute(fd, 3, "return x"), VALUES(0x91, 2));
    expect_stop(&vm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results), cmocka_unit_test(test_errors), cmocka_unit_test(test_deep_recursion),
        cmocka_unit_test(test_calls), cmocka_unit_test(test_output), cmocka_unit_test(test_output_of_a_running_call),
        cmocka_unit_test(test_output_that_is_not_taken), cmocka_unit_test(test_large),
        cmocka_unit_test(test_results_too_large), cmocka_unit_test(test_memory),
        cmocka_unit_test(test_request_too_large_for_memory), cmocka_unit_test(test_deadline_before_it_began),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
