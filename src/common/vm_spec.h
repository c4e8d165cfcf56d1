/*
 * vm_spec.h - what a client asks of bioxend when it creates a VM (the program itself travels as a descriptor).
 */
#ifndef BX_COMMON_VM_SPEC_H
#define BX_COMMON_VM_SPEC_H

#include <msgpack.h>
#include <stdint.h>

#include "error.h"
#include "limits.h"

enum vm_network {
    VM_NETWORK_NONE = 0,   /* its filter knows no sockets */
    VM_NETWORK_FABRIC = 1, /* in the private network, where wires alone say whom it reaches */
    VM_NETWORK_SHARED = 2, /* in the client's default network as well: all in it may talk */
    VM_NETWORK_LATE = 3,   /* as the former, from the time when it is connected (CTL_NETWORK) */
};

struct vm_spec_mount {
    char target[BX_MOUNT_TARGET_MAX];
    uint32_t writable;
};

enum vm_restart_policy { VM_RESTART_NEVER, VM_RESTART_ON_FAILURE, VM_RESTART_ALWAYS };

/* When it is started again, after what wait, and how often at most. */
struct vm_restart {
    uint32_t policy;       /* enum vm_restart_policy */
    uint64_t delay_ms;     /* the first wait; each further one is factor_milli thousandths of the one before */
    uint32_t factor_milli;
    uint64_t max_delay_ms; /* no wait is longer */
    uint32_t jitter_ppm;   /* each is longer or shorter by at most that share */
    uint32_t max;          /* restarts within a time of within_ms */
    uint64_t within_ms;
    uint64_t reset_after_ms; /* after so long a ready life the wait is the first one again */
};

struct vm_spec {
    char name[BX_NAME_MAX + 1];
    uint32_t profile;      /* enum jw_profile */
    uint64_t memory;       /* bytes */
    uint32_t cpus_milli;
    uint32_t pids;
    uint64_t timeout_ms;   /* 0 is none */
    uint64_t cpu_time_ms;  /* 0 is none */
    uint64_t output_limit; /* bytes */
    uint32_t required;     /* set of enum jw_limit_bit */
    uint32_t network;      /* enum vm_network */
    uint32_t serve;        /* enum lw_mode: when it serves sessions */
    uint32_t only;         /* no other VM follows: after its death the jailer is let go */
    struct vm_restart restart;
    uint32_t mount_count;
    struct vm_spec_mount mounts[BX_MOUNTS_MAX];
};

/* Checks every value; the text of the error names the field, what it was and what is allowed. Returns 0 or -EINVAL. */
int vm_spec_check(const struct vm_spec *spec, struct bx_error *err);

void vm_spec_pack(msgpack_packer *packer, const struct vm_spec *spec);

/* Reads a packed spec. Returns 0 or -EBADMSG (form; values are vm_spec_check's). */
int vm_spec_unpack(const msgpack_object *map, struct vm_spec *out);

#endif
