/*
 * session.c - the serving VM: its clients, their requests in turn, and what is to be written to them.
 *
 * It sleeps where everything is waited for (wait.c), and wakes up for nothing else. It never waits for one
 * client, but for printed output that nobody takes: as a script waits for its pipes. What cannot be believed of a
 * client's bytes ends that session only.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "session.h"

/* Buffers that every session has. Larger ones are given back before the VM sleeps. */
#define IN_SMALL (4 * 1024)
#define OUT_SMALL 1024

/* Requests of a client that sends many are read in pieces of this size, and buffers up to it are kept. */
#define PIECE (64 * 1024)

/* A client that has not taken this much is not served until it has. */
#define UNSENT_MAX (64 * 1024)

/* A call whose output is not taken goes on until there is this much of it. */
#define PRINTED_MAX (1024 * 1024)

/* Requests of one session before it is the next one's turn. */
#define TURN 64

/* How long the last answers may take to be taken. */
#define DRAIN_MS 1000

/* ---- memory ---- */

static int collect(lua_State *L)
{
    lua_gc(L, LUA_GCCOLLECT);
    return 0;
}

/* As vm_heap_realloc, but the garbage of the script makes room. `owner` is the VM. */
void *vm_grow(void *owner, void *block, size_t old_size, size_t new_size)
{
    struct vm *vm = owner;
    lua_State *L = vm->running != NULL ? vm->running : vm->L;
    void *grown = vm_heap_realloc(&vm->heap, block, old_size, new_size);
    if (grown != NULL || new_size == 0 || !lua_checkstack(L, 2))
        return grown;
    lua_pushcfunction(L, collect);
    if (lua_pcall(L, 0, 0, 0) != LUA_OK)
        lua_pop(L, 1);
    return vm_heap_realloc(&vm->heap, block, old_size, new_size);
}

/* ---- sessions come and go ---- */

static void forget(struct vm *vm, struct vm_session *session)
{
    bx_values_fini(&session->out);
    if (session->in != NULL)
        vm_heap_realloc(&vm->heap, session->in, session->size, 0);
    vm_heap_realloc(&vm->heap, session, sizeof *session, 0);
}

static void tell_closed(uint64_t number)
{
    vm_tell_surely(&(struct lw_frame){.type = LW_CLOSED, .a = number});
}

static struct vm_session *make_session(struct vm *vm, uint64_t number, int fd)
{
    struct vm_session *session = vm_grow(vm, NULL, 0, sizeof *session);
    if (session == NULL)
        return NULL;
    *session = (struct vm_session){.number = number, .fd = fd, .need = sizeof(struct sw_head),
                                   .partial = SIZE_MAX};
    bx_values_init(&session->out, OUT_SMALL, vm_grow, vm);
    session->in = vm_grow(vm, NULL, 0, IN_SMALL);
    session->size = session->in != NULL ? IN_SMALL : 0;
    if (session->in != NULL && bx_values_room(&session->out, OUT_SMALL) != NULL) {
        bx_values_clear(&session->out);
        return session;
    }
    forget(vm, session);
    return NULL;
}

void vm_session_add(struct vm *vm, uint64_t number, int fd)
{
    struct vm_session *session = vm->session_count < BX_SESSIONS_MAX ? make_session(vm, number, fd) : NULL;
    if (session != NULL) {
        vm->sessions[vm->session_count++] = session;
        return;
    }
    close(fd);
    tell_closed(number);
}

/* Removes the sessions that are over. */
static void remove_ended(struct vm *vm)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < vm->session_count; i++) {
        struct vm_session *session = vm->sessions[i];
        bool is_over = session->ended && !session->ready && vm_session_unsent(session) == 0;
        if (!session->broken && !is_over) {
            vm->sessions[kept++] = session;
            continue;
        }
        close(session->fd);
        tell_closed(session->number);
        forget(vm, session);
    }
    vm->session_count = kept;
}

/* ---- reading ---- */

/* Looks at what is next in the buffer. */
static void look(struct vm_session *session)
{
    struct sw_head *head = &session->head;
    size_t have = session->end - session->start;
    session->ready = false;
    session->need = sizeof *head;
    if (have < sizeof *head)
        return;
    memcpy(head, session->in + session->start, sizeof *head);
    if (head->length > SW_BODY_MAX || (head->type != SW_EXECUTE && head->type != SW_CALL) || head->kind != 0 ||
        head->zero != 0 || head->zero2 != 0 || head->name_length > head->length || head->call <= session->last) {
        session->broken = true;
        return;
    }
    session->need += head->length;
    session->ready = have >= session->need;
}

/* A buffer of that size, with what was read at its start. */
static bool resize_in(struct vm *vm, struct vm_session *session, size_t size)
{
    char *larger = vm_grow(vm, NULL, 0, size);
    if (larger == NULL)
        return false;
    memcpy(larger, session->in + session->start, session->end - session->start);
    vm_heap_realloc(&vm->heap, session->in, session->size, 0);
    session->in = larger;
    session->size = size;
    session->end -= session->start;
    session->start = 0;
    return true;
}

/* A request that is too large for the VM's memory: what comes of it is dropped, and then it is answered. */
static void start_to_skip(struct vm_session *session)
{
    session->skip = session->need - (session->end - session->start);
    session->start = session->end = 0;
}

static void make_space(struct vm *vm, struct vm_session *session)
{
    if (session->start == session->end)
        session->start = session->end = 0;
    if (session->need > session->size) {
        if (!resize_in(vm, session, session->need))
            start_to_skip(session);
    } else if (session->end == 0 && session->is_eager && session->size < PIECE) {
        resize_in(vm, session, PIECE);
    } else if (session->need > session->size - session->start) {
        memmove(session->in, session->in + session->start, session->end - session->start);
        session->end -= session->start;
        session->start = 0;
    }
}

/* Returns how many bytes were read, 0 when there are none now or never again. */
static size_t read_some(struct vm_session *session, char *to, size_t size)
{
    ssize_t got = read(session->fd, to, size);
    if (got > 0)
        return (size_t)got;
    if (got == 0)
        session->ended = true;
    else if (errno != EAGAIN && errno != EINTR)
        session->broken = true;
    return 0;
}

static void skip_some(struct vm *vm, struct vm_session *session)
{
    size_t size = session->skip < session->size ? (size_t)session->skip : session->size;
    session->skip -= read_some(session, session->in, size);
    if (session->skip > 0)
        return;
    session->last = session->head.call;
    vm_refuse(vm, session, &session->head, SW_MEMORY, "not enough memory for the request");
    look(session);
}

static void read_requests(struct vm *vm, struct vm_session *session)
{
    if (session->skip == 0)
        make_space(vm, session);
    if (session->skip > 0) {
        skip_some(vm, session);
        return;
    }
    size_t space = session->size - session->end;
    size_t got = read_some(session, session->in + session->end, space);
    session->is_eager = got == space;
    session->end += got;
    look(session);
}

void vm_session_release(struct vm *vm, struct vm_session *session)
{
    if (session->start != session->end || session->size <= PIECE)
        return;
    session->in = vm_heap_realloc(&vm->heap, session->in, session->size, IN_SMALL);
    session->size = IN_SMALL;
    session->start = session->end = 0;
}

/* ---- writing ---- */

/* What is sent makes room, when it is much and there are at most `movable` bytes to move for it: the rest of a large
 * result stays where it is. */
static void compact(struct vm_session *session, size_t movable)
{
    struct bx_values *out = &session->out;
    size_t unsent = vm_session_unsent(session);
    if (unsent > 0 && (session->sent < PIECE || session->sent < unsent || unsent > movable))
        return;
    if (unsent > 0)
        memmove(out->bytes, out->bytes + session->sent, unsent);
    out->length = unsent;
    session->sent = 0;
    if (unsent == 0 && out->capacity > PIECE)
        bx_values_shrink(out, OUT_SMALL);
}

void vm_session_flush(struct vm_session *session)
{
    while (!session->broken && vm_session_unsent(session) > 0) {
        ssize_t sent = write(session->fd, session->out.bytes + session->sent, vm_session_unsent(session));
        if (sent >= 0)
            session->sent += (size_t)sent;
        else if (errno == EAGAIN)
            break;
        else if (errno != EINTR)
            session->broken = true;
    }
    if (session->sent > 0 && session->partial == SIZE_MAX)
        compact(session, UNSENT_MAX);
}

void vm_sessions_flush(struct vm *vm)
{
    for (unsigned i = 0; i < vm->session_count; i++)
        if (vm_session_unsent(vm->sessions[i]) > 0)
            vm_session_flush(vm->sessions[i]);
}

/* Until there is less than PRINTED_MAX to be written, or the call is to end. */
static void wait_for_reader(struct vm *vm, struct vm_session *session)
{
    while (!session->broken && vm_session_unsent(session) > PRINTED_MAX && vm->interrupted == VM_GOES_ON) {
        struct pollfd polled[] = {{LW_FD, POLLIN, 0}, {session->fd, POLLOUT, 0}};
        if (poll(polled, 2, -1) > 0 && polled[0].revents != 0)
            vm->called = 1;
        vm_attend(vm);
        vm_session_flush(session);
    }
}

static bool add_output(struct vm_session *session, int stream, const char *bytes, size_t length, uint64_t call)
{
    struct sw_head head = {.length = (uint32_t)length, .type = SW_OUTPUT, .kind = (uint8_t)stream, .call = call};
    struct bx_values *out = &session->out;
    compact(session, SIZE_MAX);
    out->max = SIZE_MAX / 4;
    char *to = bx_values_room(out, sizeof head + length + SESSION_RESERVE);
    out->error = 0;
    if (to == NULL)
        return false;
    out->length -= SESSION_RESERVE;
    memcpy(to, &head, sizeof head);
    memcpy(to + sizeof head, bytes, length);
    return true;
}

/* What there is no memory for is in the pipe at least. */
void vm_session_print(struct vm *vm, int stream, const char *bytes, size_t length)
{
    struct vm_session *session = vm->listener;
    while (session != NULL && length > 0 && !session->broken) {
        size_t piece = length < SW_OUTPUT_MAX ? length : SW_OUTPUT_MAX;
        if (!add_output(session, stream, bytes, piece, vm->call))
            return;
        vm_session_flush(session);
        wait_for_reader(vm, session);
        bytes += piece;
        length -= piece;
    }
}

/* ---- interrupted before they came ---- */

void vm_session_cancel(struct vm *vm, uint64_t number, uint64_t call, enum vm_interrupt why)
{
    for (unsigned i = 0; i < vm->session_count; i++) {
        struct vm_session *session = vm->sessions[i];
        if (session->number != number || call <= session->last)
            continue;
        if (session->cancelled_count == SESSION_CANCELLED_MAX)
            return;
        session->cancelled[session->cancelled_count].call = call;
        session->cancelled[session->cancelled_count++].why = why;
    }
}

/* Is that call not to be begun? Forgets it, and those before it, which never come. */
static enum vm_interrupt take_cancelled(struct vm_session *session, uint64_t call)
{
    enum vm_interrupt why = VM_GOES_ON;
    unsigned kept = 0;
    for (unsigned i = 0; i < session->cancelled_count; i++) {
        if (session->cancelled[i].call > call)
            session->cancelled[kept++] = session->cancelled[i];
        else if (session->cancelled[i].call == call)
            why = session->cancelled[i].why;
    }
    session->cancelled_count = kept;
    return why;
}

static bool is_late(uint64_t deadline_us)
{
    struct timespec now;
    if (deadline_us == 0)
        return false;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000 >= deadline_us;
}

/* ---- serving ---- */

static void serve_one(struct vm *vm, struct vm_session *session)
{
    const struct sw_head head = session->head;
    const char *body = session->in + session->start + sizeof head;
    enum vm_interrupt why = session->cancelled_count > 0 ? take_cancelled(session, head.call) : VM_GOES_ON;
    session->last = head.call;
    session->start += session->need;
    if (why == VM_TIMED_OUT || is_late(head.deadline_us))
        vm_refuse(vm, session, &head, SW_TIMEOUT, "timeout: its time was up before it began");
    else if (why == VM_INTERRUPTED)
        vm_refuse(vm, session, &head, SW_INTERRUPTED, "interrupted before it began");
    else
        vm_execute(vm, session, &head, body);
    vm_session_release(vm, session);
    look(session);
}

static bool can_be_served(const struct vm_session *session)
{
    return session->ready && !session->broken && vm_session_unsent(session) <= UNSENT_MAX;
}

static void take_turn(struct vm *vm, struct vm_session *session, short events)
{
    if ((events & (POLLERR | POLLHUP | POLLNVAL)) != 0) {
        session->broken = true;
        return;
    }
    if ((events & POLLIN) != 0)
        read_requests(vm, session);
    for (int i = 0; i < TURN && can_be_served(session) && !vm->stopping; i++)
        serve_one(vm, session);
    vm_session_flush(session);
}

/* Those that come meanwhile have the next turn. */
unsigned vm_sessions_prepare(struct vm *vm, struct pollfd *polled, int *timeout_ms)
{
    for (unsigned i = 0; i < vm->session_count; i++) {
        const struct vm_session *session = vm->sessions[i];
        bool takes_more = !session->ended && !session->ready && vm_session_unsent(session) <= UNSENT_MAX;
        short events = (short)((takes_more ? POLLIN : 0) | (vm_session_unsent(session) > 0 ? POLLOUT : 0));
        polled[i] = (struct pollfd){session->fd, events, 0};
        if (can_be_served(session))
            *timeout_ms = 0;
    }
    return vm->session_count;
}

void vm_sessions_attend(struct vm *vm, const struct pollfd *polled, unsigned count)
{
    static unsigned first; /* whose turn it is */
    first++;
    for (unsigned i = 0; i < count && !vm->stopping; i++) {
        unsigned next = (first + i) % count;
        take_turn(vm, vm->sessions[next], polled[next].revents);
    }
    remove_ended(vm);
}

unsigned vm_sessions_watch(const struct vm *vm, struct pollfd *polled)
{
    for (unsigned i = 0; i < vm->session_count; i++)
        polled[i] = (struct pollfd){vm->sessions[i]->fd, vm->sessions[i]->ended ? 0 : POLLIN, 0};
    return vm->session_count;
}

bool vm_sessions_want(struct vm *vm)
{
    struct pollfd polled[BX_SESSIONS_MAX];
    for (unsigned i = 0; i < vm->session_count; i++)
        if (can_be_served(vm->sessions[i]))
            return true;
    return poll(polled, vm_sessions_watch(vm, polled), 0) > 0;
}

void vm_sessions_serve(struct vm *vm)
{
    while (!vm->stopping)
        vm_wait(vm, NULL, 0, -1);
}

/* ---- the end ---- */

static unsigned poll_unsent(struct vm *vm, struct pollfd *polled)
{
    unsigned count = 0;
    for (unsigned i = 0; i < vm->session_count; i++)
        if (!vm->sessions[i]->broken && vm_session_unsent(vm->sessions[i]) > 0)
            polled[count++] = (struct pollfd){vm->sessions[i]->fd, POLLOUT, 0};
    return count;
}

void vm_sessions_drain(struct vm *vm)
{
    struct pollfd polled[BX_SESSIONS_MAX];
    unsigned count;
    vm_sessions_flush(vm);
    while ((count = poll_unsent(vm, polled)) > 0 && poll(polled, count, DRAIN_MS) > 0)
        vm_sessions_flush(vm);
}
