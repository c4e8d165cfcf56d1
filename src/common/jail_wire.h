/*
 * jail_wire.h - what bioxend asks of the jailer, and what it hears back.
 *
 * One fixed-size message each way over a private SEQPACKET socketpair; descriptors travel beside it
 * (SCM_RIGHTS). The jailer checks every field again: a request is a stranger's word, because bioxend
 * parses strangers' bytes. All integers are host order: both ends are the same build on one machine.
 */
#ifndef BX_COMMON_JAIL_WIRE_H
#define BX_COMMON_JAIL_WIRE_H

#include <stdint.h>

#include "limits.h"

#define JW_MAGIC 0x314a5842u /* "BXJ1" */

enum jw_type {
    /* bioxend -> jailer */
    JW_SPAWN = 1, /* descriptors: stdout, stderr, lifeline, then one O_PATH descriptor for each mount */
    JW_KILL = 2,   /* end the VM by SIGKILL; its JW_DEATH follows. Unknown VMs are ignored (it died already) */
    JW_STATS = 4,   /* what the VM uses: JW_STATISTICS. Unknown VMs are ignored (their JW_DEATH was sent) */
    JW_SHUTDOWN = 3, /* kill all, remove all, then end; the socket's EOF says that it is done */
    /* The next four carry a tag, and are answered by JW_NET_DONE or JW_NET_FAILED with the same tag */
    JW_ATTACH = 8, /* gives net number `vm` an address in the fabric; makes the net when there is none of that number */
    JW_DROP = 9,   /* net number `vm` is not needed any more: it loses its wires and is forgotten */
    JW_WIRES = 10,  /* permits or forbids connections: all of the list or none */
    JW_SHAPE = 11,  /* how the way from one net to another behaves */
    /* jailer -> bioxend */
    JW_SPAWNED = 64,
    JW_FAILED = 65, /* the spawn did not happen and left nothing */
    JW_DEATH = 66,  /* the VM is dead and reaped; what the kernel still holds of it goes next */
    JW_STATISTICS = 67,
    JW_NET_DONE = 72,
    JW_NET_FAILED = 73, /* nothing was changed */
};

enum jw_profile { JW_RESTRICTED = 0, JW_FULL = 1 };

/* Limits that the user asked for by name: what cannot be enforced is then refused, not degraded. */
enum jw_limit_bit {
    JW_LIMIT_MEMORY = 1 << 0,
    JW_LIMIT_CPUS = 1 << 1,
    JW_LIMIT_PIDS = 1 << 2,
    JW_LIMIT_CPU_TIME = 1 << 3,
};

/* What enforces a limit. The values index the printable names in death.c. */
enum jw_enforcer {
    JW_BY_NOTHING = 0,
    JW_BY_CGROUP_V2 = 1,
    JW_BY_CGROUP_V1 = 2,
    JW_BY_RLIMIT = 3,        /* memory: RLIMIT_DATA and RLIMIT_AS */
    JW_BY_SECCOMP = 4,       /* pids: no call that makes a process or thread is allowed */
    JW_BY_SINGLE_THREAD = 5, /* cpus >= 1: a VM has one thread and so uses one processor at most */
    JW_BY_CPU_TIMER = 6,     /* cpu_time: a timer on the VM's CPU clock, with RLIMIT_CPU behind it */
};

struct jw_mount {
    char target[BX_MOUNT_TARGET_MAX]; /* absolute, normal form (no "//", ".", ".."), NUL-terminated */
    uint8_t writable;                 /* 0 or 1 */
    uint8_t pad[7];
};

struct jw_spawn {
    uint64_t memory_bytes;  /* BX_MEMORY_MIN and up */
    uint64_t cpu_time_ms;   /* 0 is none */
    uint64_t tmp_bytes;     /* profile full: size of /tmp */
    uint32_t tmp_inodes;
    uint32_t pids;          /* 1 and up */
    uint32_t cpus_milli;    /* 10 and up */
    uint32_t required;      /* set of jw_limit_bit */
    uint8_t profile;        /* enum jw_profile */
    uint8_t mount_count;    /* 0..BX_MOUNTS_MAX, profile full only */
    uint8_t attach;         /* 1: the net gets an address before the VM is born, unless it has one */
    uint8_t pad[1];
    /*
     * 0: a network namespace of its own, with nothing in it, and a filter that knows no sockets. Else the number of the
     * net to live in, which is made when there is none; it outlives the VM, until JW_DROP.
     */
    uint32_t net;
    uint32_t group;         /* with `attach`: as in jw_attach, both */
    uint32_t low_port;
    char hostname[BX_NAME_MAX + 1];
    struct jw_mount mounts[BX_MOUNTS_MAX];
};

struct jw_attach {
    uint32_t group; /* the default network that it belongs to; 0: it may talk over wires only */
    uint32_t low_port; /* 1..1023: it may also bind ports from here on; 0: none below 1024 */
};

enum jw_protocol { JW_TCP = 6, JW_UDP = 17 };

/* `from` may begin connections to a port of `to`; what is answered comes back. */
struct jw_wire {
    uint32_t from, to; /* numbers of nets that are attached */
    uint16_t port;     /* 1 and up */
    uint8_t protocol;  /* enum jw_protocol */
    uint8_t on;        /* 1: permit; 0: forbid again. What is the case already is an error */
};

#define JW_LOW_PORTS 1024u /* where ports begin that everybody may bind */
#define JW_WIRES_MAX 160

struct jw_wires {
    uint32_t count; /* 1..JW_WIRES_MAX */
    uint32_t pad;
    struct jw_wire wires[JW_WIRES_MAX];
};

/* One direction; what is 0 is as fast as the machine. All 0: as if it had never been shaped. */
struct jw_shape {
    uint32_t from, to; /* numbers of nets that are attached */
    uint64_t rate;     /* bits in a second */
    uint32_t delay_us, jitter_us;
    uint32_t loss_ppm; /* packets in a million that are lost */
    uint32_t pad;
};

struct jw_request {
    uint32_t magic;
    uint32_t type; /* enum jw_type */
    uint32_t vm;   /* bioxend's number for the VM, unique while it lives; or of a net, until its JW_DROP. Never 0 */
    uint32_t tag;  /* chosen by bioxend, for requests that say so; else 0 */
    union {        /* by type; what is behind it is zero */
        struct jw_spawn spawn;
        struct jw_attach attach;
        struct jw_wires wires;
        struct jw_shape shape;
    };
};

struct jw_spawned {
    int32_t pid;              /* in the jailer's pid namespace: for people and tests to look at */
    uint8_t memory_enforcer;  /* enum jw_enforcer, each */
    uint8_t cpus_enforcer;
    uint8_t pids_enforcer;
    uint8_t cpu_time_enforcer; /* JW_BY_NOTHING when none was asked */
    uint32_t address;          /* of its net, IPv4, host order; 0: it is not attached, or there is none */
};

struct jw_failed {
    int32_t code;    /* a positive errno */
    char text[256];  /* one line: what failed, and what to do */
};

struct jw_death {
    int32_t wait_code;      /* CLD_EXITED, CLD_KILLED or CLD_DUMPED */
    int32_t wait_status;    /* exit status or signal */
    uint64_t cpu_us;        /* user and system time, microseconds */
    uint64_t memory_peak;   /* bytes: the cgroup's figure where it has one, else the largest resident set */
    uint32_t oom_kills;     /* by the VM's cgroup */
    uint32_t cpu_time_hit;  /* 1: the jailer killed it because its CPU time was used up */
};

struct jw_statistics {
    uint64_t cpu_us;      /* user and system time, microseconds */
    uint64_t memory;      /* bytes: the cgroup's figure where it has one, else the resident set */
    uint64_t memory_peak; /* bytes, likewise */
};

struct jw_net {
    uint32_t address; /* JW_ATTACH: IPv4, host order; else 0 */
    uint32_t pad;
};

struct jw_reply {
    uint32_t magic;
    uint32_t type; /* enum jw_type */
    uint32_t vm;   /* as in the request: 0 for JW_WIRES and JW_SHAPE */
    uint32_t tag;  /* JW_NET_DONE and JW_NET_FAILED: the request's */
    union {
        struct jw_spawned spawned;
        struct jw_failed failed; /* JW_NET_FAILED, too */
        struct jw_death death;
        struct jw_statistics statistics;
        struct jw_net net;
    } u;
};

_Static_assert(sizeof(struct jw_mount) == 136, "wire layout");
_Static_assert(sizeof(struct jw_spawn) == 56 + 64 + 16 * 136, "wire layout: no hidden padding");
_Static_assert(sizeof(struct jw_wires) == 8 + JW_WIRES_MAX * 12 && sizeof(struct jw_shape) == 32, "wire layout");
_Static_assert(sizeof(struct jw_request) == 16 + sizeof(struct jw_spawn), "wire layout: the spawn is the largest");
_Static_assert(sizeof(struct jw_reply) == 16 + 264, "wire layout");

/*
 * Checks one request as it came off the socket: size, magic, type, every range, every string terminated,
 * no stray bytes where none belong. `fds` is how many descriptors came with it.
 * Returns NULL when it is sound, else a constant text that says what is wrong.
 */
const char *jw_request_check(const void *bytes, uint64_t length, unsigned fds);

/* The same for a reply. */
const char *jw_reply_check(const void *bytes, uint64_t length);

#endif
