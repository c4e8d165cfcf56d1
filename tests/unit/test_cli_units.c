/*
 * test_cli_units.c - sizes, times and numbers of processors: read whole or not at all, and written back as
 * read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "common/units.h"

typedef int reader(const char *text, uint64_t *out);

struct good {
    const char *text;
    uint64_t value;
};

static void expect_good(reader *read, const struct good *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value = 1234567;
        int rc = read(rows[i].text, &value);
        if (rc != 0 || value != rows[i].value)
            fail_msg("'%s': rc %d, %llu", rows[i].text, rc, (unsigned long long)value);
    }
}

static void expect_bad(reader *read, int code, const char *const *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value = 1234567;
        int rc = read(rows[i], &value);
        if (rc != code || value != 1234567)
            fail_msg("'%s': rc %d, %llu", rows[i], rc, (unsigned long long)value);
    }
}

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static void sizes(void **state)
{
    static const struct good good[] = {
        {"0", 0},
        {"1", 1},
        {"65536", 65536},
        {"007", 7},
        {"18446744073709551615", UINT64_MAX},
        {"64K", 65536},
        {"64KiB", 65536},
        {"64k", 65536},
        {"64kib", 65536},
        {"64M", 64u << 20},
        {"64MiB", 64u << 20},
        {"1G", UINT64_C(1) << 30},
        {"1GiB", UINT64_C(1) << 30},
        {"2T", UINT64_C(2) << 40},
        {"1.5K", 1536},
        {".5M", 512u << 10},
        {"1.M", 1u << 20},
        {"0.1K", 102},
        {"16777215TiB", UINT64_C(16777215) << 40},
        {"1.00000000000000000000000000000K", 1024},
    };
    static const char *const invalid[] = {
        "",    " ",      "x",    "-1",  "+1",  " 1",     "1 ",  "1K ",       "1 K", "0x10",
        "1e3", "1.5",    ".",    ".K",  "K",   "KiB",    "1Ki", "1KB",       "1B",  "1KiBB",
        "1KK", "1.5.5M", "1,5M", "nan", "inf", "64MiBx", "1P",  "\xd9\xa3M",
    };
    static const char *const over[] = {
        "18446744073709551616",
        "99999999999999999999999",
        "16777216T",
        "18446744073709551615K",
    };
    (void)state;
    expect_good(units_size, good, COUNT(good));
    expect_bad(units_size, -EINVAL, invalid, COUNT(invalid));
    expect_bad(units_size, -ERANGE, over, COUNT(over));
}

static void times(void **state)
{
    static const struct good good[] = {
        {"250ms", 250}, {"5s", 5000},   {"2m", 120000},   {"1h", 3600000},        {"0s", 0},
        {"0.5s", 500},  {"1.5s", 1500}, {"1m30s", 90000}, {"1h2m3s4ms", 3723004}, {".25s", 250},
        {"0.0009s", 0}, {"1.5ms", 1},   {"0.001h", 3600},
    };
    static const char *const invalid[] = {
        "",   "5",  "0",  "s",    "ms",   "5 s",    " 5s", "5s ", "-1s", "+5s", "5sec",
        "5S", "5M", "5d", "1e3s", "0x5s", "1.2.3s", "5s5", "inf", "nan", ".s",  "1,5s",
    };
    static const char *const over[] = {
        "18446744073709551616ms",
        "18446744073709552s",
        "9223372036854775807s",
        "18446744073709551615ms1ms",
    };
    (void)state;
    expect_good(units_time, good, COUNT(good));
    expect_bad(units_time, -EINVAL, invalid, COUNT(invalid));
    expect_bad(units_time, -ERANGE, over, COUNT(over));
}

static void cpus_and_counts(void **state)
{
    static const struct good cpus[] = {
        {"1", 1000}, {"0.5", 500}, {".25", 250}, {"2.", 2000}, {"0.0019", 1}, {"1000", 1000000}, {"0", 0},
    };
    static const char *const bad_cpus[] = {"",      ".",   "x",   "-1", "1e3", "0x1",
                                           "1.0.0", "1,5", "50%", " 1", "1 ",  "nan"};
    static const struct good counts[] = {{"0", 0}, {"16", 16}, {"18446744073709551615", UINT64_MAX}};
    static const char *const bad_counts[] = {"", "x", "-1", "1.5", "1x", "0x10", " 1", "1 ", "+1", "1K"};
    static const char *const over[] = {"18446744073709551616"};
    (void)state;
    expect_good(units_cpus, cpus, COUNT(cpus));
    expect_bad(units_cpus, -EINVAL, bad_cpus, COUNT(bad_cpus));
    expect_bad(units_cpus, -ERANGE, over, COUNT(over));
    expect_good(units_count, counts, COUNT(counts));
    expect_bad(units_count, -EINVAL, bad_counts, COUNT(bad_counts));
    expect_bad(units_count, -ERANGE, over, COUNT(over));
}

static void written_as_people_write(void **state)
{
    char text[UNITS_TEXT_MAX];
    static const struct good sizes_out[] = {
        {"0", 0},
        {"1", 1},
        {"1023", 1023},
        {"1KiB", 1024},
        {"64MiB", 64u << 20},
        {"1536KiB", 3u << 19},
        {"64TiB", UINT64_C(64) << 40},
    };
    static const struct good times_out[] = {
        {"0s", 0},       {"1ms", 1},
        {"250ms", 250},  {"5s", 5000},
        {"1.5s", 1500},  {"1.001s", 1001},
        {"2m", 120000},  {"90s", 90000},
        {"1h", 3600000}, {"8760h", UINT64_C(8760) * 3600000},
    };
    static const struct good cpus_out[] = {{"0.01", 10},   {"0.5", 500}, {"1", 1000},
                                           {"1.25", 1250}, {"0", 0},     {"1000", 1000000}};
    (void)state;
    for (size_t i = 0; i < COUNT(sizes_out); i++) {
        units_format_size(sizes_out[i].value, text);
        assert_string_equal(text, sizes_out[i].text);
    }
    for (size_t i = 0; i < COUNT(times_out); i++) {
        units_format_time(times_out[i].value, text);
        assert_string_equal(text, times_out[i].text);
    }
    for (size_t i = 0; i < COUNT(cpus_out); i++) {
        units_format_cpus(cpus_out[i].value, text);
        assert_string_equal(text, cpus_out[i].text);
    }
}

static void round_trips(void **state)
{
    uint64_t x = 88172645463325252ull, back;
    char text[UNITS_TEXT_MAX];
    (void)state;
    for (int i = 0; i < 20000; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17; /* xorshift: the same numbers every time */
        uint64_t value = x >> (i % 64);
        units_format_size(value, text);
        assert_int_equal(units_size(text, &back), 0);
        assert_true(back == value);
        units_format_time(value, text);
        assert_int_equal(units_time(text, &back), 0);
        assert_true(back == value);
        units_format_cpus(value, text);
        assert_int_equal(units_cpus(text, &back), 0);
        assert_true(back == value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),           cmocka_unit_test(times),
        cmocka_unit_test(cpus_and_counts), cmocka_unit_test(written_as_people_write),
        cmocka_unit_test(round_trips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
