/*
 * test_client_manager.c - libbioxen against an orchestrator that this test plays: requests, replies in any order, needs
 * that the library answers by itself, and what no orchestrator would say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "play.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAYED(test_answers_in_any_order),
        PLAYED(test_requests_without_an_answer),
        PLAYED(test_waiting_keeps_the_rest),
        PLAYED(test_waiting_in_vain),
        PLAYED(test_refused_configs_ask_nothing),
        PLAYED(test_nonsense),
        PLAYED(test_needs),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
