/*
 * vm.h - one VM as the orchestrator sees it: its state, its streams, its lifeline, its end.
 */
#ifndef BX_DAEMON_VM_H
#define BX_DAEMON_VM_H

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "common/codec.h"
#include "common/error.h"
#include "common/jail_wire.h"
#include "common/loop.h"
#include "common/vm_spec.h"
#include "client.h"

struct instance;
struct again;
struct manager;
struct network_net;

enum vm_state {
    VM_SPAWNING, /* asked of the jailer */
    VM_RUNNING,  /* its process lives */
    VM_LEAVING,  /* it was asked to end by itself */
    VM_KILLED,   /* SIGKILL is on its way */
    VM_DYING,    /* dead and reaped; what it said is still being read */
    VM_RESTING,  /* it has ended, and will be started again */
    VM_STATE_COUNT
};

enum vm_event {
    VM_EV_SPAWNED, /* from the jailer, with its reply */
    VM_EV_FAILED,  /* likewise */
    VM_EV_DIED,    /* likewise */
    VM_EV_LEAVE,   /* the client wants it to end by itself, within a grace */
    VM_EV_KILL,    /* a limit or the client wants it ended; vm->kill says why */
    VM_EV_DRAINED, /* streams and lifeline have ended */
    VM_EV_LOST,    /* the jailer is gone and took everything with it */
    VM_EVENT_COUNT
};

/* Why the orchestrator had it killed. The first reason stands. */
enum vm_kill {
    VM_KILL_NONE, VM_KILL_ASKED, VM_KILL_TIMEOUT, VM_KILL_OUTPUT, VM_KILL_PROTOCOL, VM_KILL_INTERNAL,
    VM_KILL_STOP,        /* it was asked to end by itself and did not, or cannot hear that */
    VM_KILL_CALL_TIME,   /* a call did not end when its time was up */
    VM_KILL_INTERRUPTED, /* a call did not end when the client wanted it to */
};

/* What the VM said of itself: words of a liar, used only to describe its end. */
struct vm_words {
    bool ready;
    bool done;
    uint32_t outcome;     /* enum lw_outcome */
    int64_t exit_status;
    struct bx_text error, traceback;
    uint32_t fatal_signal;
    int64_t fatal_syscall;
};

/* Sessions that live, as far as the VM tells. */
struct vm_sessions {
    uint32_t last; /* the number that was given last */
    uint32_t count;
    uint32_t numbers[BX_SESSIONS_MAX];
};

/* A call that is to end; the VM has until then to say that it has. */
struct vm_interrupt {
    uint32_t session;
    uint32_t reason; /* enum ctl_interrupt_reason */
    uint64_t call;
    uint64_t due_us; /* CLOCK_MONOTONIC */
    uint32_t grace_ms;
};

/* Requests for statistics that wait for the jailer: more than a few are a client that does not read. */
#define VM_STATS_MAX 32

/* A descriptor of a VM in the loop, and the way back to the VM. */
struct vm_source {
    struct bx_source source;
    struct vm *vm;
};

struct vm {
    UT_hash_handle hh;
    uint32_t id;
    struct manager *manager;
    struct client *client;       /* who made it, hears of it, and takes it along at its end; NULL: nobody */
    struct instance *instance;   /* whose life it is; NULL: nobody's, it is a client's own */
    uint32_t scope;              /* of its name, and its default network: one for each client */
    enum vm_state state;
    struct vm_spec spec;
    uint32_t request_id;         /* of the create request */
    struct vm_source streams[2]; /* stdout, stderr */
    struct vm_source lifeline;
    struct vm_source timer;      /* timeout_ms */
    struct vm_source grace;      /* the first end of a grace; made when there is one */
    int unwatched[3];            /* our ends of stdout, stderr, lifeline, until it runs */
    struct vm_sessions sessions;
    struct vm_interrupt *interrupts; /* of which the VM has not said that they are done */
    uint32_t interrupt_count;
    bool end_asked;                  /* somebody wants it to be gone, whatever it dies of */
    bool stop_asked;
    uint32_t stop_grace_ms;
    uint64_t stop_due_us;
    struct client_request stats[VM_STATS_MAX]; /* who waits for figures */
    uint32_t stats_count;
    bool needs_module;           /* it asked for a module and has no answer yet */
    uint32_t stale_answers;      /* to what was asked in a former life: still to come, and to be dropped */
    bool lost;
    enum vm_kill kill;
    uint32_t kill_signal;
    uint64_t started_us, ended_us; /* CLOCK_MONOTONIC */
    uint64_t output_bytes;
    bool output_cut;             /* it said more than its limit: the rest was thrown away */
    struct vm_words words;
    struct bx_text refusal;      /* why it could not be started again */
    struct again *again;         /* of a VM that has a restart policy */
    struct network_net *net;     /* its place in the private network, or NULL */
    bool owns_net;               /* the net ends with it */
    struct jw_spawned spawned;
    struct jw_death death;
};

struct vm *vm_new(struct manager *manager, uint32_t id);
void vm_free(struct vm *vm);

/*
 * Starts it: makes its pipes and lifeline, asks the jailer. `program` and `mounts` (spec->mount_count of
 * them) are borrowed.
 * The reply to request `request_id` follows by itself. Returns 0 or -errno (then nothing was started).
 */
int vm_start(struct vm *vm, const struct vm_spec *spec, uint32_t request_id, int program, const int *mounts,
             struct bx_error *err);

/* A new life, of which nothing is known yet: for a VM that is to be made again. */
void vm_begin(struct vm *vm);

/* Makes the process: as vm_start, of what the VM is already. */
int vm_make(struct vm *vm, int program, const int *mounts, struct bx_error *err);

/* It could not be made again: that is an end like others. The VM may be freed. */
void vm_refused(struct vm *vm, const char *why);

/* Feeds one event to the state table; `reply` is the jailer's, for the events that have one. The VM may be freed. */
void vm_event(struct vm *vm, enum vm_event event, const struct jw_reply *reply);

/* Asks it to end by itself; it is killed when it has not within `grace_ms`. */
void vm_stop(struct vm *vm, uint32_t grace_ms);

/* Asks for its end. */
void vm_kill(struct vm *vm, enum vm_kill why, uint32_t signal);

/* Hands it the module that it asked for: `fd` is borrowed, `text` its chunk name; or fd -1, and `text` says why not. */
void vm_answer_module(struct vm *vm, int fd, const char *text, size_t length);

void vm_pause_output(struct vm *vm, bool paused);

/* 1 while its process lives and it was not asked to end. */
int vm_is_running(const struct vm *vm);

/* 1 when the state table has an action for the pair; for the test that it is total. */
int vm_table_has(enum vm_state state, enum vm_event event);

/*
 * Bytes that Lua may hold under a memory limit: less than the limit, so that Lua's own error comes before
 * the kernel's kill.
 */
uint64_t vm_heap_ceiling(uint64_t memory);

#endif
