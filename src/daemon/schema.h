/*
 * schema.h - which keys a topology file may have, where, and with which values: one table.
 *
 * The table is read by the check of a file (schema.c), by the generator of config/bioxen.schema.json and of the
 * tables in docs/topology.md, and by the tests that hold them together. What keys mean together is topology.c's.
 */
#ifndef BX_DAEMON_SCHEMA_H
#define BX_DAEMON_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>

#include "diag.h"
#include "lookup.h"
#include "tree.h"

/* The maps of a file, as bits: a key may be in several. */
enum schema_map {
    SCHEMA_TOP = 1 << 0,
    SCHEMA_DEFAULTS = 1 << 1,
    SCHEMA_VM = 1 << 2,
    SCHEMA_P2P = 1 << 3,
    SCHEMA_RESTART = 1 << 4,
    SCHEMA_HEALTH = 1 << 5,
    SCHEMA_GROUP = 1 << 6,
    SCHEMA_WIRE = 1 << 7,
};

/* How a scalar is to be read. */
enum schema_kind {
    SCHEMA_NOTHING, /* there is no scalar form */
    SCHEMA_TEXT,    /* any text */
    SCHEMA_LUA,     /* Lua */
    SCHEMA_PATH,    /* a file's name, not empty */
    SCHEMA_NAME,    /* a name of ours */
    SCHEMA_PEER,    /* the name of a VM, or of one replica */
    SCHEMA_TARGET,  /* a peer, or peer:port */
    SCHEMA_SIZE,    /* bytes */
    SCHEMA_TIME,    /* milliseconds */
    SCHEMA_DELAY,   /* microseconds */
    SCHEMA_CPUS,    /* thousandths of a processor */
    SCHEMA_FACTOR,  /* thousandths */
    SCHEMA_COUNT,   /* a whole number */
    SCHEMA_PORT,    /* port, or port/udp: schema_port() */
    SCHEMA_PERCENT, /* millionths */
    SCHEMA_RATE,    /* bits a second */
    SCHEMA_WORD,    /* one of `words`: its index */
    SCHEMA_MOUNT,   /* HOST:VM[:ro|rw] */
    SCHEMA_PUBLISH, /* [HOST:]PORT:PORT */
};

enum schema_form {
    SCHEMA_SCALAR = 1 << 0,  /* of `kind` */
    SCHEMA_LIST = 1 << 1,    /* scalars of `kind` */
    SCHEMA_PAIRS = 1 << 2,   /* names to scalars of `value_kind` */
    SCHEMA_OBJECT = 1 << 3,  /* one map of `map` */
    SCHEMA_OBJECTS = 1 << 4, /* a list of them */
    SCHEMA_NAMED = 1 << 5,   /* names to maps of `map` */
};

enum schema_flag {
    SCHEMA_REQUIRED = 1 << 0,
    SCHEMA_NONE = 1 << 1, /* the word none is allowed: no limit */
};

struct schema_key {
    unsigned in; /* set of enum schema_map */
    const char *key;
    const char *alias; /* the same key as the command line's option writes it, else NULL */
    unsigned forms;
    enum schema_kind kind, value_kind;
    enum schema_map map;
    uint64_t min, max;    /* of quantities */
    const char *words;    /* "a|b|c" */
    const char *fallback; /* its default as one would write it, or NULL */
    unsigned flags;
    const char *elsewhere; /* what others call it, for did-you-mean: "a|b|c" */
    const char *help;      /* one sentence without full stop */
};

extern const struct schema_key schema_keys[];
extern const unsigned schema_key_count;

/* A map's name for people: "vms.<name>". */
const char *schema_map_name(enum schema_map map);

const struct schema_key *schema_find(unsigned in, const char *key);

/* What a scalar of that kind looks like, for messages and documents: "a size like 64MiB". */
const char *schema_kind_words(enum schema_kind kind);

/* A quantity as one would write it. */
#define SCHEMA_VALUE_MAX 48
void schema_format(enum schema_kind kind, uint64_t value, char out[SCHEMA_VALUE_MAX]);

/* Index of the word in "a|b|c", or -1. */
int schema_word(const char *words, const char *text);

/* The nearest of the words in "a|b|c", or NULL; copied into the arena. */
const char *schema_near_word(struct arena *arena, const char *words, const char *text);

/* ---- checking (schema.c, schema_value.c) ---- */

struct schema_walk {
    struct arena *arena;
    struct diags *diags;
    const struct lookup *variables; /* values are indexes into... */
    const char *const *values;      /* ...this */
};

/*
 * Checks the whole tree, replaces variables in its values, and marks each value that is as its key wants it as sound.
 */
void schema_check(struct schema_walk *walk, struct tree_node *root);

/* Checks one scalar; `what` names it in messages. Fills node->number. Returns whether it is sound. */
bool schema_check_scalar(struct schema_walk *walk, struct tree_node *node, const struct schema_key *key,
                         enum schema_kind kind, const char *what);

/* Reads a quantity or word as the table gives it: for defaults. Returns 0 or -EINVAL. */
int schema_read(const struct schema_key *key, enum schema_kind kind, const char *text, uint64_t *out);

/* The number of a SCHEMA_PORT. */
static inline uint16_t schema_port(uint64_t number)
{
    return (uint16_t)number;
}
static inline bool schema_port_is_udp(uint64_t number)
{
    return (number >> 16) != 0;
}

struct schema_publish {
    const char *host; /* an address as it was written, "127.0.0.1" when none was */
    uint16_t host_port, vm_port;
};

/* Takes "[HOST:]PORT:PORT" apart. Returns NULL, or what is wrong. */
const char *schema_parse_publish(struct arena *arena, const char *text, struct schema_publish *out);

struct schema_mount {
    const char *host, *target;
    bool writable;
};

/* Takes "HOST:VM[:ro|rw]" apart. Returns NULL, or what is wrong; whether the target is sound is vm_spec_check's. */
const char *schema_parse_mount(struct arena *arena, const char *text, struct schema_mount *out);

/* Takes "peer" or "peer:port" apart; *port is 0 without one. Returns NULL, or what is wrong. */
const char *schema_parse_target(struct arena *arena, const char *text, const char **peer, uint64_t *port);

/* ---- variables (variables.c) ---- */

/* Replaces ${NAME}, ${NAME:-default} and $$ in a scalar. Returns false after a fault. */
bool variables_replace(struct schema_walk *walk, struct tree_node *node);

#endif
