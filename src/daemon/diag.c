/* diag.c - keeps the faults sorted by their place in the file. */
#include "diag.h"

#include <stdbool.h>
#include <string.h>

#define QUOTE_MAX 60

static bool is_before(struct mark a, struct mark b)
{
    return a.line != b.line ? a.line < b.line : a.column < b.column;
}

static void insert(struct diags *diags, struct diag diag)
{
    if (diag.severity == DIAG_ERROR)
        diags->errors++;
    if (diags->count == DIAG_MAX) {
        diags->omitted++;
        return;
    }
    diags->list = arena_room(diags->arena, diags->list, diags->count, sizeof *diags->list);
    uint32_t at = diags->count++;
    for (; at > 0 && is_before(diag.mark, diags->list[at - 1].mark); at--)
        diags->list[at] = diags->list[at - 1];
    diags->list[at] = diag;
}

static void add(struct diags *diags, enum diag_severity severity, struct mark mark, const char *suggestion,
                const char *format, va_list list)
{
    const char *message = diags->count < DIAG_MAX ? arena_vformat(diags->arena, format, list) : "";
    insert(diags, (struct diag){severity, mark, message, suggestion});
}

void diag_error(struct diags *diags, struct mark mark, const char *suggestion, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    add(diags, DIAG_ERROR, mark, suggestion, format, list);
    va_end(list);
}

void diag_warning(struct diags *diags, struct mark mark, const char *suggestion, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    add(diags, DIAG_WARNING, mark, suggestion, format, list);
    va_end(list);
}

const char *diag_quote(struct arena *arena, const char *text)
{
    size_t line = strcspn(text, "\r\n");
    if (line <= QUOTE_MAX && text[line] == '\0')
        return text;
    size_t length = line < QUOTE_MAX ? line : QUOTE_MAX;
    while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
        length--;
    return arena_format(arena, "%.*s...", (int)length, text);
}
