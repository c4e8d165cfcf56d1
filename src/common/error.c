/* error.c - fills the error object; never prints, never ends the process. */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void vfill(struct bx_error *err, int code, const char *format, va_list args)
{
    err->code = code;
    vsnprintf(err->text, sizeof err->text, format, args);
}

int bx_fail(struct bx_error *err, int code, const char *format, ...)
{
    if (err != NULL) {
        va_list args;
        va_start(args, format);
        vfill(err, code, format, args);
        va_end(args);
    }
    return -code;
}

int bx_fail_errno(struct bx_error *err, int code, const char *format, ...)
{
    if (err != NULL) {
        va_list args;
        va_start(args, format);
        vfill(err, code, format, args);
        va_end(args);
        size_t used = strlen(err->text);
        snprintf(err->text + used, sizeof err->text - used, ": %s", strerror(code));
    }
    return -code;
}
