/*
 * say.c - bioxen's own voice: messages on stderr, never on stdout, which belongs to the script alone.
 *
 * One message is one write, so that messages of runs in parallel do not mix. What can't be written is lost:
 * there is nobody left to tell.
 */
#include "verb.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/text.h"

static void write_all(const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = write(STDERR_FILENO, bytes, length);
        if (n >= 0) {
            bytes += n;
            length -= (size_t)n;
        } else if (errno == EAGAIN) { /* somebody made the shared terminal or pipe non-blocking */
            struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
            if (poll(&ready, 1, 1000) == 0)
                return;
        } else if (errno != EINTR) {
            return;
        }
    }
}

void cli_say_bytes(const char *bytes, size_t length)
{
    size_t safe_length;
    unsigned keep = TEXT_KEEP_LINES | (isatty(STDERR_FILENO) ? 0 : TEXT_KEEP_BYTES);
    char *safe = text_escape(bytes, length, keep, &safe_length);
    if (safe != NULL)
        write_all(safe, safe_length);
    free(safe);
}

static void say_line(const char *text, size_t length)
{
    char *line;
    char *safe = text_escape(text, length, 0, &length);
    int line_length = safe != NULL ? asprintf(&line, "bioxen: %s\n", safe) : -1;
    free(safe);
    if (line_length < 0)
        return;
    write_all(line, (size_t)line_length);
    free(line);
}

void cli_say(const char *format, ...)
{
    char *text;
    va_list args;
    va_start(args, format);
    int length = vasprintf(&text, format, args);
    va_end(args);
    if (length < 0)
        return;
    say_line(text, (size_t)length);
    free(text);
}
