/*
 * text.h - bytes of strangers made fit for a terminal or for JSON.
 */
#ifndef BX_COMMON_TEXT_H
#define BX_COMMON_TEXT_H

#include <stddef.h>

/* Length in bytes of the well-formed UTF-8 character at `bytes` (1..4), or 0 when there is none. */
size_t text_utf8_length(const char *bytes, size_t length);

enum text_escapes {
    TEXT_KEEP_LINES = 1 << 0, /* leave newlines and tabs */
    TEXT_KEEP_BYTES = 1 << 1, /* leave bytes that are no UTF-8 */
};

/*
 * Both return malloc'd memory, NUL-terminated, and its length without the NUL in *out_length; NULL when out
 * of memory.
 *
 * text_escape writes control characters, and bytes that are no UTF-8, as \xNN: an error message that a
 * script chose, or a file's name, must not move the cursor, set the title, answer for the user or forge a
 * second line, in a log either.
 */
char *text_escape(const char *bytes, size_t length, unsigned keep, size_t *out_length);

/* Each byte that is no UTF-8 becomes U+FFFD. */
char *text_valid_utf8(const char *bytes, size_t length, size_t *out_length);

#endif
