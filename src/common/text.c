/*
 * text.c - well-formed UTF-8 by the table of the Unicode standard (3-7), escapes and replacements. Never
 * prints.
 */
#include "text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool is_between(unsigned char byte, unsigned low, unsigned high)
{
    return byte >= low && byte <= high;
}

/*
 * Is `second` a legal second byte after `first`? Keeps out overlong forms, surrogates and what is above
 * U+10FFFF.
 */
static bool second_fits(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xe0:
        return is_between(second, 0xa0, 0xbf);
    case 0xed:
        return is_between(second, 0x80, 0x9f);
    case 0xf0:
        return is_between(second, 0x90, 0xbf);
    case 0xf4:
        return is_between(second, 0x80, 0x8f);
    default:
        return is_between(second, 0x80, 0xbf);
    }
}

size_t text_utf8_length(const char *bytes, size_t length)
{
    const unsigned char *p = (const unsigned char *)bytes;
    if (length == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    size_t need = is_between(p[0], 0xc2, 0xdf)   ? 2
                  : is_between(p[0], 0xe0, 0xef) ? 3
                  : is_between(p[0], 0xf0, 0xf4) ? 4
                                                 : 0;
    if (need == 0 || need > length || !second_fits(p[0], p[1]))
        return 0;
    for (size_t i = 2; i < need; i++)
        if (!is_between(p[i], 0x80, 0xbf))
            return 0;
    return need;
}

/*
 * May the character be shown? C1 controls (U+0080..U+009F) drive terminals as C0 ones do. `length` 0: a
 * byte that is no UTF-8.
 */
static bool is_printable(const char *bytes, size_t length, unsigned keep)
{
    unsigned char first = (unsigned char)bytes[0];
    if (length == 0)
        return (keep & TEXT_KEEP_BYTES) != 0;
    if (length == 1 && (first == '\n' || first == '\t'))
        return (keep & TEXT_KEEP_LINES) != 0;
    if (length == 1)
        return is_between(first, 0x20, 0x7e);
    return !(length == 2 && first == 0xc2 && is_between((unsigned char)bytes[1], 0x80, 0x9f));
}

static size_t escape(char *out, const char *bytes, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        *out++ = '\\';
        *out++ = 'x';
        *out++ = digits[byte >> 4];
        *out++ = digits[byte & 15];
    }
    return 4 * length;
}

char *text_escape(const char *bytes, size_t length, unsigned keep, size_t *out_length)
{
    char *out = length < ((size_t)-1 - 1) / 4 ? malloc(4 * length + 1) : NULL;
    if (out == NULL)
        return NULL;
    size_t used = 0;
    for (size_t at = 0; at < length;) {
        size_t character = text_utf8_length(bytes + at, length - at);
        size_t step = character == 0 ? 1 : character;
        if (is_printable(bytes + at, character, keep)) {
            memcpy(out + used, bytes + at, step);
            used += step;
        } else {
            used += escape(out + used, bytes + at, step);
        }
        at += step;
    }
    out[used] = '\0';
    *out_length = used;
    return out;
}

char *text_valid_utf8(const char *bytes, size_t length, size_t *out_length)
{
    char *out = length < ((size_t)-1 - 1) / 3 ? malloc(3 * length + 1) : NULL;
    if (out == NULL)
        return NULL;
    size_t used = 0;
    for (size_t at = 0; at < length;) {
        size_t step = text_utf8_length(bytes + at, length - at);
        memcpy(out + used, step != 0 ? bytes + at : "\xef\xbf\xbd", step != 0 ? step : 3);
        used += step != 0 ? step : 3;
        at += step != 0 ? step : 1;
    }
    out[used] = '\0';
    *out_length = used;
    return out;
}
