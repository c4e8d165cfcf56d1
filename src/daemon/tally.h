/*
 * tally.h - how often within a time: the times of the latest events, no more of them than the limit needs. Exact, so
 * that what `check` says of a limit that is out of reach is what happens.
 */
#ifndef BX_DAEMON_TALLY_H
#define BX_DAEMON_TALLY_H

#include <stdbool.h>
#include <stdint.h>

struct tally {
    uint64_t *times_us; /* a ring, oldest first from `first` on */
    uint32_t first, count, capacity;
};

void tally_fini(struct tally *tally); /* takes a zeroed one too; it is as new afterwards */

/*
 * Is one more event at that time within the limit of `max` events `within` a time? Then it is counted. A time
 * before the latest one (a wait was cut short) is taken as it is. Returns 1, 0 when it is one too many (and is not
 * counted), or -ENOMEM.
 */
int tally_add(struct tally *tally, uint64_t at_us, uint32_t max, uint64_t within_us);

#endif
