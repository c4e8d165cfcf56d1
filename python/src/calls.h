/*
 * calls.h - calls to a VM by many threads over one session. No Python in here; nothing here needs the GIL.
 *
 * A life is one incarnation of a VM: from its creation to its death. Its session belongs to one thread at a time, so
 * everything about it is done under the life's lock, and nobody waits while holding it. Whoever needs an answer and
 * finds nobody reading becomes the reader: it waits for the socket without the lock, hands out the answers that come,
 * its own and the others', and hands the reading over when it has its own. So a call of a single thread costs one
 * send, one poll and one read, and no other thread has a part in it.
 */
#ifndef PYBX_CALLS_H
#define PYBX_CALLS_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/bioxen.h"
#include "log.h"

struct manager;

enum call_state {
    CALL_WAITING,
    CALL_ANSWERED,
    CALL_LOST,    /* its session is over; the life's death says why */
    CALL_EXPIRED, /* its time was up before its turn came: the VM will not begin it */
};

/* Answers up to this many bytes need no memory of their own. */
#define CALL_SMALL 96

struct call {
    struct call *next; /* in its life's queue, or among the lost */
    struct life *life; /* a reference */
    atomic_uint references;
    uint64_t number, deadline_us; /* 0: none */
    enum call_state state;
    bool detached;   /* nobody waits for it: the dispatcher sees to it */
    bool unwanted;   /* it is to end as soon as it can, for this reason: */
    enum bioxen_reason reason;
    unsigned urged;  /* how often that was asked for */
    bool listens;    /* output is wanted as it comes */
    bool no_memory;  /* its answer did not fit in memory */
    /* the answer: `bytes` has its values, then message and traceback */
    enum bioxen_failure failure; /* 0: a result */
    char *bytes, small[CALL_SMALL];
    struct block *block;         /* where they are when they are not small */
    size_t value_length, message_length, traceback_length;
    /* what it printed: the last CALL_OUTPUT_MAX bytes of it; `streams` keeps which came from where */
    struct log output;
    uint64_t told; /* how much of it was handed to a listener */
    /* one who waits */
    sem_t wake;
    _Atomic(void *) future; /* a Python object, not touched here; NULL: nobody wants the answer, or not any more */
    void *listener;         /* likewise */
    bool cancelled;         /* guarded by the GIL */
    /* under the dispatcher's lock */
    struct call *next_done;
    bool queued;             /* among its done */
    size_t heap_at;          /* place in its heap, from 1; 0: not there */
    uint64_t due_us;
};

#define CALL_OUTPUT_MAX (1024u * 1024u)

enum reader { READER_NOBODY, READER_WAITER, READER_DISPATCHER };

struct life {
    struct manager *manager;
    struct life *next; /* in the manager's table */
    atomic_uint references;
    uint32_t vm;
    uint64_t serial; /* never used twice in a process, as a VM's number may be */
    char name[64];
    bool foreign;    /* of a topology: its session's end is all that is told of its death, and it is not ours to kill */
    bool born, buried; /* it was created, and is in the table under its number; its death was told. Control thread's */
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t died;
    bioxen_session *session;
    struct call *first, *last; /* asked and not answered, in order */
    unsigned detached;         /* how many of them the dispatcher sees to */
    enum reader reader;
    uint32_t watched;          /* what the dispatcher waits for on the session's descriptor */
    bool in_epoll;
    bool more;                 /* there may be answers that were received and not looked at */
    bool answered;             /* it has answered a call: its script is over */
    bool over;                 /* the session has ended */
    bool broken;               /* it ended because the VM sent what no VM of ours sends */
    bool dead;                 /* the death is known: `record` is set */
    struct call *lost;         /* detached ones that wait for the death */
    struct bioxen_record *record; /* a copy, NULL when the orchestrator went away without telling */
    struct log log;            /* what it printed */
};

uint64_t now_us(void);

struct life *life_new(struct manager *manager, const char *name, size_t log_max); /* NULL: no memory */
struct life *life_ref(struct life *life);
void life_unref(struct life *life);

struct call *call_new(struct life *life); /* NULL: no memory */
struct call *call_ref(struct call *call);
void call_unref(struct call *call);

/* Room for a large answer. */
struct block *block_new(size_t length); /* NULL: no memory */
char *block_bytes(struct block *block);

struct bioxen_record *copy_record(const struct bioxen_record *from);

/*
 * Queues and sends. -EPIPE: the session is over. A detached call is the dispatcher's from here on, which must be
 * running.
 */
int life_send(struct life *life, struct call *call, enum bioxen_call kind, struct bioxen_string text,
              struct bioxen_string arguments, struct bioxen_error *err);

enum wait_end { WAIT_DONE, WAIT_OUTPUT, WAIT_SIGNAL };

/* Waits until the call has ended, has printed something that is listened for, or a signal came. */
enum wait_end life_wait(struct life *life, struct call *call);

/*
 * The client does not want the call any more: interrupts it when it runs, else when its turn comes. One who
 * waited does so no more. The dispatcher must be running.
 */
void life_cancel(struct life *life, struct call *call);

/* Interrupts what the VM runs for us; kills it; asks it to end. Nothing happens when it is dead. */
void life_interrupt(struct life *life);
void life_kill(struct life *life, int signal);
int life_ask_to_stop(struct life *life, unsigned grace_ms, struct bioxen_error *err);

/* Called by the dispatcher: the session may have something; the time that was set for a call has come. */
void life_ready(struct life *life);
void life_due(struct life *life, struct call *call);

/* A session that was attached for it; the life takes it. */
void life_attach(struct life *life, bioxen_session *session);

/* Called once, when the VM's death is known, or the orchestrator's (no record). */
void life_die(struct life *life, const struct bioxen_record *record);

/* Is a foreign one's session still there? */
void life_look(struct life *life);

/* Waits for the death: until `until_us`, or for a slice of a fifth of a second, whatever is shorter. Is it dead? */
bool life_wait_dead(struct life *life, uint64_t until_us);

/* How long a call has to leave after an interrupt, before its VM is killed. */
#define GRACE_MS 1000u

#endif
