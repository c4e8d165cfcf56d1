/*
 * record.h - the death record: how a VM ended. One schema in reports, events, `inspect` and exceptions.
 */
#ifndef BX_COMMON_RECORD_H
#define BX_COMMON_RECORD_H

#include <msgpack.h>
#include <stdint.h>

#include "codec.h"
#include "limits.h"

/* The order is that of bioxen.h's enum bioxen_outcome; a unit test holds the two together. */
enum record_outcome {
    RECORD_OK, RECORD_ERROR, RECORD_SYNTAX, RECORD_EXIT, RECORD_TIMEOUT, RECORD_CPU, RECORD_MEMORY, RECORD_OUTPUT,
    RECORD_POLICY, RECORD_CRASH, RECORD_KILLED, RECORD_INTERNAL, RECORD_STOPPED,
    RECORD_OUTCOME_COUNT
};

/* "ok", "error", ...; never NULL. */
const char *record_outcome_name(uint32_t outcome);

/* "memory", "cpus", ... */
const char *record_limit_name(uint32_t limit);

enum record_limit {
    RECORD_LIMIT_MEMORY, RECORD_LIMIT_CPUS, RECORD_LIMIT_TIMEOUT, RECORD_LIMIT_CPU_TIME, RECORD_LIMIT_PIDS,
    RECORD_LIMIT_OUTPUT,
    RECORD_LIMIT_COUNT
};

#define RECORD_ENFORCER_MAX 48
#define RECORD_SYSCALL_MAX 32

struct record_limit_entry {
    uint64_t asked;                        /* bytes, thousandths of a processor, ms; 0 is none */
    char enforced_by[RECORD_ENFORCER_MAX]; /* "" when none was asked */
};

struct record {
    char name[BX_NAME_MAX + 1];
    uint32_t outcome;                 /* enum record_outcome */
    uint32_t exit_code;               /* 0..255 */
    uint32_t signal;                  /* 0 when none ended it */
    char syscall[RECORD_SYSCALL_MAX]; /* "" unless outcome is RECORD_POLICY */
    struct bx_text error, traceback;
    uint64_t wall_us, cpu_us;
    uint64_t memory_peak;
    uint64_t output_bytes;
    uint32_t restarts;
    struct record_limit_entry limits[RECORD_LIMIT_COUNT];
};

/* Frees the texts; takes a zeroed record too. */
void record_fini(struct record *record);

void record_pack(msgpack_packer *packer, const struct record *record);

/* Reads into a zeroed record. Returns 0, -EBADMSG or -ENOMEM; call record_fini in each case. */
int record_unpack(const msgpack_object *map, struct record *out);

/* What goes beside the record where it is told (CTL_DEATH, CTL_ENDED). */
struct death_frame {
    uint32_t vm;
    uint64_t wait_us;   /* until it is started again */
    struct bx_text why; /* why it is not, or is no more; empty when nothing is to be said of that */
};

void death_frame_pack(msgpack_packer *packer, const struct death_frame *frame, const struct record *record);

/* Reads into a zeroed frame, whose text is the caller's to free, and a zeroed record. Returns as record_unpack. */
int death_frame_unpack(const msgpack_object *map, struct death_frame *frame, struct record *record);

#endif
