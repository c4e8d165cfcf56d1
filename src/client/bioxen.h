/*
 * bioxen.h - libbioxen, the public C API: start a private orchestrator, create jailed Lua VMs, follow them.
 *
 * Self-contained: it includes nothing else of this project. A manager and what came from it belong to one
 * thread at a time. Every function that can fail returns 0 or a negative errno and fills the error it was
 * handed (NULL is allowed); out-parameters are untouched on failure. Strings are UTF-8 and NUL-terminated
 * unless a length stands beside them. Times are milliseconds, sizes are bytes, unless the name says otherwise.
 */
#ifndef BIOXEN_H
#define BIOXEN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BIOXEN_ERROR_TEXT_MAX 512

struct bioxen_error {
    int code;                         /* a positive errno */
    char text[BIOXEN_ERROR_TEXT_MAX]; /* one line: what failed, where, what to do */
};

/* A private orchestrator with its jailer, and everything that they run. */
typedef struct bioxen_manager bioxen_manager;

enum bioxen_profile { BIOXEN_RESTRICTED = 0, BIOXEN_FULL = 1 };

/* Limits that the user asked for by name: one that the host cannot enforce fails the create with ENOTSUP. */
enum bioxen_required {
    BIOXEN_REQUIRE_MEMORY = 1 << 0,
    BIOXEN_REQUIRE_CPUS = 1 << 1,
    BIOXEN_REQUIRE_PIDS = 1 << 2,
    BIOXEN_REQUIRE_CPU_TIME = 1 << 3,
};

#define BIOXEN_MOUNTS_MAX 16

struct bioxen_mount {
    int fd;             /* O_PATH descriptor of a directory or regular file, opened by the caller; borrowed */
    const char *target; /* absolute path inside the VM, at most 127 bytes, without "." or ".." */
    int writable;
};

struct bioxen_string {
    const char *bytes;
    size_t length;
};

/* What a VM is to be. bioxen_config_init sets the defaults of the users' contract; everything is borrowed. */
struct bioxen_config {
    const char *name;            /* letters, digits, "_", "-", "."; 1..63 bytes */
    enum bioxen_profile profile;
    uint64_t memory;             /* bytes, at least 2 MiB; default 64 MiB */
    uint32_t cpus_milli;         /* thousandths of a processor, 10..1000000; default 1000 */
    uint64_t timeout_ms;         /* wall time from the start, 0 is none */
    uint64_t cpu_time_ms;        /* CPU time, 0 is none */
    uint32_t pids;               /* default 16 */
    uint64_t output_limit;       /* bytes of both streams; default 10 MiB */
    unsigned required;           /* set of enum bioxen_required */
    const struct bioxen_mount *mounts; /* profile full only */
    size_t mount_count;          /* at most BIOXEN_MOUNTS_MAX */
    const char *chunk_name;      /* as Lua wants it: "@file.lua", "=stdin" */
    const struct bioxen_string *args; /* args[0] is the script's name */
    size_t arg_count;
    const struct bioxen_string *env;  /* name, value, name, value ... */
    size_t env_count;            /* number of pairs */
    struct bioxen_string text;   /* the script; may be empty */
};

void bioxen_config_init(struct bioxen_config *config);

enum bioxen_outcome {
    BIOXEN_OUTCOME_OK, BIOXEN_OUTCOME_ERROR, BIOXEN_OUTCOME_SYNTAX, BIOXEN_OUTCOME_EXIT, BIOXEN_OUTCOME_TIMEOUT,
    BIOXEN_OUTCOME_CPU, BIOXEN_OUTCOME_MEMORY, BIOXEN_OUTCOME_OUTPUT, BIOXEN_OUTCOME_POLICY, BIOXEN_OUTCOME_CRASH,
    BIOXEN_OUTCOME_KILLED, BIOXEN_OUTCOME_INTERNAL,
};

/* "ok", "error", ... ; never NULL. */
const char *bioxen_outcome_name(enum bioxen_outcome outcome);

struct bioxen_limit {
    const char *name;        /* "memory", "cpus", "timeout", "cpu_time", "pids", "output_limit" */
    uint64_t asked;          /* bytes, thousandths of a processor for "cpus", ms for times; 0 is none */
    const char *enforced_by; /* "cgroup-v2, allocator", "rlimit, allocator", "seccomp", ...; "" when none was asked */
};

#define BIOXEN_LIMIT_COUNT 6

/* How a VM ended. Borrowed from the event that carries it. */
struct bioxen_record {
    const char *name;
    enum bioxen_outcome outcome;
    int exit_code;             /* what `bioxen run` ends with */
    int signal;                /* 0 when no signal ended it */
    const char *syscall;       /* name of the refused call, NULL unless outcome is policy */
    struct bioxen_string error;     /* bytes NULL when there is none; any bytes, bounded */
    struct bioxen_string traceback; /* likewise */
    uint64_t wall_us, cpu_us;  /* microseconds */
    uint64_t memory_peak;      /* bytes */
    uint64_t output_bytes;
    uint32_t restarts;
    struct bioxen_limit limits[BIOXEN_LIMIT_COUNT];
};

enum bioxen_event_type {
    BIOXEN_EVENT_OUTPUT = 1, /* bytes of a VM's stdout or stderr */
    BIOXEN_EVENT_DEATH,      /* the VM is gone, nothing of it is left; its number is free */
    BIOXEN_EVENT_NEED,       /* profile restricted: the script requires a module; answer with bioxen_answer_* */
};

struct bioxen_event {
    enum bioxen_event_type type;
    uint32_t vm;
    int stream;                  /* OUTPUT: 1 stdout, 2 stderr */
    struct bioxen_string bytes;  /* OUTPUT: the bytes; NEED: the module's name as the script gave it */
    struct bioxen_record record; /* DEATH */
};

/*
 * Starts a private bioxend and jailer. They, and all that they made, end when the manager is closed or its
 * process ends.
 */
int bioxen_open(bioxen_manager **out, struct bioxen_error *err);

/* Kills every VM, waits until nothing is left, frees the manager. NULL is allowed. */
void bioxen_close(bioxen_manager *manager);

/* Readable when bioxen_next may have an event. Owned by the manager. */
int bioxen_fd(const bioxen_manager *manager);

/* Creates and starts a VM: returns when it runs, with its number in *vm. Errors: EINVAL (a field), ENOTSUP (a required
 * limit that this host cannot enforce), EPIPE (the orchestrator is gone), and what the host refused. */
int bioxen_create(bioxen_manager *manager, const struct bioxen_config *config, uint32_t *vm, struct bioxen_error *err);

/* Asks for a VM's end by SIGKILL; its DEATH event follows, with outcome killed and `signal` as its exit status's
 * signal (e.g. SIGINT for Ctrl-C). A VM that is gone already is no error. */
int bioxen_kill(bioxen_manager *manager, uint32_t vm, int signal, struct bioxen_error *err);

/* Answers a NEED event: with the module's text and its chunk name, or with why there is none. */
int bioxen_answer_module(bioxen_manager *manager, uint32_t vm, const char *chunk_name, struct bioxen_string text,
                         struct bioxen_error *err);
int bioxen_answer_no_module(bioxen_manager *manager, uint32_t vm, const char *why, struct bioxen_error *err);

/* Waits up to timeout_ms (-1: for ever, 0: not at all) for an event. Returns 1 with *event filled (its
 * pointers are valid until the
 * next call on this manager), 0 when the time is up, or a negative errno; -EPIPE when the orchestrator is
 * gone. EINTR is returned. */
int bioxen_next(bioxen_manager *manager, struct bioxen_event *event, int timeout_ms, struct bioxen_error *err);

/* ---- what this host can enforce ---- */

enum bioxen_finding_status {
    BIOXEN_FINDING_OK = 0,
    BIOXEN_FINDING_DEGRADED = 1, /* something weaker takes its place */
    BIOXEN_FINDING_MISSING = 2,  /* what needs it is refused */
};

/* One thing that was tried by doing it. Borrowed; texts are never NULL, and empty where they say nothing. */
struct bioxen_finding {
    const char *id, *title;
    const char *needed_by; /* what is refused or weaker without it */
    enum bioxen_finding_status status;
    int required;          /* a run with default options needs it */
    int privileged;        /* tried with root's privileges, without a user namespace around the jailer */
    const char *note;      /* what was seen */
    const char *cause;     /* not ok: why */
    const char *fix;       /* not ok: one command that mends it */
};

/*
 * Tries each thing that a jail needs, in processes that leave nothing behind, and calls `on_finding` for
 * each. Takes a second
 * or so; bounded. Errors: EPIPE or ETIMEDOUT when it came to no end.
 */
int bioxen_doctor(void (*on_finding)(const struct bioxen_finding *finding, void *context), void *context,
                  struct bioxen_error *err);

#ifdef __cplusplus
}
#endif

#endif
