/*
 * streams.c - reads what a VM says, counts it, passes it on. A VM's words are read only while the client takes them
 * (backpressure), never more than the output limit, and a frame that is not well-formed ends the VM.
 */
#include "streams.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/lifeline.h"
#include "common/socket.h"
#include "grace.h"
#include "manager.h"
#include "peers.h"
#include "vm.h"

/* Asks for nothing. A hang-up is still reported, but once: level-triggered it would spin while the client is slow. */
#define PAUSED EPOLLONESHOT

static int all_ended(const struct vm *vm)
{
    return vm->streams[0].source.fd < 0 && vm->streams[1].source.fd < 0 && vm->lifeline.source.fd < 0;
}

/* ---- output ---- */

/* How many of `got` bytes are within the limit; the first byte past it is the VM's end. */
static size_t within_limit(struct vm *vm, size_t got)
{
    uint64_t left = vm->spec.output_limit - vm->output_bytes;
    size_t taken = got <= left ? got : (size_t)left;
    vm->output_bytes += taken;
    if (taken < got) {
        vm->output_cut = true;
        vm_kill(vm, VM_KILL_OUTPUT, SIGKILL);
    }
    return taken;
}

/* Reads one chunk. Returns 1 when there may be more, 0 when the pipe is empty for now, -1 when it has ended. */
static int pump(struct vm *vm, unsigned index)
{
    static char frame[sizeof(struct ctl_head) + sizeof(struct ctl_output) + CTL_OUTPUT_CHUNK];
    char *bytes = frame + sizeof(struct ctl_head) + sizeof(struct ctl_output);
    ssize_t got = read(vm->streams[index].source.fd, bytes, CTL_OUTPUT_CHUNK);
    if (got <= 0)
        return got < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
    size_t taken = within_limit(vm, (size_t)got);
    if (taken > 0 && vm->instance != NULL) {
        instance_on_output(vm->instance, index + 1, bytes, taken);
    } else if (taken > 0) {
        struct ctl_output output = {vm->id, index + 1};
        struct ctl_head head = {CTL_MAGIC, CTL_OUTPUT, 0, (uint32_t)(sizeof output + taken)};
        memcpy(frame, &head, sizeof head);
        memcpy(frame + sizeof head, &output, sizeof output);
        client_send(vm->client, frame, sizeof head + head.length);
    }
    return 1;
}

static void on_stream(struct bx_source *source, uint32_t events)
{
    (void)events;
    struct vm *vm = ((struct vm_source *)source)->vm;
    if (client_backlogged(vm->client))
        return; /* a hang-up is reported even while it is paused, once: resuming looks again */
    if (pump(vm, source == &vm->streams[0].source ? 0 : 1) < 0)
        bx_loop_close(&vm->manager->loop, source);
    if (vm->state == VM_DYING)
        streams_drain(vm);
}

/* ---- the lifeline ---- */

/* An answer of any length. It asks and does not read: -EAGAIN. */
static int tell_long(struct vm *vm, const struct lw_frame *frame, int fd)
{
    static char bytes[LW_FRAME_MAX];
    struct iovec part = {bytes, lw_encode(frame, bytes)};
    return bx_send(vm->lifeline.source.fd, &part, 1, &fd, fd >= 0);
}

static int tell_about_peers(struct vm *vm, const struct lw_frame *question)
{
    static char text[BX_MESSAGE_MAX];
    struct lw_frame answer;
    int rc = 0;
    if (question->b == LW_NEED_ADDRESS)
        peers_address(vm, question, &answer);
    else if (question->b == LW_NEED_NAME)
        peers_name(vm, question, &answer);
    else
        rc = peers_list(vm, question, &answer, text);
    if (rc == 0)
        rc = tell_long(vm, &answer, -1);
    return rc == -EPIPE || rc == -ECONNRESET ? 0 : rc; /* it has ended since: its last words are still to be read */
}

static int take_need(struct vm *vm, const struct lw_frame *frame)
{
    if (vm->needs_module)
        return -EBADMSG; /* an honest VM waits for its answer */
    if (frame->b == LW_NEED_ADDRESS || frame->b == LW_NEED_NAME || frame->b == LW_NEED_PEERS)
        return tell_about_peers(vm, frame);
    if (frame->b != LW_NEED_MODULE)
        return -EBADMSG;
    vm->needs_module = true;
    if (vm->instance != NULL)
        instance_on_need(vm->instance, frame->text1, frame->length1);
    else
        client_send_note(vm->client, CTL_NEED, 0, vm->id, 0, frame->text1, frame->length1);
    return 0;
}

static int take_done(struct vm *vm, const struct lw_frame *frame)
{
    struct vm_words *words = &vm->words;
    if (words->done || frame->a > LW_MEMORY)
        return -EBADMSG;
    words->done = true;
    words->outcome = (uint32_t)frame->a;
    words->exit_status = frame->b & 0xff;
    if (frame->a == LW_OK || frame->a == LW_EXIT)
        return 0;
    int rc = bx_text_set(&words->error, frame->text1, frame->length1);
    if (rc == 0 && frame->length2 > 0)
        rc = bx_text_set(&words->traceback, frame->text2, frame->length2);
    return rc;
}

static int take_closed(struct vm *vm, const struct lw_frame *frame)
{
    struct vm_sessions *sessions = &vm->sessions;
    for (uint32_t i = 0; i < sessions->count; i++) {
        if (sessions->numbers[i] != frame->a)
            continue;
        sessions->numbers[i] = sessions->numbers[--sessions->count];
        return 0;
    }
    return -EBADMSG;
}

static int take_fatal(struct vm *vm, const struct lw_frame *frame)
{
    if (vm->words.fatal_signal != 0 || frame->a == 0 || frame->a > (uint64_t)SIGRTMAX)
        return -EBADMSG;
    vm->words.fatal_signal = (uint32_t)frame->a;
    vm->words.fatal_syscall = frame->b;
    return 0;
}

static int take_frame(struct vm *vm, const struct lw_frame *frame)
{
    switch (frame->type) {
    case LW_READY:
        if (vm->words.ready)
            return -EBADMSG;
        vm->words.ready = true;
        grace_begin(vm);
        return 0;
    case LW_NEED: return take_need(vm, frame);
    case LW_DONE: return take_done(vm, frame);
    case LW_FATAL: return take_fatal(vm, frame);
    case LW_UNWOUND: return grace_take_unwound(vm, frame);
    case LW_CLOSED: return take_closed(vm, frame);
    case LW_SAYS_READY: return network_take_ready(vm, 0);
    case LW_LISTENS: return network_take_ready(vm, frame->a);
    default: return -EBADMSG;
    }
}

/* Returns as pump does. A descriptor that comes from a VM is not taken: no room for one is given. */
static int read_frame(struct vm *vm)
{
    static char bytes[LW_FRAME_MAX];
    ssize_t got = recv(vm->lifeline.source.fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_TRUNC);
    if (got <= 0)
        return got < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
    struct lw_frame frame;
    if ((size_t)got > sizeof bytes || lw_decode(bytes, (uint64_t)got, &frame) != 0 || take_frame(vm, &frame) != 0) {
        vm_kill(vm, VM_KILL_PROTOCOL, SIGKILL);
        return -1;
    }
    return 1;
}

static void on_lifeline(struct bx_source *source, uint32_t events)
{
    (void)events;
    struct vm *vm = ((struct vm_source *)source)->vm;
    if (read_frame(vm) < 0)
        bx_loop_close(&vm->manager->loop, source);
    if (vm->state == VM_DYING && all_ended(vm))
        vm_event(vm, VM_EV_DRAINED, NULL);
}

int streams_tell(struct vm *vm, const struct lw_frame *frame, int fd)
{
    int lifeline = vm->lifeline.source.fd >= 0 ? vm->lifeline.source.fd : vm->unwatched[2];
    char bytes[sizeof(struct lw_header) + LW_TELL_MAX];
    if (lifeline < 0)
        return -EPIPE;
    struct iovec part = {bytes, lw_encode(frame, bytes)};
    return bx_send(lifeline, &part, 1, &fd, fd >= 0);
}

void vm_answer_module(struct vm *vm, int fd, const char *text, size_t length)
{
    if (vm->stale_answers > 0) { /* answers come in the order of the questions */
        vm->stale_answers--;
        return;
    }
    if (!vm->needs_module || vm->lifeline.source.fd < 0)
        return;
    vm->needs_module = false;
    struct lw_frame frame = {.type = fd >= 0 ? LW_MODULE : LW_NO_MODULE, .text1 = text, .length1 = (uint32_t)length};
    if (tell_long(vm, &frame, fd) == -EAGAIN)
        vm_kill(vm, VM_KILL_PROTOCOL, SIGKILL); /* it asks and does not read */
}

/* ---- opening, pausing, ending ---- */

/* The reading end is ours and non-blocking; the VM's is blocking, as programs expect of their output. */
static int open_stream(int *ours, int *handed)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    *ours = ends[0];
    *handed = ends[1];
    return fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0 ? 0 : -errno;
}

static int open_lifeline(int *ours, int *handed)
{
    int pair[2];
    int rc = bx_socketpair(pair);
    if (rc != 0)
        return rc;
    *ours = pair[0];
    *handed = pair[1];
    return 0;
}

int streams_open(struct vm *vm, int handed[3])
{
    int rc = open_stream(&vm->unwatched[0], &handed[0]);
    if (rc == 0)
        rc = open_stream(&vm->unwatched[1], &handed[1]);
    if (rc == 0)
        rc = open_lifeline(&vm->unwatched[2], &handed[2]);
    return rc == 0 ? network_close_socket(vm, handed[2]) : rc;
}

int streams_watch(struct vm *vm)
{
    struct bx_source *sources[] = {&vm->streams[0].source, &vm->streams[1].source, &vm->lifeline.source};
    for (unsigned i = 0; i < 3; i++) {
        uint32_t events = i < 2 && client_backlogged(vm->client) ? PAUSED : EPOLLIN;
        sources[i]->on_ready = i < 2 ? on_stream : on_lifeline;
        int rc = bx_loop_add(&vm->manager->loop, sources[i], vm->unwatched[i], events);
        if (rc != 0)
            return rc;
        vm->unwatched[i] = -1;
    }
    return 0;
}

void vm_pause_output(struct vm *vm, bool paused)
{
    for (unsigned i = 0; i < 2; i++)
        if (vm->streams[i].source.fd >= 0)
            bx_loop_change(&vm->manager->loop, &vm->streams[i].source, paused ? PAUSED : EPOLLIN);
}

/* A VM that goes on printing does not keep us: what a full pipe holds is all that there was. */
void streams_read_dry(struct vm *vm)
{
    enum { CHUNKS = 64 * 1024 / CTL_OUTPUT_CHUNK + 1 };
    for (unsigned index = 0; index < 2; index++)
        for (int i = 0; i < CHUNKS && vm->streams[index].source.fd >= 0 && pump(vm, index) > 0; i++)
            ;
}

/* Its process is dead, so that an empty pipe is an ended one, whoever may still hold the other end. */
static int drain_stream(struct vm *vm, unsigned index)
{
    struct bx_source *source = &vm->streams[index].source;
    while (source->fd >= 0) {
        if (client_backlogged(vm->client))
            return -EAGAIN;
        if (pump(vm, index) <= 0)
            bx_loop_close(&vm->manager->loop, source);
    }
    return 0;
}

void streams_drain(struct vm *vm)
{
    while (vm->lifeline.source.fd >= 0)
        if (read_frame(vm) <= 0)
            bx_loop_close(&vm->manager->loop, &vm->lifeline.source);
    if (drain_stream(vm, 0) == 0 && drain_stream(vm, 1) == 0)
        vm_event(vm, VM_EV_DRAINED, NULL);
}
