/* test_client_session.c - a session and an honest VM: what is sent, what comes back in pieces and in crowds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "session_play.h"

/* ---- what an honest VM sees and says ---- */

static void test_request(void **state)
{
    (void)state;
    struct play play = begin();
    uint64_t call = 0;
    struct sw_head head;
    char body[16];
    assert_int_equal(bioxen_session_vm(play.session), 7);
    struct bioxen_string arguments = {VALUES_ONE, 2};
    assert_int_equal(bioxen_session_send(play.session, BIOXEN_CALL, text_of("f"), arguments, 99, &call, NULL), 0);
    assert_int_equal(call, 1);
    assert_int_equal(recv(play.vm, &head, sizeof head, 0), sizeof head);
    assert_int_equal(recv(play.vm, body, sizeof body, 0), 3);
    struct sw_head want = {.length = 3, .type = SW_CALL, .call = 1, .deadline_us = 99, .name_length = 1};
    assert_memory_equal(&head, &want, sizeof want);
    assert_memory_equal(body, "f" VALUES_ONE, 3);
    assert_int_equal(ask(&play, ""), 2);
    assert_int_equal(recv(play.vm, &head, sizeof head, 0), sizeof head);
    want = (struct sw_head){.length = 1, .type = SW_EXECUTE, .call = 2};
    assert_memory_equal(&head, &want, sizeof want);
    assert_int_equal(recv(play.vm, body, sizeof body, 0), 1);
    assert_memory_equal(body, "\x90", 1); /* no arguments are an empty list */
    end(&play);
}

static void test_replies(void **state)
{
    (void)state;
    struct play play = begin();
    static const char error[] = "\x02\0\0\0\x05\0\0\0notrace" VALUES_NIL;
    ask(&play, "1");
    ask(&play, "2");
    struct sw_head head = {.length = 4, .type = SW_OUTPUT, .kind = 2, .call = 1};
    vm_say(&play, head, "a\0b\n");
    vm_result(&play, 1);
    head = (struct sw_head){.length = sizeof error - 1, .type = SW_ERROR, .kind = SW_SYNTAX, .call = 2};
    vm_say(&play, head, error);
    struct bioxen_reply reply = expect(&play, BIOXEN_REPLY_OUTPUT, 1);
    assert_int_equal(reply.stream, 2);
    assert_int_equal(reply.bytes.length, 4);
    assert_memory_equal(reply.bytes.bytes, "a\0b\n", 4);
    reply = expect(&play, BIOXEN_REPLY_RESULT, 1);
    struct bioxen_value value;
    const char *at = bioxen_read(reply.bytes.bytes, &value);
    assert_true(value.type == BIOXEN_LIST && value.integer == 1);
    bioxen_read(at, &value);
    assert_true(value.type == BIOXEN_INTEGER && value.integer == 1);
    reply = expect(&play, BIOXEN_REPLY_ERROR, 2);
    assert_int_equal(reply.failure, BIOXEN_FAILED_SYNTAX);
    assert_int_equal(reply.message.length, 2);
    assert_memory_equal(reply.message.bytes, "no", 2);
    assert_memory_equal(reply.traceback.bytes, "trace", 5);
    assert_memory_equal(reply.bytes.bytes, VALUES_NIL, 2);
    assert_int_equal(next(&play, &reply, 0, NULL), 0);
    end(&play);
}

/* Byte for byte, as a busy VM may write it. */
static void test_in_pieces(void **state)
{
    (void)state;
    struct play play = begin();
    char bytes[sizeof(struct sw_head) + 2];
    struct bioxen_reply reply;
    ask(&play, "");
    struct sw_head head = result_head(1);
    memcpy(bytes, &head, sizeof head);
    memcpy(bytes + sizeof head, VALUES_ONE, 2);
    for (size_t i = 0; i < sizeof bytes; i++) {
        assert_int_equal(next(&play, &reply, 0, NULL), 0);
        vm_write(&play, bytes + i, 1);
    }
    expect(&play, BIOXEN_REPLY_RESULT, 1);
    end(&play);
}

/* Many in one read, and across the end of the buffer. */
static void test_in_crowds(void **state)
{
    (void)state;
    static const char digits[] = "0123456789012345678901234567890123456789";
    static char crowd[300 * (2 * sizeof(struct sw_head) + 40)];
    struct play play = begin();
    uint64_t asked = 0, answered = 0;
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 300; i++)
            asked = ask(&play, "return 1");
        char *to = crowd;
        for (uint64_t call = answered + 1; call <= asked; call++) {
            struct sw_head output = {.length = (uint32_t)(call % 37 + 1), .type = SW_OUTPUT, .kind = 1, .call = call};
            struct sw_head result = result_head(call);
            to = (char *)mempcpy(mempcpy(to, &output, sizeof output), digits, output.length);
            to = (char *)mempcpy(mempcpy(to, &result, sizeof result), VALUES_ONE, 2);
        }
        vm_write(&play, crowd, (size_t)(to - crowd));
        while (answered < asked) {
            struct bioxen_reply reply = expect(&play, BIOXEN_REPLY_OUTPUT, answered + 1);
            assert_int_equal(reply.bytes.length, (answered + 1) % 37 + 1);
            assert_memory_equal(reply.bytes.bytes, digits, reply.bytes.length);
            expect(&play, BIOXEN_REPLY_RESULT, ++answered);
        }
        char drop[1 << 16];
        while (recv(play.vm, drop, sizeof drop, 0) > 0)
            ;
        bioxen_session_flush(play.session, NULL);
    }
    end(&play);
}

static char *large_values(size_t length, size_t *total)
{
    struct bx_values values;
    char *text = malloc(length);
    memset(text, 'x', length);
    bx_values_init(&values, SIZE_MAX / 2, NULL, NULL);
    bx_values_list(&values, 1);
    bx_values_string(&values, text, length);
    assert_int_equal(values.error, 0);
    free(text);
    *total = values.length;
    return values.bytes;
}

/* Writes what goes, so that one thread can play both. */
static size_t vm_write_some(struct play *play, const char *bytes, size_t length)
{
    ssize_t put = send(play->vm, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    assert_true(put > 0 || errno == EAGAIN);
    return put > 0 ? (size_t)put : 0;
}

static void large_answer(struct play *play, uint64_t call, size_t length)
{
    size_t total, at = 0, before = play->session->in.capacity;
    char *bytes = large_values(length, &total);
    struct sw_head head = {.length = (uint32_t)total, .type = SW_RESULT, .call = call};
    struct bioxen_reply reply;
    vm_say(play, head, NULL);
    while (at < total) {
        at += vm_write_some(play, bytes + at, total - at);
        if (at < total)
            assert_int_equal(next(play, &reply, 0, NULL), 0);
        /* memory follows what has come, whatever was announced */
        size_t capacity = play->session->in.capacity;
        assert_true(capacity <= before || capacity <= 2 * (at + sizeof head) || capacity <= 64u << 10);
    }
    reply = expect(play, BIOXEN_REPLY_RESULT, call);
    assert_int_equal(reply.bytes.length, total);
    assert_memory_equal(reply.bytes.bytes, bytes, total);
    free(bytes);
}

static void test_large_answers(void **state)
{
    (void)state;
    struct play play = begin();
    static const size_t lengths[] = {1 << 10, 100 << 10, 1 << 20, 3 << 20, 17 << 20, SW_BODY_MAX - 6};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        large_answer(&play, ask(&play, ""), lengths[i]);
        vm_result(&play, ask(&play, "")); /* and a small one behind it */
        expect(&play, BIOXEN_REPLY_RESULT, 2 * i + 2);
    }
    struct bioxen_reply reply;
    assert_int_equal(next(&play, &reply, 0, NULL), 0);
    assert_true(play.session->in.capacity <= 4u << 20); /* what one answer needed is not kept */
    end(&play);
}

/* Requests that the VM does not take wait, in order, and go when it does. */
static void test_a_vm_that_does_not_read(void **state)
{
    (void)state;
    struct play play = begin();
    char *code = malloc(300000);
    uint64_t call;
    memset(code, 'c', 300000);
    for (int i = 1; i <= 20; i++) {
        struct bioxen_string text = {code, (size_t)i * 15000};
        assert_int_equal(bioxen_session_send(play.session, BIOXEN_EXECUTE, text, nothing, 0, &call, NULL), 0);
    }
    assert_true(bioxen_session_unsent(play.session) > 0);
    struct pollfd both = {bioxen_session_fd(play.session), POLLOUT, 0};
    assert_int_equal(poll(&both, 1, 0), 0);
    size_t want = 0, seen = 0;
    char *all = malloc(8 << 20);
    for (int i = 1; i <= 20; i++)
        want += sizeof(struct sw_head) + (size_t)i * 15000 + 1;
    while (seen < want) {
        ssize_t got = recv(play.vm, all + seen, 50000, 0);
        assert_true(got > 0);
        seen += (size_t)got;
        assert_int_equal(bioxen_session_flush(play.session, NULL), 0);
    }
    assert_int_equal(bioxen_session_unsent(play.session), 0);
    size_t at = 0;
    for (uint64_t i = 1; i <= 20; i++) {
        struct sw_head head;
        memcpy(&head, all + at, sizeof head);
        assert_true(head.call == i && head.name_length == i * 15000 && head.length == i * 15000 + 1);
        at += sizeof head + head.length;
    }
    assert_int_equal(at, want);
    free(all);
    free(code);
    end(&play);
}

static void test_too_large_a_request(void **state)
{
    (void)state;
    struct play play = begin();
    char *big = calloc(1, SW_BODY_MAX + 1);
    uint64_t call = 0;
    struct bioxen_error err;
    struct bioxen_string text = {big, SW_BODY_MAX + 1}, arguments = {VALUES_ONE, 2};
    assert_int_equal(bioxen_session_send(play.session, BIOXEN_EXECUTE, text, nothing, 0, &call, &err), -E2BIG);
    assert_non_null(strstr(err.text, "64 MiB"));
    text.length = SW_BODY_MAX - 1;
    assert_int_equal(bioxen_session_send(play.session, BIOXEN_EXECUTE, text, arguments, 0, &call, &err), -E2BIG);
    assert_int_equal(bioxen_session_send(play.session, (enum bioxen_call)9, text, nothing, 0, &call, &err), -EINVAL);
    assert_int_equal(bioxen_session_send(play.session, BIOXEN_EXECUTE, text, nothing, 0, &call, &err), 0);
    assert_int_equal(call, 1); /* what was refused has no number */
    free(big);
    end(&play);
}

static void test_time(void **state)
{
    (void)state;
    struct play play = begin();
    struct bioxen_reply reply;
    ask(&play, "");
    uint64_t before = bx_now_us();
    assert_int_equal(next(&play, &reply, 30, NULL), 0);
    assert_true(bx_now_us() - before >= 29000);
    struct sw_head head = result_head(1);
    vm_write(&play, &head, sizeof head); /* half of an answer does not lengthen the time */
    before = bx_now_us();
    assert_int_equal(next(&play, &reply, 30, NULL), 0);
    assert_true(bx_now_us() - before >= 29000);
    end(&play);
}

/* ---- ends ---- */

/* What had been answered is still to be had; then comes the end, with half an answer or without. */
static void test_end_of_the_vm(void **state)
{
    (void)state;
    for (size_t half = 0; half < sizeof(struct sw_head) + 2; half++) {
        struct play play = begin();
        struct bioxen_error err;
        uint64_t call = 0;
        ask(&play, "");
        ask(&play, "");
        char bytes[sizeof(struct sw_head) + 2] = {0};
        struct sw_head head = result_head(2);
        memcpy(bytes, &head, sizeof head);
        vm_result(&play, 1);
        vm_write(&play, bytes, half);
        close(play.vm);
        play.vm = -1;
        /* asking now fails, or would have gone; either way no signal, and the answer is not lost */
        (void)bioxen_session_send(play.session, BIOXEN_EXECUTE, nothing, nothing, 0, &call, &err);
        expect(&play, BIOXEN_REPLY_RESULT, 1);
        expect_over(&play, EPIPE, "VM 7 has ended");
        end(&play);
    }
}

static void test_a_forked_child(void **state)
{
    (void)state;
    struct play play = begin();
    play.session->owner = getpid() + 1; /* as in a child */
    bioxen_detach(play.session);
    char byte;
    assert_int_equal(recv(play.vm, &byte, 1, 0), 0); /* here the only copy, so that it is an end all the same */
    close(play.vm);
    play = begin();
    int copy = dup(bioxen_session_fd(play.session));
    play.session->owner = getpid() + 1;
    bioxen_detach(play.session);
    assert_int_equal(recv(play.vm, &byte, 1, 0), -1); /* the parent's session lives */
    assert_int_equal(errno, EAGAIN);
    close(play.vm);
    close(copy);
    play = begin();
    copy = dup(bioxen_session_fd(play.session));
    bioxen_detach(play.session);
    assert_int_equal(recv(play.vm, &byte, 1, 0), 0); /* a copy in a child does not keep it alive */
    close(play.vm);
    close(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_in_pieces),
        cmocka_unit_test(test_in_crowds),
        cmocka_unit_test(test_large_answers),
        cmocka_unit_test(test_a_vm_that_does_not_read),
        cmocka_unit_test(test_too_large_a_request),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_end_of_the_vm),
        cmocka_unit_test(test_a_forked_child),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
