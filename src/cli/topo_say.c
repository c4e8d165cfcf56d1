/*
 * topo_say.c - diagnostics for people and for programs: file:line:column: error: message, the line, a caret, and what
 * to do.
 *
 * Whatever is shown of the file, of scripts or of names is a stranger's: no character of it drives a terminal.
 */
#include "topo.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/text.h"
#include "verb.h"

/* Longer lines are shown around the column. */
#define SHOWN_MAX  120u
#define BEFORE_MAX 60u

struct colours {
    const char *bold, *error, *warning, *caret, *off;
};

static const struct colours no_colours = {"", "", "", "", ""};
static const struct colours terminal = {"\033[1m", "\033[1;31m", "\033[1;33m", "\033[32m", "\033[0m"};

static const struct colours *colours_of(int fd)
{
    const char *no_color = getenv("NO_COLOR");
    return isatty(fd) && (no_color == NULL || no_color[0] == '\0') ? &terminal : &no_colours;
}

static void put_safe(FILE *out, const char *text)
{
    size_t length;
    char *safe = text_escape(text, strlen(text), 0, &length);
    if (safe != NULL)
        fwrite(safe, 1, length, out);
    free(safe);
}

/* ---- a line and its caret ---- */

static struct bioxen_string find_line(const struct topo_file *file, unsigned line)
{
    const char *at = file->text, *end = file->text + file->length;
    if (file->length >= 3 && memcmp(at, "\xef\xbb\xbf", 3) == 0)
        at += 3;
    for (unsigned i = 1; i < line && at < end; i++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        at = newline != NULL ? newline + 1 : end;
    }
    const char *stop = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
    size_t length = (size_t)((stop != NULL ? stop : end) - at);
    if (length > 0 && at[length - 1] == '\r')
        length--;
    return (struct bioxen_string){at, length};
}

/* One column for each character: tabs and controls too, so that the caret is below its place. */
static void put_column(FILE *out, const char *bytes, size_t length)
{
    unsigned char first = (unsigned char)bytes[0];
    if (first == '\t')
        putc(' ', out);
    else if (length == 0 || first < 0x20 || first == 0x7f ||
             (length == 2 && first == 0xc2 && (unsigned char)bytes[1] < 0xa0))
        putc('?', out);
    else
        fwrite(bytes, 1, length, out);
}

/* The columns from `first` on; returns how many there are. */
static unsigned put_columns(FILE *out, struct bioxen_string line, unsigned first)
{
    unsigned column = 1, shown = 0;
    for (size_t at = 0; at < line.length && shown < SHOWN_MAX; column++) {
        size_t length = text_utf8_length(line.bytes + at, line.length - at);
        if (column >= first) {
            put_column(out, line.bytes + at, length);
            shown++;
        }
        at += length != 0 ? length : 1;
    }
    return shown;
}

static void put_source(FILE *out, const struct topo_file *file, const struct bioxen_diagnostic *diagnostic,
                       const struct colours *colours)
{
    struct bioxen_string line = find_line(file, diagnostic->line);
    unsigned first = diagnostic->column > SHOWN_MAX - 20 ? diagnostic->column - BEFORE_MAX : 1;
    fprintf(out, "%5u | ", diagnostic->line);
    unsigned shown = put_columns(out, line, first);
    unsigned before = diagnostic->column - first;
    unsigned width = diagnostic->width > 0 ? diagnostic->width : 1;
    if (before + width > shown)
        width = shown > before ? shown - before : 1;
    fprintf(out, "\n      | %*s%s^", (int)before, "", colours->caret);
    for (unsigned i = 1; i < width; i++)
        putc('~', out);
    fputs(colours->off, out);
    if (diagnostic->suggestion != NULL) {
        putc(' ', out);
        put_safe(out, diagnostic->suggestion);
    }
    putc('\n', out);
}

static void put_script(FILE *out, const struct bioxen_diagnostic *diagnostic)
{
    if (diagnostic->script == NULL || diagnostic->script_text == NULL)
        return;
    put_safe(out, diagnostic->script);
    fprintf(out, ":\n%5u | ", diagnostic->script_line);
    struct bioxen_string line = {diagnostic->script_text, strlen(diagnostic->script_text)};
    put_columns(out, line, 1);
    putc('\n', out);
}

static void put_diagnostic(FILE *out, const struct topo_file *file, const struct bioxen_diagnostic *diagnostic,
                           const struct colours *colours)
{
    fputs(colours->bold, out);
    put_safe(out, file->path);
    fprintf(out, ":%u:%u:%s %s%s:%s ", diagnostic->line, diagnostic->column, colours->off,
            diagnostic->is_error ? colours->error : colours->warning, diagnostic->is_error ? "error" : "warning",
            colours->off);
    put_safe(out, diagnostic->message);
    putc('\n', out);
    put_source(out, file, diagnostic, colours);
    put_script(out, diagnostic);
}

static size_t count_warnings(const bioxen_checked *checked)
{
    size_t warnings = 0;
    for (size_t i = 0; i < bioxen_checked_count(checked); i++)
        warnings += !bioxen_checked_diagnostic(checked, i)->is_error;
    return warnings;
}

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

void topo_say(const struct topo_file *file, const bioxen_checked *checked)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL) {
        cli_say("out of memory");
        return;
    }
    for (size_t i = 0; i < bioxen_checked_count(checked); i++)
        put_diagnostic(out, file, bioxen_checked_diagnostic(checked, i), colours_of(STDERR_FILENO));
    if (fclose(out) == 0)
        fwrite(text, 1, length, stderr);
    free(text);
    size_t errors = bioxen_checked_errors(checked), warnings = count_warnings(checked);
    size_t omitted = bioxen_checked_omitted(checked);
    if (omitted > 0)
        cli_say("%s: and %zu more", file->path, omitted);
    if (errors > 0 && warnings > 0)
        cli_say("%s: %zu error%s, %zu warning%s", file->path, errors, plural(errors), warnings, plural(warnings));
    else if (errors > 0)
        cli_say("%s: %zu error%s", file->path, errors, plural(errors));
}

/* ---- JSON ---- */

/* A file's name may be any bytes; JSON is UTF-8. */
static json_t *text_or_null(const char *text)
{
    size_t length;
    if (text == NULL)
        return json_null();
    char *valid = text_valid_utf8(text, strlen(text), &length);
    json_t *json = valid != NULL ? json_stringn(valid, length) : NULL;
    free(valid);
    return json;
}

int topo_say_json(const struct topo_file *file, const bioxen_checked *checked, FILE *out)
{
    for (size_t i = 0; i < bioxen_checked_count(checked); i++) {
        const struct bioxen_diagnostic *diagnostic = bioxen_checked_diagnostic(checked, i);
        json_t *script_line = diagnostic->script != NULL ? json_integer(diagnostic->script_line) : json_null();
        json_t *object = json_pack(
            "{s:o, s:i, s:i, s:s, s:o, s:o, s:o, s:o}", "file", text_or_null(file->path), "line", (int)diagnostic->line,
            "column", (int)diagnostic->column, "severity", diagnostic->is_error ? "error" : "warning", "message",
            text_or_null(diagnostic->message), "suggestion", text_or_null(diagnostic->suggestion), "script",
            text_or_null(diagnostic->script), "script_line", script_line);
        int rc = object != NULL ? json_dumpf(object, out, JSON_COMPACT) : -1;
        json_decref(object);
        if (rc != 0 || putc('\n', out) == EOF)
            return -1;
    }
    return 0;
}
