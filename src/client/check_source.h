/*
 * check_source.h - the texts of a topology's scripts, as the caller can read them. Regular files only, of a bounded
 * size.
 */
#ifndef BX_CLIENT_CHECK_SOURCE_H
#define BX_CLIENT_CHECK_SOURCE_H

#include <stdbool.h>

#include "bioxen.h"
#include "common/record.h"

struct check_source_text {
    char *bytes; /* malloc'd */
    size_t length;
};

/* Opens and looks at a script, relative to the directory. Returns NULL, or what is wrong with it: a sentence's end. */
const char *check_source_look(const char *directory, struct bioxen_string path);

/* Reads a script, relative to the directory. Returns NULL with *out, or what is wrong with it. */
const char *check_source_read(const char *directory, struct bioxen_string path, struct check_source_text *out);

/* "directory/path", or the path when it is absolute; malloc'd, NULL without memory. */
char *check_source_path(const char *directory, struct bioxen_string path);

/*
 * A text that compiles where the given one compiles, and does nothing. `given` is a path when is_file, else Lua
 * itself, and then with as_expression what is behind a `return`. Returns NULL with *out, or what is wrong.
 */
const char *check_source_compilable(const char *directory, bool is_file, struct bioxen_string given, bool as_expression,
                                    struct check_source_text *out);

/* A line of a script, as UTF-8 and not longer than can be shown; malloc'd, NULL when there is none. */
char *check_source_line(const char *directory, const char *path, unsigned line);

/* How a VM ended, of CTL_DEATH's body. Returns 0 or -EBADMSG. */
int check_source_outcome(const char *body, size_t length, enum record_outcome *out);

#endif
