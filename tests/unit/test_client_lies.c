/* test_client_lies.c - a session and a VM that lies: the session ends, the client does not, and pays nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "session_play.h"

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
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    message.msg_control = control;
    message.msg_controllen = sizeof control;
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
