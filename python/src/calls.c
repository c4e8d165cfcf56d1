/* calls.c - see calls.h. Nobody who holds a life's lock waits for anything. */
#include "calls.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "manager.h"

#define MILLISECOND UINT64_C(1000)

/* An interrupt may come before its call has begun: it is sent once more after this. */
#define URGE_AGAIN_US (50 * MILLISECOND)

/* What the orchestrator has, beyond the grace, to end a VM; then it is asked to kill it. */
#define PATIENCE_US (GRACE_MS * MILLISECOND + 5000 * MILLISECOND)

/* A session that ends is followed by its VM's death, unless the VM lies. */
#define MOURNING_US (2000 * MILLISECOND)

#define REPLIES_AT_ONCE 1000

uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

static struct timespec absolute(uint64_t us)
{
    return (struct timespec){(time_t)(us / 1000000u), (long)(us % 1000000u) * 1000};
}

/* ---- who waits for what (the life's lock is held from here on) ---- */

static struct dispatcher *dispatcher_of(struct life *life)
{
    return &life->manager->dispatcher;
}

/* What the dispatcher is to wait for. */
static void rewatch(struct life *life)
{
    if (life->over)
        return;
    if (life->reader == READER_DISPATCHER && life->detached == 0)
        life->reader = READER_NOBODY;
    uint32_t events = life->reader == READER_DISPATCHER ? EPOLLIN : 0;
    if (events != 0 && life->more) /* which the descriptor does not know: wake up at once */
        events |= EPOLLOUT;
    if (life->detached > 0 && bioxen_session_unsent(life->session) > 0)
        events |= EPOLLOUT;
    if (events != 0 && (life->watched & events) != events)
        dispatcher_watch(dispatcher_of(life), life, events);
}

static void enqueue(struct life *life, struct call *call)
{
    call_ref(call);
    call->next = NULL;
    if (life->first == NULL)
        life->first = call;
    else
        life->last->next = call;
    life->last = call;
    life->detached += call->detached;
}

static struct call *dequeue(struct life *life)
{
    struct call *call = life->first;
    life->first = call->next;
    life->detached -= call->detached;
    return call;
}

/* Its state has changed, or it has printed. */
static void notify(struct life *life, struct call *call)
{
    if (!call->detached)
        sem_post(&call->wake);
    else if (call->future != NULL)
        dispatcher_done(dispatcher_of(life), call);
}

static void ask_to_interrupt(struct life *life, struct call *call, enum bioxen_reason reason)
{
    bioxen_manager *library = life->dead ? NULL : manager_use(life->manager);
    if (library == NULL)
        return;
    bioxen_interrupt(library, life->vm, life->session, call->number, reason, GRACE_MS, NULL);
    manager_unuse(life->manager);
}

/* Once more for a call that is not wanted. */
static void urge_on(struct life *life, struct call *call)
{
    call->urged++;
    ask_to_interrupt(life, call, call->reason);
}

static void ask_to_kill(struct life *life, int signal)
{
    if (life->foreign)
        return;
    bioxen_manager *library = life->dead ? NULL : manager_use(life->manager);
    if (library == NULL)
        return;
    bioxen_kill(library, life->vm, signal, NULL);
    manager_unuse(life->manager);
}

/* ---- what comes from the VM ---- */

static void lose(struct life *life, struct call *call)
{
    bool waiting = call->state == CALL_WAITING;
    if (waiting)
        call->state = CALL_LOST;
    if (waiting && (!call->detached || life->dead)) {
        notify(life, call);
    } else if (waiting && call->future != NULL) {
        call->next = life->lost;
        life->lost = call_ref(call);
        dispatcher_set_due(dispatcher_of(life), call, now_us() + MOURNING_US);
    }
    call_unref(call);
}

static void end_session(struct life *life, bool broken)
{
    life->over = true;
    life->broken = broken;
    life->dead |= life->foreign;
    if (broken) /* what it says cannot be trusted any more, its state even less */
        ask_to_kill(life, 0);
    while (life->first != NULL)
        lose(life, dequeue(life));
    if (life->foreign)
        pthread_cond_broadcast(&life->died);
}

static int keep_answer(struct call *call, const struct bioxen_reply *reply)
{
    size_t length = reply->bytes.length + reply->message.length + reply->traceback.length;
    if (length > CALL_SMALL && (call->block = block_new(length)) == NULL)
        return -ENOMEM;
    char *to = call->bytes = call->block != NULL ? block_bytes(call->block) : call->small;
    const struct bioxen_string parts[] = {reply->bytes, reply->message, reply->traceback};
    for (size_t i = 0; i < 3; i++) {
        if (parts[i].length > 0)
            memcpy(to, parts[i].bytes, parts[i].length);
        to += parts[i].length;
    }
    call->value_length = reply->bytes.length;
    call->message_length = reply->message.length;
    call->traceback_length = reply->traceback.length;
    call->failure = reply->type == BIOXEN_REPLY_ERROR ? reply->failure : 0;
    return 0;
}

static void take_answer(struct life *life, const struct bioxen_reply *reply)
{
    struct call *call = dequeue(life);
    life->answered = true;
    if (call->state == CALL_WAITING) {
        call->no_memory = keep_answer(call, reply) != 0;
        call->state = CALL_ANSWERED;
        notify(life, call);
    }
    call_unref(call);
    if (life->first != NULL && life->first->unwanted)
        urge_on(life, life->first);
}

static void take_output(struct life *life, struct call *call, const struct bioxen_reply *reply)
{
    log_add(&call->output, (uint32_t)reply->stream, reply->bytes.bytes, reply->bytes.length);
    if (call->listens && call->state == CALL_WAITING)
        notify(life, call);
}

/*
 * What has come. While something is outstanding only: that saves a read that finds nothing. And not for ever: a VM that
 * never stops talking is not to keep anybody from looking at the clock.
 */
static void read_replies(struct life *life)
{
    struct bioxen_reply reply;
    for (int i = 0; life->first != NULL && !life->over; i++) {
        life->more = i == REPLIES_AT_ONCE;
        int rc = life->more ? 0 : bioxen_session_next(life->session, &reply, 0, NULL);
        if (rc == 0 || rc == -EINTR)
            return;
        if (rc < 0 || life->first == NULL || reply.call != life->first->number)
            end_session(life, rc != -EPIPE && rc != -ECONNRESET);
        else if (reply.type == BIOXEN_REPLY_OUTPUT)
            take_output(life, life->first, &reply);
        else
            take_answer(life, &reply);
    }
}

/* ---- deadlines ---- */

/*
 * The time is up. What runs is interrupted and answers; what is behind others will not be begun by the VM, whose clock
 * is ours, and need not be waited for. The interrupt is sent for both: the answer of the one before may be on its way.
 */
static void expire(struct life *life, struct call *call)
{
    call->unwanted = true;
    call->reason = BIOXEN_BY_TIMEOUT;
    urge_on(life, call);
    if (life->first == call)
        return;
    call->state = CALL_EXPIRED;
    notify(life, call);
}

/* It was asked to leave, did not, and was not killed for it: that is not to happen, and must not hang anybody. */
static void give_up(struct life *life, struct call *call)
{
    ask_to_kill(life, 0);
    call->state = CALL_EXPIRED;
    notify(life, call);
}

/* When the next step for this call is due; 0: never. */
static uint64_t due_of(const struct call *call)
{
    if (!call->unwanted)
        return call->deadline_us;
    return call->deadline_us + PATIENCE_US;
}

static void check_time(struct life *life, struct call *call)
{
    uint64_t due = due_of(call);
    if (due == 0 || now_us() < due)
        return;
    if (call->unwanted)
        give_up(life, call);
    else
        expire(life, call);
}

/* ---- waiting ---- */

/* ppoll's time is relative. NULL: for ever. */
static struct timespec *remaining(uint64_t due, struct timespec *out)
{
    if (due == 0)
        return NULL;
    uint64_t now = now_us();
    *out = absolute(due > now ? due - now : 0);
    return out;
}

/* Reads for all. False when a signal came. */
static bool lead(struct life *life, const struct call *call)
{
    bool unsent = bioxen_session_unsent(life->session) > 0;
    struct pollfd ready = {bioxen_session_fd(life->session), (short)(POLLIN | (unsent ? POLLOUT : 0)), 0};
    struct timespec limit;
    bool more = life->more;
    uint64_t due = more ? 1 : due_of(call);
    pthread_mutex_unlock(&life->lock);
    int rc = ppoll(&ready, 1, remaining(due, &limit), NULL);
    int code = errno;
    pthread_mutex_lock(&life->lock);
    if (rc > 0 || more)
        read_replies(life);
    return rc >= 0 || code != EINTR;
}

/* The last in the queue has sent more than the socket took, while another one reads: it pushes. */
static bool push(struct life *life)
{
    struct pollfd ready = {bioxen_session_fd(life->session), POLLOUT, 0};
    pthread_mutex_unlock(&life->lock);
    int rc = poll(&ready, 1, 50); /* not for ever: others may push it on, and the answer come, meanwhile */
    int code = errno;
    pthread_mutex_lock(&life->lock);
    if (rc > 0 && !life->over)
        bioxen_session_flush(life->session, NULL); /* when that fails the reader meets the same */
    return rc >= 0 || code != EINTR;
}

static bool follow(struct life *life, struct call *call)
{
    if (life->last == call && bioxen_session_unsent(life->session) > 0)
        return push(life);
    uint64_t due = due_of(call);
    struct timespec until = absolute(due);
    pthread_mutex_unlock(&life->lock);
    int rc = due == 0 ? sem_wait(&call->wake) : sem_clockwait(&call->wake, CLOCK_MONOTONIC, &until);
    int code = errno;
    pthread_mutex_lock(&life->lock);
    return rc == 0 || code != EINTR;
}

/* Another one who waits goes on reading, or else the dispatcher. */
static void hand_over(struct life *life)
{
    life->reader = READER_NOBODY;
    if (life->over)
        return;
    for (struct call *call = life->first; call != NULL; call = call->next) {
        if (!call->detached && call->state == CALL_WAITING) {
            sem_post(&call->wake);
            return;
        }
    }
    if (life->detached > 0)
        life->reader = READER_DISPATCHER;
    rewatch(life);
}

static bool has_news(const struct call *call)
{
    return call->listens && call->output.total > call->told;
}

enum wait_end life_wait(struct life *life, struct call *call)
{
    bool leading = false;
    enum wait_end end = WAIT_DONE;
    pthread_mutex_lock(&life->lock);
    for (;;) {
        if (call->state == CALL_WAITING)
            check_time(life, call);
        if (call->state != CALL_WAITING || has_news(call)) {
            end = call->state != CALL_WAITING ? WAIT_DONE : WAIT_OUTPUT;
            break;
        }
        if (!leading && life->reader != READER_WAITER) {
            life->reader = READER_WAITER;
            leading = true;
        }
        if (!(leading ? lead(life, call) : follow(life, call))) {
            end = WAIT_SIGNAL;
            break;
        }
    }
    if (leading)
        hand_over(life);
    pthread_mutex_unlock(&life->lock);
    return end;
}

/* ---- from outside ---- */

static int send_locked(struct life *life, struct call *call, enum bioxen_call kind, struct bioxen_string text,
                       struct bioxen_string arguments, struct bioxen_error *err)
{
    if (life->over || life->dead || life->session == NULL)
        return -EPIPE;
    int rc = bioxen_session_send(life->session, kind, text, arguments, call->deadline_us, &call->number, err);
    if (rc != 0)
        return rc;
    enqueue(life, call);
    if (!call->detached)
        return 0;
    if (life->reader == READER_NOBODY)
        life->reader = READER_DISPATCHER;
    rewatch(life);
    return 0;
}

int life_send(struct life *life, struct call *call, enum bioxen_call kind, struct bioxen_string text,
              struct bioxen_string arguments, struct bioxen_error *err)
{
    if (call->detached && call->deadline_us != 0 &&
        dispatcher_set_due(dispatcher_of(life), call, call->deadline_us) != 0)
        return -ENOMEM;
    pthread_mutex_lock(&life->lock);
    int rc = send_locked(life, call, kind, text, arguments, err);
    pthread_mutex_unlock(&life->lock);
    if (rc != 0 && call->detached)
        dispatcher_set_due(dispatcher_of(life), call, 0);
    return rc;
}

void life_cancel(struct life *life, struct call *call)
{
    pthread_mutex_lock(&life->lock);
    if (call->state == CALL_WAITING && !call->unwanted) {
        call->unwanted = true;
        call->reason = BIOXEN_BY_CLIENT;
        if (!call->detached) {
            call->detached = true;
            life->detached++;
        }
        urge_on(life, call);
        dispatcher_set_due(dispatcher_of(life), call, now_us() + URGE_AGAIN_US);
        if (life->reader == READER_NOBODY)
            life->reader = READER_DISPATCHER;
        rewatch(life);
    }
    pthread_mutex_unlock(&life->lock);
}

static bool is_dead(struct life *life)
{
    pthread_mutex_lock(&life->lock);
    bool dead = life->dead;
    pthread_mutex_unlock(&life->lock);
    return dead;
}

/*
 * The call that is first in our queue, by its number: an interrupt of whatever runs could meet the next call, which
 * nobody meant. Before the first answer it may be the script that runs.
 */
void life_interrupt(struct life *life)
{
    pthread_mutex_lock(&life->lock);
    bioxen_manager *library = life->dead || life->over ? NULL : manager_use(life->manager);
    if (library != NULL) {
        if (life->first != NULL)
            bioxen_interrupt(library, life->vm, life->session, life->first->number, BIOXEN_BY_CLIENT, GRACE_MS, NULL);
        else if (!life->answered)
            bioxen_interrupt(library, life->vm, NULL, 0, BIOXEN_BY_CLIENT, GRACE_MS, NULL);
        manager_unuse(life->manager);
    }
    pthread_mutex_unlock(&life->lock);
}

int life_ask_to_stop(struct life *life, unsigned grace_ms, struct bioxen_error *err)
{
    bioxen_manager *library = is_dead(life) ? NULL : manager_use(life->manager);
    if (library == NULL)
        return 0;
    int rc = bioxen_stop(library, life->vm, grace_ms, err);
    manager_unuse(life->manager);
    return rc;
}

void life_kill(struct life *life, int signal)
{
    pthread_mutex_lock(&life->lock);
    ask_to_kill(life, signal);
    pthread_mutex_unlock(&life->lock);
}

void life_attach(struct life *life, bioxen_session *session)
{
    pthread_mutex_lock(&life->lock);
    life->session = session;
    life->over = session == NULL;
    pthread_mutex_unlock(&life->lock);
}

/* ---- the dispatcher's part ---- */

void life_ready(struct life *life)
{
    pthread_mutex_lock(&life->lock);
    life->watched = 0;
    if (!life->over && life->reader == READER_DISPATCHER)
        read_replies(life);
    else if (!life->over)
        bioxen_session_flush(life->session, NULL);
    rewatch(life);
    pthread_mutex_unlock(&life->lock);
}

/* A cancelled call: once more, and then only when it neither ends nor is killed. */
static void urge(struct life *life, struct call *call)
{
    if (call->urged < 2) {
        urge_on(life, call);
        call->urged = 2;
        dispatcher_set_due(dispatcher_of(life), call, now_us() + PATIENCE_US);
    } else if (life->first == call) {
        give_up(life, call);
    } else {
        call->urged = 0; /* others are before it */
        dispatcher_set_due(dispatcher_of(life), call, now_us() + PATIENCE_US);
    }
}

void life_due(struct life *life, struct call *call)
{
    pthread_mutex_lock(&life->lock);
    if (call->state == CALL_LOST && !life->dead) {
        ask_to_kill(life, 0);
    } else if (call->state == CALL_WAITING && !call->unwanted) {
        expire(life, call);
        if (call->state == CALL_WAITING)
            dispatcher_set_due(dispatcher_of(life), call, now_us() + PATIENCE_US);
    } else if (call->state == CALL_WAITING && call->reason == BIOXEN_BY_TIMEOUT) {
        give_up(life, call);
    } else if (call->state == CALL_WAITING) {
        urge(life, call);
    }
    pthread_mutex_unlock(&life->lock);
}

/* ---- death ---- */

void life_die(struct life *life, const struct bioxen_record *record)
{
    struct bioxen_record *copy = record == NULL ? NULL : copy_record(record);
    pthread_mutex_lock(&life->lock);
    if (life->session != NULL) /* what it said before its end can still be read; whoever waits for more wakes up */
        shutdown(bioxen_session_fd(life->session), SHUT_RDWR);
    if (!life->over && life->reader != READER_WAITER) {
        do
            read_replies(life);
        while (life->more && !life->over);
        if (!life->over)
            end_session(life, false);
    }
    life->record = copy;
    life->dead = true;
    while (life->lost != NULL) {
        struct call *call = life->lost;
        life->lost = call->next;
        notify(life, call);
        call_unref(call);
    }
    pthread_cond_broadcast(&life->died);
    pthread_mutex_unlock(&life->lock);
}

/* Nobody reads while nothing is asked: the end of a foreign one's session is to be looked for. */
void life_look(struct life *life)
{
    pthread_mutex_lock(&life->lock);
    if (life->foreign && !life->over && life->first == NULL) {
        struct pollfd ready = {bioxen_session_fd(life->session), POLLIN, 0};
        if (poll(&ready, 1, 0) > 0)
            end_session(life, false);
    }
    pthread_mutex_unlock(&life->lock);
}

bool life_wait_dead(struct life *life, uint64_t until_us)
{
    uint64_t slice = now_us() + 200 * MILLISECOND;
    struct timespec until = absolute(until_us < slice ? until_us : slice);
    pthread_mutex_lock(&life->lock);
    int rc = 0;
    while (!life->dead && rc == 0)
        rc = pthread_cond_timedwait(&life->died, &life->lock, &until);
    bool dead = life->dead;
    pthread_mutex_unlock(&life->lock);
    return dead;
}
