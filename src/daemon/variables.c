/*
 * variables.c - ${NAME}, ${NAME:-default} and $$ in values. Variables come from the client, who sends those that the
 * file names; the orchestrator's own environment is empty.
 */
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "schema.h"

struct output {
    struct arena *arena;
    char *bytes; /* NULL while only counting */
    size_t length;
};

static void put(struct output *output, const char *bytes, size_t length)
{
    if (output->bytes != NULL)
        memcpy(output->bytes + output->length, bytes, length);
    output->length += length;
}

static bool is_name_byte(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (!first && c >= '0' && c <= '9');
}

static size_t name_length(const char *text)
{
    size_t length = 0;
    while (is_name_byte(text[length], length == 0))
        length++;
    return length;
}

/* What stands between "${" and "}". */
struct reference {
    const char *name;
    size_t name_length;
    const char *fallback; /* NULL when there is none */
    size_t fallback_length;
    const char *end; /* behind the "}" */
};

/* Takes a reference apart, from behind its "${". Returns NULL or what is wrong. */
static const char *parse(const char *text, struct reference *out)
{
    *out = (struct reference){.name = text, .name_length = name_length(text)};
    const char *at = text + out->name_length;
    if (out->name_length == 0)
        return "'${' needs a name behind it";
    if (strncmp(at, ":-", 2) == 0) {
        out->fallback = at + 2;
        out->fallback_length = strcspn(out->fallback, "}\n");
        at = out->fallback + out->fallback_length;
        if (memchr(out->fallback, '{', out->fallback_length) != NULL)
            return "a default in '${NAME:-default}' may have no braces";
    }
    if (*at != '}')
        return "'${NAME' needs a '}' or ':-default}' behind it";
    out->end = at + 1;
    return NULL;
}

static const char *value_of(const struct schema_walk *walk, const struct reference *reference)
{
    uint32_t index;
    const char *name = arena_copy(walk->arena, reference->name, reference->name_length);
    return lookup_find(walk->variables, name, &index) ? walk->values[index] : NULL;
}

static bool is_utf8(const char *text)
{
    for (size_t left = strlen(text), step; left > 0; left -= step, text += step)
        if ((step = text_utf8_length(text, left)) == 0)
            return false;
    return true;
}

/* Puts the value of one reference. Returns NULL or what is wrong. */
static const char *resolve(struct schema_walk *walk, const struct reference *reference, struct output *output)
{
    const char *value = value_of(walk, reference);
    if (reference->fallback != NULL && (value == NULL || *value == '\0')) {
        put(output, reference->fallback, reference->fallback_length);
        return NULL;
    }
    int length = (int)reference->name_length;
    if (value == NULL)
        return arena_format(walk->arena, "variable %.*s is not set", length, reference->name);
    if (!is_utf8(value))
        return arena_format(walk->arena, "the value of variable %.*s is not UTF-8", length, reference->name);
    put(output, value, strlen(value));
    return NULL;
}

/* Replaces into the output. Returns NULL, or what is wrong with *wrong_at where that is. */
static const char *replace(struct schema_walk *walk, const char *text, struct output *output, const char **wrong_at)
{
    for (;;) {
        size_t plain = strcspn(text, "$");
        put(output, text, plain);
        text += plain;
        if (*text == '\0')
            return NULL;
        *wrong_at = text;
        if (text[1] != '{') { /* "$$" is a dollar, and so is one that nothing of ours follows */
            put(output, "$", 1);
            text += text[1] == '$' ? 2 : 1;
            continue;
        }
        struct reference reference;
        const char *wrong = parse(text + 2, &reference);
        if (wrong == NULL)
            wrong = resolve(walk, &reference, output);
        if (wrong != NULL)
            return wrong;
        text = reference.end;
    }
}

static void tell(struct schema_walk *walk, const struct tree_node *node, const char *wrong, const char *wrong_at)
{
    struct mark mark = node->mark;
    /* The place inside a text of one line that is written as it is read. */
    if (node->plain && memchr(node->text, '\n', (size_t)(wrong_at - node->text)) == NULL &&
        mark.width == (uint32_t)strlen(node->text)) {
        mark.column += (uint32_t)(wrong_at - node->text);
        mark.width = 1;
    } else if (node->literal) {
        for (const char *at = node->text; at < wrong_at; at++)
            mark.line += *at == '\n';
        mark.line++;
        mark.column = mark.width = 1;
    }
    bool unset = strncmp(wrong, "variable", 8) == 0;
    diag_error(walk->diags, mark, unset ? "set it, or give a default: ${NAME:-default}" : "for a dollar, write $$",
               "%s", wrong);
}

bool variables_replace(struct schema_walk *walk, struct tree_node *node)
{
    if (strchr(node->text, '$') == NULL)
        return true;
    struct output output = {.arena = walk->arena};
    const char *wrong_at = node->text;
    const char *wrong = replace(walk, node->text, &output, &wrong_at);
    if (wrong != NULL) {
        tell(walk, node, wrong, wrong_at);
        return false;
    }
    output.bytes = arena_take(walk->arena, output.length + 1);
    output.length = 0;
    replace(walk, node->text, &output, &wrong_at);
    node->text = output.bytes;
    return true;
}
