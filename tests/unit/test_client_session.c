/*
 * test_client_session.c - a session against a VM that this test plays: what is sent, what comes back in pieces and in
 * crowds, and every lie that a VM can tell.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/session.h"
#include "common/clock.h"
#include "common/limits.h"
#include "common/values.h"

/* Both ends: the client's session, and the VM's socket. */
struct play {
    bioxen_session *session;
    int vm;
};

static const struct bioxen_string nothing = {NULL, 0};

static struct play begin(void)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    struct play play = {session_new(pair[0], 7, 3), pair[1]};
    assert_non_null(play.session);
    return play;
}

static void end(struct play *play)
{
    bioxen_detach(play->session);
    if (play->vm >= 0)
        close(play->vm);
}

static struct bioxen_string text_of(const char *bytes)
{
    return (struct bioxen_string){bytes, strlen(bytes)};
}

static uint64_t ask(struct play *play, const char *code)
{
    uint64_t call = 0;
    struct bioxen_error err = {0};
    int rc = bioxen_session_send(play->session, BIOXEN_EXECUTE, text_of(code), nothing, 0, &call, &err);
    if (rc != 0)
        fail_msg("%d: %s", rc, err.text);
    return call;
}

/* The VM's side waits: a socket that is full is read by nobody else here. */
static void vm_write(struct play *play, const void *bytes, size_t length)
{
    for (const char *at = bytes; length > 0;) {
        ssize_t put = send(play->vm, at, length, MSG_NOSIGNAL);
        assert_true(put > 0);
        at += put;
        length -= (size_t)put;
    }
}

static void vm_say(struct play *play, struct sw_head head, const void *body)
{
    vm_write(play, &head, sizeof head);
    if (head.length > 0 && body != NULL)
        vm_write(play, body, head.length);
}

#define VALUES_ONE "\x91\x01" /* {1} */
#define VALUES_NIL "\x91\xc0" /* {nil} */

static struct sw_head result_head(uint64_t call)
{
    return (struct sw_head){.length = 2, .type = SW_RESULT, .call = call};
}

static void vm_result(struct play *play, uint64_t call)
{
    vm_say(play, result_head(call), VALUES_ONE);
}

static int next(struct play *play, struct bioxen_reply *reply, int timeout_ms, struct bioxen_error *err)
{
    return bioxen_session_next(play->session, reply, timeout_ms, err);
}

static struct bioxen_reply expect(struct play *play, enum bioxen_reply_type type, uint64_t call)
{
    struct bioxen_reply reply;
    struct bioxen_error err = {0};
    int rc = next(play, &reply, 5000, &err);
    if (rc != 1)
        fail_msg("%d: %s", rc, err.text);
    assert_int_equal(reply.type, type);
    assert_int_equal(reply.call, call);
    return reply;
}

/* The session is over, says why, and goes on saying so. */
static void expect_over(struct play *play, int code, const char *word)
{
    struct bioxen_reply reply;
    struct bioxen_error err = {0};
    uint64_t call = 42;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(next(play, &reply, 5000, &err), -code);
        assert_int_equal(err.code, code);
        if (strstr(err.text, word) == NULL)
            fail_msg("no '%s' in: %s", word, err.text);
    }
    assert_int_equal(bioxen_session_send(play->session, BIOXEN_EXECUTE, nothing, nothing, 0, &call, &err), -code);
    assert_int_equal(bioxen_session_flush(play->session, NULL), -code);
    assert_int_equal(call, 42);
    assert_int_equal(bioxen_session_unsent(play->session), 0);
    struct pollfd ready = {bioxen_session_fd(play->session), POLLIN, 0};
    assert_int_equal(poll(&ready, 1, 0), 1); /* whoever polls comes and hears of it */
}

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

/* ---- lies ---- */

static void refuse(struct sw_head head, const void *body, const char *word)
{
    struct play play = begin();
    ask(&play, "");
    ask(&play, "");
    vm_say(&play, head, body);
    expect_over(&play, EBADMSG, word);
    end(&play);
}

static void test_lies_in_heads(void **state)
{
    (void)state;
    struct sw_head good = result_head(1), bad;
#define LIE(field, value, word) (bad = good, bad.field = (value), refuse(bad, NULL, word))
    LIE(type, 0, "unknown kind");
    LIE(type, SW_EXECUTE, "unknown kind");
    LIE(type, 255, "unknown kind");
    LIE(kind, 1, "a result of an unknown kind");
    LIE(zero, 1, "bytes where none belong");
    LIE(zero2, 1, "bytes where none belong");
    LIE(name_length, 1, "bytes where none belong");
    LIE(deadline_us, 1, "bytes where none belong");
    LIE(call, 0, "not to be answered");
    LIE(call, 2, "not to be answered"); /* out of order */
    LIE(call, 3, "not to be answered"); /* never asked */
    LIE(call, UINT64_MAX, "not to be answered");
    LIE(length, SW_BODY_MAX + 1, "too large");
    LIE(length, UINT32_MAX, "too large");
    good = (struct sw_head){.length = 1, .type = SW_OUTPUT, .kind = 1, .call = 1};
    LIE(kind, 0, "unknown stream");
    LIE(kind, 3, "unknown stream");
    LIE(length, 0, "unknown stream or size");
    LIE(length, SW_OUTPUT_MAX + 1, "unknown stream or size");
    LIE(call, 2, "not to be answered");
    good = (struct sw_head){.length = 10, .type = SW_ERROR, .kind = SW_FAILED, .call = 1};
    LIE(kind, 0, "an error of an unknown kind");
    LIE(kind, SW_TOO_LARGE + 1, "an error of an unknown kind");
}

/* Answers to calls that nobody made, or that were answered. */
static void test_answers_unasked(void **state)
{
    (void)state;
    struct play play = begin();
    vm_result(&play, 1);
    expect_over(&play, EBADMSG, "not to be answered");
    end(&play);
    play = begin();
    ask(&play, "");
    vm_result(&play, 1);
    vm_result(&play, 1);
    expect(&play, BIOXEN_REPLY_RESULT, 1);
    expect_over(&play, EBADMSG, "not to be answered");
    end(&play);
    play = begin();
    ask(&play, "");
    vm_result(&play, 1);
    vm_say(&play, (struct sw_head){.length = 1, .type = SW_OUTPUT, .kind = 1, .call = 1}, "x");
    expect(&play, BIOXEN_REPLY_RESULT, 1);
    expect_over(&play, EBADMSG, "not to be answered");
    end(&play);
}

static void refuse_result(const char *body, size_t length)
{
    refuse((struct sw_head){.length = (uint32_t)length, .type = SW_RESULT, .call = 1}, body, "values that are none");
}

#define REFUSE_RESULT(literal) refuse_result(literal, sizeof(literal) - 1)

static void test_lies_in_values(void **state)
{
    (void)state;
    REFUSE_RESULT("");
    REFUSE_RESULT("\x01");                                  /* no list */
    REFUSE_RESULT("\x92\x01");                              /* fewer than announced */
    REFUSE_RESULT("\x91\x01\x01");                          /* more */
    REFUSE_RESULT("\xdd\xff\xff\xff\xff");                  /* four thousand million */
    REFUSE_RESULT("\x91\xdb\xff\xff\xff\xff");              /* a text of four GiB */
    REFUSE_RESULT("\x91\xd6\x01\x01\0\0\0");                /* a table that is not there */
    REFUSE_RESULT("\x91\xd6\x01\0\0\0\0");                  /* nor this */
    REFUSE_RESULT("\x92\xd6\x01\x01\0\0\0\xd6\x01\0\0\0\0\x90\x90"); /* out of order */
    REFUSE_RESULT("\x91\xd6\x01\xff\xff\xff\xff\x90");
    REFUSE_RESULT("\x91\x91\x91\x91");                      /* nested, which needs a stack */
    REFUSE_RESULT("\x91\xd6\x02\0\0\0\0");                  /* an unknown extension */
    REFUSE_RESULT("\x91\xc1");
    REFUSE_RESULT("\x91\xcf\xff\xff\xff\xff\xff\xff\xff\xff"); /* above int64 */
    REFUSE_RESULT("\x91\xd6\x01\0\0\0\0\x81\xc0\x01");      /* nil as a key */
}

/* A table inside itself is no lie, but a shape. */
static void test_cycles_are_values(void **state)
{
    (void)state;
    struct play play = begin();
    ask(&play, "");
    static const char cycle[] = "\x91\xd6\x01\0\0\0\0\x91\xd6\x01\0\0\0\0";
    vm_say(&play, (struct sw_head){.length = sizeof cycle - 1, .type = SW_RESULT, .call = 1}, cycle);
    struct bioxen_reply reply = expect(&play, BIOXEN_REPLY_RESULT, 1);
    assert_int_equal(reply.bytes.length, sizeof cycle - 1);
    end(&play);
}

static void refuse_error(const char *body, size_t length, const char *word)
{
    refuse((struct sw_head){.length = (uint32_t)length, .type = SW_ERROR, .kind = 1, .call = 1}, body, word);
}

#define REFUSE_ERROR(literal, word) refuse_error(literal, sizeof(literal) - 1, word)

static void test_lies_in_errors(void **state)
{
    (void)state;
    REFUSE_ERROR("", "too short");
    REFUSE_ERROR("\0\0\0\0\0\0\0", "too short");
    REFUSE_ERROR("\0\0\0\0\0\0\0\0", "without a value");
    REFUSE_ERROR("\0\0\0\0\0\0\0\0\x90", "without a value");         /* none */
    REFUSE_ERROR("\0\0\0\0\0\0\0\0\x92\x01\x01", "without a value"); /* two */
    REFUSE_ERROR("\0\0\0\0\0\0\0\0\x91\xc1", "without a value");
    REFUSE_ERROR("\x03\0\0\0\0\0\0\0\x91\xc0", "wrong size"); /* the text reaches beyond the end */
    REFUSE_ERROR("\x02\0\0\0\x01\0\0\0\x91\xc0", "wrong size");
    REFUSE_ERROR("\xff\xff\xff\xff\x01\0\0\0\x91\xc0", "wrong size"); /* their sum is 0 in 32 bits */
    REFUSE_ERROR("\x01\0\0\0\xff\xff\xff\xff\x91\xc0", "wrong size");
    REFUSE_ERROR("\0\0\0\x80\0\0\0\x80\x91\xc0", "wrong size");
    char *body = calloc(1, BX_MESSAGE_MAX + 16);
    struct sw_error sizes = {.message_length = BX_MESSAGE_MAX + 1};
    memcpy(body, &sizes, sizeof sizes);
    memcpy(body + sizeof sizes + BX_MESSAGE_MAX + 1, VALUES_NIL, 2);
    refuse_error(body, sizeof sizes + BX_MESSAGE_MAX + 3, "wrong size");
    free(body);
}

/* Descriptors that a VM passes are not ours, and do not stay. */
static void test_descriptors_are_dropped(void **state)
{
    (void)state;
    struct play play = begin();
    int first = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(first);
    ask(&play, "");
    struct sw_head head = result_head(1);
    struct iovec parts[] = {{&head, sizeof head}, {(void *)VALUES_ONE, 2}};
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(rights), &play.vm, sizeof(int));
    assert_int_equal(sendmsg(play.vm, &message, 0), sizeof head + 2);
    expect(&play, BIOXEN_REPLY_RESULT, 1);
    int again = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(again, first);
    close(again);
    end(&play);
}

/* Announcing the most and sending little costs the client little. */
static void test_promises_cost_nothing(void **state)
{
    (void)state;
    struct play play = begin();
    struct bioxen_reply reply;
    ask(&play, "");
    vm_say(&play, (struct sw_head){.length = SW_BODY_MAX, .type = SW_RESULT, .call = 1}, NULL);
    vm_write(&play, "x", 1);
    for (int i = 0; i < 10; i++)
        assert_int_equal(next(&play, &reply, 0, NULL), 0);
    assert_true(play.session->in.capacity <= 64u << 10);
    end(&play);
}

/* A flood of output is read piece by piece: nothing piles up in the client. */
static void test_flood(void **state)
{
    (void)state;
    struct play play = begin();
    struct bioxen_reply reply;
    static char body[SW_OUTPUT_MAX];
    ask(&play, "");
    for (int i = 0; i < 2000; i++) {
        struct sw_head head = {.length = SW_OUTPUT_MAX, .type = SW_OUTPUT, .kind = 1, .call = 1};
        vm_say(&play, head, body);
        assert_int_equal(next(&play, &reply, 5000, NULL), 1);
    }
    assert_true(play.session->in.capacity <= 256u << 10);
    end(&play);
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
        cmocka_unit_test(test_lies_in_heads),
        cmocka_unit_test(test_answers_unasked),
        cmocka_unit_test(test_lies_in_values),
        cmocka_unit_test(test_cycles_are_values),
        cmocka_unit_test(test_lies_in_errors),
        cmocka_unit_test(test_descriptors_are_dropped),
        cmocka_unit_test(test_promises_cost_nothing),
        cmocka_unit_test(test_flood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
