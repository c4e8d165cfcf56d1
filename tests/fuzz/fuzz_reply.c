/*
 * fuzz_reply.c - what a client makes of the answers of a hostile VM. Whatever comes, in whatever pieces: an answer to
 * the call whose turn it is, with values that can be read to their end, or the end of the session.
 */
#include "fuzz.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/session.h"
#include "common/limits.h"

#define CALLS 3

/* Every item ends inside the bytes, and the last one at their end. */
static void read_values(struct bioxen_string bytes)
{
    struct bioxen_value value;
    const char *at = bytes.bytes, *end = bytes.bytes + bytes.length;
    while (at < end) {
        at = bioxen_read(at, &value);
        PROMISE(at <= end && value.type <= BIOXEN_MAP);
        if (value.type == BIOXEN_STRING)
            PROMISE(value.string.bytes >= bytes.bytes && value.string.bytes + value.string.length <= end);
    }
    PROMISE(at == end);
}

static void check_reply(const struct bioxen_reply *reply, uint64_t answered)
{
    PROMISE(reply->call == answered + 1 && reply->call <= CALLS);
    if (reply->type == BIOXEN_REPLY_OUTPUT) {
        PROMISE((reply->stream == 1 || reply->stream == 2) && reply->bytes.length > 0);
        return;
    }
    if (reply->type == BIOXEN_REPLY_ERROR) {
        PROMISE(reply->failure >= BIOXEN_FAILED_ERROR && reply->failure <= BIOXEN_FAILED_TOO_LARGE);
        PROMISE(reply->message.length <= BX_MESSAGE_MAX && reply->traceback.length <= BX_MESSAGE_MAX);
    }
    read_values(reply->bytes);
}

/* Returns 0 while the session goes on. */
static int take_all(bioxen_session *session, uint64_t *answered)
{
    struct bioxen_reply reply;
    struct bioxen_error err;
    int rc;
    while ((rc = bioxen_session_next(session, &reply, 0, &err)) == 1) {
        check_reply(&reply, *answered);
        *answered += reply.type != BIOXEN_REPLY_OUTPUT;
    }
    PROMISE(rc == 0 || rc == -EBADMSG || rc == -EPIPE);
    return rc;
}

/* The first byte says in how large pieces the rest arrives. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int pair[2];
    uint64_t call, answered = 0;
    struct bioxen_string nothing = {NULL, 0};
    if (size < 1 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) != 0)
        return 0;
    bioxen_session *session = session_new(pair[0], 1, 1);
    PROMISE(session != NULL);
    for (int i = 0; i < CALLS; i++)
        PROMISE(bioxen_session_send(session, BIOXEN_EXECUTE, nothing, nothing, 0, &call, NULL) == 0);
    size_t piece = (size_t)data[0] * 16 + 1, at = 1;
    int rc = 0;
    while (rc == 0 && at < size) {
        size_t length = size - at < piece ? size - at : piece;
        PROMISE(send(pair[1], data + at, length, MSG_NOSIGNAL) == (ssize_t)length);
        rc = take_all(session, &answered);
        at += length;
    }
    close(pair[1]);
    if (rc == 0)
        rc = take_all(session, &answered);
    PROMISE(rc < 0);
    bioxen_detach(session);
    return 0;
}
