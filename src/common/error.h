/*
 * error.h - the one error object of this program.
 *
 * Library code returns 0 or a negative errno and fills the error it was handed; only the main.c of a
 * program prints it and ends. The text is one line, without a trailing newline, and says what failed,
 * where, and what to do. It is untouched on success.
 */
#ifndef BX_COMMON_ERROR_H
#define BX_COMMON_ERROR_H

#include <stddef.h>

#define BX_ERROR_TEXT_MAX 512

struct bx_error {
    int code;                       /* a positive errno, 0 while nothing failed */
    char text[BX_ERROR_TEXT_MAX];   /* NUL-terminated, cut at the end when longer */
};

/* Fills `err` (NULL is allowed) and returns -code. `code` is a positive errno. */
int bx_fail(struct bx_error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As bx_fail, with ": <strerror(code)>" added to the text. */
int bx_fail_errno(struct bx_error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
