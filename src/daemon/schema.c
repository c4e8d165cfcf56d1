/*
 * schema.c - walks the tree along the table. Every fault is told; what is sound is marked, and nothing else is looked
 * at later.
 */
#include "schema.h"

#include <stdio.h>
#include <string.h>

#include "common/names.h"
#include "common/suggest.h"

/* The most alternatives that one message names: a list of forty helps nobody. */
#define ALTERNATIVES_MAX 8

/* ---- unknown keys ---- */

/* The key of that map that others call `word`. */
static const struct schema_key *find_elsewhere(unsigned in, const char *word)
{
    for (unsigned i = 0; i < schema_key_count; i++)
        if ((schema_keys[i].in & in) != 0 && schema_keys[i].elsewhere != NULL &&
            schema_word(schema_keys[i].elsewhere, word) >= 0)
            return &schema_keys[i];
    return NULL;
}

static const char *find_near(unsigned in, const char *word)
{
    struct suggestion near;
    suggest_init(&near, word, strlen(word));
    for (unsigned i = 0; i < schema_key_count; i++)
        if ((schema_keys[i].in & in) != 0)
            suggest_offer(&near, schema_keys[i].key);
    return near.best;
}

/* Where a key of that name is known: "vms.<name> or defaults", at most three places. NULL: nowhere. */
static const char *places_of(struct arena *arena, const char *word)
{
    const char *names[8];
    unsigned count = 0;
    for (unsigned map = SCHEMA_TOP; map <= SCHEMA_WIRE; map <<= 1)
        if (schema_find(map, word) != NULL && map != SCHEMA_DEFAULTS)
            names[count++] = schema_map_name(map);
    if (count == 0)
        return NULL;
    const char *text = names[0];
    for (unsigned i = 1; i < count && i < 3; i++)
        text = arena_format(arena, "%s%s%s", text, i + 1 == count || i == 2 ? " or " : ", ", names[i]);
    return text;
}

/* "valid here: a, b, ..." */
static const char *alternatives(struct arena *arena, unsigned in)
{
    const char *text = "valid here: ";
    unsigned count = 0, named = 0;
    for (unsigned i = 0; i < schema_key_count; i++)
        count += (schema_keys[i].in & in) != 0;
    for (unsigned i = 0; i < schema_key_count && named < ALTERNATIVES_MAX; i++)
        if ((schema_keys[i].in & in) != 0)
            text = arena_format(arena, "%s%s%s", text, named++ > 0 ? ", " : "", schema_keys[i].key);
    return count > named ? arena_format(arena, "%s, ...", text) : text;
}

static const char *suggest_key(struct arena *arena, unsigned in, const char *word)
{
    const struct schema_key *renamed = find_elsewhere(in, word);
    if (strcmp(word, "<<") == 0)
        return "merge keys are not supported: what VMs share goes under 'defaults'";
    const char *places = places_of(arena, word);
    if (renamed != NULL)
        return arena_format(arena, "did you mean '%s'?", renamed->key);
    if (places != NULL)
        return arena_format(arena, "this key belongs under %s", places);
    const char *near = find_near(in, word);
    if (near != NULL)
        return arena_format(arena, "did you mean '%s'?", near);
    near = find_near(~0u, word);
    if (near != NULL)
        return arena_format(arena, "did you mean '%s'? this key belongs under %s", near, places_of(arena, near));
    return alternatives(arena, in);
}

/* ---- values ---- */

static void check_map(struct schema_walk *walk, struct tree_node *node, enum schema_map map, const char *path);

static bool is_nothing(const struct tree_node *node)
{
    return node->kind == TREE_SCALAR && node->plain &&
           (node->text[0] == '\0' || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0 ||
            strcmp(node->text, "Null") == 0 || strcmp(node->text, "NULL") == 0);
}

/* What a value of that key can be, in words. */
static const char *describe(struct arena *arena, const struct schema_key *key)
{
    const char *scalar = key->kind == SCHEMA_WORD && key->words != NULL ? arena_format(arena, "one of %s", key->words)
                                                                        : schema_kind_words(key->kind);
    const struct {
        unsigned form;
        const char *text;
    } forms[] = {
        {SCHEMA_SCALAR, scalar},  {SCHEMA_LIST, "a list of such"},    {SCHEMA_PAIRS, "a map of names and values"},
        {SCHEMA_OBJECT, "a map"}, {SCHEMA_OBJECTS, "a list of maps"}, {SCHEMA_NAMED, "a map of names, each with a map"},
    };
    const char *text = NULL;
    for (unsigned i = 0; i < sizeof forms / sizeof *forms; i++)
        if ((key->forms & forms[i].form) != 0)
            text = text == NULL ? forms[i].text : arena_format(arena, "%s, or %s", text, forms[i].text);
    return text;
}

static void check_scalar(struct schema_walk *walk, struct tree_node *node, const struct schema_key *key,
                         enum schema_kind kind, const char *path)
{
    if (node->kind == TREE_BROKEN)
        return;
    if (node->kind != TREE_SCALAR)
        diag_error(walk->diags, node->mark, NULL, "%s: %s is not %s", path, tree_describe(walk->arena, node),
                   schema_kind_words(kind));
    else if (is_nothing(node))
        diag_error(walk->diags, node->mark, arena_format(walk->arena, "it is %s", schema_kind_words(kind)),
                   "%s has no value", path);
    else
        node->sound = variables_replace(walk, node) && schema_check_scalar(walk, node, key, kind, path);
}

static void check_list(struct schema_walk *walk, struct tree_node *node, const struct schema_key *key, const char *path)
{
    node->sound = true;
    for (uint32_t i = 0; i < node->count; i++) {
        const char *item = arena_format(walk->arena, "%s[%u]", path, i + 1);
        if (key->forms & SCHEMA_LIST)
            check_scalar(walk, node->items[i], key, key->kind, item);
        else if (node->items[i]->kind != TREE_BROKEN)
            check_map(walk, node->items[i], key->map, item);
    }
}

static bool check_entry_name(struct schema_walk *walk, const struct tree_node *key, const struct schema_key *row,
                             const char *path)
{
    if (row->forms & SCHEMA_NAMED)
        return schema_check_scalar(walk, (struct tree_node *)key, row, SCHEMA_NAME, path);
    if (key->text[0] != '\0' && strchr(key->text, '=') == NULL)
        return true;
    diag_error(walk->diags, key->mark, NULL, "%s: '%s' cannot be a name: it may not be empty or hold a '='", path,
               diag_quote(walk->arena, key->text));
    return false;
}

/* A VM's key that is indented too little is taken for a VM. */
static const char *hint_of_entry(struct schema_walk *walk, const struct tree_pair *pair, const struct schema_key *key)
{
    if (pair->value->kind != TREE_MAP && schema_find(key->map, pair->key->text) != NULL)
        return arena_format(walk->arena, "this key belongs under %s: is it indented too little?",
                            schema_map_name(key->map));
    return arena_format(walk->arena, "it is a map like '%s: {%s}'", diag_quote(walk->arena, pair->key->text),
                        key->map == SCHEMA_VM ? "script: FILE.lua" : "vms: [a, b]");
}

static void check_entries(struct schema_walk *walk, struct tree_node *node, const struct schema_key *key,
                          const char *path)
{
    node->sound = true;
    for (uint32_t i = 0; i < node->count; i++) {
        struct tree_pair *pair = &node->pairs[i];
        bool named = check_entry_name(walk, pair->key, key, path);
        const char *entry = arena_format(walk->arena, "%s.%s", path, diag_quote(walk->arena, pair->key->text));
        if (key->forms & SCHEMA_PAIRS)
            check_scalar(walk, pair->value, key, key->value_kind, entry);
        else if (pair->value->kind == TREE_MAP)
            check_map(walk, pair->value, key->map, entry);
        else if (pair->value->kind != TREE_BROKEN)
            diag_error(walk->diags, pair->key->mark, hint_of_entry(walk, pair, key), "%s must be a map", entry);
        pair->key->sound = named;
    }
}

static void check_value(struct schema_walk *walk, const struct tree_pair *pair, const struct schema_key *key,
                        const char *path)
{
    struct tree_node *node = pair->value;
    if (node->kind == TREE_BROKEN)
        return;
    if (is_nothing(node)) {
        diag_error(walk->diags, pair->key->mark, arena_format(walk->arena, "it is %s", describe(walk->arena, key)),
                   "%s has no value", path);
        return;
    }
    if (node->kind == TREE_SCALAR && (key->forms & SCHEMA_SCALAR) != 0)
        check_scalar(walk, node, key, key->kind, path);
    else if (node->kind == TREE_LIST && (key->forms & (SCHEMA_LIST | SCHEMA_OBJECTS)) != 0)
        check_list(walk, node, key, path);
    else if (node->kind == TREE_MAP && (key->forms & SCHEMA_OBJECT) != 0)
        check_map(walk, node, key->map, path);
    else if (node->kind == TREE_MAP && (key->forms & (SCHEMA_PAIRS | SCHEMA_NAMED)) != 0)
        check_entries(walk, node, key, path);
    else
        diag_error(walk->diags, node->mark, NULL, "%s: %s is not %s", path, tree_describe(walk->arena, node),
                   describe(walk->arena, key));
}

/* ---- maps ---- */

static bool is_users_own(const char *key)
{
    return strncmp(key, "x-", 2) == 0;
}

static void check_pair(struct schema_walk *walk, struct tree_pair *pair, enum schema_map map, const char *path)
{
    const char *word = pair->key->text;
    const struct schema_key *key = schema_find(map, word);
    if (is_users_own(word))
        return;
    if (key == NULL) {
        const char *place = path[0] != '\0' ? path : schema_map_name(map);
        bool shown = walk->diags->count < DIAG_MAX; /* a hostile file has 100,000 of them */
        diag_error(walk->diags, pair->key->mark, shown ? suggest_key(walk->arena, map, word) : NULL,
                   "unknown key '%s' %s %s", diag_quote(walk->arena, word), map == SCHEMA_TOP ? "at" : "in", place);
        return;
    }
    if (key->alias != NULL && strcmp(key->alias, word) == 0)
        pair->key->text = key->key; /* from here on it has one name */
    check_value(walk, pair, key, path[0] != '\0' ? arena_format(walk->arena, "%s.%s", path, key->key) : key->key);
}

static void check_required(struct schema_walk *walk, const struct tree_node *node, enum schema_map map,
                           const char *path)
{
    for (unsigned i = 0; i < schema_key_count; i++)
        if ((schema_keys[i].in & map) != 0 && (schema_keys[i].flags & SCHEMA_REQUIRED) != 0 &&
            tree_find(node, schema_keys[i].key) == NULL)
            diag_error(walk->diags, node->mark, schema_keys[i].help, "%s%s'%s' is missing", path,
                       path[0] != '\0' ? ": " : "", schema_keys[i].key);
}

/* Both spellings of one key: yaml.c has seen two different ones. */
static void check_aliases(struct schema_walk *walk, const struct tree_node *node)
{
    for (uint32_t i = 0; i < node->count; i++)
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(node->pairs[i].key->text, node->pairs[j].key->text) == 0)
                diag_error(walk->diags, node->pairs[i].key->mark, "remove one of the two",
                           "key '%s' is here twice; the first is in line %u", node->pairs[i].key->text,
                           node->pairs[j].key->mark.line);
}

static void check_map(struct schema_walk *walk, struct tree_node *node, enum schema_map map, const char *path)
{
    if (node->kind != TREE_MAP) {
        const char *what = path[0] != '\0' ? path : "a topology";
        diag_error(walk->diags, node->mark, map == SCHEMA_TOP ? "a topology begins with 'version: 1'" : NULL,
                   "%s must be a map, not %s", what, tree_describe(walk->arena, node));
        return;
    }
    node->sound = true;
    for (uint32_t i = 0; i < node->count; i++)
        check_pair(walk, &node->pairs[i], map, path);
    if (node->count <= schema_key_count)
        check_aliases(walk, node);
    check_required(walk, node, map, path);
}

void schema_check(struct schema_walk *walk, struct tree_node *root)
{
    if (root->kind != TREE_BROKEN)
        check_map(walk, root, SCHEMA_TOP, "");
}
