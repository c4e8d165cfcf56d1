/*
 * diag.h - what is wrong with a topology file, and where: every fault, not the first. Nothing is printed here.
 */
#ifndef BX_DAEMON_DIAG_H
#define BX_DAEMON_DIAG_H

#include <stddef.h>
#include <stdint.h>

#include "arena.h"

/* A place in the file: lines and columns (characters) from 1. */
struct mark {
    uint32_t line, column;
    uint32_t width; /* characters to underline, at least 1 */
};

enum diag_severity { DIAG_ERROR, DIAG_WARNING };

/* More than this many are counted only: nobody reads them, and a hostile file has one in each line. */
#define DIAG_MAX 500

struct diag {
    enum diag_severity severity;
    struct mark mark;
    const char *message;
    const char *suggestion; /* NULL when there is none */
};

struct diags {
    struct arena *arena;
    struct diag *list; /* in the order of the file */
    uint32_t count;
    uint32_t omitted;
    uint32_t errors; /* also those that were omitted */
};

/* `suggestion` may be NULL; it must live as long as the arena. */
void diag_error(struct diags *diags, struct mark mark, const char *suggestion, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void diag_warning(struct diags *diags, struct mark mark, const char *suggestion, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* A stranger's text made short enough for a message: at most 60 bytes, whole characters, one line. */
const char *diag_quote(struct arena *arena, const char *text);

#endif
