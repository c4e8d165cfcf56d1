/*
 * test_daemon_strangers.c - bioxend and those that it talks to: a VM that lies, a client that breaks the protocol or
 * does not read, a jailer that has much to say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stage.h"

/* ---- lies ---- */

static void lie(struct lw_frame frame)
{
    struct stage stage;
    stage_begin(&stage);
    struct actor actor = stage_vm(&stage, 1), other = stage_vm(&stage, 1);
    int client, vm;
    vm_say(&actor, frame);
    expect_broken(&stage, &actor);
    attach(&stage, &other, &client, &vm); /* its neighbour's sessions are none of its business */
    close(client);
    close(vm);
    vm_close(&other);
    stage_end(&stage);
}

static void test_lies(void **state)
{
    (void)state;
    lie((struct lw_frame){.type = LW_CLOSED, .a = 0});
    lie((struct lw_frame){.type = LW_CLOSED, .a = 1});
    lie((struct lw_frame){.type = LW_CLOSED, .a = UINT64_MAX});
    lie((struct lw_frame){.type = LW_UNWOUND, .a = 0, .b = 0});
    lie((struct lw_frame){.type = LW_UNWOUND, .a = UINT64_MAX, .b = -1});
    lie((struct lw_frame){.type = LW_SESSION, .a = 1});
    lie((struct lw_frame){.type = LW_INTERRUPT});
    lie((struct lw_frame){.type = LW_STOP});
    lie((struct lw_frame){.type = LW_SPEC});
    lie((struct lw_frame){.type = LW_DONE, .a = LW_MEMORY + 1});
}

/* ---- a client that breaks the protocol, or does not read ---- */

static void cut_off_by(uint32_t type, const void *body, size_t length, int fd)
{
    struct stage stage;
    stage_begin(&stage);
    struct actor actor = stage_vm(&stage, 1);
    client_say(&stage, type, body, length, fd);
    char byte;
    assert_true(arrives(stage.control, patience()));
    assert_int_equal(recv(stage.control, &byte, 1, 0), 0);
    vm_close(&actor);
    stage_end(&stage);
}

static void test_bad_requests(void **state)
{
    (void)state;
    struct ctl_interrupt good = {1, 1, 1, CTL_BY_CLIENT, 1}, bad;
    cut_off_by(CTL_INTERRUPT, &good, sizeof good - 1, -1);
    cut_off_by(CTL_INTERRUPT, &good, sizeof good, 0);
    bad = good, bad.reason = 0;
    cut_off_by(CTL_INTERRUPT, &bad, sizeof bad, -1);
    bad = good, bad.reason = 3;
    cut_off_by(CTL_INTERRUPT, &bad, sizeof bad, -1);
    bad = good, bad.session = 0;
    cut_off_by(CTL_INTERRUPT, &bad, sizeof bad, -1);
    bad = good, bad.call = 0;
    cut_off_by(CTL_INTERRUPT, &bad, sizeof bad, -1);
    cut_off_by(CTL_ATTACH, "", 0, -1);
    cut_off_by(CTL_STOP, "\xc0", 1, -1);
    cut_off_by(CTL_STATS, "\x80", 1, -1);
    cut_off_by(CTL_ATTACHED, "\x80", 1, -1);
}

/* Descriptors that cannot be delivered yet wait with their messages, and none is lost or left. */
static void test_a_client_that_does_not_read(void **state)
{
    (void)state;
    struct stage stage;
    stage_begin(&stage);
    struct actor actor = stage_vm(&stage, 1);
    static char text[16384];
    size_t printed = 0;
    int small = 40000, pipe_flags = fcntl(actor.out, F_GETFL);
    setsockopt(manager_client(&stage.manager, CLIENT_OWNER)->source.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    assert_int_equal(fcntl(actor.out, F_SETFL, pipe_flags | O_NONBLOCK), 0);
    struct pollfd full = {actor.out, POLLOUT, 0};
    while (poll(&full, 1, 100) == 1) { /* until bioxend takes no more of it */
        ssize_t put = write(actor.out, text, sizeof text);
        printed += put > 0 ? (size_t)put : 0;
    }
    uint32_t first = stage.last_id + 1;
    for (unsigned i = 0; i < BX_SESSIONS_MAX; i++)
        client_note(&stage, CTL_ATTACH, actor.vm, 0);
    for (unsigned i = 0; i < BX_SESSIONS_MAX; i++) { /* bioxend has served all of them */
        struct lw_frame frame;
        close(vm_hear(&actor, &frame, frame_bytes));
    }
    char byte;
    for (uint32_t id = first; id < first + BX_SESSIONS_MAX;) {
        struct message *message = client_hear(&stage);
        if (message->head.type == CTL_OUTPUT) {
            printed -= message->head.length - sizeof(struct ctl_output);
            continue;
        }
        assert_int_equal(message->head.type, CTL_ATTACHED);
        assert_int_equal(message->head.id, id++);
        assert_true(arrives(message->fd, patience()));
        assert_int_equal(read(message->fd, &byte, 1), 0); /* the VM has closed its end */
        close(message->fd);
    }
    while (printed > 0)
        printed -= client_expect(&stage, CTL_OUTPUT, 0)->head.length - sizeof(struct ctl_output);
    vm_close(&actor);
    stage_end(&stage);
}

/* ---- the link ---- */

/* Both sides of the link have much to say: neither waits for the other for ever, and nothing is lost. */
static void test_a_full_link(void **state)
{
    (void)state;
    enum { VMS = 100, REPLIES = 3000 };
    struct stage stage;
    stage_begin(&stage);
    struct actor first = stage_vm(&stage, 1);
    struct vm_spec spec = {.name = "many", .memory = BX_DEFAULT_MEMORY, .cpus_milli = 1000, .pids = 16};
    int program = memfd_create("program", MFD_CLOEXEC);
    for (int i = 0; i < VMS; i++) {
        msgpack_sbuffer body;
        msgpack_packer packer;
        msgpack_sbuffer_init(&body);
        msgpack_packer_init(&packer, &body, msgpack_sbuffer_write);
        vm_spec_pack(&packer, &spec);
        client_say(&stage, CTL_CREATE, body.data, body.size, program);
        msgpack_sbuffer_destroy(&body);
    }
    close(program);
    uint32_t stats = client_note(&stage, CTL_STATS, first.vm, 0);
    struct jw_reply nobody = {.magic = JW_MAGIC, .type = JW_STATISTICS, .vm = 4000000000u};
    struct iovec part = {&nobody, sizeof nobody};
    for (int i = 0; i < REPLIES; i++) {
        struct pollfd room = {stage.link, POLLOUT, 0};
        assert_int_equal(poll(&room, 1, patience()), 1);
        assert_int_equal(bx_send(stage.link, &part, 1, NULL, 0), 0);
    }
    jailer_death(&stage, first.vm, CLD_KILLED, SIGSEGV); /* kept, and heard of when there is room again */
    int fds[3];
    for (int i = 0; i < VMS; i++) {
        assert_int_equal(jailer_hear(&stage, fds).type, JW_SPAWN);
        bx_close_all(fds, 3);
    }
    vm_close(&first);
    struct message *message = client_hear(&stage);
    if (message->head.type == CTL_ERROR) { /* whether the question came before the death is open */
        assert_int_equal(message->head.id, stats);
        message = client_hear(&stage);
    }
    assert_int_equal(message->head.type, CTL_DEATH);
    stage_end(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGED(test_lies),
        STAGED(test_bad_requests),
        STAGED(test_a_client_that_does_not_read),
        STAGED(test_a_full_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
