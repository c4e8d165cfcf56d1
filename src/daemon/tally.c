/* tally.c - a ring of times; what is older than the window makes room before the ring grows. */
#include "tally.h"

#include <errno.h>
#include <stdlib.h>

void tally_fini(struct tally *tally)
{
    free(tally->times_us);
    *tally = (struct tally){0};
}

static void forget_old(struct tally *tally, uint64_t at_us, uint64_t within_us)
{
    while (tally->count > 0 && at_us > tally->times_us[tally->first] &&
           at_us - tally->times_us[tally->first] > within_us) {
        tally->first = (tally->first + 1) % tally->capacity;
        tally->count--;
    }
}

static int grow(struct tally *tally)
{
    uint32_t capacity = tally->capacity == 0 ? 8 : tally->capacity * 2;
    uint64_t *times_us = malloc(capacity * sizeof *times_us);
    if (times_us == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < tally->count; i++)
        times_us[i] = tally->times_us[(tally->first + i) % tally->capacity];
    free(tally->times_us);
    tally->times_us = times_us;
    tally->capacity = capacity;
    tally->first = 0;
    return 0;
}

int tally_add(struct tally *tally, uint64_t at_us, uint32_t max, uint64_t within_us)
{
    forget_old(tally, at_us, within_us);
    if (tally->count >= max)
        return 0;
    if (tally->count == tally->capacity && grow(tally) != 0)
        return -ENOMEM;
    tally->times_us[(tally->first + tally->count) % tally->capacity] = at_us;
    tally->count++;
    return 1;
}
