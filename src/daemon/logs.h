/*
 * logs.h - what a VM has printed of late, and who follows it. The log itself is all that is kept for a follower: one
 * that does not keep up misses what has fallen out of it, and is told how much.
 */
#ifndef BX_DAEMON_LOGS_H
#define BX_DAEMON_LOGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of one VM that are kept, with 16 for each piece. */
#define LOG_KEPT (64u * 1024u)

struct log {
    char *bytes;         /* a ring */
    uint32_t size;       /* of it: it grows to LOG_KEPT */
    uint64_t first, end; /* positions since the beginning of time: what is kept is from first on */
    uint64_t lost;       /* bytes that were printed and are kept no more */
};

struct log_piece {
    uint64_t time_us; /* CLOCK_REALTIME */
    uint32_t stream;
    uint32_t length;
    const char *bytes; /* valid until the next call */
};

void log_fini(struct log *log);

/* Without memory it forgets. */
void log_add(struct log *log, uint32_t stream, uint64_t time_us, const char *bytes, size_t length);

/*
 * The piece at a position, which moves behind it. Returns 1 with it, 0 at the end. A position that is kept no more
 * moves to the first one that is.
 */
int log_read(const struct log *log, uint64_t *position, struct log_piece *out);

#endif
