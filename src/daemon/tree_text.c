/*
 * tree_text.c - what may be in a file at all. libyaml would refuse most of it too, but without a place, and it breaks
 * lines at characters where no editor does.
 */
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "tree.h"

struct cursor {
    const char *at, *end;
    struct mark mark;
};

static const char *wrong_byte(const struct cursor *cursor)
{
    unsigned char first = (unsigned char)cursor->at[0];
    if (cursor->mark.line == 1 && cursor->mark.column == 1 && (first == 0xff || first == 0xfe))
        return "the file is not UTF-8 (it looks like UTF-16): save it as UTF-8";
    return "the file is not UTF-8";
}

/* What is wrong with the character of `length` bytes, or NULL. */
static const char *wrong_character(const struct cursor *cursor, size_t length)
{
    const char *at = cursor->at;
    if (length == 0)
        return wrong_byte(cursor);
    if (*at == '\0')
        return "a NUL character: is this a text file?";
    if (*at == '\r')
        return cursor->end - at < 2 || at[1] != '\n' ? "a carriage return without a newline" : NULL;
    if (((unsigned char)*at < 0x20 && *at != '\n' && *at != '\t') || *at == 0x7f)
        return "a control character: is this a text file?";
    if (length == 2 && at[0] == '\xc2' && (unsigned char)at[1] < 0xa0)
        return "a control character (U+0080 to U+009F)";
    if (length == 3 && memcmp(at, "\xe2\x80\xa8", 3) >= 0 && memcmp(at, "\xe2\x80\xa9", 3) <= 0)
        return "U+2028 or U+2029, which YAML takes for the end of a line: write \"\\L\" or \"\\P\" in quotes";
    if (length == 3 && memcmp(at, "\xef\xbb\xbf", 3) == 0)
        return "a byte order mark inside the file";
    if (length == 3 && at[0] == '\xef' && at[1] == '\xbf' && (unsigned char)at[2] >= 0xbe)
        return "a character that Unicode does not have (U+FFFE or U+FFFF)";
    return NULL;
}

static void advance(struct cursor *cursor, size_t length)
{
    if (*cursor->at == '\n') {
        cursor->mark.line++;
        cursor->mark.column = 1;
    } else {
        cursor->mark.column++;
    }
    cursor->at += length;
}

bool tree_check_text(const char *text, size_t length, struct diags *diags)
{
    struct cursor cursor = {text, text + length, {1, 1, 1}};
    if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        cursor.at += 3;
    while (cursor.at < cursor.end) {
        size_t step = text_utf8_length(cursor.at, (size_t)(cursor.end - cursor.at));
        const char *wrong = wrong_character(&cursor, step);
        if (wrong != NULL) {
            diag_error(diags, cursor.mark, NULL, "%s", wrong);
            return false;
        }
        advance(&cursor, step);
    }
    return true;
}

const char *tree_at(const char *text, size_t length, struct mark mark)
{
    struct cursor cursor = {text, text + length, {1, 1, 1}};
    while (cursor.mark.line < mark.line) {
        const char *newline = memchr(cursor.at, '\n', (size_t)(cursor.end - cursor.at));
        if (newline == NULL)
            return cursor.end;
        cursor.at = newline + 1;
        cursor.mark.line++;
    }
    while (cursor.at < cursor.end && cursor.mark.column < mark.column && *cursor.at != '\n') {
        size_t step = text_utf8_length(cursor.at, (size_t)(cursor.end - cursor.at));
        advance(&cursor, step != 0 ? step : 1);
    }
    return cursor.at;
}
