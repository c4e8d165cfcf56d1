/*
 * line_edit.h - one line from a terminal, with editing and history. For terminals that know the sequences that all have
 * had since the VT100; UTF-8, a character is as wide as one column.
 */
#ifndef BX_CLI_LINE_EDIT_H
#define BX_CLI_LINE_EDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

#define LINE_EDIT_HISTORY 500u

enum line_end {
    LINE_ENTERED,
    LINE_EOF,         /* Ctrl-D on an empty line */
    LINE_INTERRUPTED, /* Ctrl-C */
    LINE_WATCHED,     /* one of the watched descriptors is readable */
};

struct line_edit {
    int watch[2]; /* descriptors that end a line when they are readable; -1: none */
    char *history[LINE_EDIT_HISTORY];
    size_t history_count;
    struct termios before;
    /* The line that is edited. */
    const char *prompt;
    char *bytes;
    size_t length, room, at;
    size_t entry; /* of the history that is shown; history_count: the new line */
};

/* The line is edit->bytes, until the next call; it stays what it was after LINE_WATCHED. */
enum line_end line_edit_read(struct line_edit *edit, const char *prompt);

/* Remembers the line, unless it is the last one again. */
void line_edit_remember(struct line_edit *edit, const char *line);
void line_edit_fini(struct line_edit *edit);

/* One key: `sequence` is what a terminal sends for it. True when the line is over, with *end. For tests, too. */
bool line_edit_key(struct line_edit *edit, const char *sequence, size_t length, enum line_end *end);

#endif
