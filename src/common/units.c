/*
 * units.c - sizes, times and numbers of processors as people write them.
 *
 * Own digits and no strtod: "inf", "0x10", "1e3", " 5" and "-1" are refused, and nothing depends on a locale.
 */
#include "units.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/*
 * More digits of a fraction than this change nothing in a 64-bit result that people would write; they are
 * read and dropped.
 */
#define FRACTION_DIGITS 9
#define FRACTION_SCALE  1000000000u

struct decimal {
    uint64_t whole;
    uint32_t fraction; /* in billionths */
    bool has_fraction;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int read_whole(const char **text, uint64_t *out)
{
    uint64_t value = 0;
    for (; is_digit(**text); (*text)++) {
        uint64_t digit = (uint64_t)(**text - '0');
        if (__builtin_mul_overflow(value, 10u, &value) || __builtin_add_overflow(value, digit, &value))
            return -ERANGE;
    }
    *out = value;
    return 0;
}

static uint32_t read_fraction(const char **text)
{
    uint32_t value = 0;
    for (int digits = 0; digits < FRACTION_DIGITS; digits++) {
        value *= 10;
        if (is_digit(**text))
            value += (uint32_t)(*(*text)++ - '0');
    }
    while (is_digit(**text))
        (*text)++;
    return value;
}

/* Digits, or digits, a point and digits, where one side of the point may be empty. */
static int read_decimal(const char **text, struct decimal *out)
{
    bool leading = is_digit(**text);
    struct decimal value = {0};
    int rc = read_whole(text, &value.whole);
    if (rc < 0)
        return rc;
    if (**text == '.') {
        (*text)++;
        value.has_fraction = true;
        if (!leading && !is_digit(**text))
            return -EINVAL;
        value.fraction = read_fraction(text);
    } else if (!leading) {
        return -EINVAL;
    }
    *out = value;
    return 0;
}

/* value * unit, rounded down. */
static int scale(const struct decimal *value, uint64_t unit, uint64_t *out)
{
    uint64_t whole;
    if (__builtin_mul_overflow(value->whole, unit, &whole))
        return -ERANGE;
    uint64_t part = (uint64_t)(((unsigned __int128)value->fraction * unit) / FRACTION_SCALE);
    if (__builtin_add_overflow(whole, part, &whole))
        return -ERANGE;
    *out = whole;
    return 0;
}

int units_size(const char *text, uint64_t *out)
{
    static const char letters[] = "KMGT";
    struct decimal value;
    int rc = read_decimal(&text, &value);
    if (rc < 0)
        return rc;
    if (*text == '\0') /* half a byte is nobody's wish: more likely a forgotten unit */
        return value.has_fraction ? -EINVAL : scale(&value, 1, out);
    for (unsigned i = 0; i < sizeof letters - 1; i++)
        if (strncasecmp(text, &letters[i], 1) == 0 && (text[1] == '\0' || strcasecmp(text + 1, "iB") == 0))
            return scale(&value, UINT64_C(1) << (10 * (i + 1)), out);
    return -EINVAL;
}

struct unit {
    const char *name;
    uint64_t value;
};

/* The unit that the text begins with, of a table that ends with a NULL; 0 when there is none. */
static uint64_t take_unit(const char **text, const struct unit *units)
{
    for (; units->name != NULL; units++) {
        size_t length = strlen(units->name);
        if (strncasecmp(*text, units->name, length) == 0) {
            *text += length;
            return units->value;
        }
    }
    return 0;
}

/* A sum of numbers, each with a unit behind it. */
static int read_sum(const char *text, const struct unit *units, uint64_t *out)
{
    uint64_t total = 0;
    do {
        struct decimal value;
        uint64_t part;
        int rc = read_decimal(&text, &value);
        if (rc < 0)
            return rc;
        uint64_t unit = take_unit(&text, units);
        if (unit == 0)
            return -EINVAL;
        if (scale(&value, unit, &part) < 0 || __builtin_add_overflow(total, part, &total))
            return -ERANGE;
    } while (*text != '\0');
    *out = total;
    return 0;
}

int units_time(const char *text, uint64_t *out)
{
    static const struct unit units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {NULL, 0}};
    for (const char *at = text; *at != '\0'; at++)
        if (*at >= 'A' && *at <= 'Z') /* "M" is a million elsewhere */
            return -EINVAL;
    return read_sum(text, units, out);
}

int units_delay(const char *text, uint64_t *out)
{
    static const struct unit units[] = {{"us", 1}, {"ms", 1000}, {"s", 1000000}, {NULL, 0}};
    return read_sum(text, units, out);
}

/* One number with one unit behind it. */
static int read_one(const char *text, const struct unit *units, uint64_t *out)
{
    struct decimal value;
    int rc = read_decimal(&text, &value);
    if (rc < 0)
        return rc;
    uint64_t unit = take_unit(&text, units);
    return unit != 0 && *text == '\0' ? scale(&value, unit, out) : -EINVAL;
}

int units_rate(const char *text, uint64_t *out)
{
    static const struct unit units[] = {
        {"kbit", 1000}, {"mbit", 1000000}, {"gbit", 1000000000}, {"bit", 1}, {NULL, 0}};
    return read_one(text, units, out);
}

int units_percent(const char *text, uint64_t *out)
{
    static const struct unit units[] = {{"%", 10000}, {NULL, 0}};
    return read_one(text, units, out);
}

int units_cpus(const char *text, uint64_t *out)
{
    struct decimal value;
    int rc = read_decimal(&text, &value);
    if (rc < 0)
        return rc;
    return *text == '\0' ? scale(&value, 1000, out) : -EINVAL;
}

int units_count(const char *text, uint64_t *out)
{
    uint64_t value;
    if (!is_digit(*text))
        return -EINVAL;
    int rc = read_whole(&text, &value);
    if (rc < 0)
        return rc;
    if (*text != '\0')
        return -EINVAL;
    *out = value;
    return 0;
}

void units_format_size(uint64_t bytes, char out[UNITS_TEXT_MAX])
{
    static const char *const names[] = {"", "KiB", "MiB", "GiB", "TiB"};
    unsigned i = 0;
    while (i + 1 < sizeof names / sizeof names[0] && bytes != 0 && bytes % 1024 == 0) {
        bytes /= 1024;
        i++;
    }
    snprintf(out, UNITS_TEXT_MAX, "%llu%s", (unsigned long long)bytes, names[i]);
}

/* A number of thousandths with as many decimals as it needs, and a unit behind it. */
static void format_thousandths(uint64_t thousandths, const char *unit, char out[UNITS_TEXT_MAX])
{
    unsigned decimals = 3, rest = (unsigned)(thousandths % 1000);
    while (decimals > 0 && rest % 10 == 0) {
        rest /= 10;
        decimals--;
    }
    unsigned long long whole = thousandths / 1000;
    if (decimals == 0)
        snprintf(out, UNITS_TEXT_MAX, "%llu%s", whole, unit);
    else
        snprintf(out, UNITS_TEXT_MAX, "%llu.%0*u%s", whole, (int)decimals, rest, unit);
}

void units_format_time(uint64_t milliseconds, char out[UNITS_TEXT_MAX])
{
    unsigned long long ms = milliseconds;
    if (ms % 3600000 == 0 && ms != 0)
        snprintf(out, UNITS_TEXT_MAX, "%lluh", ms / 3600000);
    else if (ms % 60000 == 0 && ms != 0)
        snprintf(out, UNITS_TEXT_MAX, "%llum", ms / 60000);
    else if (ms < 1000 && ms != 0)
        snprintf(out, UNITS_TEXT_MAX, "%llums", ms);
    else
        format_thousandths(milliseconds, "s", out);
}

void units_format_cpus(uint64_t thousandths, char out[UNITS_TEXT_MAX])
{
    format_thousandths(thousandths, "", out);
}

void units_format_delay(uint64_t microseconds, char out[UNITS_TEXT_MAX])
{
    if (microseconds % 1000 == 0)
        units_format_time(microseconds / 1000, out);
    else
        format_thousandths(microseconds, "ms", out);
}

void units_format_rate(uint64_t bits, char out[UNITS_TEXT_MAX])
{
    static const char *const names[] = {"bit", "kbit", "mbit", "gbit"};
    unsigned i = 0;
    while (i + 1 < sizeof names / sizeof names[0] && bits != 0 && bits % 1000 == 0) {
        bits /= 1000;
        i++;
    }
    snprintf(out, UNITS_TEXT_MAX, "%llu%s", (unsigned long long)bits, names[i]);
}

void units_format_percent(uint64_t millionths, char out[UNITS_TEXT_MAX])
{
    unsigned long long rest = millionths % 10000;
    int decimals = 4;
    while (decimals > 0 && rest % 10 == 0) {
        rest /= 10;
        decimals--;
    }
    if (decimals == 0)
        snprintf(out, UNITS_TEXT_MAX, "%llu%%", (unsigned long long)millionths / 10000);
    else
        snprintf(out, UNITS_TEXT_MAX, "%llu.%0*llu%%", (unsigned long long)millionths / 10000, decimals, rest);
}
