/*
 * test_vm_clients.c - many clients of a serving VM: order, turns, those that lie, sleep or leave, and the ends that a
 * VM can have.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "session_child.h"

#include <time.h>

/* ---- many requests, many sessions ---- */

static void test_pipelined(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    struct served vm = served_text(JW_RESTRICTED, "n = 0");
    int fd = served_attach(&vm, 1);
    uint64_t asked = 0, answered = 0;
    while (answered < COUNT) {
        struct pollfd polled = {fd, (short)(POLLIN | (asked < COUNT && asked < answered + 500 ? POLLOUT : 0)), 0};
        assert_int_equal(poll(&polled, 1, served_deadline()), 1);
        if ((polled.revents & POLLOUT) != 0)
            served_ask(fd, SW_EXECUTE, ++asked, "n = n + 1 return n", NULL);
        if ((polled.revents & POLLIN) != 0) {
            struct reply *reply = served_reply(fd);
            const char *at = reply->values;
            struct bx_value value;
            bx_values_read(&at, &value);
            bx_values_read(&at, &value);
            answered++;
            assert_int_equal(reply->head.call, answered);
            assert_int_equal(value.integer, answered);
        }
    }
    expect_stop(&vm);
}

/* The answers of short calls do not wait for the long one that came with them. */
static void test_answers_do_not_wait(void **state)
{
    (void)state;
    struct served vm = served_text(JW_RESTRICTED, "");
    int fd = served_attach(&vm, 1);
    char all[400];
    size_t length = add_request(all, 1, "return 1");
    length += add_request(all + length, 2, "return 2");
    length += add_request(all + length, 3, "while true do end");
    served_write(fd, all, length);
    expect_values(served_reply(fd), VALUES(0x91, 1));
    expect_values(served_reply(fd), VALUES(0x91, 2));
    served_interrupt(&vm, 0, 0, "timeout");
    assert_int_equal(served_reply(fd)->head.kind, SW_TIMEOUT);
    served_end(&vm);
}

static void test_sessions(void **state)
{
    (void)state;
    struct served vm = served_text(JW_RESTRICTED, "n = 0");
    int fds[BX_SESSIONS_MAX];
    for (int i = 0; i < BX_SESSIONS_MAX; i++)
        fds[i] = served_attach(&vm, (uint64_t)i + 1);
    for (int i = 0; i < BX_SESSIONS_MAX; i++)
        served_ask(fds[i], SW_EXECUTE, 9, "n = n + 1 return n", NULL);
    for (int i = 0; i < BX_SESSIONS_MAX; i++)
        assert_int_equal(served_reply(fds[i])->head.type, SW_RESULT);
    int surplus = served_attach(&vm, 1000);
    assert_int_equal(served_hear(&vm, LW_CLOSED).a, 1000);
    assert_true(served_at_end(surplus));
    close(surplus);
    close(fds[5]);
    assert_int_equal(served_hear(&vm, LW_CLOSED).a, 6);
    int again = served_attach(&vm, 1001);
    expect_values(served_execute(again, 1, "return n"), VALUES(0x91, BX_SESSIONS_MAX));
    expect_stop(&vm);
    for (int i = 0; i < BX_SESSIONS_MAX; i++)
        close(fds[i]);
    close(again);
}

/* One session that has a thousand requests in its buffer does not keep the other waiting for all of them. */
static void test_fairness(void **state)
{
    (void)state;
    struct served vm = served_text(JW_RESTRICTED, "n = 0");
    int greedy = served_attach(&vm, 1), other = served_attach(&vm, 2);
    expect_values(served_execute(other, 1, "return 1"), VALUES(0x91, 1));
    static char all[100000];
    size_t length = add_request(all, 1, "while true do end");
    for (uint64_t i = 2; i <= 1000; i++)
        length += add_request(all + length, i, "n = n + 1");
    served_write(greedy, all, length);
    served_ask(other, SW_EXECUTE, 2, "first = n return 1", NULL);
    served_interrupt(&vm, 1, 1, "interrupted");
    served_hear(&vm, LW_UNWOUND);
    expect_values(served_reply(other), VALUES(0x91, 1));
    struct reply *reply = NULL;
    do
        reply = served_reply(greedy);
    while (reply->head.call < 1000);
    reply = served_execute(other, 3, "return n - first > 500");
    expect_values(reply, VALUES(0x91, 0xc3));
    expect_stop(&vm);
}

/* A client that asks and does not read: it is not served any more, others are, and later it has all its answers. */
static void test_slow_client(void **state)
{
    (void)state;
    enum { COUNT = 40 };
    struct served vm = served_text(JW_RESTRICTED, "big = ('x'):rep(100000) n = 0");
    int slow = served_attach(&vm, 1), other = served_attach(&vm, 2);
    for (uint64_t i = 1; i <= COUNT; i++)
        served_ask(slow, SW_EXECUTE, i, "n = n + 1 return big", NULL);
    struct reply *reply = served_execute(other, 1, "return n < 10");
    expect_values(reply, VALUES(0x91, 0xc3));
    for (uint64_t i = 1; i <= COUNT; i++) {
        reply = served_reply(slow);
        assert_int_equal(reply->head.call, i);
        assert_int_equal(reply->values_length, 100000 + 6);
    }
    expect_stop(&vm);
}

/* ---- liars ---- */

/* Bytes that end their session, and no other. */
static void expect_end(struct served *vm, uint64_t number, const void *bytes, size_t length)
{
    int fd = served_attach(vm, number);
    served_write(fd, bytes, length);
    assert_int_equal(served_hear(vm, LW_CLOSED).a, number);
    assert_true(served_at_end(fd));
    close(fd);
}

static void test_garbage(void **state)
{
    (void)state;
    struct served vm = served_text(JW_RESTRICTED, "");
    int good = served_attach(&vm, 1);
    static const struct sw_head heads[] = {
        {.length = SW_BODY_MAX + 1, .type = SW_EXECUTE, .call = 1},
        {.length = UINT32_MAX, .type = SW_EXECUTE, .call = 1},
        {.length = 0, .type = 0, .call = 1},
        {.length = 0, .type = SW_RESULT, .call = 1},
        {.length = 0, .type = SW_EXECUTE, .call = 0},
        {.length = 0, .type = SW_EXECUTE, .call = 1, .kind = 1},
        {.length = 0, .type = SW_EXECUTE, .call = 1, .zero = 1},
        {.length = 0, .type = SW_EXECUTE, .call = 1, .zero2 = 1},
        {.length = 0, .type = SW_EXECUTE, .call = 1, .name_length = 1},
    };
    uint64_t number = 2;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        expect_end(&vm, number++, &heads[i], sizeof heads[i]);
    struct sw_head head = {.length = 2, .type = SW_EXECUTE, .call = 1};
    char body[sizeof head + 2] = {0};
    memcpy(body, &head, sizeof head);
    body[sizeof head] = (char)0x91; /* a value is missing, and something is there that is none */
    body[sizeof head + 1] = (char)0xc1;
    expect_end(&vm, number++, body, sizeof body);
    expect_values(served_execute(good, 1, "return 1"), VALUES(0x91, 1));
    expect_stop(&vm);
}

/* Calls rise: one that comes twice is no call. */
static void test_call_numbers(void **state)
{
    (void)state;
    struct served vm = served_text(JW_RESTRICTED, "");
    int fd = served_attach(&vm, 1);
    expect_values(served_execute(fd, 5, "return 1"), VALUES(0x91, 1));
    served_ask(fd, SW_EXECUTE, 5, "return 1", NULL);
    assert_int_equal(served_hear(&vm, LW_CLOSED).a, 1);
    expect_stop(&vm);
}

/* Bytes one at a time, and an end in the middle of a request. */
static void test_pieces(void **state)
{
    (void)state;
    struct served vm = served_text(JW_RESTRICTED, "");
    int fd = served_attach(&vm, 1), other = served_attach(&vm, 2);
    struct sw_head head = {.length = 8, .type = SW_EXECUTE, .call = 1, .name_length = 8};
    char bytes[sizeof head + 8];
    memcpy(bytes, &head, sizeof head);
    memcpy(bytes + sizeof head, "return 3", 8);
    for (size_t i = 0; i < sizeof bytes; i++) {
        served_write(fd, bytes + i, 1);
        if (i % 10 == 0)
            expect_values(served_execute(other, i + 1, "return 1"), VALUES(0x91, 1));
    }
    expect_values(served_reply(fd), VALUES(0x91, 3));
    served_write(fd, bytes, sizeof bytes - 1);
    shutdown(fd, SHUT_WR);
    assert_int_equal(served_hear(&vm, LW_CLOSED).a, 1);
    expect_stop(&vm);
}

/* What was asked before the client said that it asks no more is answered. */
static void test_half_close(void **state)
{
    (void)state;
    struct served vm = served_text(JW_RESTRICTED, "");
    int fd = served_attach(&vm, 1);
    served_ask(fd, SW_EXECUTE, 1, "return 1", NULL);
    served_ask(fd, SW_EXECUTE, 2, "return 2", NULL);
    shutdown(fd, SHUT_WR);
    expect_values(served_reply(fd), VALUES(0x91, 1));
    expect_values(served_reply(fd), VALUES(0x91, 2));
    assert_true(served_at_end(fd));
    assert_int_equal(served_hear(&vm, LW_CLOSED).a, 1);
    expect_stop(&vm);
}

/* A client that goes away while its call prints: the call goes on. */
static void test_client_leaves(void **state)
{
    (void)state;
    struct served vm = served_text(JW_RESTRICTED, "");
    int fd = served_attach(&vm, 1), other = served_attach(&vm, 2);
    served_ask(fd, SW_EXECUTE, 1, "print('x') local n = 0 while n < 1e6 do n = n + 1 end print('y') done = true", NULL);
    expect_output(served_reply(fd), 1, 1, "x\n");
    close(fd);
    expect_values(served_execute(other, 1, "return done"), VALUES(0x91, 0xc3));
    assert_int_equal(served_hear(&vm, LW_CLOSED).a, 1);
    expect_stop(&vm);
}

/* ---- ends ---- */

static void test_exit_in_a_call(void **state)
{
    (void)state;
    struct served vm = served_text(JW_FULL, "");
    int fd = served_attach(&vm, 1);
    served_ask(fd, SW_EXECUTE, 1, "return 1", NULL);
    served_ask(fd, SW_EXECUTE, 2, "error('forgotten')", NULL);
    served_ask(fd, SW_EXECUTE, 3, "io.write('bye') os.exit(7)", NULL);
    expect_values(served_reply(fd), VALUES(0x91, 1));
    assert_int_equal(served_reply(fd)->head.kind, SW_FAILED);
    expect_output(served_reply(fd), 3, 1, "bye");
    assert_true(served_at_end(fd));
    struct lw_frame done = served_hear(&vm, LW_DONE);
    assert_int_equal(done.a, LW_EXIT);
    assert_int_equal(done.b, 7);
    assert_int_equal(done.length1, 0);
    assert_int_equal(done.length2, 0);
    served_end(&vm);
}

/* A finalizer can run while an answer is being written, when there is no memory for it, and exit: half an answer is
 * not sent. */
static void test_exit_in_the_middle_of_an_answer(void **state)
{
    (void)state;
    struct served vm = served_start((struct child_input){.text = "", .ceiling = (size_t)8 << 20});
    int fd = served_attach(&vm, 1);
    served_ask(fd, SW_EXECUTE, 1, "local s = ('x'):rep(2 << 20) collectgarbage()\n"
                                  "setmetatable({}, {__gc = function() os.exit(3) end}) return s, s, s", NULL);
    assert_true(served_at_end(fd));
    assert_int_equal(served_hear(&vm, LW_DONE).b, 3);
    served_end(&vm);
}

static void test_script_that_fails(void **state)
{
    (void)state;
    struct served vm = served_text(JW_RESTRICTED, "error('no use', 0)");
    int fd = served_attach(&vm, 1);
    struct lw_frame done = served_hear(&vm, LW_DONE);
    assert_int_equal(done.a, LW_ERROR);
    assert_int_equal(done.length1, 6);
    assert_true(served_at_end(fd));
    served_end(&vm);
    vm = served_text(JW_RESTRICTED, "x =");
    assert_int_equal(served_hear(&vm, LW_DONE).a, LW_SYNTAX);
    served_end(&vm);
}

/* Requests that come while the script runs wait for its end. */
static void test_requests_wait_for_the_script(void **state)
{
    (void)state;
    struct served vm = served_text(JW_RESTRICTED, "for i = 1, 3e6 do x = i end y = 1");
    int fd = served_attach(&vm, 1);
    expect_values(served_execute(fd, 1, "return y"), VALUES(0x91, 1));
    expect_stop(&vm);
}

/* Stop: finalizers run, and what they print is in the logs. */
static void test_stop(void **state)
{
    (void)state;
    struct served vm = served_text(JW_RESTRICTED, "x = setmetatable({}, {__gc = function() print('bye') end})");
    int fd = served_attach(&vm, 1);
    expect_values(served_execute(fd, 1, "return 1"), VALUES(0x91, 1));
    child_send(vm.lifeline, &(struct lw_frame){.type = LW_STOP}, -1);
    char out[10] = "";
    assert_int_equal(read(vm.out, out, sizeof out), 4);
    assert_string_equal(out, "bye\n");
    assert_int_equal(served_hear(&vm, LW_DONE).a, LW_OK);
    served_end(&vm);
}

/* The end of the lifeline is the end. */
static void test_lifeline_ends(void **state)
{
    (void)state;
    struct served vm = served_text(JW_RESTRICTED, "");
    int fd = served_attach(&vm, 1);
    expect_values(served_execute(fd, 1, "return 1"), VALUES(0x91, 1));
    close(vm.lifeline);
    assert_true(served_at_end(fd));
    served_end(&vm);
}

/* Nothing comes, nothing is done: the process makes no switch. */
static void test_idle(void **state)
{
    (void)state;
    struct served vm = served_text(JW_RESTRICTED, "");
    int fd = served_attach(&vm, 1);
    expect_values(served_execute(fd, 1, "return 1"), VALUES(0x91, 1));
    char path[64];
    unsigned long before = 0, after = 0;
    snprintf(path, sizeof path, "/proc/%d/status", vm.pid);
    for (int i = 0; i < 2; i++) {
        char line[200];
        nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
        FILE *file = fopen(path, "r");
        while (fgets(line, sizeof line, file) != NULL)
            sscanf(line, "voluntary_ctxt_switches: %lu", i == 0 ? &before : &after);
        fclose(file);
    }
    assert_true(before > 0);
    assert_int_equal(before, after);
    expect_stop(&vm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pipelined), cmocka_unit_test(test_answers_do_not_wait), cmocka_unit_test(test_sessions),
        cmocka_unit_test(test_fairness), cmocka_unit_test(test_slow_client), cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_call_numbers), cmocka_unit_test(test_pieces), cmocka_unit_test(test_half_close),
        cmocka_unit_test(test_client_leaves), cmocka_unit_test(test_exit_in_a_call),
        cmocka_unit_test(test_exit_in_the_middle_of_an_answer), cmocka_unit_test(test_script_that_fails),
        cmocka_unit_test(test_requests_wait_for_the_script), cmocka_unit_test(test_stop),
        cmocka_unit_test(test_lifeline_ends), cmocka_unit_test(test_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
