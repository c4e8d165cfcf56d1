/*
 * lookup.h - names to numbers, by a sorted array. Not a hash table: a file's author could choose names that all fall
 * into one bucket.
 */
#ifndef BX_DAEMON_LOOKUP_H
#define BX_DAEMON_LOOKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"

struct lookup_entry {
    const char *name;
    uint32_t value;
};

struct lookup {
    struct lookup_entry *entries; /* sorted by name; equal names in their first order */
    uint32_t count;
};

/* Takes over the entries, which are in the arena, and sorts them. */
void lookup_init(struct lookup *lookup, struct arena *arena, struct lookup_entry *entries, uint32_t count);

/* The value of the first entry with that name. */
bool lookup_find(const struct lookup *lookup, const char *name, uint32_t *value);

/*
 * Sorts any array by a comparison, equal elements in their first order, in n log n steps whatever they are (qsort of
 * the C library does not promise that).
 */
void lookup_sort(struct arena *arena, void *elements, size_t count, size_t size,
                 int (*compare)(const void *a, const void *b));

#endif
