/*
 * play.h - a manager of libbioxen whose orchestrator is played by the test: it reads requests and says what it likes.
 */
#ifndef BX_TESTS_PLAY_H
#define BX_TESTS_PLAY_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/manager.h"
#include "client/session.h"
#include "common/clock.h"
#include "common/session_wire.h"
#include "common/socket.h"
#include "common/vm_spec.h"

/* The library's manager, and bioxend's end of its control socket. */
struct play {
    bioxen_manager *manager;
    int daemon;
};

/* What bioxend receives. */
struct request {
    struct ctl_head head;
    const char *body;
    struct ctl_note note; /* where it is one */
    int fds[BX_FDS_MAX];
    unsigned fd_count;
    char bytes[BX_FRAME_MAX];
};

static char place[] = "/tmp/bxmanager-XXXXXX";

static inline struct play begin(void)
{
    int pair[2];
    assert_int_equal(bx_socketpair(pair), 0);
    struct play play = {manager_new(), pair[1]};
    assert_non_null(play.manager);
    play.manager->launched.control_fd = pair[0];
    return play;
}

static inline void end(struct play *play)
{
    close(play->daemon);
    bioxen_close(play->manager);
}

static inline int patience(void)
{
    const char *slow = getenv("BIOXEN_TEST_SLOW");
    return 5000 * (slow != NULL ? atoi(slow) : 1);
}

static inline struct request *hear(int daemon)
{
    static __thread struct request request;
    struct pollfd ready = {daemon, POLLIN, 0};
    assert_int_equal(poll(&ready, 1, patience()), 1);
    ssize_t got = bx_receive(daemon, request.bytes, sizeof request.bytes, request.fds, BX_FDS_MAX,
                             &request.fd_count, 0);
    assert_true(got > 0);
    assert_int_equal(ctl_decode_head(request.bytes, (size_t)got, &request.head, &request.body), 0);
    (void)ctl_decode_note(request.body, request.head.length, &request.note);
    return &request;
}

static inline struct request *expect_request(int daemon, uint32_t type)
{
    struct request *request = hear(daemon);
    assert_int_equal(request->head.type, type);
    assert_int_not_equal(request->head.id, 0);
    return request;
}

static inline void say(int daemon, uint32_t type, uint32_t id, const void *body, size_t length, int fd)
{
    struct ctl_head head = {CTL_MAGIC, type, id, (uint32_t)length};
    const struct iovec parts[] = {{&head, sizeof head}, {(void *)body, length}};
    assert_int_equal(bx_send_wait(daemon, parts, 2, &fd, fd >= 0), 0);
}

static inline void say_note(int daemon, uint32_t type, uint32_t id, struct ctl_note note, int fd)
{
    char frame[CTL_NOTE_MAX];
    struct iovec part = {frame, ctl_encode_note(type, id, &note, frame)};
    assert_int_equal(bx_send_wait(daemon, &part, 1, &fd, fd >= 0), 0);
}

static inline struct ctl_note note_of(uint32_t vm, uint32_t number, const char *text)
{
    return (struct ctl_note){vm, number, text, (uint32_t)strlen(text)};
}

static inline void say_death(int daemon, uint32_t vm)
{
    struct record record = {.name = "x", .outcome = RECORD_STOPPED};
    msgpack_sbuffer body;
    msgpack_packer packer;
    msgpack_sbuffer_init(&body);
    msgpack_packer_init(&packer, &body, msgpack_sbuffer_write);
    death_frame_pack(&packer, &(struct death_frame){.vm = vm}, &record);
    say(daemon, CTL_DEATH, 0, body.data, body.size, -1);
    msgpack_sbuffer_destroy(&body);
}

static inline struct bioxen_event next(struct play *play, enum bioxen_event_type type)
{
    struct bioxen_event event;
    struct bioxen_error err = {0};
    int rc = bioxen_next(play->manager, &event, patience(), &err);
    if (rc != 1)
        fail_msg("%d: %s", rc, err.text);
    assert_int_equal(event.type, type);
    return event;
}

static inline struct bioxen_config config_of(const char *name)
{
    static const struct bioxen_string args[] = {{"s.lua", 5}};
    struct bioxen_config config;
    bioxen_config_init(&config);
    config.name = name;
    config.args = args;
    config.arg_count = 1;
    config.serve = 1;
    return config;
}

/* bioxend, in a thread: answers one request after `before` was said. */
struct answerer {
    int daemon;
    void (*answer)(int daemon);
};

static inline void *answer(void *given)
{
    struct answerer *answerer = given;
    answerer->answer(answerer->daemon);
    return NULL;
}

static inline pthread_t in_thread(struct answerer *answerer)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, answer, answerer), 0);
    return thread;
}

static inline void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static inline void expect_module(int daemon, uint32_t vm, const char *chunk, const char *text)
{
    char bytes[64];
    struct request *request = expect_request(daemon, CTL_MODULE);
    assert_int_equal(request->note.vm, vm);
    assert_int_equal(request->note.length, strlen(chunk));
    assert_memory_equal(request->note.text, chunk, strlen(chunk));
    assert_int_equal(request->fd_count, 1);
    assert_int_equal(pread(request->fds[0], bytes, sizeof bytes, 0), strlen(text));
    assert_memory_equal(bytes, text, strlen(text));
    close(request->fds[0]);
}

/* ---- nothing is left: neither descriptors nor files ---- */

static inline int next_fd(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(fd);
    return fd;
}

static inline int count_before(void **state)
{
    *state = (void *)(intptr_t)next_fd();
    return 0;
}

static inline int nothing_is_left_open(void **state)
{
    return next_fd() == (int)(intptr_t)*state ? 0 : -1;
}

static inline int set_up(void **state)
{
    (void)state;
    return mkdtemp(place) != NULL ? chdir(place) : -1;
}

static inline int tear_down(void **state)
{
    (void)state;
    unlink("m.lua");
    return rmdir(place);
}

#define PLAYED(test) cmocka_unit_test_setup_teardown(test, count_before, nothing_is_left_open)

#endif
