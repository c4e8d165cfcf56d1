/*
 * test_client_manager.c - libbioxen against an orchestrator that this test plays: requests from many threads, replies in
 * any order, needs that the library answers by itself, and what no orchestrator would say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
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

static struct play begin(void)
{
    int pair[2];
    assert_int_equal(bx_socketpair(pair), 0);
    struct play play = {manager_new(), pair[1]};
    assert_non_null(play.manager);
    play.manager->launched.control_fd = pair[0];
    return play;
}

static void end(struct play *play)
{
    close(play->daemon);
    bioxen_close(play->manager);
}

static int patience(void)
{
    const char *slow = getenv("BIOXEN_TEST_SLOW");
    return 5000 * (slow != NULL ? atoi(slow) : 1);
}

static struct request *hear(int daemon)
{
    static __thread struct request request;
    struct pollfd ready = {daemon, POLLIN, 0};
    assert_int_equal(poll(&ready, 1, patience()), 1);
    ssize_t got = bx_receive(daemon, request.bytes, sizeof request.bytes, request.fds, BX_FDS_MAX, &request.fd_count, 0);
    assert_true(got > 0);
    assert_int_equal(ctl_decode_head(request.bytes, (size_t)got, &request.head, &request.body), 0);
    (void)ctl_decode_note(request.body, request.head.length, &request.note);
    return &request;
}

static struct request *expect_request(int daemon, uint32_t type)
{
    struct request *request = hear(daemon);
    assert_int_equal(request->head.type, type);
    assert_int_not_equal(request->head.id, 0);
    return request;
}

static void say(int daemon, uint32_t type, uint32_t id, const void *body, size_t length, int fd)
{
    struct ctl_head head = {CTL_MAGIC, type, id, (uint32_t)length};
    const struct iovec parts[] = {{&head, sizeof head}, {(void *)body, length}};
    assert_int_equal(bx_send_wait(daemon, parts, 2, &fd, fd >= 0), 0);
}

static void say_note(int daemon, uint32_t type, uint32_t id, struct ctl_note note, int fd)
{
    char frame[CTL_NOTE_MAX];
    struct iovec part = {frame, ctl_encode_note(type, id, &note, frame)};
    assert_int_equal(bx_send_wait(daemon, &part, 1, &fd, fd >= 0), 0);
}

static struct ctl_note note_of(uint32_t vm, uint32_t number, const char *text)
{
    return (struct ctl_note){vm, number, text, (uint32_t)strlen(text)};
}

static void say_death(int daemon, uint32_t vm)
{
    struct record record = {.name = "x", .outcome = RECORD_STOPPED};
    msgpack_sbuffer body;
    msgpack_packer packer;
    msgpack_sbuffer_init(&body);
    msgpack_packer_init(&packer, &body, msgpack_sbuffer_write);
    msgpack_pack_map(&packer, 2);
    msgpack_pack_str(&packer, 2);
    msgpack_pack_str_body(&packer, "vm", 2);
    msgpack_pack_uint32(&packer, vm);
    msgpack_pack_str(&packer, 6);
    msgpack_pack_str_body(&packer, "record", 6);
    record_pack(&packer, &record);
    say(daemon, CTL_DEATH, 0, body.data, body.size, -1);
    msgpack_sbuffer_destroy(&body);
}

static struct bioxen_event next(struct play *play, enum bioxen_event_type type)
{
    struct bioxen_event event;
    struct bioxen_error err = {0};
    int rc = bioxen_next(play->manager, &event, patience(), &err);
    if (rc != 1)
        fail_msg("%d: %s", rc, err.text);
    assert_int_equal(event.type, type);
    return event;
}

static struct bioxen_config config_of(const char *name)
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

/* ---- requests and their answers ---- */

static void test_answers_in_any_order(void **state)
{
    (void)state;
    struct play play = begin();
    struct bioxen_config config = config_of("one");
    uint32_t create, attach, stats, refused;
    int pair[2];
    assert_int_equal(bioxen_create_start(play.manager, &config, &create, NULL), 0);
    assert_int_equal(bioxen_attach_start(play.manager, 7, &attach, NULL), 0);
    assert_int_equal(bioxen_stats_start(play.manager, 7, &stats, NULL), 0);
    assert_int_equal(bioxen_attach_start(play.manager, 8, &refused, NULL), 0);
    struct request *request = expect_request(play.daemon, CTL_CREATE);
    struct vm_spec spec;
    msgpack_unpacked unpacked;
    assert_int_equal(bx_unpack(&unpacked, request->body, request->head.length), 0);
    assert_int_equal(vm_spec_unpack(&unpacked.data, &spec), 0);
    assert_true(spec.serve == 1 && strcmp(spec.name, "one") == 0 && request->fd_count == 1);
    msgpack_unpacked_destroy(&unpacked);
    bx_close_all(request->fds, request->fd_count);
    assert_int_equal(expect_request(play.daemon, CTL_ATTACH)->note.vm, 7);
    assert_int_equal(expect_request(play.daemon, CTL_STATS)->note.vm, 7);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    struct ctl_statistics figures = {7, 3, 100, 200, 300, 400, 500};
    say(play.daemon, CTL_STATISTICS, stats, &figures, sizeof figures, -1);
    say_note(play.daemon, CTL_ERROR, refused, note_of(0, ESRCH, "gone"), -1);
    say_note(play.daemon, CTL_ATTACHED, attach, note_of(7, 12, ""), pair[1]);
    say_note(play.daemon, CTL_CREATED, create, note_of(9, 0, ""), -1);
    close(pair[1]);
    struct bioxen_event event = next(&play, BIOXEN_EVENT_STATS);
    assert_true(event.request == stats && event.vm == 7 && event.stats.sessions == 3 && event.stats.uptime_us == 100 &&
                event.stats.cpu_us == 200 && event.stats.memory == 300 && event.stats.memory_peak == 400 &&
                event.stats.output_bytes == 500);
    event = next(&play, BIOXEN_EVENT_REFUSED);
    assert_true(event.request == refused && event.error.code == ESRCH && strcmp(event.error.text, "gone") == 0);
    event = next(&play, BIOXEN_EVENT_ATTACHED);
    assert_true(event.request == attach && event.vm == 7 && event.session->number == 12);
    char byte;
    bioxen_detach(event.session);
    assert_int_equal(read(pair[0], &byte, 1), 0);
    close(pair[0]);
    event = next(&play, BIOXEN_EVENT_CREATED);
    assert_true(event.request == create && event.vm == 9);
    assert_int_equal(bioxen_next(play.manager, &event, 0, NULL), 0);
    end(&play);
}

static void test_requests_without_an_answer(void **state)
{
    (void)state;
    struct play play = begin();
    struct bioxen_session session = {.number = 5};
    struct bioxen_error err;
    assert_int_equal(bioxen_kill(play.manager, 3, SIGTERM, NULL), 0);
    assert_int_equal(bioxen_stop(play.manager, 4, 1500, NULL), 0);
    assert_int_equal(bioxen_interrupt(play.manager, 6, &session, 77, BIOXEN_BY_TIMEOUT, 250, NULL), 0);
    assert_int_equal(bioxen_interrupt(play.manager, 6, NULL, 0, BIOXEN_BY_CLIENT, 0, NULL), 0);
    assert_int_equal(bioxen_interrupt(play.manager, 6, &session, 0, BIOXEN_BY_CLIENT, 0, &err), -EINVAL);
    assert_int_equal(bioxen_interrupt(play.manager, 6, NULL, 1, BIOXEN_BY_CLIENT, 0, &err), -EINVAL);
    assert_int_equal(bioxen_interrupt(play.manager, 6, NULL, 0, (enum bioxen_reason)3, 0, &err), -EINVAL);
    struct request *request = expect_request(play.daemon, CTL_KILL);
    assert_true(request->note.vm == 3 && request->note.number == SIGTERM);
    request = expect_request(play.daemon, CTL_STOP);
    assert_true(request->note.vm == 4 && request->note.number == 1500);
    struct ctl_interrupt body;
    request = expect_request(play.daemon, CTL_INTERRUPT);
    assert_int_equal(ctl_decode_interrupt(request->body, request->head.length, &body), 0);
    assert_true(body.vm == 6 && body.session == 5 && body.call == 77 && body.reason == CTL_BY_TIMEOUT &&
                body.grace_ms == 250);
    request = expect_request(play.daemon, CTL_INTERRUPT);
    assert_int_equal(ctl_decode_interrupt(request->body, request->head.length, &body), 0);
    assert_true(body.session == 0 && body.call == 0 && body.reason == CTL_BY_CLIENT);
    end(&play);
}

/* bioxend, in a thread: answers one request after `before` was said. */
struct answerer {
    int daemon;
    void (*answer)(int daemon);
};

static void *answer(void *given)
{
    struct answerer *answerer = given;
    answerer->answer(answerer->daemon);
    return NULL;
}

static pthread_t in_thread(struct answerer *answerer)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, answer, answerer), 0);
    return thread;
}

static void answer_create(int daemon)
{
    struct request *request = expect_request(daemon, CTL_CREATE);
    bx_close_all(request->fds, request->fd_count);
    struct ctl_output output = {5, 1};
    say(daemon, CTL_OUTPUT, 0, &output, sizeof output, -1);
    say_note(daemon, CTL_ERROR, request->head.id + 1000, note_of(0, ENOSPC, "another's"), -1);
    say_note(daemon, CTL_CREATED, request->head.id + 1001, note_of(44, 0, ""), -1);
    say_death(daemon, 6);
    say_note(daemon, CTL_CREATED, request->head.id, note_of(9, 0, ""), -1);
}

/* What is not the reply is kept, in order; another request's refusal is not this one's. */
static void test_waiting_keeps_the_rest(void **state)
{
    (void)state;
    struct play play = begin();
    struct bioxen_config config = config_of("w");
    struct bioxen_error err;
    struct answerer answerer = {play.daemon, answer_create};
    pthread_t thread = in_thread(&answerer);
    uint32_t vm;
    assert_int_equal(bioxen_create(play.manager, &config, &vm, &err), 0);
    pthread_join(thread, NULL);
    assert_int_equal(vm, 9);
    assert_int_equal(next(&play, BIOXEN_EVENT_OUTPUT).vm, 5);
    assert_int_equal(next(&play, BIOXEN_EVENT_REFUSED).error.code, ENOSPC);
    assert_int_equal(next(&play, BIOXEN_EVENT_CREATED).vm, 44);
    struct bioxen_event event = next(&play, BIOXEN_EVENT_DEATH);
    assert_true(event.vm == 6 && event.record.outcome == BIOXEN_OUTCOME_STOPPED);
    assert_int_equal(bioxen_next(play.manager, &event, 0, NULL), 0);
    end(&play);
}

static void answer_refused(int daemon)
{
    struct request *request = expect_request(daemon, CTL_ATTACH);
    say_note(daemon, CTL_ERROR, request->head.id, note_of(0, EAGAIN, "not now"), -1);
}

static void answer_fatal(int daemon)
{
    expect_request(daemon, CTL_STATS);
    say_note(daemon, CTL_ERROR, 0, note_of(0, EPERM, "no privileges to drop"), -1);
}

static void answer_end(int daemon)
{
    expect_request(daemon, CTL_ATTACH);
    shutdown(daemon, SHUT_RDWR);
}

static void test_waiting_in_vain(void **state)
{
    (void)state;
    struct play play = begin();
    struct bioxen_error err;
    bioxen_session *session;
    struct bioxen_stats stats;
    struct answerer answerer = {play.daemon, answer_refused};
    pthread_t thread = in_thread(&answerer);
    assert_int_equal(bioxen_attach(play.manager, 1, &session, &err), -EAGAIN);
    assert_string_equal(err.text, "not now");
    pthread_join(thread, NULL);
    answerer.answer = answer_fatal;
    thread = in_thread(&answerer);
    assert_int_equal(bioxen_stats(play.manager, 1, &stats, &err), -EPERM);
    pthread_join(thread, NULL);
    answerer.answer = answer_end;
    thread = in_thread(&answerer);
    assert_int_equal(bioxen_attach(play.manager, 1, &session, &err), -EPIPE);
    pthread_join(thread, NULL);
    assert_int_equal(bioxen_kill(play.manager, 1, 9, &err), -EPIPE); /* and no SIGPIPE */
    end(&play);
}

static void test_refused_configs_ask_nothing(void **state)
{
    (void)state;
    struct play play = begin();
    struct bioxen_error err;
    struct bioxen_config config = config_of("bad name");
    uint32_t id;
    assert_int_equal(bioxen_create_start(play.manager, &config, &id, &err), -EINVAL);
    config = config_of("good");
    config.module_dir = 9999;
    assert_int_equal(bioxen_create_start(play.manager, &config, &id, &err), -EBADF);
    struct pollfd ready = {play.daemon, POLLIN, 0};
    assert_int_equal(poll(&ready, 1, 0), 0);
    end(&play);
}

/* ---- what no orchestrator would say ---- */

static void refuse(uint32_t type, const void *body, size_t length, int with_fd)
{
    struct play play = begin();
    struct bioxen_event event;
    struct bioxen_error err;
    int fd = with_fd ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
    say(play.daemon, type, 3, body, length, fd);
    if (fd >= 0)
        close(fd);
    assert_int_equal(bioxen_next(play.manager, &event, patience(), &err), -EBADMSG);
    end(&play);
}

static void test_nonsense(void **state)
{
    (void)state;
    char note[CTL_NOTE_MAX];
    struct ctl_note zero = note_of(7, 0, ""), one = note_of(7, 1, "");
    size_t length = ctl_encode_note(CTL_ATTACHED, 1, &zero, note) - sizeof(struct ctl_head);
    refuse(CTL_ATTACHED, note + sizeof(struct ctl_head), length, 1); /* session 0 */
    length = ctl_encode_note(CTL_ATTACHED, 1, &one, note) - sizeof(struct ctl_head);
    refuse(CTL_ATTACHED, note + sizeof(struct ctl_head), length, 0); /* no descriptor */
    refuse(CTL_CREATED, note + sizeof(struct ctl_head), length, 1);  /* one too many */
    refuse(CTL_ATTACHED, "\xc0", 1, 1);
    refuse(CTL_CREATED, "\xc0", 1, 0);
    refuse(CTL_STATISTICS, note, sizeof(struct ctl_statistics) - 1, 0);
    refuse(CTL_NEED, "", 0, 0);
    refuse(CTL_DEATH, "\x80", 1, 0);
    refuse(CTL_OUTPUT, "\0\0\0\0\0\0\0", 7, 0);
    refuse(CTL_CREATE, "", 0, 0);
    refuse(4711, "", 0, 0);
}

/* ---- modules ---- */

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void expect_module(int daemon, uint32_t vm, const char *chunk, const char *text)
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

static void test_needs(void **state)
{
    (void)state;
    struct play play = begin();
    struct bioxen_config config = config_of("m");
    struct bioxen_event event;
    uint32_t first, second;
    put("m.lua", "return 'm'");
    config.module_dir = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    config.module_dir_name = "lib";
    assert_int_equal(bioxen_create_start(play.manager, &config, &first, NULL), 0);
    close(config.module_dir);
    config.module_dir = -1;
    assert_int_equal(bioxen_create_start(play.manager, &config, &second, NULL), 0);
    for (int i = 0; i < 2; i++) {
        struct request *request = expect_request(play.daemon, CTL_CREATE);
        bx_close_all(request->fds, request->fd_count);
    }
    say_note(play.daemon, CTL_CREATED, second, note_of(2, 0, ""), -1);
    say_note(play.daemon, CTL_NEED, 0, note_of(2, 0, "m"), -1);
    say_note(play.daemon, CTL_CREATED, first, note_of(1, 0, ""), -1);
    say_note(play.daemon, CTL_NEED, 0, note_of(1, 0, "m"), -1);
    say_note(play.daemon, CTL_NEED, 0, note_of(1, 0, "../m"), -1);
    next(&play, BIOXEN_EVENT_CREATED);
    event = next(&play, BIOXEN_EVENT_NEED); /* no directory: the user's business */
    assert_true(event.vm == 2 && event.bytes.length == 1);
    next(&play, BIOXEN_EVENT_CREATED);
    uint64_t before = bx_now_us();
    assert_int_equal(bioxen_next(play.manager, &event, 40, NULL), 0); /* what the library answers is no event */
    assert_true(bx_now_us() - before >= 39000);
    expect_module(play.daemon, 1, "@lib/m.lua", "return 'm'");
    struct request *request = expect_request(play.daemon, CTL_NO_MODULE);
    assert_non_null(memmem(request->note.text, request->note.length, "the name must be", 16));
    say_death(play.daemon, 1);
    say_note(play.daemon, CTL_NEED, 0, note_of(1, 0, "m"), -1); /* another VM with its number */
    next(&play, BIOXEN_EVENT_DEATH);
    assert_int_equal(next(&play, BIOXEN_EVENT_NEED).vm, 1);
    end(&play);
}

/* ---- threads and forks ---- */

enum { THREADS = 8, EACH = 200 };

static void *ask_often(void *manager)
{
    struct bioxen_config config = config_of("t");
    config.module_dir = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < EACH; i++) {
        uint32_t id;
        assert_int_equal(bioxen_create_start(manager, &config, &id, NULL), 0);
        assert_int_equal(bioxen_kill(manager, id, 9, NULL), 0);
    }
    close(config.module_dir);
    return NULL;
}

static void serve_many(int daemon)
{
    uint32_t vm = 0;
    for (int i = 0; i < 2 * THREADS * EACH; i++) {
        struct request *request = hear(daemon);
        bx_close_all(request->fds, request->fd_count);
        if (request->head.type == CTL_CREATE) {
            say_note(daemon, CTL_CREATED, request->head.id, note_of(++vm, 0, ""), -1);
            say_death(daemon, vm);
        }
    }
}

static void test_threads(void **state)
{
    (void)state;
    struct play play = begin();
    struct answerer answerer = {play.daemon, serve_many};
    pthread_t daemon = in_thread(&answerer), threads[THREADS];
    static char seen[THREADS * EACH * 2 + 2];
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, play.manager), 0);
    for (int i = 0; i < THREADS * EACH; i++) {
        struct bioxen_event event = next(&play, BIOXEN_EVENT_CREATED);
        assert_true(event.request < sizeof seen && !seen[event.request]);
        seen[event.request] = 1;
        assert_int_equal(next(&play, BIOXEN_EVENT_DEATH).vm, event.vm);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_join(daemon, NULL);
    end(&play);
}

/* A child has copies of the socket: forgetting them ends nothing, and keeping them keeps nothing alive. */
static void test_fork(void **state)
{
    (void)state;
    for (int way = 0; way < 3; way++) {
        struct play play = begin();
        struct pollfd over = {play.daemon, POLLIN, 0};
        int hold[2];
        assert_int_equal(pipe(hold), 0);
        pid_t child = fork();
        if (child == 0) {
            char byte;
            close(hold[1]);
            if (way == 0)
                bioxen_forget(play.manager);
            else if (way == 1)
                bioxen_close(play.manager);
            _exit(way < 2 ? 0 : (int)read(hold[0], &byte, 1));
        }
        close(hold[0]);
        int status;
        if (way < 2) {
            assert_int_equal(waitpid(child, &status, 0), child);
            assert_int_equal(status, 0);
            assert_int_equal(poll(&over, 1, 0), 0);
        }
        assert_int_equal(bioxen_kill(play.manager, 1, 9, NULL), 0);
        expect_request(play.daemon, CTL_KILL);
        bioxen_close(play.manager);
        assert_int_equal(poll(&over, 1, patience()), 1);
        char byte;
        assert_int_equal(recv(play.daemon, &byte, 1, 0), 0);
        close(hold[1]);
        if (way == 2)
            assert_int_equal(waitpid(child, &status, 0), child);
        close(play.daemon);
    }
}

/* ---- execute ---- */

struct vm_play {
    struct play play;
    bioxen_session *session;
    int vm;
};

static struct vm_play begin_vm(void)
{
    int pair[2];
    struct vm_play all = {.play = begin()};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    all.session = session_new(pair[0], 7, 12);
    all.vm = pair[1];
    return all;
}

static void end_vm(struct vm_play *all)
{
    bioxen_detach(all->session);
    close(all->vm);
    end(&all->play);
}

static void vm_say(int vm, uint8_t type, uint8_t kind, uint64_t call, const void *body, uint32_t length)
{
    struct sw_head head = {.length = length, .type = type, .kind = kind, .call = call};
    assert_int_equal(send(vm, &head, sizeof head, MSG_NOSIGNAL), sizeof head);
    assert_int_equal(send(vm, body, length, MSG_NOSIGNAL), length);
}

static void count_output(int stream, struct bioxen_string bytes, void *context)
{
    size_t *seen = context;
    seen[stream] += bytes.length;
}

static const struct bioxen_string code = {"return 1", 8}, nothing = {NULL, 0};

static void test_execute(void **state)
{
    (void)state;
    struct vm_play all = begin_vm();
    struct bioxen_reply reply;
    size_t seen[3] = {0};
    struct ctl_output output = {5, 1};
    say(all.play.daemon, CTL_OUTPUT, 0, &output, sizeof output, -1);
    for (uint64_t call = 1; call <= 3; call++) {
        vm_say(all.vm, SW_OUTPUT, 1, call, "abc", 3);
        vm_say(all.vm, SW_OUTPUT, 2, call, "x", 1);
        vm_say(all.vm, SW_RESULT, 0, call, "\x91\x2a", 2);
        assert_int_equal(
            bioxen_execute(all.play.manager, all.session, code, nothing, 0, &reply, count_output, seen, NULL), 0);
        assert_true(reply.type == BIOXEN_REPLY_RESULT && reply.call == call && reply.bytes.length == 2);
        assert_true(seen[1] == 3 * call && seen[2] == call);
    }
    assert_int_equal(next(&all.play, BIOXEN_EVENT_OUTPUT).vm, 5); /* kept, not lost */
    uint64_t call;
    bioxen_session_send(all.session, BIOXEN_EXECUTE, code, nothing, 0, &call, NULL);
    assert_int_equal(
        bioxen_execute(all.play.manager, all.session, code, nothing, 0, &reply, NULL, NULL, NULL), -EBUSY);
    end_vm(&all);
}

static struct vm_play *in_execution;

/* The VM needs a module, goes beyond its time, and answers when it is interrupted. */
static void slow_vm(int daemon)
{
    struct ctl_interrupt body;
    say_note(daemon, CTL_CREATED, 1, note_of(7, 0, ""), -1);
    say_note(daemon, CTL_NEED, 0, note_of(7, 0, "m"), -1);
    expect_module(daemon, 7, "@./m.lua", "return 'm'");
    struct request *request = expect_request(daemon, CTL_INTERRUPT);
    assert_int_equal(ctl_decode_interrupt(request->body, request->head.length, &body), 0);
    assert_true(body.vm == 7 && body.session == 12 && body.call == 1 && body.reason == CTL_BY_TIMEOUT);
    vm_say(in_execution->vm, SW_ERROR, SW_TIMEOUT, 1, "\0\0\0\0\0\0\0\0\x91\xc0", 10);
}

static void test_execute_in_time(void **state)
{
    (void)state;
    struct vm_play all = begin_vm();
    struct bioxen_config config = config_of("m");
    struct bioxen_reply reply;
    struct bioxen_error err;
    struct answerer answerer = {all.play.daemon, slow_vm};
    uint32_t id;
    put("m.lua", "return 'm'");
    config.module_dir = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(bioxen_create_start(all.play.manager, &config, &id, NULL), 0);
    close(config.module_dir);
    struct request *request = expect_request(all.play.daemon, CTL_CREATE);
    bx_close_all(request->fds, request->fd_count);
    assert_int_equal(id, 1);
    in_execution = &all;
    pthread_t thread = in_thread(&answerer);
    uint64_t before = bx_now_us();
    assert_int_equal(bioxen_execute(all.play.manager, all.session, code, nothing, 60, &reply, NULL, NULL, &err), 0);
    assert_true(reply.type == BIOXEN_REPLY_ERROR && reply.failure == BIOXEN_FAILED_TIMEOUT);
    assert_true(bx_now_us() - before >= 59000);
    pthread_join(thread, NULL);
    struct sw_head head;
    assert_int_equal(recv(all.vm, &head, sizeof head, 0), sizeof head);
    assert_true(head.deadline_us >= before + 60000); /* the VM knows it too */
    next(&all.play, BIOXEN_EVENT_CREATED);
    end_vm(&all);
}

static void test_execute_without_a_vm(void **state)
{
    (void)state;
    struct vm_play all = begin_vm();
    struct bioxen_reply reply;
    struct bioxen_error err;
    shutdown(all.vm, SHUT_RDWR);
    assert_int_equal(
        bioxen_execute(all.play.manager, all.session, code, nothing, 0, &reply, NULL, NULL, &err), -EPIPE);
    end_vm(&all);
    all = begin_vm();
    shutdown(all.play.daemon, SHUT_RDWR); /* with bioxend everything has ended */
    assert_int_equal(
        bioxen_execute(all.play.manager, all.session, code, nothing, 0, &reply, NULL, NULL, &err), -EPIPE);
    end_vm(&all);
}

/* ---- descriptors ---- */

static int next_fd(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(fd);
    return fd;
}

static int count_before(void **state)
{
    *state = (void *)(intptr_t)next_fd();
    return 0;
}

static int nothing_is_left_open(void **state)
{
    return next_fd() == (int)(intptr_t)*state ? 0 : -1;
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(place) != NULL ? chdir(place) : -1;
}

static int tear_down(void **state)
{
    (void)state;
    unlink("m.lua");
    return rmdir(place);
}

int main(void)
{
#define PLAYED(test) cmocka_unit_test_setup_teardown(test, count_before, nothing_is_left_open)
    const struct CMUnitTest tests[] = {
        PLAYED(test_answers_in_any_order),
        PLAYED(test_requests_without_an_answer),
        PLAYED(test_waiting_keeps_the_rest),
        PLAYED(test_waiting_in_vain),
        PLAYED(test_refused_configs_ask_nothing),
        PLAYED(test_nonsense),
        PLAYED(test_needs),
        PLAYED(test_threads),
        PLAYED(test_fork),
        PLAYED(test_execute),
        PLAYED(test_execute_in_time),
        PLAYED(test_execute_without_a_vm),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
