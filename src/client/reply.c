/*
 * reply.c - the way from the VM. A VM is a stranger: sizes are checked before anything is read, memory grows by what
 * has come and not by what is announced, an answer must be to the call whose turn it is, and values are read through
 * once before anybody gets them. One lie, and the session is over; the client is not.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/limits.h"
#include "common/values.h"
#include "public.h"
#include "session.h"

_Static_assert(BIOXEN_VALUES_MAX == SW_BODY_MAX && BIOXEN_FAILED_TOO_LARGE == (int)SW_TOO_LARGE &&
                   BIOXEN_FAILED_ERROR == (int)SW_FAILED,
               "public values are the wire's");

/* A read takes many small answers at once. */
#define ROOM_MIN (64u * 1024)

/* A buffer that grew larger for one answer does not stay so. */
#define ROOM_KEPT (4u * 1024 * 1024)

static int lie(bioxen_session *session, const char *what, struct bx_error *err)
{
    char text[200];
    snprintf(text, sizeof text, "VM %u answered as no VM of bioxen does (%s): the session is over", session->vm, what);
    return session_fail(session, EBADMSG, text, err);
}

/* Also in the middle of an answer: a VM may be killed at any time. */
static int ended(bioxen_session *session, struct bx_error *err)
{
    char text[100];
    snprintf(text, sizeof text, "VM %u has ended, or has closed the session", session->vm);
    session->unheard = true;
    return session_fail(session, EPIPE, text, err);
}

/* ---- one answer ---- */

/* What is wrong with a head, or NULL. */
static const char *check_head(const bioxen_session *session, const struct sw_head *head)
{
    if (head->zero != 0 || head->zero2 != 0 || head->name_length != 0 || head->deadline_us != 0)
        return "bytes where none belong";
    if (head->length > SW_BODY_MAX)
        return "an answer that is too large";
    switch (head->type) {
    case SW_RESULT:
        if (head->kind != 0)
            return "a result of an unknown kind";
        break;
    case SW_ERROR:
        if (head->kind < SW_FAILED || head->kind > SW_TOO_LARGE)
            return "an error of an unknown kind";
        break;
    case SW_OUTPUT:
        if (head->kind < 1 || head->kind > 2 || head->length == 0 || head->length > SW_OUTPUT_MAX)
            return "output of an unknown stream or size";
        break;
    default: return "an unknown kind of answer";
    }
    if (session->answered == session->asked || head->call != session->answered + 1)
        return "an answer to a call that is not to be answered now";
    return NULL;
}

/* One value and no more. */
static int is_one_value(const char *bytes, size_t length)
{
    struct bx_value first;
    if (bx_values_check(bytes, length) < 0)
        return 0;
    bx_values_read(&bytes, &first);
    return first.type == BX_VALUE_LIST && first.integer == 1;
}

static const char *read_error(const struct sw_head *head, const char *body, struct bioxen_reply *reply)
{
    struct sw_error error;
    if (head->length < sizeof error)
        return "an error that is too short";
    memcpy(&error, body, sizeof error);
    size_t left = head->length - sizeof error;
    if (error.message_length > BX_MESSAGE_MAX || error.traceback_length > BX_MESSAGE_MAX ||
        error.message_length + error.traceback_length > left)
        return "an error with texts of a wrong size";
    const char *at = body + sizeof error;
    reply->message = (struct bioxen_string){at, error.message_length};
    at += error.message_length;
    reply->traceback = (struct bioxen_string){at, error.traceback_length};
    at += error.traceback_length;
    reply->bytes = (struct bioxen_string){at, (size_t)(body + head->length - at)};
    reply->failure = (enum bioxen_failure)head->kind;
    reply->type = BIOXEN_REPLY_ERROR;
    return is_one_value(reply->bytes.bytes, reply->bytes.length) ? NULL : "an error without a value";
}

/* What is wrong with a body, or NULL. */
static const char *read_body(const struct sw_head *head, const char *body, struct bioxen_reply *reply)
{
    *reply = (struct bioxen_reply){.call = head->call, .bytes = {body, head->length}};
    if (head->type == SW_ERROR)
        return read_error(head, body, reply);
    if (head->type == SW_OUTPUT) {
        reply->type = BIOXEN_REPLY_OUTPUT;
        reply->stream = head->kind;
        return NULL;
    }
    reply->type = BIOXEN_REPLY_RESULT;
    return bx_values_check(body, head->length) >= 0 ? NULL : "values that are none";
}

/* Bytes of the answer that is there or begins there; only the head's when not even that is whole. */
static size_t announced(const struct session_buffer *in)
{
    struct sw_head head;
    if (in->end - in->start < sizeof head)
        return sizeof head;
    memcpy(&head, in->bytes + in->start, sizeof head);
    return sizeof head + head.length;
}

/* Returns 1 with a reply, 0 when it is not there as a whole, or -errno. */
static int take_reply(bioxen_session *session, struct bioxen_reply *reply, struct bx_error *err)
{
    const struct session_buffer *in = &session->in;
    struct sw_head head;
    if (in->end - in->start < sizeof head)
        return 0;
    memcpy(&head, in->bytes + in->start, sizeof head);
    const char *wrong = check_head(session, &head);
    if (wrong != NULL)
        return lie(session, wrong, err);
    if (in->end - in->start < sizeof head + head.length)
        return 0;
    wrong = read_body(&head, in->bytes + in->start + sizeof head, reply);
    if (wrong != NULL)
        return lie(session, wrong, err);
    session->handed_out = sizeof head + head.length;
    if (head.type != SW_OUTPUT)
        session->answered = head.call;
    return 1;
}

/* ---- reading ---- */

/* What the last reply pointed into is free again. */
static void release(bioxen_session *session)
{
    struct session_buffer *in = &session->in;
    in->start += session->handed_out;
    session->handed_out = 0;
    if (in->start != in->end)
        return;
    in->start = in->end = 0;
    if (in->capacity > ROOM_KEPT) {
        free(in->bytes);
        *in = (struct session_buffer){0};
    }
}

static int resize(struct session_buffer *in, size_t capacity)
{
    char *bytes = realloc(in->bytes, capacity);
    if (bytes == NULL)
        return -ENOMEM;
    in->bytes = bytes;
    in->capacity = capacity;
    return 0;
}

/* Room to read into. It at most doubles what has come, up to what the answer announces. */
static int make_room(struct session_buffer *in)
{
    size_t wanted = announced(in);
    if (in->start > 0 && in->capacity - in->start < wanted) {
        memmove(in->bytes, in->bytes + in->start, in->end - in->start);
        in->end -= in->start;
        in->start = 0;
    }
    if (in->end < in->capacity)
        return 0;
    size_t capacity = 2 * in->capacity;
    if (capacity > wanted)
        capacity = wanted;
    return resize(in, capacity < ROOM_MIN ? ROOM_MIN : capacity);
}

/* Without room for descriptors: a VM that passes some only loses them. Returns 1, 0 (nothing is there) or -errno. */
static int read_some(bioxen_session *session, struct bx_error *err)
{
    struct session_buffer *in = &session->in;
    if (make_room(in) != 0)
        return bx_fail_errno(err, ENOMEM, "an answer of VM %u", session->vm);
    ssize_t got;
    do
        got = recv(session->fd, in->bytes + in->end, in->capacity - in->end, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN)
        return 0;
    if (got <= 0) {
        return ended(session, err);
    }
    session->read_all = (size_t)got < in->capacity - in->end;
    in->end += (size_t)got;
    return 1;
}

/* Waits until there may be something. Returns 1, 0 when the time is up, or -errno. */
static int wait_for_some(bioxen_session *session, int timeout_ms, struct bx_error *err)
{
    struct pollfd ready = {session->fd, POLLIN, 0};
    if (bioxen_session_unsent(session) > 0)
        ready.events |= POLLOUT;
    int rc = poll(&ready, 1, timeout_ms);
    if (rc <= 0)
        return rc == 0 ? 0 : bx_fail_errno(err, errno, "waiting for VM %u", session->vm);
    session->read_all = (ready.revents & ~POLLOUT) == 0;
    return 1;
}

/* Sends and reads what goes; waits only when nothing is known to be there. Returns 1, 0 when the time is up, -errno. */
static int exchange(bioxen_session *session, int timeout_ms, struct bx_error *err)
{
    session_flush(session);
    if (!session->read_all || timeout_ms == 0) {
        int rc = read_some(session, err);
        if (rc != 0)
            return rc;
        session->read_all = true;
        return timeout_ms == 0 ? 0 : 1;
    }
    return wait_for_some(session, timeout_ms, err);
}

int session_next(bioxen_session *session, struct bioxen_reply *reply, int timeout_ms, struct bx_error *err)
{
    uint64_t deadline = timeout_ms > 0 ? bx_now_us() + timeout_ms * UINT64_C(1000) : 0;
    release(session);
    for (;;) {
        if (session->failed.code != 0) {
            *err = session->failed;
            return -err->code;
        }
        int rc = take_reply(session, reply, err);
        if (rc == 0)
            rc = exchange(session, timeout_ms, err);
        else
            return rc;
        if (rc <= 0)
            return rc;
        if (timeout_ms > 0)
            timeout_ms = bx_ms_until(deadline);
    }
}

int bioxen_session_next(bioxen_session *session, struct bioxen_reply *reply, int timeout_ms,
                        struct bioxen_error *public_err)
{
    struct bx_error err = {0};
    int rc = session_next(session, reply, timeout_ms, &err);
    return rc >= 0 ? rc : public_fail(public_err, &err);
}
