/* test_mail_wire.c - heads of messages between VMs: what is encoded comes back, and what does not add up is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/mail_wire.h"

enum { FROM_SENDER = 1, FROM_RECEIVER = 2 };

static void expect(struct mail_head head, int accepted_from)
{
    unsigned char bytes[sizeof head];
    struct mail_head again = {0};
    mail_encode_head(&head, bytes);
    assert_int_equal(mail_decode_from_sender(bytes, &again), accepted_from == FROM_SENDER ? 0 : -EBADMSG);
    assert_int_equal(mail_decode_from_receiver(bytes, &again), accepted_from == FROM_RECEIVER ? 0 : -EBADMSG);
    assert_int_equal(again.number, accepted_from != 0 ? head.number : 0);
    assert_int_equal(again.length, accepted_from != 0 ? head.length : 0);
}

static void test_heads(void **state)
{
    (void)state;
    expect((struct mail_head){.type = MAIL_HELLO, .number = 5, .length = 16}, FROM_SENDER);
    expect((struct mail_head){.type = MAIL_HELLO, .number = 0, .length = 16}, 0);
    expect((struct mail_head){.type = MAIL_HELLO, .number = 5, .length = 15}, 0);
    expect((struct mail_head){.type = MAIL_MESSAGE, .number = UINT64_MAX, .length = MAIL_BODY_MAX}, FROM_SENDER);
    expect((struct mail_head){.type = MAIL_MESSAGE, .number = 1, .length = 1}, FROM_SENDER);
    expect((struct mail_head){.type = MAIL_MESSAGE, .number = 1, .length = 0}, 0);
    expect((struct mail_head){.type = MAIL_MESSAGE, .number = 1, .length = MAIL_BODY_MAX + 1}, 0);
    expect((struct mail_head){.type = MAIL_MESSAGE, .number = 0, .length = 1}, 0);
    expect((struct mail_head){.type = MAIL_TAKEN, .number = 0}, FROM_RECEIVER);
    expect((struct mail_head){.type = MAIL_TAKEN, .number = 7}, FROM_RECEIVER);
    expect((struct mail_head){.type = MAIL_TAKEN, .number = 7, .length = 1}, 0);
    expect((struct mail_head){.type = 4, .number = 7}, 0);
    expect((struct mail_head){.type = 0, .number = 7}, 0);
}

/* As docs/messages.md has it, whatever the machine. */
static void test_bytes(void **state)
{
    (void)state;
    static const unsigned char message[16] = {5, 1, 0, 0, 2, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1};
    static const unsigned char first[16] = {'B', 'X', 'M', '1', 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0};
    unsigned char bytes[16], stray[16];
    struct mail_head head = {.type = MAIL_MESSAGE, .length = 0x105, .number = 0x0102030405060708};
    struct mail_hello hello = {.first = 3};
    mail_encode_head(&head, bytes);
    assert_memory_equal(bytes, message, 16);
    mail_encode_hello(&hello, bytes);
    assert_memory_equal(bytes, first, 16);
    assert_int_equal(mail_decode_hello(first, &hello), 0);
    for (unsigned i = 0; i < 8; i++) {
        memcpy(stray, first, sizeof stray);
        stray[i] ^= 0x40;
        assert_int_equal(mail_decode_hello(stray, &hello), -EBADMSG);
    }
    for (unsigned i = 5; i < 8; i++) {
        memcpy(stray, message, sizeof stray);
        stray[i] = 1;
        assert_int_equal(mail_decode_from_sender(stray, &head), -EBADMSG);
    }
}

static void test_bodies(void **state)
{
    (void)state;
    assert_int_equal(mail_check_body("\x91\xc0", 2), 0);
    assert_int_equal(mail_check_body("\x91\xd6\x01\0\0\0\0\x91\x05", 9), 1);
    assert_int_equal(mail_check_body("\x90", 1), -EBADMSG);
    assert_int_equal(mail_check_body("\x92\xc0\xc0", 3), -EBADMSG);
    assert_int_equal(mail_check_body("\x91", 1), -EBADMSG);
    assert_int_equal(mail_check_body("\x91\xc0\xc0", 3), -EBADMSG);
    assert_int_equal(mail_check_body("\xc0", 1), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
