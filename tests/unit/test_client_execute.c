/* test_client_execute.c - libbioxen from many threads, across forks, and in one call that waits for all of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "play.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAYED(test_threads),
        PLAYED(test_fork),
        PLAYED(test_execute),
        PLAYED(test_execute_in_time),
        PLAYED(test_execute_without_a_vm),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
