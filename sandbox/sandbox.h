/*
 * sandbox.h - libsandbox: builds a jail around one program. The public header, beside lock.h.
 *
 *   host    what the jailer knows and owns before any jail: sb_host_init, once
 *   spec    what a caller wants of one jail
 *   plan    the same, checked and made final: every string, number and descriptor that the child will need.
 *           It is the last thing that can fail for want of memory; the child allocates nothing
 *   jail    a running one: sb_spawn makes it, sb_jail_reap takes the dead, sb_jail_fini removes the rest
 *
 * The library never prints, never exits (but in the child that becomes the jail), runs no thread, and works
 * for one thread of one process. It keeps no state outside the structures below. Their members are its own
 * business, except where a comment says that they are for the caller to read.
 *
 * Functions return 0 or -errno, and fill the error that they were handed.
 */
#ifndef SB_SANDBOX_H
#define SB_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SB_MOUNTS_MAX   16
#define SB_TARGET_MAX   128 /* a mount's place inside the jail, with the NUL */
#define SB_HOSTNAME_MAX 64
#define SB_HANDED_FDS   3 /* become descriptors 1, 2 and 3 of the jail; its 0 is /dev/null */
#define SB_RLIMITS_MAX  16

struct sb_error {
    int code; /* a positive errno, 0 while nothing failed */
    char text[256];
};

/* What holds a limit. */
enum sb_enforcer {
    SB_BY_NOTHING = 0,
    SB_BY_CGROUP_V2,
    SB_BY_CGROUP_V1,
    SB_BY_RLIMIT,        /* memory: address space and data */
    SB_BY_SECCOMP,       /* pids: no call that makes a process is allowed */
    SB_BY_SINGLE_THREAD, /* cpus of 1 and up: one thread uses one processor at most */
};

enum sb_limit_bit { SB_LIMIT_MEMORY = 1, SB_LIMIT_CPUS = 2, SB_LIMIT_PIDS = 4 };

struct sb_limits {
    uint64_t memory_bytes; /* swap included */
    uint32_t pids;
    uint32_t cpus_milli;   /* thousandths of a processor */
};

/* ---- the host ---- */

/* The controllers that a jail uses; in v1 each may be a hierarchy of its own. */
enum sb_controller { SB_MEMORY, SB_PIDS, SB_CPU, SB_CONTROLLERS };

struct sb_cgroup_ops;

struct sb_cgroup_host {
    const struct sb_cgroup_ops *ops;
    int base[SB_CONTROLLERS]; /* where our groups are made; -1: this controller is not ours to use */
    enum sb_enforcer seen;    /* the version in which this process sees the cpu controller, ours to use or not */
    uint64_t device[SB_CONTROLLERS]; /* v1 controllers that share a hierarchy have the same */
    pid_t owner;              /* part of every group's name; 0: not looked for yet */
    uint32_t next;
};

/* A group of a jail, or one that waits for its jail. */
struct sb_cgroup {
    char name[40];              /* empty: none */
    int dir[SB_CONTROLLERS];    /* -1: none */
    int join[SB_CONTROLLERS];   /* v1: the `tasks` file of each hierarchy, until the jail is spawned */
    struct sb_limits limits;    /* what was written so far */
};

struct sb_host {
    bool privileged;     /* for the caller: each jail gets a host uid of its own */
    uid_t uid;           /* the caller's, before any namespace: a jail's inner ids */
    gid_t gid;
    uint64_t signals;    /* those that are ignored or handled here, and must not be in a jail: bit 0 is signal 1 */
    int program_fd;
    int proc_fd, null_fd;
    pid_t owner;           /* the process for which this was begun; part of the name of every cgroup */
    int wide_ns, small_ns; /* mount namespaces: all that the caller sees, and an empty root */
    uint64_t root_device;  /* of the empty root: how it is known again */
    bool empty_root;       /* this process is in the latter: without it no jail is made */
    struct sb_cgroup_host cgroups;
    struct sb_cgroup parked;
};

/*
 * Takes stock, before anything else is done: which privileges, which cgroups. Without privileges it becomes
 * uid 0 of a new user namespace and leaves for a private copy of the caller's mounts. `program_fd` is the
 * static executable that every jail runs (taken over). The calling process must have one thread, and its
 * signals as they shall stay; it becomes the leader of a session, so that no jail has a terminal.
 */
int sb_host_init(struct sb_host *host, int program_fd, struct sb_error *err);

/* Its three parts, for whoever wants to fork after the first. */
int sb_host_begin(struct sb_host *host, struct sb_error *err);
int sb_host_settle(struct sb_host *host, int program_fd, struct sb_error *err);
void sb_host_find_cgroups(struct sb_host *host);

void sb_host_fini(struct sb_host *host);

/* An empty network namespace for this process: the next jail inherits it. */
int sb_host_new_net(struct sb_error *err);

/* A descriptor of the network namespace in which this process is; and the way back into one. */
int sb_host_hold_net(const struct sb_host *host, struct sb_error *err);
int sb_host_enter_net(int net, struct sb_error *err);

/* Writes a file of /proc/sys/net, for the network namespace in which this process is. Returns 0 or -errno. */
int sb_host_net_setting(const struct sb_host *host, const char *file, const char *value);

/* This process leaves the caller's mounts for an empty read-only root, of which each jail gets a copy. */
int sb_host_empty_root(struct sb_host *host, struct sb_error *err);

/*
 * Its parts, for whoever wants another process to make the root and to wait until the kernel has let go of the
 * old one: that process calls all but the last and sends host->small_ns and host->root_device; this one enters
 * as soon as the old root is out of sight. `helper_pidfd` (-1: none) is that process: it is not waited for when
 * it is dead.
 */
int sb_host_copy_mounts(struct sb_error *err);
int sb_host_new_root(struct sb_host *host, struct sb_error *err);
int sb_host_drop_old_root(struct sb_error *err);
int sb_host_enter_root(struct sb_host *host, int helper_pidfd, struct sb_error *err);

/* Back to the caller's mounts, when no jail is to be made for a while. */
void sb_host_leave_root(struct sb_host *host);

/* Makes a cgroup ahead of its jail. What fails here is tried again, and reported, by sb_spawn. */
void sb_host_park(struct sb_host *host, const struct sb_limits *limits);

/* It is not needed. */
void sb_host_unpark(struct sb_host *host);

/* Another process has taken the parked cgroup over. */
void sb_host_forget_parked(struct sb_host *host);

/*
 * Kills and removes what processes that no longer live left in our cgroup directories. `dead` (0: none) is
 * one that is known to be dead, though its pid may still be there.
 */
void sb_host_sweep(struct sb_host *host, pid_t dead);

/* ---- one jail ---- */

struct sb_mount {
    int source_fd;      /* O_PATH, opened by whoever asks: it proves that they can reach it */
    const char *target; /* absolute, in normal form; no target may be inside another or inside /tmp */
    bool writable;
};

struct sb_spec {
    const char *const *argv;
    int handed[SB_HANDED_FDS]; /* borrowed */
    const char *hostname;
    struct sb_limits limits;
    unsigned required;         /* set of sb_limit_bit: what cannot be enforced fails the plan */
    uint64_t cpu_seconds;      /* RLIMIT_CPU; 0: none */
    unsigned sockets;          /* descriptors beside the usual few */
    bool has_files;            /* a root of its own with /tmp and mounts, instead of the shared empty one */
    uint64_t tmp_bytes;
    uint32_t tmp_inodes;
    const struct sb_mount *mounts;
    unsigned mount_count;
};

struct sb_plan_mount {
    int source_fd;
    bool writable, is_directory;
    char target[SB_TARGET_MAX]; /* relative: without the first slash */
};

struct sb_plan_rlimit {
    int resource;
    uint64_t value;
};

struct sb_plan {
    struct sb_host *host;
    const char *const *argv;
    int handed[SB_HANDED_FDS];
    char hostname[SB_HOSTNAME_MAX];
    struct sb_limits limits;
    struct sb_plan_rlimit rlimits[SB_RLIMITS_MAX];
    unsigned rlimit_count;
    bool has_files;
    char tmp_size[24], tmp_inodes[16];
    struct sb_plan_mount mounts[SB_MOUNTS_MAX];
    unsigned mount_count;
    enum sb_enforcer memory_by, cpus_by, pids_by; /* for the caller to read */
};

struct sb_jail {
    pid_t pid;    /* for the caller to read */
    int pidfd;    /* for the caller to poll: readable when the jail is dead */
    int mount_ns; /* for the caller to take over; -1: not held */
    struct sb_cgroup cgroup;
};

struct sb_death {
    int code;   /* CLD_EXITED, CLD_KILLED or CLD_DUMPED */
    int status; /* exit status or signal */
    uint64_t cpu_us;
    uint64_t memory_peak; /* bytes */
    uint32_t oom_kills;
};

int sb_plan_make(struct sb_host *host, const struct sb_spec *spec, struct sb_plan *plan,
                 struct sb_error *err);

/* On failure nothing of the jail is left. */
int sb_spawn(const struct sb_plan *plan, struct sb_jail *jail, struct sb_error *err);

/* Ends every process of the jail. It is dead when the pidfd says so. */
void sb_jail_kill(struct sb_jail *jail);

/*
 * A dying jail waits until its mounts are taken apart, unless somebody holds them: then whoever closes
 * jail->mount_ns waits. To be called while it lives; without effect when it does not.
 */
void sb_jail_hold_mounts(const struct sb_host *host, struct sb_jail *jail);

/* Takes a dead jail, and removes its cgroup: -EAGAIN while it lives, a ptrace stop included. */
int sb_jail_reap(struct sb_host *host, struct sb_jail *jail, struct sb_death *death);

/* The same in two parts, for whoever wants to tell of the death first. */
int sb_jail_take(const struct sb_host *host, struct sb_jail *jail, struct sb_death *death);
void sb_jail_remove(const struct sb_host *host, struct sb_jail *jail);

struct sb_usage {
    uint64_t cpu_us;
    uint64_t memory, memory_peak; /* bytes: the cgroup's figures where it has them, else of the resident set */
};

/* What a living jail uses. Never fails: what the host does not tell is 0. */
void sb_jail_look(const struct sb_host *host, const struct sb_jail *jail, struct sb_usage *usage);

/* Ends a living jail, waits for its end, and removes it. */
void sb_jail_destroy(struct sb_host *host, struct sb_jail *jail);

/* Closes what is held of a reaped jail. */
void sb_jail_fini(struct sb_jail *jail);

#endif
