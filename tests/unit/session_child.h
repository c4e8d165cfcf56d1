/*
 * session_child.h - a serving VM outside the jail, for tests: the test is its orchestrator (the other end of the
 * lifeline) and all of its clients. Everything that waits has a deadline: a VM that does not answer fails its test.
 */
#ifndef TESTS_UNIT_SESSION_CHILD_H
#define TESTS_UNIT_SESSION_CHILD_H

#include "vm_child.h"

#include <cmocka.h>

#include "common/session_wire.h"
#include "common/values.h"

#define SERVED_SECONDS 20

struct served {
    pid_t pid;
    int lifeline, out, err;
};

struct reply {
    struct sw_head head;
    char *body; /* with a NUL behind it; the test's harness frees it at the next reply */
    /* SW_ERROR */
    char message[BX_MESSAGE_MAX + 1], traceback[BX_MESSAGE_MAX + 1];
    const char *values; /* of SW_RESULT and SW_ERROR */
    size_t values_length;
    int64_t tables;
};

static inline int served_deadline(void)
{
    const char *slow = getenv("BIOXEN_TEST_SLOW");
    return (int)(SERVED_SECONDS * 1000 * (slow != NULL ? strtod(slow, NULL) : 1));
}

static inline void served_wait(int fd, short events, const char *what)
{
    struct pollfd polled = {fd, events, 0};
    if (poll(&polled, 1, served_deadline()) != 1)
        fail_msg("nothing came: %s", what);
}

static inline void served_read(int fd, void *to, size_t length, const char *what)
{
    for (char *at = to; length > 0;) {
        served_wait(fd, POLLIN, what);
        ssize_t got = read(fd, at, length);
        if (got <= 0)
            fail_msg("the end came instead: %s", what);
        at += got;
        length -= (size_t)got;
    }
}

static inline bool served_at_end(int fd)
{
    char byte;
    served_wait(fd, POLLIN, "the end");
    return read(fd, &byte, 1) <= 0;
}

static inline struct lw_frame served_hear(struct served *vm, uint32_t type)
{
    static char bytes[LW_FRAME_MAX];
    struct lw_frame frame = {0};
    unsigned fds = 0;
    served_wait(vm->lifeline, POLLIN, "a frame");
    ssize_t length = bx_receive(vm->lifeline, bytes, sizeof bytes, NULL, 0, &fds, 0);
    if (length <= 0 || lw_decode(bytes, (uint64_t)length, &frame) != 0)
        fail_msg("no frame came, of type %u", type);
    if (frame.type != type)
        fail_msg("frame %u came, not %u: %.*s", frame.type, type, (int)frame.length1, frame.text1);
    return frame;
}

static inline void served_child(const struct child_input *input, int lifeline, int out, int err)
{
    static struct vm vm;
    struct bx_error error;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(out, 1);
    dup2(err, 2);
    dup2(lifeline, LW_FD);
    close_range(LW_FD + 1, ~0U, 0);
    setvbuf(stdout, NULL, _IOLBF, 4096);
    if (vm_interrupt_prepare(&error) < 0 || vm_open(&vm, input->profile, &error) < 0)
        _exit(99);
    vm_serve(&vm);
}

static inline struct served served_start(struct child_input input)
{
    int lifeline[2], out[2], err[2];
    if (bx_socketpair(lifeline) < 0 || pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0)
        abort();
    fflush(NULL);
    struct served vm = {fork(), lifeline[0], out[0], err[0]};
    if (vm.pid == 0)
        served_child(&input, fcntl(lifeline[1], F_DUPFD, 100), fcntl(out[1], F_DUPFD, 100),
                     fcntl(err[1], F_DUPFD, 100));
    close(lifeline[1]);
    close(out[1]);
    close(err[1]);
    served_hear(&vm, LW_READY);
    struct lw_frame spec = {.type = LW_SPEC, .a = input.ceiling != 0 ? input.ceiling : (size_t)64 << 20,
                            .b = LW_SERVE};
    child_send(vm.lifeline, &spec, child_program(&input));
    return vm;
}

static inline struct served served_text(enum jw_profile profile, const char *text)
{
    return served_start((struct child_input){.profile = profile, .text = text});
}

/* Returns the wait status. */
static inline int served_end(struct served *vm)
{
    int status = 0;
    close(vm->lifeline);
    close(vm->out);
    close(vm->err);
    kill(vm->pid, SIGKILL);
    waitpid(vm->pid, &status, 0);
    return status;
}

static inline int served_attach(struct served *vm, uint64_t number)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        abort();
    fcntl(pair[1], F_SETFL, O_NONBLOCK);
    child_send(vm->lifeline, &(struct lw_frame){.type = LW_SESSION, .a = number}, pair[1]);
    return pair[0];
}

static inline void served_interrupt(struct served *vm, uint64_t session, uint64_t call, const char *why)
{
    struct lw_frame frame = {.type = LW_INTERRUPT, .a = session, .b = (int64_t)call, .text1 = why,
                             .length1 = (uint32_t)strlen(why)};
    child_send(vm->lifeline, &frame, -1);
}

/* Blocks until all of it is written. */
static inline void served_write(int fd, const void *bytes, size_t length)
{
    for (const char *at = bytes; length > 0;) {
        served_wait(fd, POLLOUT, "room to write");
        ssize_t sent = send(fd, at, length, MSG_NOSIGNAL);
        if (sent < 0)
            fail_msg("the session is gone");
        at += sent;
        length -= (size_t)sent;
    }
}

static inline void served_ask(int fd, enum sw_type type, uint64_t call, const char *text, const struct bx_values *with)
{
    size_t length = strlen(text), extra = with != NULL ? with->length : 0;
    struct sw_head head = {.length = (uint32_t)(length + extra), .type = (uint8_t)type, .call = call,
                           .name_length = (uint32_t)length};
    char *all = malloc(sizeof head + length + extra);
    memcpy(all, &head, sizeof head);
    memcpy(all + sizeof head, text, length);
    if (extra > 0)
        memcpy(all + sizeof head + length, with->bytes, extra);
    served_write(fd, all, sizeof head + length + extra);
    free(all);
}

static inline void reply_parse_error(struct reply *reply)
{
    struct sw_error lengths;
    assert_true(reply->head.length >= sizeof lengths);
    memcpy(&lengths, reply->body, sizeof lengths);
    assert_true(lengths.message_length <= BX_MESSAGE_MAX && lengths.traceback_length <= BX_MESSAGE_MAX);
    size_t before = sizeof lengths + lengths.message_length + lengths.traceback_length;
    assert_true(before <= reply->head.length);
    memcpy(reply->message, reply->body + sizeof lengths, lengths.message_length);
    reply->message[lengths.message_length] = '\0';
    memcpy(reply->traceback, reply->body + sizeof lengths + lengths.message_length, lengths.traceback_length);
    reply->traceback[lengths.traceback_length] = '\0';
    reply->values = reply->body + before;
    reply->values_length = reply->head.length - before;
}

/* The next answer, of whatever type. Static: the next one overwrites it. */
static inline struct reply *served_reply(int fd)
{
    static struct reply reply;
    free(reply.body);
    reply = (struct reply){0};
    served_read(fd, &reply.head, sizeof reply.head, "an answer");
    assert_true(reply.head.length <= SW_BODY_MAX && reply.head.zero == 0 && reply.head.deadline_us == 0);
    reply.body = malloc(reply.head.length + 1);
    served_read(fd, reply.body, reply.head.length, "the body of an answer");
    reply.body[reply.head.length] = '\0';
    if (reply.head.type == SW_OUTPUT)
        return &reply;
    reply.values = reply.body;
    reply.values_length = reply.head.length;
    if (reply.head.type == SW_ERROR)
        reply_parse_error(&reply);
    reply.tables = bx_values_check(reply.values, reply.values_length);
    if (reply.tables < 0)
        fail_msg("the answer's values are unsound");
    return &reply;
}

/* Executes, and waits for what comes first. */
static inline struct reply *served_execute(int fd, uint64_t call, const char *text)
{
    served_ask(fd, SW_EXECUTE, call, text, NULL);
    struct reply *reply = served_reply(fd);
    assert_true(reply->head.call == call);
    return reply;
}

/* ---- what is expected ---- */

#define VALUES(...) (const unsigned char[]){__VA_ARGS__}, sizeof((const unsigned char[]){__VA_ARGS__})

static inline void expect_values(const struct reply *reply, const void *bytes, size_t length)
{
    if (reply->head.type != SW_RESULT)
        fail_msg("type %d kind %d: %s", reply->head.type, reply->head.kind, reply->message);
    assert_int_equal(reply->values_length, length);
    assert_memory_equal(reply->values, bytes, length);
}

static inline void expect_error(const struct reply *reply, enum sw_error_kind kind, const char *message)
{
    assert_int_equal(reply->head.type, SW_ERROR);
    assert_string_equal(reply->message, message);
    assert_int_equal(reply->head.kind, kind);
}

static inline void expect_output(const struct reply *reply, uint64_t call, int stream, const char *text)
{
    assert_int_equal(reply->head.type, SW_OUTPUT);
    assert_int_equal(reply->head.kind, stream);
    assert_int_equal(reply->head.call, call);
    assert_string_equal(reply->body, text);
}

static inline void expect_stop(struct served *vm)
{
    child_send(vm->lifeline, &(struct lw_frame){.type = LW_STOP}, -1);
    struct lw_frame done = served_hear(vm, LW_DONE);
    assert_int_equal(done.a, LW_OK);
    assert_int_equal(done.length1, 0);
    int status;
    waitpid(vm->pid, &status, 0);
    assert_int_equal(status, 0);
    vm->pid = fork(); /* somebody for served_end to end */
    if (vm->pid == 0)
        _exit(0);
    served_end(vm);
}

/* Puts a request behind others, to be sent in one piece: all of them are there when the first is served. */
static inline size_t add_request(char *to, uint64_t call, const char *text)
{
    uint32_t length = (uint32_t)strlen(text);
    struct sw_head head = {.length = length, .type = SW_EXECUTE, .call = call, .name_length = length};
    memcpy(to, &head, sizeof head);
    memcpy(to + sizeof head, text, length);
    return sizeof head + length;
}

#endif
