/* error.c - the library's own error texts. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

__attribute__((format(printf, 3, 0))) static void set(struct sb_error *err, int code, const char *format,
                                                      va_list args)
{
    err->code = code;
    vsnprintf(err->text, sizeof err->text, format, args);
}

int sb_fail(struct sb_error *err, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set(err, code, format, args);
    va_end(args);
    return -code;
}

int sb_fail_errno(struct sb_error *err, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set(err, code, format, args);
    va_end(args);
    size_t length = strlen(err->text);
    snprintf(err->text + length, sizeof err->text - length, ": %s", strerror(code));
    return -code;
}

/* The kernel says "no space left on device" for a limit of namespaces, and nobody understands that. */
int sb_fail_namespace(struct sb_error *err, int code, const char *what)
{
    if (code != ENOSPC && code != EUSERS)
        return sb_fail_errno(err, code, "%s", what);
    return sb_fail(err, code, "%s: a limit in /proc/sys/user/max_*_namespaces is used up (bioxen doctor says which)",
                   what);
}

void sb_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}
