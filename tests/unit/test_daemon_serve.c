/*
 * test_daemon_serve.c - bioxend and a VM that serves: sessions, interrupts, an end by request, figures. The VM of these
 * tests does not answer, or does not listen, where an honest one would.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stage.h"

#include "common/clock.h"

static void test_mode_is_told(void **state)
{
    (void)state;
    struct stage stage;
    stage_begin(&stage);
    struct actor once = stage_vm(&stage, 0), serving = stage_vm(&stage, 1);
    assert_int_equal(once.spec.b, LW_RUN_ONCE);
    assert_int_equal(serving.spec.b, LW_SERVE);
    vm_close(&once);
    vm_close(&serving);
    stage_end(&stage);
}

/* What a VM says before it is known to run is heard after that is told. */
static void test_created_comes_first(void **state)
{
    (void)state;
    struct stage stage;
    struct actor actor;
    stage_begin(&stage);
    uint32_t id = stage_ask_vm(&stage, 1, &actor);
    assert_int_equal(write(actor.out, "early", 5), 5);
    expect_alive(&stage);
    jailer_spawned(&stage, actor.vm);
    client_expect(&stage, CTL_CREATED, id);
    struct message *message = client_expect(&stage, CTL_OUTPUT, 0);
    assert_memory_equal(message->body + sizeof(struct ctl_output), "early", 5);
    vm_close(&actor);
    stage_end(&stage);
}

static void test_attach(void **state)
{
    (void)state;
    struct stage stage;
    stage_begin(&stage);
    struct actor actor = stage_vm(&stage, 1);
    int client[2], vm[2];
    char byte;
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(attach(&stage, &actor, &client[i], &vm[i]), i + 1);
        int type;
        socklen_t size = sizeof type;
        assert_int_equal(getsockopt(vm[i], SOL_SOCKET, SO_TYPE, &type, &size), 0);
        assert_int_equal(type, SOCK_STREAM);
        assert_true((fcntl(vm[i], F_GETFL) & O_NONBLOCK) != 0 && (fcntl(client[i], F_GETFL) & O_NONBLOCK) != 0);
    }
    assert_int_equal(write(client[0], "0", 1), 1);
    assert_int_equal(write(vm[1], "1", 1), 1);
    assert_true(read(vm[0], &byte, 1) == 1 && byte == '0');
    assert_true(read(client[1], &byte, 1) == 1 && byte == '1');
    close(vm[0]); /* bioxend holds no end: this is the end of file */
    assert_true(arrives(client[0], patience()));
    assert_int_equal(read(client[0], &byte, 1), 0);
    close(client[1]);
    assert_true(arrives(vm[1], patience()));
    assert_int_equal(read(vm[1], &byte, 1), 0);
    close(client[0]);
    close(vm[1]);
    vm_close(&actor);
    stage_end(&stage);
}

static void test_attach_is_refused(void **state)
{
    (void)state;
    struct stage stage;
    stage_begin(&stage);
    struct actor once = stage_vm(&stage, 0), actor = stage_vm(&stage, 1);
    client_refused(&stage, client_note(&stage, CTL_ATTACH, 99, 0), ESRCH);
    client_refused(&stage, client_note(&stage, CTL_ATTACH, once.vm, 0), EINVAL);
    client_note(&stage, CTL_STOP, actor.vm, 60000);
    struct lw_frame frame;
    assert_int_equal(vm_hear(&actor, &frame, frame_bytes), -1);
    assert_int_equal(frame.type, LW_STOP);
    client_refused(&stage, client_note(&stage, CTL_ATTACH, actor.vm, 0), ESRCH);
    vm_close(&once);
    vm_close(&actor);
    stage_end(&stage);
}

static void test_as_many_sessions_as_there_may_be(void **state)
{
    (void)state;
    struct stage stage;
    stage_begin(&stage);
    struct actor actor = stage_vm(&stage, 1);
    int client, vm;
    for (uint32_t i = 1; i <= BX_SESSIONS_MAX; i++) {
        assert_int_equal(attach(&stage, &actor, &client, &vm), i);
        close(client);
        close(vm);
    }
    client_refused(&stage, client_note(&stage, CTL_ATTACH, actor.vm, 0), EUSERS);
    vm_say(&actor, (struct lw_frame){.type = LW_CLOSED, .a = 17});
    vm_say(&actor, (struct lw_frame){.type = LW_CLOSED, .a = 1});
    uint32_t id; /* the word of the VM and the request come by different ways */
    for (int i = 0;; i++) {
        id = client_note(&stage, CTL_ATTACH, actor.vm, 0);
        struct message *message = client_hear(&stage);
        assert_int_equal(message->head.id, id);
        if (message->head.type == CTL_ATTACHED) {
            close(message->fd);
            break;
        }
        assert_true(i < 1000);
    }
    struct lw_frame frame;
    close(vm_hear(&actor, &frame, frame_bytes));
    assert_int_equal(frame.a, BX_SESSIONS_MAX + 1); /* a number is not given twice */
    vm_say(&actor, (struct lw_frame){.type = LW_CLOSED, .a = 17});
    expect_broken(&stage, &actor);
    stage_end(&stage);
}

/* ---- interrupts ---- */

/* A VM that has booted, and that bioxend knows of it: its word comes by another way than the client's. */
static struct actor ready_vm(struct stage *stage)
{
    struct actor actor = stage_vm(stage, 1);
    vm_say(&actor, (struct lw_frame){.type = LW_READY});
    expect_alive(stage);
    return actor;
}

static void hear_interrupt(const struct actor *actor, uint64_t session, int64_t call, const char *why)
{
    struct lw_frame frame;
    assert_int_equal(vm_hear(actor, &frame, frame_bytes), -1);
    assert_int_equal(frame.type, LW_INTERRUPT);
    assert_int_equal(frame.a, session);
    assert_int_equal(frame.b, call);
    assert_int_equal(frame.length1, strlen(why));
    assert_memory_equal(frame.text1, why, frame.length1);
}

static void test_interrupt_in_time(void **state)
{
    (void)state;
    struct stage stage;
    stage_begin(&stage);
    struct actor actor = ready_vm(&stage);
    client_interrupt(&stage, actor.vm, 3, 77, CTL_BY_TIMEOUT, 50);
    client_interrupt(&stage, actor.vm, 3, 77, CTL_BY_TIMEOUT, 60000); /* the same: asked once */
    client_interrupt(&stage, actor.vm, 0, 0, CTL_BY_CLIENT, 50);
    hear_interrupt(&actor, 3, 77, "timeout");
    hear_interrupt(&actor, 0, 0, "interrupted");
    vm_say(&actor, (struct lw_frame){.type = LW_UNWOUND, .a = 0, .b = 0});
    vm_say(&actor, (struct lw_frame){.type = LW_UNWOUND, .a = 3, .b = 77});
    assert_false(arrives(stage.link, 120)); /* beyond both graces */
    assert_false(arrives(actor.lifeline, 0));
    client_interrupt(&stage, actor.vm, 3, 77, CTL_BY_CLIENT, 60000); /* again, after it was answered */
    hear_interrupt(&actor, 3, 77, "interrupted");
    vm_say(&actor, (struct lw_frame){.type = LW_UNWOUND, .a = 3, .b = 78}); /* another call's */
    expect_broken(&stage, &actor);
    stage_end(&stage);
}

static void overdue(uint32_t session, uint64_t call, uint32_t reason, uint32_t outcome, uint32_t exit_code)
{
    struct stage stage;
    stage_begin(&stage);
    struct actor actor = ready_vm(&stage);
    client_interrupt(&stage, actor.vm, 9, 9, CTL_BY_CLIENT, 60000);
    uint64_t before = bx_now_us();
    client_interrupt(&stage, actor.vm, session, call, reason, 40);
    jailer_expect(&stage, JW_KILL, actor.vm);
    assert_true(bx_now_us() - before >= 39000);
    jailer_death(&stage, actor.vm, CLD_KILLED, SIGKILL);
    vm_close(&actor);
    client_death(&stage, actor.vm, outcome, exit_code);
    stage_end(&stage);
}

static void test_interrupt_overdue(void **state)
{
    (void)state;
    overdue(1, 1, CTL_BY_TIMEOUT, RECORD_TIMEOUT, 124);
    overdue(1, 1, CTL_BY_CLIENT, RECORD_KILLED, 137);
    overdue(0, 0, CTL_BY_TIMEOUT, RECORD_TIMEOUT, 124);
    overdue(9, 9, CTL_BY_TIMEOUT, RECORD_TIMEOUT, 124); /* less patience for what was asked before */
}

/* It reads nothing at all. bioxend serves everybody else meanwhile, and ends it when the first grace is over. */
static void test_a_vm_that_does_not_listen(void **state)
{
    (void)state;
    struct stage stage;
    stage_begin(&stage);
    struct actor deaf = ready_vm(&stage), other = stage_vm(&stage, 1);
    for (uint64_t call = 1; call <= 3000; call++)
        client_interrupt(&stage, deaf.vm, 1, call, CTL_BY_TIMEOUT, 300);
    client_note(&stage, CTL_STOP, deaf.vm, 60000);
    expect_alive(&stage);
    int client, vm;
    attach(&stage, &other, &client, &vm);
    close(client);
    close(vm);
    jailer_expect(&stage, JW_KILL, deaf.vm);
    jailer_death(&stage, deaf.vm, CLD_KILLED, SIGKILL);
    vm_close(&deaf);
    client_death(&stage, deaf.vm, RECORD_TIMEOUT, 124);
    vm_close(&other);
    stage_end(&stage);
}

static void test_nobody_to_interrupt(void **state)
{
    (void)state;
    struct stage stage;
    stage_begin(&stage);
    client_interrupt(&stage, 99, 1, 1, CTL_BY_TIMEOUT, 0);
    client_note(&stage, CTL_STOP, 99, 0);
    expect_alive(&stage);
    stage_end(&stage);
}

/* No time is taken from a VM that cannot hear yet; but it is told, and its time begins when it is ready. */
static void test_graces_begin_when_it_is_ready(void **state)
{
    (void)state;
    struct stage stage;
    stage_begin(&stage);
    struct actor actor = stage_vm(&stage, 1), other = stage_vm(&stage, 1);
    client_interrupt(&stage, actor.vm, 3, 77, CTL_BY_TIMEOUT, 50);
    client_note(&stage, CTL_STOP, other.vm, 50);
    hear_interrupt(&actor, 3, 77, "timeout");
    assert_false(arrives(stage.link, 200)); /* beyond both graces */
    uint64_t before = bx_now_us();
    vm_say(&actor, (struct lw_frame){.type = LW_READY});
    jailer_expect(&stage, JW_KILL, actor.vm);
    assert_true(bx_now_us() - before >= 49000);
    before = bx_now_us();
    vm_say(&other, (struct lw_frame){.type = LW_READY});
    jailer_expect(&stage, JW_KILL, other.vm);
    assert_true(bx_now_us() - before >= 49000);
    vm_close(&actor);
    vm_close(&other);
    stage_end(&stage);
}

/* ---- the end by request ---- */

static struct actor stopping(struct stage *stage, uint32_t grace_ms)
{
    struct actor actor = ready_vm(stage);
    struct lw_frame frame;
    client_note(stage, CTL_STOP, actor.vm, grace_ms);
    assert_int_equal(vm_hear(&actor, &frame, frame_bytes), -1);
    assert_int_equal(frame.type, LW_STOP);
    return actor;
}

static void ends_by_itself(uint64_t words, int status, uint32_t outcome, uint32_t exit_code)
{
    struct stage stage;
    stage_begin(&stage);
    struct actor actor = stopping(&stage, 60000);
    vm_say(&actor, (struct lw_frame){.type = LW_DONE, .a = words, .b = status});
    vm_close(&actor);
    jailer_death(&stage, actor.vm, CLD_EXITED, status);
    client_death(&stage, actor.vm, outcome, exit_code);
    stage_end(&stage);
}

static void test_stop(void **state)
{
    (void)state;
    ends_by_itself(LW_OK, 0, RECORD_STOPPED, 0);
    ends_by_itself(LW_EXIT, 3, RECORD_EXIT, 3); /* os.exit of what ran at that moment */
    ends_by_itself(LW_ERROR, 1, RECORD_ERROR, 1);
}

static void test_stop_overdue(void **state)
{
    (void)state;
    struct stage stage;
    stage_begin(&stage);
    struct actor actor = stopping(&stage, 60000);
    client_note(&stage, CTL_STOP, actor.vm, 40); /* who asks again may be less patient */
    jailer_expect(&stage, JW_KILL, actor.vm);
    client_note(&stage, CTL_STOP, actor.vm, 0);
    jailer_death(&stage, actor.vm, CLD_KILLED, SIGKILL);
    vm_close(&actor);
    client_death(&stage, actor.vm, RECORD_STOPPED, 137);
    assert_false(arrives(stage.link, 0));
    stage_end(&stage);
}

static void test_stop_of_a_script_that_runs_once(void **state)
{
    (void)state;
    struct stage stage;
    stage_begin(&stage);
    struct actor actor = stage_vm(&stage, 0);
    client_note(&stage, CTL_STOP, actor.vm, 60000);
    jailer_expect(&stage, JW_KILL, actor.vm);
    jailer_death(&stage, actor.vm, CLD_KILLED, SIGKILL);
    vm_close(&actor);
    client_death(&stage, actor.vm, RECORD_STOPPED, 137);
    stage_end(&stage);
}

/* Asked for before the jailer has answered: the word waits in the lifeline. */
static void test_stop_at_birth(void **state)
{
    (void)state;
    struct stage stage;
    struct actor actor;
    struct lw_frame frame;
    stage_begin(&stage);
    uint32_t id = stage_ask_vm(&stage, 1, &actor);
    client_note(&stage, CTL_STOP, actor.vm, 60000);
    vm_hear(&actor, &frame, frame_bytes);
    assert_int_equal(frame.type, LW_STOP);
    jailer_spawned(&stage, actor.vm);
    client_expect(&stage, CTL_CREATED, id);
    client_refused(&stage, client_note(&stage, CTL_ATTACH, actor.vm, 0), ESRCH);
    vm_close(&actor);
    jailer_death(&stage, actor.vm, CLD_EXITED, 0);
    struct message *message = client_expect(&stage, CTL_DEATH, 0);
    assert_int_equal(message->fd, -1);
    stage_end(&stage);
}

/* ---- figures ---- */

static struct ctl_statistics figures(struct stage *stage, uint32_t id)
{
    struct ctl_statistics body;
    struct message *message = client_expect(stage, CTL_STATISTICS, id);
    assert_int_equal(ctl_decode_statistics(message->body, message->head.length, &body), 0);
    return body;
}

static void test_stats(void **state)
{
    (void)state;
    struct stage stage;
    stage_begin(&stage);
    struct actor actor = stage_vm(&stage, 1);
    int client, vm;
    attach(&stage, &actor, &client, &vm);
    uint32_t first = client_note(&stage, CTL_STATS, actor.vm, 0);
    uint32_t second = client_note(&stage, CTL_STATS, actor.vm, 0);
    jailer_expect(&stage, JW_STATS, actor.vm); /* once for both */
    struct jw_reply reply = {.type = JW_STATISTICS, .vm = actor.vm, .u.statistics = {11, 22, 33}};
    jailer_say(&stage, reply);
    struct ctl_statistics body = figures(&stage, first);
    assert_true(body.vm == actor.vm && body.sessions == 1 && body.cpu_us == 11 && body.memory == 22 &&
                body.memory_peak == 33 && body.uptime_us > 0);
    body = figures(&stage, second);
    assert_false(arrives(stage.link, 0));
    jailer_say(&stage, reply); /* an answer to nothing */
    expect_alive(&stage);
    close(client);
    close(vm);
    vm_close(&actor);
    stage_end(&stage);
}

/* Whoever asks has before the figures what was printed before. */
static void test_output_before_stats(void **state)
{
    (void)state;
    struct stage stage;
    static char text[60000];
    stage_begin(&stage);
    struct actor actor = stage_vm(&stage, 1);
    for (int round = 0; round < 20; round++) {
        size_t seen = 0;
        uint32_t id = client_note(&stage, CTL_STATS, actor.vm, 0);
        jailer_expect(&stage, JW_STATS, actor.vm);
        assert_int_equal(write(actor.out, text, sizeof text), sizeof text);
        assert_int_equal(write(actor.err, text, 5), 5);
        jailer_say(&stage, (struct jw_reply){.type = JW_STATISTICS, .vm = actor.vm});
        struct message *message;
        while ((message = client_hear(&stage))->head.type == CTL_OUTPUT)
            seen += message->head.length - sizeof(struct ctl_output);
        assert_int_equal(message->head.type, CTL_STATISTICS);
        assert_int_equal(message->head.id, id);
        assert_int_equal(seen, sizeof text + 5);
    }
    vm_close(&actor);
    stage_end(&stage);
}

static void test_stats_of_the_dead(void **state)
{
    (void)state;
    struct stage stage;
    stage_begin(&stage);
    struct actor actor = stage_vm(&stage, 1);
    uint32_t first = client_note(&stage, CTL_STATS, actor.vm, 0);
    for (unsigned i = 1; i < 32; i++)
        client_note(&stage, CTL_STATS, actor.vm, 0);
    client_refused(&stage, client_note(&stage, CTL_STATS, actor.vm, 0), EBUSY);
    jailer_expect(&stage, JW_STATS, actor.vm);
    vm_close(&actor);
    jailer_death(&stage, actor.vm, CLD_KILLED, SIGSEGV);
    for (uint32_t i = 0; i < 32; i++)
        client_refused(&stage, first + i, ESRCH);
    client_death(&stage, actor.vm, RECORD_CRASH, 139);
    stage_end(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGED(test_mode_is_told),
        STAGED(test_created_comes_first),
        STAGED(test_attach),
        STAGED(test_attach_is_refused),
        STAGED(test_as_many_sessions_as_there_may_be),
        STAGED(test_interrupt_in_time),
        STAGED(test_interrupt_overdue),
        STAGED(test_a_vm_that_does_not_listen),
        STAGED(test_nobody_to_interrupt),
        STAGED(test_graces_begin_when_it_is_ready),
        STAGED(test_stop),
        STAGED(test_stop_overdue),
        STAGED(test_stop_of_a_script_that_runs_once),
        STAGED(test_stop_at_birth),
        STAGED(test_stats),
        STAGED(test_output_before_stats),
        STAGED(test_stats_of_the_dead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
