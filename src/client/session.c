/*
 * session.c - the way to the VM: requests out, without ever waiting. What the socket does not take is kept, and sent
 * by later calls.
 */
#include "session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "public.h"

/* So much that waits is tried again by each send; less is worth no system call while the VM is known to be busy. */
#define TRY_AGAIN (64u * 1024)

/* A buffer that grew larger for one request does not stay so. */
#define KEEP_MAX (4u * 1024 * 1024)

bioxen_session *session_new(int fd, uint32_t vm, uint32_t number)
{
    bioxen_session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return NULL;
    session->fd = fd;
    session->vm = vm;
    session->number = number;
    session->owner = getpid();
    return session;
}

/* Shut down and not only closed: a child of a fork may hold a copy, and the VM is to hear of the end all the same. */
void bioxen_detach(bioxen_session *session)
{
    if (session == NULL)
        return;
    if (session->owner == getpid())
        shutdown(session->fd, SHUT_RDWR);
    close(session->fd);
    free(session->out.bytes);
    free(session->in.bytes);
    free(session);
}

uint32_t bioxen_session_vm(const bioxen_session *session)
{
    return session->vm;
}

int bioxen_session_fd(const bioxen_session *session)
{
    return session->fd;
}

size_t bioxen_session_unsent(const bioxen_session *session)
{
    return session->out.end - session->out.start;
}

/* The VM hears of it and stops; our descriptor stays readable, so that whoever polls it comes and hears too. */
int session_fail(bioxen_session *session, int code, const char *text, struct bx_error *err)
{
    if (session->failed.code == 0) {
        bx_fail(&session->failed, code, "%s", text);
        shutdown(session->fd, SHUT_RDWR);
        session->out.start = session->out.end = 0;
    }
    *err = session->failed;
    return -err->code;
}

/* ---- sending ---- */

/* Returns how much went, 0 when the socket is full, or -errno. */
static ssize_t send_now(bioxen_session *session, struct iovec *parts, size_t count)
{
    struct msghdr message = {.msg_iov = parts};
    message.msg_iovlen = (__typeof__(message.msg_iovlen))count;
    ssize_t sent;
    do
        sent = sendmsg(session->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent >= 0 ? sent : errno == EAGAIN ? 0 : -errno;
}

void session_flush(bioxen_session *session)
{
    struct session_buffer *out = &session->out;
    while (out->start < out->end && !session->unheard) {
        struct iovec rest = {out->bytes + out->start, out->end - out->start};
        ssize_t sent = send_now(session, &rest, 1);
        if (sent == 0)
            return;
        session->unheard = sent < 0;
        out->start += sent > 0 ? (size_t)sent : 0;
    }
    out->start = out->end = 0;
    if (out->capacity > KEEP_MAX) {
        free(out->bytes);
        *out = (struct session_buffer){0};
    }
}

static int make_room(struct session_buffer *out, size_t wanted)
{
    size_t used = out->end - out->start;
    if (out->start > 0 && out->start >= used) { /* each byte is moved once at most */
        memcpy(out->bytes, out->bytes + out->start, used);
        out->start = 0;
        out->end = used;
    }
    if (out->capacity - out->end >= wanted)
        return 0;
    size_t capacity = out->capacity < 4096 ? 4096 : out->capacity;
    while (capacity - out->end < wanted) {
        if (capacity > SIZE_MAX / 2)
            return -ENOMEM;
        capacity *= 2;
    }
    char *grown = realloc(out->bytes, capacity);
    if (grown == NULL)
        return -ENOMEM;
    out->bytes = grown;
    out->capacity = capacity;
    return 0;
}

/* Keeps what comes after the first `skip` bytes of the parts. */
static int keep_rest(struct session_buffer *out, const struct iovec *parts, size_t count, size_t skip)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += parts[i].iov_len;
    int rc = make_room(out, total - skip);
    for (size_t i = 0; i < count && rc == 0; i++) {
        size_t gone = skip < parts[i].iov_len ? skip : parts[i].iov_len;
        if (gone < parts[i].iov_len)
            memcpy(out->bytes + out->end, (const char *)parts[i].iov_base + gone, parts[i].iov_len - gone);
        out->end += parts[i].iov_len - gone;
        skip -= gone;
    }
    return rc;
}

/* Half a request in the socket and no memory for the other half: nothing sensible can follow it. */
static int send_or_keep(bioxen_session *session, struct iovec *parts, size_t count, struct bx_error *err)
{
    ssize_t sent = 0;
    if (bioxen_session_unsent(session) == 0)
        sent = send_now(session, parts, count);
    if (sent < 0) {
        session->unheard = true;
        return bx_fail(err, EPIPE, "VM %u has ended, or has closed the session", session->vm);
    }
    if (keep_rest(&session->out, parts, count, (size_t)sent) != 0)
        return sent > 0 ? session_fail(session, ENOMEM, "no memory for the rest of a request", err)
                        : bx_fail_errno(err, ENOMEM, "a request to VM %u", session->vm);
    if (bioxen_session_unsent(session) >= TRY_AGAIN && sent == 0)
        session_flush(session);
    return 0;
}

static int check(const bioxen_session *session, enum bioxen_call kind, struct bioxen_string text,
                 struct bioxen_string arguments, struct bx_error *err)
{
    if (session->failed.code != 0) {
        *err = session->failed;
        return -err->code;
    }
    if (session->unheard)
        return bx_fail(err, EPIPE, "VM %u has ended, or has closed the session", session->vm);
    if (kind != BIOXEN_EXECUTE && kind != BIOXEN_CALL)
        return bx_fail(err, EINVAL, "%d is no kind of call", (int)kind);
    if (text.length > SW_BODY_MAX || arguments.length > SW_BODY_MAX - text.length)
        return bx_fail(err, E2BIG, "code and arguments of %zu bytes: a call can carry %u MiB",
                       text.length + arguments.length, SW_BODY_MAX >> 20);
    return 0;
}

int bioxen_session_send(bioxen_session *session, enum bioxen_call kind, struct bioxen_string text,
                        struct bioxen_string arguments, uint64_t deadline_us, uint64_t *call,
                        struct bioxen_error *public_err)
{
    static const char none[] = "\x90"; /* an empty list */
    struct bx_error err = {0};
    if (arguments.length == 0)
        arguments = (struct bioxen_string){none, 1};
    int rc = check(session, kind, text, arguments, &err);
    if (rc != 0)
        return public_fail(public_err, &err);
    struct sw_head head = {
        .length = (uint32_t)(text.length + arguments.length),
        .type = kind == BIOXEN_EXECUTE ? SW_EXECUTE : SW_CALL,
        .call = session->asked + 1,
        .deadline_us = deadline_us,
        .name_length = (uint32_t)text.length,
    };
    struct iovec parts[] = {
        {&head, sizeof head}, {(void *)text.bytes, text.length}, {(void *)arguments.bytes, arguments.length}};
    rc = send_or_keep(session, parts, 3, &err);
    if (rc != 0)
        return public_fail(public_err, &err);
    *call = ++session->asked;
    return 0;
}

int bioxen_session_flush(bioxen_session *session, struct bioxen_error *public_err)
{
    struct bx_error err = session->failed;
    if (err.code == 0)
        session_flush(session);
    if (err.code == 0 && session->unheard)
        bx_fail(&err, EPIPE, "VM %u has ended, or has closed the session", session->vm);
    return err.code == 0 ? 0 : public_fail(public_err, &err);
}
