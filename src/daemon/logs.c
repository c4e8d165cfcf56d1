/* logs.c - a ring of pieces, each with a head. The oldest go when the newest need their room. */
#include "logs.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE 1024u

/* So that one piece never takes all of it, and can be copied out in one go. */
#define PIECE_MAX (LOG_KEPT / 8)

struct head {
    uint64_t time_us;
    uint32_t length;
    uint32_t stream;
};

void log_fini(struct log *log)
{
    free(log->bytes);
    *log = (struct log){0};
}

/* Positions are those of an endless row, of which the ring shows the end. */
static void copy_in(struct log *log, const void *from, size_t length)
{
    uint32_t at = (uint32_t)(log->end % log->size);
    size_t until_wrap = log->size - at, first = length < until_wrap ? length : until_wrap;
    memcpy(log->bytes + at, from, first);
    memcpy(log->bytes, (const char *)from + first, length - first);
    log->end += length;
}

static void copy_out(const struct log *log, uint64_t position, void *to, size_t length)
{
    uint32_t at = (uint32_t)(position % log->size);
    size_t until_wrap = log->size - at, first = length < until_wrap ? length : until_wrap;
    memcpy(to, log->bytes + at, first);
    memcpy((char *)to + first, log->bytes, length - first);
}

static void forget_first(struct log *log)
{
    struct head head;
    copy_out(log, log->first, &head, sizeof head);
    log->first += sizeof head + head.length;
    log->lost += head.length;
}

/* Twice the size, with what there is at the places where that has it. */
static int grow(struct log *log)
{
    uint32_t size = log->size == 0 ? FIRST_SIZE : 2 * log->size;
    char *bytes = malloc(size);
    if (bytes == NULL)
        return -1;
    for (uint64_t at = log->first; log->size != 0 && at < log->end; at++)
        bytes[at % size] = log->bytes[at % log->size];
    free(log->bytes);
    log->bytes = bytes;
    log->size = size;
    return 0;
}

static void add_piece(struct log *log, const struct head *head, const char *bytes)
{
    uint64_t needed = sizeof *head + head->length;
    while (log->end - log->first + needed > log->size && log->size < LOG_KEPT)
        if (grow(log) != 0)
            break;
    while (log->first < log->end && log->end - log->first + needed > log->size)
        forget_first(log);
    if (needed > log->size) {
        log->lost += head->length;
        return;
    }
    copy_in(log, head, sizeof *head);
    copy_in(log, bytes, head->length);
}

void log_add(struct log *log, uint32_t stream, uint64_t time_us, const char *bytes, size_t length)
{
    while (length > 0) {
        struct head head = {time_us, (uint32_t)(length < PIECE_MAX ? length : PIECE_MAX), stream};
        add_piece(log, &head, bytes);
        bytes += head.length;
        length -= head.length;
    }
}

int log_read(const struct log *log, uint64_t *position, struct log_piece *out)
{
    static char bytes[PIECE_MAX];
    struct head head;
    if (*position < log->first)
        *position = log->first;
    if (*position >= log->end)
        return 0;
    copy_out(log, *position, &head, sizeof head);
    copy_out(log, *position + sizeof head, bytes, head.length);
    *position += sizeof head + head.length;
    *out = (struct log_piece){head.time_us, head.stream, head.length, bytes};
    return 1;
}
