/*
 * session_play.h - a session of libbioxen whose VM is played by the test.
 */
#ifndef BX_TESTS_SESSION_PLAY_H
#define BX_TESTS_SESSION_PLAY_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/session.h"
#include "common/clock.h"
#include "common/limits.h"
#include "common/values.h"

/* Both ends: the client's session, and the VM's socket. */
struct play {
    bioxen_session *session;
    int vm;
};

static const struct bioxen_string nothing = {NULL, 0};

static inline struct play begin(void)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    struct play play = {session_new(pair[0], 7, 3), pair[1]};
    assert_non_null(play.session);
    return play;
}

static inline void end(struct play *play)
{
    bioxen_detach(play->session);
    if (play->vm >= 0)
        close(play->vm);
}

static inline struct bioxen_string text_of(const char *bytes)
{
    return (struct bioxen_string){bytes, strlen(bytes)};
}

static inline uint64_t ask(struct play *play, const char *code)
{
    uint64_t call = 0;
    struct bioxen_error err = {0};
    int rc = bioxen_session_send(play->session, BIOXEN_EXECUTE, text_of(code), nothing, 0, &call, &err);
    if (rc != 0)
        fail_msg("%d: %s", rc, err.text);
    return call;
}

/* The VM's side waits: a socket that is full is read by nobody else here. */
static inline void vm_write(struct play *play, const void *bytes, size_t length)
{
    for (const char *at = bytes; length > 0;) {
        ssize_t put = send(play->vm, at, length, MSG_NOSIGNAL);
        assert_true(put > 0);
        at += put;
        length -= (size_t)put;
    }
}

static inline void vm_say(struct play *play, struct sw_head head, const void *body)
{
    vm_write(play, &head, sizeof head);
    if (head.length > 0 && body != NULL)
        vm_write(play, body, head.length);
}

#define VALUES_ONE "\x91\x01" /* {1} */
#define VALUES_NIL "\x91\xc0" /* {nil} */

static inline struct sw_head result_head(uint64_t call)
{
    return (struct sw_head){.length = 2, .type = SW_RESULT, .call = call};
}

static inline void vm_result(struct play *play, uint64_t call)
{
    vm_say(play, result_head(call), VALUES_ONE);
}

static inline int next(struct play *play, struct bioxen_reply *reply, int timeout_ms, struct bioxen_error *err)
{
    return bioxen_session_next(play->session, reply, timeout_ms, err);
}

static inline struct bioxen_reply expect(struct play *play, enum bioxen_reply_type type, uint64_t call)
{
    struct bioxen_reply reply;
    struct bioxen_error err = {0};
    int rc = next(play, &reply, 5000, &err);
    if (rc != 1)
        fail_msg("%d: %s", rc, err.text);
    assert_int_equal(reply.type, type);
    assert_int_equal(reply.call, call);
    return reply;
}

/* The session is over, says why, and goes on saying so. */
static inline void expect_over(struct play *play, int code, const char *word)
{
    struct bioxen_reply reply;
    struct bioxen_error err = {0};
    uint64_t call = 42;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(next(play, &reply, 5000, &err), -code);
        assert_int_equal(err.code, code);
        if (strstr(err.text, word) == NULL)
            fail_msg("no '%s' in: %s", word, err.text);
    }
    assert_int_equal(bioxen_session_send(play->session, BIOXEN_EXECUTE, nothing, nothing, 0, &call, &err), -code);
    assert_int_equal(bioxen_session_flush(play->session, NULL), -code);
    assert_int_equal(call, 42);
    assert_int_equal(bioxen_session_unsent(play->session), 0);
    struct pollfd ready = {bioxen_session_fd(play->session), POLLIN, 0};
    assert_int_equal(poll(&ready, 1, 0), 1); /* whoever polls comes and hears of it */
}

#endif
