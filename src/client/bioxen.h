/*
 * bioxen.h - libbioxen, the public C API: start a private orchestrator, create jailed Lua VMs, follow them.
 *
 * Self-contained: it includes nothing else of this project. Threads: a manager's requests (everything named
 * *_start, kill, stop, interrupt, answer) may come from any thread at any time; bioxen_next, and the calls that
 * wait for their own reply (create, attach, stats, execute), belong to one thread at a time. Each session belongs to
 * one thread at a time, whatever happens to its manager meanwhile. After fork a child may only call bioxen_forget and,
 * for sessions, bioxen_detach: neither touches what the parent has.
 * Every function that can fail returns 0 or a negative errno and fills the error it was handed (NULL is
 * allowed); out-parameters are untouched on failure. Strings are UTF-8 and NUL-terminated unless a length stands
 * beside them. Times are milliseconds, sizes are bytes, unless the name says otherwise.
 */
#ifndef BIOXEN_H
#define BIOXEN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default) /* the rest of the library is hidden */

#define BIOXEN_VERSION "0.1.0"

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

/* In the private network VMs have sockets (LuaSocket) and addresses; there is no way to the host or the world. */
enum bioxen_network {
    BIOXEN_NETWORK_NONE = 0,
    BIOXEN_NETWORK_FABRIC = 1, /* reaches nobody but by wires */
    BIOXEN_NETWORK_SHARED = 2, /* all of the manager's VMs that are in it may talk to each other, by name */
    BIOXEN_NETWORK_LATE = 3,   /* as shared, from bioxen_network on; sockets find no network before */
};

/* When a VM serves sessions, and when it ends. */
enum bioxen_serve {
    BIOXEN_SERVE_NEVER = 0,         /* it ends with its script */
    BIOXEN_SERVE_AFTER = 1,         /* after the script it lives on, and serves */
    BIOXEN_SERVE_WHILE_WAITING = 2, /* it ends with its script, and serves while that waits (messages, sleep, ...) */
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

enum bioxen_restart_policy { BIOXEN_RESTART_NEVER = 0, BIOXEN_RESTART_ON_FAILURE = 1, BIOXEN_RESTART_ALWAYS = 2 };

/* When a VM is started again that has ended by itself: see docs/supervision.md. It keeps number, name and address. */
struct bioxen_restart {
    enum bioxen_restart_policy policy;       /* default: never */
    uint64_t delay_ms, max_delay_ms;         /* the first wait, 100 ms, and the longest, 30 s; at most 24 h */
    uint32_t factor_milli, jitter_ppm;       /* each wait is 2000 / 1000 times the last; give or take 250000 / 10^6 */
    uint32_t max;                            /* 5 restarts within 60 s, and no more */
    uint64_t within_ms, reset_after_ms;      /* after a life of 10 s the wait is the first one again */
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
    enum bioxen_network network; /* default: none */
    enum bioxen_serve serve;     /* when it serves sessions; default: never */
    int only;                    /* not 0: the manager makes no other VM, now or later. When it has died, what is left
                                    is taken down at once, without waiting for bioxen_close */
    struct bioxen_restart restart;
    int module_dir;              /* O_PATH descriptor of the directory whose Lua files `require` finds, answered by the
                                    library itself, while it is in a call that waits (bioxen_next, ...); -1 (default):
                                    the script's needs come as BIOXEN_EVENT_NEED */
    const char *module_dir_name; /* how messages and the names of chunks call it; NULL: "." */
};

void bioxen_config_init(struct bioxen_config *config);

enum bioxen_outcome {
    BIOXEN_OUTCOME_OK, BIOXEN_OUTCOME_ERROR, BIOXEN_OUTCOME_SYNTAX, BIOXEN_OUTCOME_EXIT, BIOXEN_OUTCOME_TIMEOUT,
    BIOXEN_OUTCOME_CPU, BIOXEN_OUTCOME_MEMORY, BIOXEN_OUTCOME_OUTPUT, BIOXEN_OUTCOME_POLICY, BIOXEN_OUTCOME_CRASH,
    BIOXEN_OUTCOME_KILLED, BIOXEN_OUTCOME_INTERNAL, BIOXEN_OUTCOME_STOPPED,
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
    /* answers to requests by *_start: `request` is the number that it gave */
    BIOXEN_EVENT_CREATED,    /* vm */
    BIOXEN_EVENT_ATTACHED,   /* vm, session: now the caller's */
    BIOXEN_EVENT_STATS,      /* vm, stats */
    BIOXEN_EVENT_REFUSED,    /* error */
    BIOXEN_EVENT_NETWORKED,  /* vm, address */
    BIOXEN_EVENT_DONE,       /* nothing more to say */
    /* of topologies that are up */
    BIOXEN_EVENT_ANSWER,     /* node: the answer to a request, which is over */
    BIOXEN_EVENT_LOG,        /* vm, name, stream, bytes, time_us, skipped: a piece of a VM's log */
    BIOXEN_EVENT_CHANGE,     /* node: something changed */
    /* of a VM that is restarted: its last end is a DEATH */
    BIOXEN_EVENT_ENDED,      /* vm, record, wait_us: a life of it; its sessions have ended, the next life is to come */
    BIOXEN_EVENT_AGAIN,      /* vm, restarts: it runs again */
};

/* A value that bioxend made of what it knows: a text, a number, yes or no, a list, or a map; NULL: it is not there. */
typedef struct bioxen_node bioxen_node;

/* One connection to a VM, over which it is asked to execute. */
typedef struct bioxen_session bioxen_session;

struct bioxen_stats {
    uint32_t sessions;
    uint64_t uptime_us, cpu_us;
    uint64_t memory, memory_peak; /* bytes */
    uint64_t output_bytes;
};

struct bioxen_event {
    enum bioxen_event_type type;
    uint32_t vm;
    int stream;                  /* OUTPUT: 1 stdout, 2 stderr */
    struct bioxen_string bytes;  /* OUTPUT: the bytes; NEED: the module's name as the script gave it */
    struct bioxen_record record; /* DEATH, ENDED */
    struct bioxen_string why;    /* DEATH: why it is not started again, although it is to be; may be empty */
    uint64_t wait_us;            /* ENDED: until it is started again */
    uint32_t restarts;           /* AGAIN: how often, by now */
    uint32_t request;            /* CREATED, ATTACHED, STATS, REFUSED, NETWORKED, ANSWER, LOG, CHANGE */
    uint32_t address;            /* NETWORKED: IPv4, host order */
    bioxen_session *session;     /* ATTACHED */
    struct bioxen_stats stats;   /* STATS */
    struct bioxen_error error;   /* REFUSED */
    const bioxen_node *node;     /* ANSWER, CHANGE */
    struct bioxen_string name;   /* LOG: TOPOLOGY/NAME */
    uint64_t time_us;            /* LOG: when it was printed, CLOCK_REALTIME */
    uint64_t skipped;            /* LOG: bytes that are lost, as the reader was too slow; then no bytes are here */
};

/*
 * Starts a private bioxend and jailer. They, and all that they made, end when the manager is closed or its
 * process ends.
 */
int bioxen_open(bioxen_manager **out, struct bioxen_error *err);

/*
 * The same with the programs bioxend, bioxen-jailer and bioxen-vm of that directory (NULL: beside the running
 * program or the shared library, or in ../libexec/bioxen from there).
 */
int bioxen_open_at(bioxen_manager **out, const char *directory, struct bioxen_error *err);

/* ---- daemons: one orchestrator for clients that come and go ---- */

/*
 * Lets other clients in, over a socket that listens (AF_UNIX, SOCK_SEQPACKET, non-blocking; borrowed): those of the
 * caller's user, and root. The daemon lives as long as this manager. To be called once.
 */
int bioxen_listen(bioxen_manager *manager, int fd, struct bioxen_error *err);

/*
 * Joins the daemon that listens at `path`; NULL: at bioxen_socket_path. VMs that are created over this manager end when
 * it is closed, or its process ends; bioxen_close does not wait for that. Errors: ENOENT (there is none), ECONNREFUSED
 * (it is dead), EACCES (another user's).
 */
int bioxen_open_path(bioxen_manager **out, const char *path, struct bioxen_error *err);

/* Where a daemon listens unless it is told otherwise: $BIOXEN_SOCKET, /run/bioxen.sock for root, and for others
 * $XDG_RUNTIME_DIR/bioxen.sock. Errors: ENOENT (neither is set), ENAMETOOLONG. */
#define BIOXEN_SOCKET_PATH_MAX 108
int bioxen_socket_path(char out[BIOXEN_SOCKET_PATH_MAX], struct bioxen_error *err);

/* In a child after fork: closes the child's copies of the sockets, and frees. The parent's VMs are not touched. */
void bioxen_forget(bioxen_manager *manager);

/* Kills every VM, waits until nothing is left, frees the manager. NULL is allowed. */
void bioxen_close(bioxen_manager *manager);

/* Readable when bioxen_next may have an event. Owned by the manager. A call that waits for its own reply keeps the
 * events that come meanwhile: call bioxen_next with the timeout 0 until it returns 0, then poll. */
int bioxen_fd(const bioxen_manager *manager);

/* Creates and starts a VM: returns when it runs, with its number in *vm. Errors: EINVAL (a field), ENOTSUP (a required
 * limit that this host cannot enforce), EPIPE (the orchestrator is gone), and what the host refused. */
int bioxen_create(bioxen_manager *manager, const struct bioxen_config *config, uint32_t *vm, struct bioxen_error *err);

/* Asks only; the answer is an event, CREATED or REFUSED, with the same request number. */
int bioxen_create_start(bioxen_manager *manager, const struct bioxen_config *config, uint32_t *request,
                        struct bioxen_error *err);

/* Asks for a VM's end by SIGKILL, whatever its restart policy; its DEATH event follows, with outcome killed and
 * `signal` as its exit status's signal (e.g. SIGINT for Ctrl-C). A VM that is gone already is no error. */
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

/*
 * Asks a serving VM to close its state (finalizers run) and to end; SIGKILL after the grace. The call that runs is
 * cut off, and neither it nor those that wait are answered: their sessions end. Its DEATH event says stopped.
 */
int bioxen_stop(bioxen_manager *manager, uint32_t vm, unsigned grace_ms, struct bioxen_error *err);

/* What the VM uses now. ESRCH: it is gone. */
int bioxen_stats(bioxen_manager *manager, uint32_t vm, struct bioxen_stats *out, struct bioxen_error *err);
int bioxen_stats_start(bioxen_manager *manager, uint32_t vm, uint32_t *request, struct bioxen_error *err);

/* Connects a VM of BIOXEN_NETWORK_LATE; *address (if not NULL) is IPv4 in host order. Again is no error. */
int bioxen_network(bioxen_manager *manager, uint32_t vm, uint32_t *address, struct bioxen_error *err);
int bioxen_network_start(bioxen_manager *manager, uint32_t vm, uint32_t *request, struct bioxen_error *err);

/* ---- values: Lua values as they travel ---- */

/*
 * Written in this order: bioxen_put_list(count) and that many values; then, for each table that was referred to by
 * bioxen_put_table(number), in the order of their numbers from 0, which is the order of first reference, either
 * bioxen_put_list(count) and its items or bioxen_put_map(count) and its pairs, key first. So tables may be shared and
 * cyclic, and none is inside another. Keys: booleans, integers, numbers, strings.
 */
typedef struct bioxen_values bioxen_values;

bioxen_values *bioxen_values_new(void); /* NULL: no memory */
void bioxen_values_free(bioxen_values *values);
void bioxen_values_clear(bioxen_values *values);
/* What was written, valid until the next call on it. Returns 0, -E2BIG (more than BIOXEN_VALUES_MAX) or -ENOMEM: the
 * first thing that went wrong since the last clear. */
int bioxen_values_bytes(const bioxen_values *values, struct bioxen_string *out);

#define BIOXEN_VALUES_MAX (64u * 1024 * 1024) /* bytes of one request or answer */

void bioxen_put_list(bioxen_values *values, uint32_t count);
void bioxen_put_map(bioxen_values *values, uint32_t count);
void bioxen_put_nil(bioxen_values *values);
void bioxen_put_boolean(bioxen_values *values, int value);
void bioxen_put_integer(bioxen_values *values, int64_t value);
void bioxen_put_number(bioxen_values *values, double value);
void bioxen_put_string(bioxen_values *values, const char *bytes, size_t length);
void bioxen_put_table(bioxen_values *values, uint32_t number);

enum bioxen_type {
    BIOXEN_NIL, BIOXEN_BOOLEAN, BIOXEN_INTEGER, BIOXEN_NUMBER, BIOXEN_STRING,
    BIOXEN_TABLE, /* a reference: `integer` is its number */
    BIOXEN_LIST,  /* `integer` items follow: the first is the list of the values, later ones are tables */
    BIOXEN_MAP,   /* `integer` pairs follow */
};

struct bioxen_value {
    enum bioxen_type type;
    int64_t integer; /* also 0 or 1 of a boolean, and counts */
    double number;
    struct bioxen_string string; /* into the values' bytes */
};

/* Reads values that the library handed out (which cannot fail: they were checked); returns where the next item is. */
const char *bioxen_read(const char *at, struct bioxen_value *out);

/* ---- sessions ---- */

/* EINVAL: the VM does not serve. ESRCH: it is gone. EUSERS: it has as many sessions as it can have. */
int bioxen_attach(bioxen_manager *manager, uint32_t vm, bioxen_session **out, struct bioxen_error *err);
int bioxen_attach_start(bioxen_manager *manager, uint32_t vm, uint32_t *request, struct bioxen_error *err);

/* Ends the session; what was asked and not answered is lost to the caller, though a running call goes on. Or NULL. */
void bioxen_detach(bioxen_session *session);

uint32_t bioxen_session_vm(const bioxen_session *session);

/* Readable when bioxen_session_next may have a reply; poll it for POLLOUT too while bioxen_session_unsent is not 0. */
int bioxen_session_fd(const bioxen_session *session);
size_t bioxen_session_unsent(const bioxen_session *session);

enum bioxen_call { BIOXEN_EXECUTE = 1, BIOXEN_CALL = 2 };

/*
 * Asks for a chunk to be executed, or a function to be called ("name", "module.name"). `arguments` are the bytes
 * of values, or empty for none. deadline_us: CLOCK_MONOTONIC, 0 is none; a call whose time is up before it
 * begins is answered by BIOXEN_FAILED_TIMEOUT, and a running one is ended when the caller says so by
 * bioxen_interrupt. Never waits: what the socket does not take is kept (bioxen_session_unsent) and sent by later
 * calls. Requests are answered in order. Errors: E2BIG, ENOMEM, EPIPE (the VM is gone).
 */
int bioxen_session_send(bioxen_session *session, enum bioxen_call kind, struct bioxen_string text,
                        struct bioxen_string arguments, uint64_t deadline_us, uint64_t *call, struct bioxen_error *err);

/* Sends what waits, as far as the socket takes it; reads nothing. Errors: EPIPE. */
int bioxen_session_flush(bioxen_session *session, struct bioxen_error *err);

enum bioxen_reply_type { BIOXEN_REPLY_RESULT = 1, BIOXEN_REPLY_ERROR, BIOXEN_REPLY_OUTPUT };

enum bioxen_failure {
    BIOXEN_FAILED_ERROR = 1, BIOXEN_FAILED_SYNTAX, BIOXEN_FAILED_MEMORY, BIOXEN_FAILED_TIMEOUT,
    BIOXEN_FAILED_INTERRUPTED, BIOXEN_FAILED_CONVERSION, BIOXEN_FAILED_TOO_LARGE,
};

/* Borrowed: valid until the next call on the session. */
struct bioxen_reply {
    enum bioxen_reply_type type;
    uint64_t call;
    int stream;                      /* OUTPUT: 1 stdout, 2 stderr */
    struct bioxen_string bytes;      /* OUTPUT: what was printed; RESULT: values; ERROR: one value, the error object */
    enum bioxen_failure failure;     /* ERROR */
    struct bioxen_string message, traceback; /* ERROR; any bytes */
};

/*
 * Sends what waits, and waits up to timeout_ms (-1: for ever, 0: not at all) for a reply. Returns 1 with *reply,
 * 0 when the time is up, -EINTR, -EPIPE (the VM ended: its DEATH event says how), or -EBADMSG (it answered in a
 * way that no VM of ours does; the session is of no more use).
 */
int bioxen_session_next(bioxen_session *session, struct bioxen_reply *reply, int timeout_ms, struct bioxen_error *err);

enum bioxen_reason { BIOXEN_BY_TIMEOUT = 1, BIOXEN_BY_CLIENT = 2 };

/* Ends a running call: `call` of `session`, or with session NULL whatever the VM runs. The call is answered by
 * BIOXEN_FAILED_TIMEOUT or _INTERRUPTED; a VM that has not left it after the grace is killed (outcome timeout, or
 * killed). A call that is over is no error. */
int bioxen_interrupt(bioxen_manager *manager, uint32_t vm, const bioxen_session *session, uint64_t call,
                     enum bioxen_reason reason, unsigned grace_ms, struct bioxen_error *err);

/*
 * All of it for a simple client: executes and waits; a call that takes longer than timeout_ms (0: no limit) is
 * ended. Output goes to `on_output` (NULL: thrown away). The manager's events that come meanwhile are kept for
 * bioxen_next. Returns 0 with *reply (RESULT or ERROR), EBUSY when the session has calls that are not answered, or what
 * the parts return; EINTR is not.
 */
int bioxen_execute(bioxen_manager *manager, bioxen_session *session, struct bioxen_string code,
                   struct bioxen_string arguments, unsigned timeout_ms, struct bioxen_reply *reply,
                   void (*on_output)(int stream, struct bioxen_string bytes, void *context), void *context,
                   struct bioxen_error *err);

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

/* Tries each thing that a jail needs, in processes that leave nothing behind, and calls `on_finding` for each. Takes a
 * second or so; bounded. Errors: EPIPE or ETIMEDOUT when it came to no end. */
int bioxen_doctor(void (*on_finding)(const struct bioxen_finding *finding, void *context), void *context,
                  struct bioxen_error *err);

/* ---- topology files ---- */

/* Something that is to be said of a topology file. Borrowed from a checked file; texts are UTF-8. */
struct bioxen_diagnostic {
    int is_error;            /* 0: a warning */
    unsigned line, column;   /* from 1; columns are characters */
    unsigned width;          /* characters to underline */
    const char *message;     /* one line */
    const char *suggestion;  /* what to do: one line, or NULL */
    const char *script;      /* where in a script it is, as the file names that: or NULL */
    unsigned script_line;
    const char *script_text; /* that line; NULL when there is none */
};

enum bioxen_node_kind {
    BIOXEN_NODE_NONE, BIOXEN_NODE_TEXT, BIOXEN_NODE_NUMBER, BIOXEN_NODE_BOOLEAN, BIOXEN_NODE_LIST, BIOXEN_NODE_MAP,
};
enum bioxen_node_kind bioxen_node_kind(const bioxen_node *node);

/* Items of a list, pairs of a map; else 0. */
size_t bioxen_node_count(const bioxen_node *node);
const bioxen_node *bioxen_node_item(const bioxen_node *list, size_t index);
/* A pair of a map: its value, and its key in *key. */
const bioxen_node *bioxen_node_pair(const bioxen_node *map, size_t index, struct bioxen_string *key);
const bioxen_node *bioxen_node_find(const bioxen_node *map, const char *key);
uint64_t bioxen_node_number(const bioxen_node *node); /* 0 when it is none; 1 of what is true */
int bioxen_node_is_number(const bioxen_node *node);
struct bioxen_string bioxen_node_text(const bioxen_node *node); /* bytes NULL when it is none */

/* A topology file that was looked at. */
typedef struct bioxen_checked bioxen_checked;

/* Bytes of a topology file; what is above is refused by the check itself. */
#define BIOXEN_TOPOLOGY_MAX (1024u * 1024u)

struct bioxen_topology_file {
    struct bioxen_string text;       /* of a larger file the first BIOXEN_TOPOLOGY_MAX + 1 bytes will do */
    const char *name;                /* for a topology that does not say its own; NULL: "topology" */
    const char *directory;           /* scripts are looked for from here, as the caller; NULL: they are not looked at */
    const struct bioxen_string *env; /* name, value, name, value ...: only variables that the file names are sent */
    size_t env_count;                /* pairs */
};

/*
 * Looks at a topology file: bioxend parses it, and each script is compiled, and not run, in a jailed VM of its own.
 * Nothing is started. Returns 0 with *out, whose diagnostics say what is wrong; or an error when that could not be
 * found out. A file without errors of its own whose scripts could not be compiled, because this host cannot start a
 * VM, is such an error too. To be freed by bioxen_checked_free.
 */
int bioxen_check(bioxen_manager *manager, const struct bioxen_topology_file *file, bioxen_checked **out,
                 struct bioxen_error *err);
void bioxen_checked_free(bioxen_checked *checked); /* NULL is allowed */

size_t bioxen_checked_errors(const bioxen_checked *checked);  /* also those beyond the diagnostics */
size_t bioxen_checked_omitted(const bioxen_checked *checked); /* diagnostics that were too many to keep */
size_t bioxen_checked_count(const bioxen_checked *checked);
const struct bioxen_diagnostic *bioxen_checked_diagnostic(const bioxen_checked *checked, size_t index);

/*
 * What the file asks for, with its defaults: a map with name, vms, wires, groups, order (docs/topology.md). NULL where
 * there are errors.
 */
const bioxen_node *bioxen_checked_topology(const bioxen_checked *checked);

/*
 * Opens what is to be mounted, as the caller and with the caller's rights: a directory or regular file. The descriptor
 * is the caller's.
 */
int bioxen_mount_open(const char *path, int writable, int *fd, struct bioxen_error *err);

/* ---- topologies that are up ---- */

/*
 * A VM of a topology has a name that outlives its process: TOPOLOGY/NAME, or NAME where that is unique. It belongs to
 * the orchestrator and not to a client: it ends by `down`, or with the orchestrator. A request about it is answered by
 * one event, ANSWER or REFUSED, with the request's number; LOG and CHANGE events come before that. Who wants to wait
 * calls bioxen_answer_wait instead. Requests may come from any thread.
 */

/* An answer that was waited for. */
typedef struct bioxen_answer bioxen_answer;

/*
 * Waits for the answer to a request. Its LOG and CHANGE events, and all others, are kept for bioxen_next. Returns 0
 * with *out (to be freed by bioxen_answer_free), the error by which it was refused, or EPIPE.
 */
int bioxen_answer_wait(bioxen_manager *manager, uint32_t request, bioxen_answer **out, struct bioxen_error *err);
const bioxen_node *bioxen_answer_node(const bioxen_answer *answer);
void bioxen_answer_free(bioxen_answer *answer); /* NULL is allowed */

enum bioxen_up_flag {
    BIOXEN_UP_DRY_RUN = 1 << 0, /* only says what would be done */
    BIOXEN_UP_WAIT = 1 << 1,    /* answered when every VM is ready, or ended with 0; else when every VM has started */
};

/*
 * Makes what is there into what a file says; only what differs is touched. `checked` is the answer of bioxen_check
 * for the same file: without errors. The scripts, the modules that they require by a literal name, and the mounts are
 * opened here, as the caller, and are sent along: later restarts run what was sent. When it is refused, what it had
 * started is gone again.
 *
 * Answer: {topology, dry_run, vms: [{name, action: add|change|start|remove, why: [text]}], vms_kept,
 * wires: [{from, to, port, proto, action: add|remove|shape}] (the first thousand of each), wires_added, wires_removed,
 * wires_kept, duration_us}. `why` of a change: script, args, env, limits, profile, mounts, network, policy.
 */
int bioxen_up_start(bioxen_manager *manager, const struct bioxen_topology_file *file, const bioxen_checked *checked,
                    unsigned flags, uint32_t *request, struct bioxen_error *err);

/* Takes a topology down, or (NULL) all. Answer: {topologies: [name], vms: number}. ENOENT: there is none. */
int bioxen_down_start(bioxen_manager *manager, const char *topology, uint32_t *request, struct bioxen_error *err);

enum bioxen_list { BIOXEN_LIST_VMS = 1, BIOXEN_LIST_TOPOLOGIES, BIOXEN_LIST_DEATHS };

/*
 * A list, oldest first; of one topology, or (NULL) of all. ENOENT: there is no such topology.
 * VMS: {topology, name, number, state, ready, address (text; or none), restarts, pid, uptime_us, outcome, exit_code,
 * role (server, p2p, client, or none), why (it failed; or none)}: `state` is waiting (for its depends), starting,
 * running, stopping, ended, stopped, backoff (between two lives) or failed (not started, or given up); `outcome` and
 * `exit_code` are of its last death, if there was one; `number` is for bioxen_attach, bioxen_interrupt and so on.
 * TOPOLOGIES: {name, state (up|coming|going), vms, running, ready, wires, uptime_us}.
 * DEATHS: the last 100: {topology, name, time_us, record}; record: {name, outcome, exit_code, signal, error, traceback,
 * syscall, wall_us, cpu_us, memory_peak, output_bytes, restarts, limits: {memory: {asked, enforced_by}, ...}}, in which
 * `error` and `traceback` are any bytes.
 */
int bioxen_list_start(bioxen_manager *manager, enum bioxen_list what, const char *topology, uint32_t *request,
                      struct bioxen_error *err);

/*
 * All about one VM: what the list has, and {profile, memory, cpus_milli, pids, timeout_ms, cpu_time_ms, output_limit,
 * network, script, args, env_names, mounts, depends_on: [{vm, condition}], ports: [{port, proto, role, listens}],
 * wires: [{to|from, port, proto, rate, delay_us, jitter_us, loss_ppm}], last_death (a record, or none)}.
 */
int bioxen_inspect_start(bioxen_manager *manager, const char *vm, uint32_t *request, struct bioxen_error *err);

/* Figures of all running VMs: [{topology, name, number, cpu_us, memory, memory_peak, output_bytes, uptime_us,
 * sessions, restarts}]. */
int bioxen_stats_all_start(bioxen_manager *manager, const char *topology, uint32_t *request, struct bioxen_error *err);

/*
 * STOP: asks it to end, SIGKILL after the grace; it stays down. KILL: SIGKILL; its restart policy decides. START: of
 * one that is down. RESTART: both. Answer, when it is done (running again; or ended): {topology, name, state}.
 */
enum bioxen_vm_verb { BIOXEN_VM_START = 1, BIOXEN_VM_STOP, BIOXEN_VM_RESTART, BIOXEN_VM_KILL };
int bioxen_vm_start(bioxen_manager *manager, enum bioxen_vm_verb verb, const char *vm, unsigned grace_ms,
                    uint32_t *request, struct bioxen_error *err);

/*
 * The log of a VM, or of all VMs of a topology ("TOPOLOGY/", or "/" for all that there are): the last 64 KiB of each
 * are kept. LOG events, those that are not older than `since_us` (CLOCK_REALTIME; 0: all), then the answer: {}; with
 * `follow`, everything that is printed from then on, until bioxen_unsubscribe, or until the VM or topology is removed.
 * Who reads too slowly misses what does not fit into the 64 KiB: a LOG event without bytes says how much is missing.
 */
int bioxen_logs_start(bioxen_manager *manager, const char *vm, int follow, uint64_t since_us, uint32_t *request,
                      struct bioxen_error *err);

/*
 * CHANGE events about a topology, or (NULL) about all, until bioxen_unsubscribe. First what is: one "topology" for
 * each, one "vm" for each VM (as in the list), then "live". From then on what changes: {event, time_us, topology, vm?,
 * ...} with `event` one of: up, down (begun; then `done: true`, and `why` when it failed), add, start, failed {why},
 * ready, listen {port}, stop, death {state, record}, remove, wire {from, to, port, proto, on}, shape {from, to, rate,
 * delay_us, jitter_us, loss_ppm}; and "missed" {count} for who reads too slowly.
 */
int bioxen_events_start(bioxen_manager *manager, const char *topology, uint32_t *request, struct bioxen_error *err);

/* Ends bioxen_logs_start or bioxen_events_start: its ANSWER follows. */
int bioxen_unsubscribe(bioxen_manager *manager, uint32_t request, struct bioxen_error *err);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
