/* log.c - half of a full log is dropped at once, so that adding costs a copy per byte at most. */
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BYTES 256u
#define FIRST_RUNS 8u

void log_init(struct log *log, size_t max)
{
    *log = (struct log){.max = max};
}

void log_fini(struct log *log)
{
    free(log->bytes);
    free(log->runs);
    log_init(log, log->max);
}

static void drop_runs(struct log *log, size_t bytes)
{
    size_t gone = 0;
    while (gone < log->run_count && log->runs[gone].length <= bytes)
        bytes -= log->runs[gone++].length;
    log->run_count -= gone;
    memmove(log->runs, log->runs + gone, log->run_count * sizeof *log->runs);
    if (log->run_count > 0)
        log->runs[0].length -= (uint32_t)bytes;
}

static void drop(struct log *log, size_t bytes)
{
    log->length -= bytes;
    memmove(log->bytes, log->bytes + bytes, log->length);
    drop_runs(log, bytes);
}

void log_keep_last(struct log *log, size_t length)
{
    drop(log, log->length - length);
}

static int reserve_bytes(struct log *log, size_t wanted)
{
    size_t capacity = log->capacity > 0 ? log->capacity : FIRST_BYTES;
    while (capacity < wanted)
        capacity *= 2;
    if (capacity == log->capacity)
        return 0;
    char *larger = realloc(log->bytes, capacity);
    if (larger == NULL)
        return -ENOMEM;
    log->bytes = larger;
    log->capacity = capacity;
    return 0;
}

static int reserve_run(struct log *log)
{
    if (log->run_count < log->run_capacity)
        return 0;
    size_t capacity = log->run_capacity > 0 ? 2 * log->run_capacity : FIRST_RUNS;
    struct log_run *larger = realloc(log->runs, capacity * sizeof *larger);
    if (larger == NULL)
        return -ENOMEM;
    log->runs = larger;
    log->run_capacity = capacity;
    return 0;
}

/* Makes room below the limit. Many small runs count, too: a script chooses how its output is cut. */
static void make_room(struct log *log, size_t length)
{
    if (log->length + length > log->max) {
        size_t keep = log->max - length < log->max / 2 ? log->max - length : log->max / 2;
        if (log->length > keep)
            drop(log, log->length - keep);
    }
    if (log->run_count * sizeof *log->runs > log->max) {
        size_t bytes = 0;
        for (size_t i = 0; i < log->run_count / 2; i++)
            bytes += log->runs[i].length;
        drop(log, bytes);
    }
}

void log_add(struct log *log, uint32_t stream, const char *bytes, size_t length)
{
    log->total += length;
    if (length > log->max) {
        bytes += length - log->max;
        length = log->max;
    }
    make_room(log, length);
    if (length == 0 || reserve_bytes(log, log->length + length) != 0 || reserve_run(log) != 0)
        return;
    memcpy(log->bytes + log->length, bytes, length);
    log->length += length;
    if (log->run_count > 0 && log->runs[log->run_count - 1].stream == stream)
        log->runs[log->run_count - 1].length += (uint32_t)length;
    else
        log->runs[log->run_count++] = (struct log_run){stream, (uint32_t)length};
}

int log_copy(const struct log *from, struct log *to)
{
    log_init(to, from->max);
    to->bytes = malloc(from->length + 1);
    to->runs = malloc((from->run_count + 1) * sizeof *to->runs);
    if (to->bytes == NULL || to->runs == NULL) {
        log_fini(to);
        return -ENOMEM;
    }
    if (from->length > 0)
        memcpy(to->bytes, from->bytes, from->length);
    if (from->run_count > 0)
        memcpy(to->runs, from->runs, from->run_count * sizeof *to->runs);
    to->length = to->capacity = from->length;
    to->run_count = to->run_capacity = from->run_count;
    to->total = from->total;
    return 0;
}
