/* log.h - the last bytes of what a VM printed, with which stream each run of them came from. Grows up to its limit. */
#ifndef PYBX_LOG_H
#define PYBX_LOG_H

#include <stddef.h>
#include <stdint.h>

struct log_run {
    uint32_t stream, length;
};

struct log {
    char *bytes;
    size_t length, capacity, max;
    struct log_run *runs;
    size_t run_count, run_capacity;
    uint64_t total; /* bytes that were ever added */
};

void log_init(struct log *log, size_t max);
void log_fini(struct log *log);

/* Keeps them, and drops the oldest above the limit. Without memory it drops them: a log never fails its VM. */
void log_add(struct log *log, uint32_t stream, const char *bytes, size_t length);

/* Drops all but the last `length` bytes, of which there must be so many. */
void log_keep_last(struct log *log, size_t length);

/* Copies what there is, runs included. Returns 0 or -ENOMEM. */
int log_copy(const struct log *from, struct log *to);

#endif
