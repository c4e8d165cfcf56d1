/*
 * yaml.c - libyaml's events become a tree. The only file that knows libyaml.
 *
 * Events, not documents: each has its place, an alias is refused before anybody follows it, and depth is counted
 * before it is reached.
 */
#include <string.h>
#include <yaml.h>

#include "lookup.h"
#include "tree.h"

/* An open list or map. */
struct frame {
    struct tree_node *node;
    struct tree_node *key; /* of a map: the key that waits for its value */
};

struct reader {
    struct arena *arena;
    struct diags *diags;
    yaml_parser_t parser;
    yaml_event_t event;
    struct frame stack[TREE_DEPTH_MAX];
    unsigned depth;
    uint32_t nodes;
    unsigned documents;
    struct tree_node *root;
    bool failed;
};

static struct mark mark_of(const yaml_mark_t *start, const yaml_mark_t *end)
{
    struct mark mark = {(uint32_t)start->line + 1, (uint32_t)start->column + 1, 1};
    if (end != NULL && end->line == start->line && end->column > start->column)
        mark.width = (uint32_t)(end->column - start->column);
    return mark;
}

static struct mark event_mark(const struct reader *reader)
{
    return mark_of(&reader->event.start_mark, &reader->event.end_mark);
}

/* ---- what libyaml says, in words that help ---- */

struct wording {
    const char *problem; /* the beginning of libyaml's */
    const char *message; /* NULL: as libyaml has it */
    const char *suggestion;
    bool at_context; /* the fault is where its context begins, not where it was noticed */
};

static const struct wording wordings[] = {
    {"mapping values are not allowed", "a ':' that begins a value is not allowed here",
     "is the line indented as its neighbours are? text with ': ' in it needs quotes", false},
    {"could not find expected ':'", "a key needs a ':' and a space behind it",
     "keys and values are written 'key: value'", true},
    {"did not find expected key", "this line fits neither the lines above nor a new key",
     "is it indented as its neighbours are?", false},
    {"did not find expected '-' indicator", "this line does not go on with the list above it",
     "is it indented as its neighbours are? items begin with '- '", false},
    {"block sequence entries are not allowed", "a list may not begin here", "a list begins on a line of its own",
     false},
    {"did not find expected ',' or '}'", "a ',' or '}' is missing", NULL, false},
    {"did not find expected ',' or ']'", "a ',' or ']' is missing", NULL, false},
    {"found unexpected end of stream", "the quote is not closed", NULL, true},
    {"found unexpected document indicator", "the quote is not closed", NULL, true},
    {"found unknown escape character", "unknown escape in double quotes",
     "write \\\\ for a backslash, or use single quotes", false},
    {"found character that cannot start any token", "this character cannot begin a value", "put the text into quotes",
     false},
};

static const struct wording *find_wording(const char *problem)
{
    for (size_t i = 0; i < sizeof wordings / sizeof *wordings; i++)
        if (strncmp(problem, wordings[i].problem, strlen(wordings[i].problem)) == 0)
            return &wordings[i];
    return NULL;
}

/* A tab in the indentation is what is wrong most often, whatever libyaml takes it for. */
static bool is_tab(const struct reader *reader, const char *text, size_t length, struct mark *mark)
{
    (void)reader;
    struct mark start = {mark->line, 1, 1};
    const char *at = tree_at(text, length, start);
    for (; at < text + length && (*at == ' ' || *at == '\t'); at++, start.column++)
        if (*at == '\t') {
            *mark = start;
            return true;
        }
    return false;
}

/* Within { } and [ ] the brace of a variable is YAML's own. */
static const char *hint_of_variable(const char *text, size_t length, struct mark mark)
{
    const char *at = tree_at(text, length, (struct mark){mark.line, 1, 1}), *end = tree_at(text, length, mark);
    bool is_variable = end > at && end[-1] == '$' && end < text + length && *end == '{';
    return is_variable ? "within { } and [ ] a text with ${NAME} needs quotes" : NULL;
}

static void tell_syntax(struct reader *reader, const char *text, size_t length)
{
    const yaml_parser_t *parser = &reader->parser;
    const char *problem = parser->problem != NULL ? parser->problem : "not YAML";
    const struct wording *wording = find_wording(problem);
    bool at_context = wording != NULL && wording->at_context && parser->context != NULL;
    struct mark mark = mark_of(at_context ? &parser->context_mark : &parser->problem_mark, NULL);
    reader->failed = true;
    if (parser->error == YAML_MEMORY_ERROR)
        arena_leave(reader->arena);
    if (is_tab(reader, text, length, &mark))
        diag_error(reader->diags, mark, "indent with spaces", "a tab may not indent YAML");
    else if (wording != NULL)
        diag_error(reader->diags, mark,
                   wording->suggestion != NULL ? wording->suggestion : hint_of_variable(text, length, mark), "%s",
                   wording->message != NULL ? wording->message : problem);
    else
        diag_error(reader->diags, mark, NULL, "not YAML: %s", arena_copy(reader->arena, problem, strlen(problem)));
}

/* ---- building ---- */

static struct tree_node *new_node(struct reader *reader, enum tree_kind kind)
{
    if (++reader->nodes > TREE_NODES_MAX) {
        diag_error(reader->diags, event_mark(reader), NULL, "more than %d values in one file", TREE_NODES_MAX);
        reader->failed = true;
    }
    struct tree_node *node = arena_take(reader->arena, sizeof *node);
    node->kind = kind;
    node->mark = event_mark(reader);
    return node;
}

static void add_pair(struct reader *reader, struct frame *frame, struct tree_node *value)
{
    struct tree_node *map = frame->node;
    map->pairs = arena_room(reader->arena, map->pairs, map->count, sizeof *map->pairs);
    map->pairs[map->count++] = (struct tree_pair){frame->key, value};
    frame->key = NULL;
}

static void add(struct reader *reader, struct tree_node *node)
{
    if (reader->depth == 0) {
        reader->root = node;
        return;
    }
    struct frame *frame = &reader->stack[reader->depth - 1];
    if (frame->node->kind == TREE_LIST) {
        struct tree_node *list = frame->node;
        list->items = arena_room(reader->arena, list->items, list->count, sizeof *list->items);
        list->items[list->count++] = node;
    } else if (frame->key != NULL) {
        add_pair(reader, frame, node);
    } else {
        if (node->kind == TREE_LIST || node->kind == TREE_MAP)
            diag_error(reader->diags, node->mark, NULL, "a key must be a word, not a %s",
                       node->kind == TREE_LIST ? "list" : "map");
        frame->key = node;
    }
}

static void refuse_extras(struct reader *reader, const yaml_char_t *anchor, const yaml_char_t *tag)
{
    struct mark mark = event_mark(reader);
    mark.width = 1;
    if (anchor != NULL)
        diag_error(
            reader->diags, mark, "what VMs share goes under 'defaults'", "anchors (&%s) are not supported",
            diag_quote(reader->arena, arena_copy(reader->arena, (const char *)anchor, strlen((const char *)anchor))));
    if (tag != NULL)
        diag_error(reader->diags, mark, "leave the tag out", "tags are not supported");
}

static void open_collection(struct reader *reader, enum tree_kind kind)
{
    struct tree_node *node = new_node(reader, kind);
    node->mark.width = 1;
    add(reader, node);
    if (reader->depth == TREE_DEPTH_MAX) {
        diag_error(reader->diags, node->mark, NULL, "nested deeper than %d levels", TREE_DEPTH_MAX);
        reader->failed = true;
        return;
    }
    reader->stack[reader->depth++] = (struct frame){node, NULL};
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp((*(struct tree_pair *const *)a)->key->text, (*(struct tree_pair *const *)b)->key->text);
}

/* A key that is there twice is an error at its second place; the first one counts. */
static void drop_duplicates(struct reader *reader, struct tree_node *map)
{
    struct tree_pair **sorted = arena_array(reader->arena, map->count, sizeof *sorted);
    for (uint32_t i = 0; i < map->count; i++)
        sorted[i] = &map->pairs[i];
    lookup_sort(reader->arena, sorted, map->count, sizeof *sorted, compare_keys);
    const struct tree_pair *first = NULL;
    for (uint32_t i = 0; i < map->count; i++) {
        if (first == NULL || strcmp(first->key->text, sorted[i]->key->text) != 0) {
            first = sorted[i];
            continue;
        }
        diag_error(reader->diags, sorted[i]->key->mark, "remove one of the two",
                   "key '%s' is here twice; the first is in line %u", diag_quote(reader->arena, first->key->text),
                   first->key->mark.line);
        sorted[i]->key->kind = TREE_BROKEN;
    }
}

static void close_collection(struct reader *reader)
{
    struct tree_node *node = reader->stack[--reader->depth].node;
    if (node->kind != TREE_MAP)
        return;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < node->count; i++) /* keys that are no words are told already */
        if (node->pairs[i].key->kind == TREE_SCALAR)
            node->pairs[kept++] = node->pairs[i];
    node->count = kept;
    drop_duplicates(reader, node);
    kept = 0;
    for (uint32_t i = 0; i < node->count; i++)
        if (node->pairs[i].key->kind == TREE_SCALAR)
            node->pairs[kept++] = node->pairs[i];
    node->count = kept;
}

static void add_scalar(struct reader *reader)
{
    const yaml_event_t *event = &reader->event;
    struct tree_node *node = new_node(reader, TREE_SCALAR);
    yaml_scalar_style_t style = event->data.scalar.style;
    node->plain = style == YAML_PLAIN_SCALAR_STYLE;
    node->literal = style == YAML_LITERAL_SCALAR_STYLE;
    node->text = arena_copy(reader->arena, (const char *)event->data.scalar.value, event->data.scalar.length);
    refuse_extras(reader, event->data.scalar.anchor, event->data.scalar.tag);
    if (strlen(node->text) != event->data.scalar.length) {
        diag_error(reader->diags, node->mark, NULL, "a NUL character in a text");
        node->kind = TREE_BROKEN;
    }
    add(reader, node);
}

static void add_alias(struct reader *reader)
{
    struct tree_node *node = new_node(reader, TREE_BROKEN);
    diag_error(reader->diags, node->mark,
               "what VMs share goes under 'defaults'; a text that begins with '*' needs quotes",
               "aliases (*name) are not supported");
    add(reader, node);
}

static void begin_document(struct reader *reader)
{
    if (reader->event.data.document_start.tag_directives.start != reader->event.data.document_start.tag_directives.end)
        diag_error(reader->diags, event_mark(reader), "leave the %TAG line out", "tags are not supported");
    if (++reader->documents == 1)
        return;
    struct mark mark = event_mark(reader);
    mark.width = 3;
    diag_error(reader->diags, mark, "write each topology into a file of its own", "a second document begins here");
    reader->failed = true;
}

static void take_event(struct reader *reader)
{
    const yaml_event_t *event = &reader->event;
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT: begin_document(reader); break;
    case YAML_ALIAS_EVENT: add_alias(reader); break;
    case YAML_SCALAR_EVENT: add_scalar(reader); break;
    case YAML_SEQUENCE_START_EVENT:
        refuse_extras(reader, event->data.sequence_start.anchor, event->data.sequence_start.tag);
        open_collection(reader, TREE_LIST);
        break;
    case YAML_MAPPING_START_EVENT:
        refuse_extras(reader, event->data.mapping_start.anchor, event->data.mapping_start.tag);
        open_collection(reader, TREE_MAP);
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: close_collection(reader); break;
    default: break;
    }
}

static void read_events(struct reader *reader, const char *text, size_t length)
{
    for (bool end = false; !end && !reader->failed;) {
        if (!yaml_parser_parse(&reader->parser, &reader->event)) {
            tell_syntax(reader, text, length);
            return;
        }
        end = reader->event.type == YAML_STREAM_END_EVENT;
        take_event(reader);
        yaml_event_delete(&reader->event);
    }
}

/* The arena's way out leads past libyaml's own memory: it is given back on the way. */
static void read_all(struct reader *reader, const char *text, size_t length)
{
    jmp_buf owner;
    memcpy(&owner, &reader->arena->out, sizeof owner);
    if (!yaml_parser_initialize(&reader->parser))
        arena_leave(reader->arena);
    bool left = true;
    if (setjmp(reader->arena->out) == 0) {
        yaml_parser_set_encoding(&reader->parser, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&reader->parser, (const unsigned char *)text, length);
        read_events(reader, text, length);
        left = false;
    } else {
        yaml_event_delete(&reader->event);
    }
    yaml_parser_delete(&reader->parser);
    memcpy(&reader->arena->out, &owner, sizeof owner);
    if (left)
        arena_leave(reader->arena);
}

struct tree_node *tree_parse(const char *text, size_t length, struct diags *diags)
{
    const struct mark start = {1, 1, 1};
    if (length > TREE_FILE_MAX) {
        diag_error(diags, start, NULL, "the file is larger than 1 MiB");
        return NULL;
    }
    if (!tree_check_text(text, length, diags))
        return NULL;
    struct reader *reader = arena_take(diags->arena, sizeof *reader);
    reader->arena = diags->arena;
    reader->diags = diags;
    read_all(reader, text, length);
    if (reader->failed)
        return NULL;
    if (reader->root == NULL)
        diag_error(diags, start, "a topology begins with 'version: 1'", "the file is empty");
    return reader->root;
}

struct tree_node *tree_find(const struct tree_node *map, const char *key)
{
    if (map == NULL || map->kind != TREE_MAP)
        return NULL;
    for (uint32_t i = 0; i < map->count; i++)
        if (strcmp(map->pairs[i].key->text, key) == 0)
            return map->pairs[i].value;
    return NULL;
}

const char *tree_describe(struct arena *arena, const struct tree_node *node)
{
    switch (node->kind) {
    case TREE_LIST: return "a list";
    case TREE_MAP: return "a map";
    default: return arena_format(arena, "'%s'", diag_quote(arena, node->text != NULL ? node->text : ""));
    }
}
