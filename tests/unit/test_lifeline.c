/* test_lifeline.c - frames of the lifeline: what is encoded comes back, and what does not add up is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/lifeline.h"

/* Decodes from a copy of exactly that size, so that a sanitizer sees a byte too far. */
static int decode(const void *bytes, size_t length, struct lw_frame *out, char **copy)
{
    *copy = malloc(length > 0 ? length : 1);
    memcpy(*copy, bytes, length);
    return lw_decode(*copy, length, out);
}

static void test_round_trip(void **state)
{
    (void)state;
    static char bytes[LW_FRAME_MAX];
    struct lw_frame frame = {LW_DONE, UINT64_MAX, INT64_MIN, "message\0more", "trace", 12, 5}, again;
    char *copy;
    uint32_t size = lw_encode(&frame, bytes);
    assert_int_equal(size, sizeof(struct lw_header) + 12 + 5);
    assert_int_equal(decode(bytes, size, &again, &copy), 0);
    assert_int_equal(again.type, LW_DONE);
    assert_true(again.a == UINT64_MAX && again.b == INT64_MIN);
    assert_int_equal(again.length1, 12);
    assert_memory_equal(again.text1, frame.text1, 12);
    assert_int_equal(again.length2, 5);
    assert_memory_equal(again.text2, "trace", 5);
    free(copy);
}

static void test_empty(void **state)
{
    (void)state;
    char bytes[sizeof(struct lw_header)], *copy;
    struct lw_frame again;
    uint32_t size = lw_encode(&(struct lw_frame){.type = LW_READY}, bytes);
    assert_int_equal(size, sizeof bytes);
    assert_int_equal(decode(bytes, size, &again, &copy), 0);
    assert_int_equal(again.type, LW_READY);
    assert_int_equal(again.length1 + again.length2, 0);
    free(copy);
}

/* Long texts are cut, each by itself, and the frame still adds up. */
static void test_long_texts_are_cut(void **state)
{
    (void)state;
    static char bytes[LW_FRAME_MAX];
    size_t length = 1 << 20;
    char *text = malloc(length), *copy;
    memset(text, 'x', length);
    struct lw_frame again;
    uint32_t size = lw_encode(&(struct lw_frame){LW_DONE, 0, 0, text, text, (uint32_t)length, BX_MESSAGE_MAX}, bytes);
    assert_int_equal(size, LW_FRAME_MAX);
    assert_int_equal(decode(bytes, size, &again, &copy), 0);
    assert_int_equal(again.length1, BX_MESSAGE_MAX);
    assert_int_equal(again.length2, BX_MESSAGE_MAX);
    free(copy);
    size = lw_encode(&(struct lw_frame){LW_DONE, 0, 0, text, NULL, UINT32_MAX, 0}, bytes);
    assert_int_equal(size, sizeof(struct lw_header) + BX_MESSAGE_MAX);
    free(text);
}

static void test_peers(void **state)
{
    (void)state;
    char text[40];
    struct lw_peer peer = {0x64400005, 8080, LW_ROLE_SERVER, 4}, again;
    uint32_t length = 0, at = 0;
    const char *name;
    assert_int_equal(lw_put_peer(&peer, "echo", text, sizeof text, &length), 0);
    peer.role = LW_ROLE_PEER;
    assert_int_equal(lw_put_peer(&peer, "last", text, sizeof text, &length), 0);
    assert_int_equal(lw_put_peer(&peer, "more", text, 2 * 12 + 11, &length), -ENOSPC);
    assert_int_equal(length, 2 * 12);
    assert_int_equal(lw_next_peer(text, length, &at, &again, &name), 1);
    assert_true(again.address == 0x64400005 && again.port == 8080 && again.role == LW_ROLE_SERVER);
    assert_memory_equal(name, "echo", 4);
    assert_int_equal(lw_next_peer(text, length, &at, &again, &name), 1);
    assert_memory_equal(name, "last", 4);
    assert_int_equal(lw_next_peer(text, length, &at, &again, &name), 0);
    for (uint32_t cut = 13; cut < length; cut++) {
        at = 12;
        assert_int_equal(lw_next_peer(text, cut, &at, &again, &name), -EBADMSG);
        assert_int_equal(at, 12);
    }
    static const struct lw_peer bad[] = {{1, 1, 0, 4}, {1, 1, 4, 4}, {1, 1, 1, 0}, {1, 1, 1, BX_NAME_MAX + 1}};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        char bytes[sizeof *bad + BX_NAME_MAX + 1] = {0};
        memcpy(bytes, &bad[i], sizeof *bad);
        at = 0;
        assert_int_equal(lw_next_peer(bytes, sizeof bytes, &at, &again, &name), -EBADMSG);
    }
}

static void refuse(struct lw_header header, size_t length)
{
    static char bytes[LW_FRAME_MAX + 16];
    char *copy;
    struct lw_frame frame = {.type = 12345};
    memcpy(bytes, &header, sizeof header);
    assert_int_equal(decode(bytes, length, &frame, &copy), -EBADMSG);
    assert_int_equal(frame.type, 12345);
    free(copy);
}

static void test_what_does_not_add_up(void **state)
{
    (void)state;
    const struct lw_header good = {.magic = LW_MAGIC, .type = LW_DONE, .length1 = 3, .length2 = 4};
    const size_t size = sizeof good + 7;
    for (size_t length = 0; length < size + 8; length++)
        if (length != size)
            refuse(good, length);
    struct lw_header bad = good;
    bad.magic ^= 1;
    refuse(bad, size);
    bad = good;
    bad.length1 = UINT32_MAX; /* 4 - 1 + 4 = 7 in 32 bits */
    bad.length2 = 8;
    refuse(bad, size);
    bad.length1 = BX_MESSAGE_MAX + 1;
    bad.length2 = 0;
    refuse(bad, sizeof good + BX_MESSAGE_MAX + 1);
    bad.length1 = 0;
    bad.length2 = BX_MESSAGE_MAX + 1;
    refuse(bad, sizeof good + BX_MESSAGE_MAX + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_peers),
        cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_what_does_not_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
