/* test_values.c - values on their way between processes: the layout byte by byte, and what a liar may send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/values.h"

#define BYTES(literal) literal, sizeof(literal) - 1

static struct bx_values values;

static int begin(void **state)
{
    (void)state;
    bx_values_init(&values, 1 << 20, NULL, NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    bx_values_fini(&values);
    return 0;
}

static void expect(const char *bytes, size_t length)
{
    assert_int_equal(values.error, 0);
    assert_int_equal(values.length, length);
    assert_memory_equal(values.bytes, bytes, length);
    bx_values_clear(&values);
}

/* In a block of exactly that size, so that ASan sees a read beyond it. */
static int64_t check(const char *bytes, size_t length)
{
    char *exact = malloc(length > 0 ? length : 1);
    memcpy(exact, bytes, length);
    int64_t tables = bx_values_check(exact, length);
    free(exact);
    return tables;
}

static void test_layout_of_integers(void **state)
{
    (void)state;
    static const struct {
        int64_t value;
        const char *bytes;
        size_t length;
    } rows[] = {
        {0, BYTES("\x00")},
        {127, BYTES("\x7f")},
        {128, BYTES("\xcc\x80")},
        {255, BYTES("\xcc\xff")},
        {256, BYTES("\xcd\x01\x00")},
        {65536, BYTES("\xce\x00\x01\x00\x00")},
        {(int64_t)1 << 32, BYTES("\xcf\x00\x00\x00\x01\x00\x00\x00\x00")},
        {INT64_MAX, BYTES("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff")},
        {-1, BYTES("\xff")},
        {-32, BYTES("\xe0")},
        {-33, BYTES("\xd0\xdf")},
        {-129, BYTES("\xd1\xff\x7f")},
        {-32769, BYTES("\xd2\xff\xff\x7f\xff")},
        {INT64_MIN, BYTES("\xd3\x80\x00\x00\x00\x00\x00\x00\x00")},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bx_values_integer(&values, rows[i].value);
        struct bx_value value;
        const char *at = values.bytes;
        bx_values_read(&at, &value);
        assert_int_equal(value.type, BX_VALUE_INTEGER);
        assert_true(value.integer == rows[i].value);
        assert_ptr_equal(at, values.bytes + values.length);
        expect(rows[i].bytes, rows[i].length);
    }
}

static void test_layout_of_the_rest(void **state)
{
    (void)state;
    bx_values_list(&values, 5);
    bx_values_nil(&values);
    bx_values_boolean(&values, 1);
    bx_values_boolean(&values, 0);
    bx_values_number(&values, 1.5);
    bx_values_string(&values, "a\0b", 3);
    expect(BYTES("\x95\xc0\xc3\xc2\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\xa3"
                 "a\0b"));
    bx_values_table(&values, 0x04030201);
    expect(BYTES("\xd6\x01\x01\x02\x03\x04"));
    bx_values_list(&values, 16);
    bx_values_list(&values, 65536);
    bx_values_map(&values, 15);
    bx_values_map(&values, 16);
    bx_values_map(&values, 65536);
    expect(BYTES("\xdc\x00\x10\xdd\x00\x01\x00\x00\x8f\xde\x00\x10\xdf\x00\x01\x00\x00"));
}

static void test_layout_of_strings(void **state)
{
    (void)state;
    static char text[70000];
    static const struct {
        size_t length, head;
        const char *bytes;
    } rows[] = {{0, 1, "\xa0"}, {31, 1, "\xbf"}, {32, 2, "\xd9\x20"}, {255, 2, "\xd9\xff"}, {256, 3, "\xda\x01\x00"},
                {65535, 3, "\xda\xff\xff"}, {65536, 5, "\xdb\x00\x01\x00\x00"}};
    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bx_values_string(&values, text, rows[i].length);
        assert_int_equal(values.length, rows[i].head + rows[i].length);
        assert_memory_equal(values.bytes, rows[i].bytes, rows[i].head);
        assert_memory_equal(values.bytes + rows[i].head, text, rows[i].length);
        const char *at = values.bytes;
        struct bx_value value;
        bx_values_read(&at, &value);
        assert_int_equal(value.type, BX_VALUE_STRING);
        assert_int_equal(value.length, rows[i].length);
        assert_ptr_equal(at, values.bytes + values.length);
        bx_values_clear(&values);
    }
}

static void test_numbers_keep_their_bits(void **state)
{
    (void)state;
    const double numbers[] = {0.0, -0.0, 1e308, 5e-324, INFINITY, -INFINITY, NAN, 0x1p63};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        bx_values_number(&values, numbers[i]);
        const char *at = values.bytes;
        struct bx_value value;
        bx_values_read(&at, &value);
        assert_int_equal(value.type, BX_VALUE_NUMBER);
        assert_memory_equal(&value.number, &numbers[i], sizeof(double));
        bx_values_clear(&values);
    }
}

static void test_reading_tables(void **state)
{
    (void)state;
    bx_values_clear(&values);
    bx_values_list(&values, 2);
    bx_values_table(&values, 0);
    bx_values_table(&values, 0);
    bx_values_map(&values, 2);
    bx_values_string(&values, "self", 4);
    bx_values_table(&values, 0);
    bx_values_number(&values, 0.5);
    bx_values_table(&values, 1);
    bx_values_list(&values, 1);
    bx_values_boolean(&values, 1);
    assert_int_equal(check(values.bytes, values.length), 2);
    static const struct {
        enum bx_value_type type;
        int64_t integer;
    } expected[] = {{BX_VALUE_LIST, 2}, {BX_VALUE_TABLE, 0}, {BX_VALUE_TABLE, 0}, {BX_VALUE_MAP, 2},
                    {BX_VALUE_STRING, -1}, {BX_VALUE_TABLE, 0}, {BX_VALUE_NUMBER, -1}, {BX_VALUE_TABLE, 1},
                    {BX_VALUE_LIST, 1}, {BX_VALUE_BOOLEAN, 1}};
    const char *at = values.bytes;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        struct bx_value value;
        bx_values_read(&at, &value);
        assert_int_equal(value.type, expected[i].type);
        if (expected[i].integer >= 0)
            assert_int_equal(value.integer, expected[i].integer);
    }
    assert_ptr_equal(at, values.bytes + values.length);
}

static void test_accepted(void **state)
{
    (void)state;
    assert_int_equal(check(BYTES("\x90")), 0);
    assert_int_equal(check(BYTES("\xdd\x00\x00\x00\x00")), 0);
    assert_int_equal(check(BYTES("\x92\xd3\x00\x00\x00\x00\x00\x00\x00\x05\xcd\x00\x01")), 0); /* wider than needed */
    assert_int_equal(check(BYTES("\x91\xd6\x01\x00\x00\x00\x00\x90")), 1);
    assert_int_equal(check(BYTES("\x91\xd6\x01\x00\x00\x00\x00\x81\xa1k\xc0")), 1); /* nil is a value, no key */
    assert_int_equal(check(BYTES("\x91\xd6\x01\x00\x00\x00\x00\x82\x01\xc3\x01\xc2")), 1); /* a key twice */
    assert_int_equal(check(BYTES("\x91\xd6\x01\x00\x00\x00\x00\x81\xcb\x43\xe0\x00\x00\x00\x00\x00\x00\x01")), 1);
    assert_int_equal(check(BYTES("\x91\xd6\x01\x00\x00\x00\x00\x81\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00\x01")), 1);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
    } rows[] = {
        {BYTES("")},
        {BYTES("\x01")},                                 /* no list */
        {BYTES("\x80")},                                 /* a map comes first */
        {BYTES("\x91")},                                 /* an item is missing */
        {BYTES("\x90\x90")},                             /* trailing bytes */
        {BYTES("\x90\xc0")},
        {BYTES("\x91\xc1")},                             /* what MessagePack never uses */
        {BYTES("\x91\xc4\x01x")},                        /* bin */
        {BYTES("\x91\xca\x00\x00\x00\x00")},             /* float32 */
        {BYTES("\x91\xcf\x80\x00\x00\x00\x00\x00\x00\x00")}, /* more than int64 */
        {BYTES("\x91\xcb\x00\x00\x00\x00\x00\x00\x00")}, /* cut */
        {BYTES("\x91\xa3xy")},
        {BYTES("\x91\xd9")},
        {BYTES("\x91\xdb\xff\xff\xff\xff" "abc")},
        {BYTES("\x91\x90")},                             /* a list inside */
        {BYTES("\x91\x80")},
        {BYTES("\x91\xdd\x00\x00\x00\x00")},
        {BYTES("\xdd\xff\xff\xff\xff\xc0")},             /* counts that the bytes cannot hold */
        {BYTES("\x91\xd6\x01\x00\x00\x00\x00\xdf\x80\x00\x00\x00")},
        {BYTES("\x91\xd6\x01\x00\x00\x00\x00\x81\x01")},
        {BYTES("\x91\xd6\x01\x00\x00\x00\x00")},         /* a table is missing */
        {BYTES("\x91\xd6\x01\x00\x00\x00\x00\xc0")},     /* and is no table */
        {BYTES("\x91\xd6\x01\x00\x00\x00\x00\x80\x80")}, /* one too many */
        {BYTES("\x91\xd6\x01\x01\x00\x00\x00\x80\x80")}, /* out of order */
        {BYTES("\x92\xd6\x01\x00\x00\x00\x00\xd6\x01\x02\x00\x00\x00\x80\x80\x80")},
        {BYTES("\x91\xd6\x01\x00\x00\x00\x80\x80")},     /* out of range */
        {BYTES("\x91\xd6\x02\x00\x00\x00\x00\x80")},     /* ext of another type */
        {BYTES("\x91\xd6\xff\x00\x00\x00\x00\x80")},
        {BYTES("\x91\xd5\x01\x00\x00\x80")},             /* or size */
        {BYTES("\x91\xc7\x04\x01\x00\x00\x00\x00\x80")}, /* or form */
        {BYTES("\x91\xd6\x01\x00\x00\x00\x00\x81\xc0\x01")}, /* keys: nil, NaN, 2.0, a table */
        {BYTES("\x91\xd6\x01\x00\x00\x00\x00\x81\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00\x01")},
        {BYTES("\x91\xd6\x01\x00\x00\x00\x00\x81\xcb\x40\x00\x00\x00\x00\x00\x00\x00\x01")},
        {BYTES("\x91\xd6\x01\x00\x00\x00\x00\x81\xcb\x80\x00\x00\x00\x00\x00\x00\x00\x01")},
        {BYTES("\x91\xd6\x01\x00\x00\x00\x00\x81\xd6\x01\x00\x00\x00\x00\x01")},
        {BYTES("\x91\xd6\x01\x00\x00\x00\x00\x81\x90\x01")},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (check(rows[i].bytes, rows[i].length) != -EBADMSG)
            fail_msg("row %zu was accepted", i);
}

/* Every beginning of something sound is unsound. */
static void test_truncated(void **state)
{
    (void)state;
    static const char sound[] = "\x93\xd6\x01\x00\x00\x00\x00\xa3xyz\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00"
                                "\x82\x01\xd6\x01\x01\x00\x00\x00\xa1k\xd2\xff\xff\x7f\xff\x92\xc3\xc0";
    assert_int_equal(check(BYTES(sound)), 2);
    for (size_t length = 0; length < sizeof sound - 1; length++)
        assert_int_equal(check(sound, length), -EBADMSG);
}

/* A chain of a hundred thousand tables is neither deep for the reader nor slow. */
static void test_deep(void **state)
{
    (void)state;
    const uint32_t deep = 100000;
    bx_values_clear(&values);
    bx_values_list(&values, 1);
    for (uint32_t i = 0; i < deep; i++) {
        bx_values_table(&values, i);
        bx_values_list(&values, 1);
    }
    bx_values_nil(&values);
    assert_int_equal(values.error, 0);
    assert_int_equal(check(values.bytes, values.length), deep);
}

static void test_limit(void **state)
{
    (void)state;
    struct bx_values small;
    bx_values_init(&small, 10, NULL, NULL);
    bx_values_string(&small, "12345678", 8);
    assert_int_equal(small.error, 0);
    bx_values_nil(&small);
    assert_int_equal(small.error, 0);
    bx_values_nil(&small);
    assert_int_equal(small.error, -E2BIG);
    bx_values_integer(&small, 1);
    assert_int_equal(small.error, -E2BIG); /* the first error stays */
    assert_int_equal(small.length, 10);
    bx_values_clear(&small);
    bx_values_nil(&small);
    assert_int_equal(small.error, 0);
    bx_values_fini(&small);
    bx_values_fini(&small);
}

struct account {
    size_t bytes, most;
};

static void *accounted(void *owner, void *block, size_t old_size, size_t new_size)
{
    struct account *account = owner;
    if (new_size > old_size && account->bytes + new_size - old_size > account->most)
        return NULL;
    account->bytes += new_size - old_size;
    if (new_size == 0)
        free(block);
    return new_size > 0 ? realloc(block, new_size) : NULL;
}

/* When there is no memory for twice as much there may be for what is needed; each size is accounted for. */
static void test_memory(void **state)
{
    (void)state;
    struct account account = {.most = 1000};
    struct bx_values tight;
    bx_values_init(&tight, 1 << 20, accounted, &account);
    for (int i = 0; i < 1000; i++)
        bx_values_nil(&tight);
    assert_int_equal(tight.error, 0);
    assert_int_equal(tight.length, 1000);
    bx_values_nil(&tight);
    assert_int_equal(tight.error, -ENOMEM);
    assert_int_equal(tight.length, 1000);
    bx_values_fini(&tight);
    assert_int_equal(account.bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout_of_integers), cmocka_unit_test(test_layout_of_the_rest),
        cmocka_unit_test(test_layout_of_strings), cmocka_unit_test(test_numbers_keep_their_bits),
        cmocka_unit_test(test_reading_tables), cmocka_unit_test(test_accepted), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_truncated), cmocka_unit_test(test_deep), cmocka_unit_test(test_limit),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
