/* lookup.c - merge sort from the bottom up, and binary search. */
#include "lookup.h"

#include <string.h>

struct halves {
    const char *left, *left_end, *right, *right_end;
};

static void merge(char *to, struct halves from, size_t size, int (*compare)(const void *, const void *))
{
    while (from.left < from.left_end || from.right < from.right_end) {
        bool take_left =
            from.right >= from.right_end || (from.left < from.left_end && compare(from.left, from.right) <= 0);
        const char **source = take_left ? &from.left : &from.right;
        memcpy(to, *source, size);
        *source += size;
        to += size;
    }
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

void lookup_sort(struct arena *arena, void *elements, size_t count, size_t size,
                 int (*compare)(const void *a, const void *b))
{
    if (count < 2)
        return;
    char *from = elements, *to = arena_array(arena, count, size), *scratch = to;
    for (size_t run = 1; run < count; run *= 2) {
        for (size_t at = 0; at < count; at += 2 * run) {
            size_t middle = least(at + run, count), end = least(at + 2 * run, count);
            const struct halves halves = {from + at * size, from + middle * size, from + middle * size,
                                          from + end * size};
            merge(to + at * size, halves, size, compare);
        }
        char *swap = from;
        from = to;
        to = swap;
    }
    if (from == scratch)
        memcpy(elements, scratch, count * size);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct lookup_entry *)a)->name, ((const struct lookup_entry *)b)->name);
}

void lookup_init(struct lookup *lookup, struct arena *arena, struct lookup_entry *entries, uint32_t count)
{
    lookup_sort(arena, entries, count, sizeof *entries, compare_names);
    *lookup = (struct lookup){entries, count};
}

bool lookup_find(const struct lookup *lookup, const char *name, uint32_t *value)
{
    uint32_t low = 0, high = lookup->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (strcmp(lookup->entries[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == lookup->count || strcmp(lookup->entries[low].name, name) != 0)
        return false;
    *value = lookup->entries[low].value;
    return true;
}
