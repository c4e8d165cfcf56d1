/*
 * manager.h - the client's side of one orchestrator, and the two threads' work: the control thread reads its events,
 * the dispatcher sees to calls that nobody waits for. No Python in here; nothing here needs the GIL.
 *
 * Locks, outermost first: requests, a life's, the dispatcher's, the table's. `use` is held while the library's manager
 * is used, and taken for writing to close it.
 */
#ifndef PYBX_MANAGER_H
#define PYBX_MANAGER_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "calls.h"

/* ---- the dispatcher (dispatcher.c) ---- */

struct dispatcher {
    int epoll_fd, wake_fd;
    pthread_mutex_t lock; /* guards all below */
    struct call *done, *last_done;
    struct call **heap; /* by due_us */
    size_t heap_count, heap_capacity;
    bool asleep, stop;
};

int dispatcher_init(struct dispatcher *dispatcher); /* 0 or -errno */
void dispatcher_fini(struct dispatcher *dispatcher);

/* The call has ended, or printed something for a listener: it is handed out by dispatcher_next, with a reference. */
void dispatcher_done(struct dispatcher *dispatcher, struct call *call);

/* life_due is called for it at that time, unless another time is set before, or none (0). 0 or -ENOMEM. */
int dispatcher_set_due(struct dispatcher *dispatcher, struct call *call, uint64_t due_us);

/* Waits for these epoll events of the life's session; the life's lock is held. */
void dispatcher_watch(struct dispatcher *dispatcher, struct life *life, uint32_t events);

/* Works until calls are done: a list of them linked by next_done. NULL: it was stopped. */
struct call *dispatcher_next(struct manager *manager);
void dispatcher_stop(struct dispatcher *dispatcher);

/* ---- requests and events (control.c) ---- */

/* Who waits for the answer to a request. */
struct waiter {
    struct waiter *next;
    atomic_uint references;
    uint32_t request;
    bool done, unwanted; /* under the lock of requests */
    struct life *life;   /* a create: who is born; a reference */
    bioxen_session *session;
    struct bioxen_stats stats;
    uint32_t address;
    bioxen_values *value; /* an answer about topologies */
    struct log log;       /* what came before it */
    struct bioxen_error error; /* code 0: it was answered */
    sem_t wake;
};

#define LIFE_BUCKETS 256u

struct manager {
    bioxen_manager *library; /* NULL: closed */
    pthread_rwlock_t use;
    pthread_mutex_t requests; /* guards `waiters` and their fields */
    struct waiter *waiters;
    pthread_mutex_t table; /* guards `lives` */
    struct life *lives[LIFE_BUCKETS];
    struct dispatcher dispatcher;
    int stop_fd;
    bool forgotten; /* this is a child of the process that made it */
    bool gone;      /* the orchestrator went away by itself; guarded by `requests` */
    struct bioxen_error gone_error;
};

/* bioxen_open_at, of a directory of programs, or bioxen_open_path, of a daemon's socket. */
typedef int open_function(bioxen_manager **out, const char *path, struct bioxen_error *err);
struct manager *manager_open(open_function *open_library, const char *path, struct bioxen_error *err);
/* The control thread has ended before. Kills what is left; lives stay valid for who has them. */
void manager_close(struct manager *manager);
/* Whoever waits for a death that nobody will tell of any more learns of it. */
void manager_bury(struct manager *manager);
/* In a child after fork: lets go of all that is the parent's. */
void manager_forget(struct manager *manager);
void manager_free(struct manager *manager);

/* The library's manager, until manager_unuse; NULL when it is closed (then there is nothing to unuse). */
bioxen_manager *manager_use(struct manager *manager);
void manager_unuse(struct manager *manager);

/* Starts a request, and sets its number; `what` is what it is about. */
typedef int start_function(bioxen_manager *library, const void *what, uint32_t *request, struct bioxen_error *err);

/* Start a request. The waiter is the caller's until waiter_drop. NULL: *err says why. */
struct waiter *manager_ask(struct manager *manager, start_function *start, const void *what, struct life *life,
                           struct bioxen_error *err);
struct waiter *manager_create(struct manager *manager, const struct bioxen_config *config, struct life *life,
                              struct bioxen_error *err);
struct waiter *manager_attach(struct manager *manager, struct life *life, struct bioxen_error *err);
struct waiter *manager_stats(struct manager *manager, struct life *life, struct bioxen_error *err);
struct waiter *manager_network(struct manager *manager, struct life *life, struct bioxen_error *err);

/* Starts one whose answer nobody waits for: what it brings comes as CONTROL_CHANGE. 0 or -errno. */
int manager_tell(struct manager *manager, start_function *start, const void *what, struct bioxen_error *err);

/* What is to be kept of it, or NULL without memory (nodes.c). */
bioxen_values *node_values(const bioxen_node *node);

/* Waits for the answer. 0, or -EINTR. */
int waiter_wait(struct waiter *waiter);
/* Not wanted: what the answer gave, or will give, is undone: a VM that was made is killed, a session closed. */
void waiter_drop(struct manager *manager, struct waiter *waiter, bool wanted);

enum control_end { CONTROL_DEATH, CONTROL_CHANGE, CONTROL_GONE, CONTROL_STOPPED };

/*
 * The control thread: works until there is something that the caller must see to. CONTROL_DEATH: a life, with a
 * reference, and its record, valid until the next call; life_die is the caller's to call. CONTROL_CHANGE: something
 * happened to a topology, `value` is the caller's. CONTROL_GONE: a death without a record, for each life that is left;
 * then CONTROL_STOPPED.
 */
struct control_news {
    struct life *life;
    struct bioxen_record record;
    bioxen_values *value;
};
enum control_end control_run(struct manager *manager, struct control_news *news);
void control_stop(struct manager *manager);

/* The life of that number that has not died, with a reference; NULL when there is none. */
struct life *manager_find(struct manager *manager, uint32_t vm);

/* The same of any life that there is, by what is its own. */
uint64_t manager_key(const struct life *life);
struct life *manager_find_key(struct manager *manager, uint64_t key);
void manager_list(struct manager *manager, struct life *life);
void manager_unlist(struct manager *manager, struct life *life);

#endif
