/*
 * tree.h - a YAML file as a tree, with the place of everything in it.
 *
 * What the tree cannot hold is refused with its place: aliases, anchors, tags, duplicate keys, keys that are not
 * plain text, several documents, depth over TREE_DEPTH_MAX, bytes that are no UTF-8. What a key means is schema.c's.
 */
#ifndef BX_DAEMON_TREE_H
#define BX_DAEMON_TREE_H

#include <stdbool.h>

#include "diag.h"

/* Larger files are nobody's topology; and libyaml's time is not in every case proportional to a file's size. */
#define TREE_FILE_MAX (1024u * 1024u)

/* Deeper nesting is a mistake or an attack: libyaml 0.2.5 takes quadratic time for it. */
#define TREE_DEPTH_MAX 16

/* Values in one file. Ten thousand VMs with 25 each. */
#define TREE_NODES_MAX 262144

enum tree_kind {
    TREE_SCALAR,
    TREE_LIST,
    TREE_MAP,
    TREE_BROKEN, /* stands for what was refused: its fault is told already */
};

struct tree_pair;

struct tree_node {
    enum tree_kind kind;
    bool plain;   /* scalar without quotes */
    bool literal; /* scalar written as "|": its lines are the file's */
    bool sound;   /* schema.c: it is what its key wants */
    bool is_null; /* schema.c: "none" */
    struct mark mark;
    const char *text; /* scalar; NUL-terminated, no NUL inside */
    uint32_t count;
    struct tree_node **items; /* list */
    struct tree_pair *pairs;  /* map: no key twice */
    uint64_t number;          /* schema.c: the value of a scalar that is a quantity */
};

struct tree_pair {
    struct tree_node *key; /* a scalar */
    struct tree_node *value;
};

/* Reads the file's text. Returns its tree, or NULL after a fault that leaves nothing to look at. */
struct tree_node *tree_parse(const char *text, size_t length, struct diags *diags);

/* The value of a key, or NULL; of a node that is no map, NULL. */
struct tree_node *tree_find(const struct tree_node *map, const char *key);

/* "a list", "a map", "'text'", for messages. */
const char *tree_describe(struct arena *arena, const struct tree_node *node);

/* ---- the text itself (tree_text.c) ---- */

/* Is every character one that a YAML file may have, so that lines are what an editor takes for lines? */
bool tree_check_text(const char *text, size_t length, struct diags *diags);

/* The bytes from a place on; the end of the text when there is no such place. */
const char *tree_at(const char *text, size_t length, struct mark mark);

#endif
