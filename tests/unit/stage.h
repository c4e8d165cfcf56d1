/*
 * stage.h - bioxend's own code in a thread, and the three that it talks to played by the test: the client, the jailer,
 * and one VM, whose descriptors the test takes from the jailer's request.
 */
#ifndef BX_TESTS_STAGE_H
#define BX_TESTS_STAGE_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/control.h"
#include "common/jail_wire.h"
#include "common/lifeline.h"
#include "common/record.h"
#include "common/socket.h"
#include "common/vm_spec.h"
#include "daemon/manager.h"

struct stage {
    struct manager manager;
    pthread_t thread;
    int control, link; /* the test's ends */
    uint32_t last_id;
};

/* What the test holds of a VM. */
struct actor {
    uint32_t vm;
    int out, err, lifeline;
    struct lw_frame spec;
};

/* A message of bioxend to its client. */
struct message {
    struct ctl_head head;
    const char *body;
    int fd; /* -1: none */
    char bytes[BX_FRAME_MAX];
};

/* Deadlines of the tests scale with the machine. */
static inline int patience(void)
{
    const char *slow = getenv("BIOXEN_TEST_SLOW");
    return 5000 * (slow != NULL ? atoi(slow) : 1);
}

static inline int arrives(int fd, int timeout_ms)
{
    struct pollfd ready = {fd, POLLIN, 0};
    return poll(&ready, 1, timeout_ms) == 1;
}

static inline void *stage_run(void *manager)
{
    bx_loop_run(&((struct manager *)manager)->loop);
    return NULL;
}

static inline void stage_begin(struct stage *stage)
{
    int control[2], link[2];
    struct bx_error err;
    assert_int_equal(bx_socketpair(control), 0);
    assert_int_equal(bx_socketpair(link), 0);
    stage->control = control[0];
    stage->link = link[0];
    stage->last_id = 0;
    assert_int_equal(manager_init(&stage->manager, control[1], link[1], &err), 0);
    assert_int_equal(pthread_create(&stage->thread, NULL, stage_run, &stage->manager), 0);
}

static inline void stage_end(struct stage *stage)
{
    close(stage->control); /* which is the end of bioxend */
    pthread_join(stage->thread, NULL);
    manager_fini(&stage->manager);
    close(stage->link);
}

/* ---- the client ---- */

static inline uint32_t client_say(struct stage *stage, uint32_t type, const void *body, size_t length, int fd)
{
    struct ctl_head head = {CTL_MAGIC, type, ++stage->last_id, (uint32_t)length};
    const struct iovec parts[] = {{&head, sizeof head}, {(void *)body, length}};
    assert_int_equal(bx_send_wait(stage->control, parts, 2, &fd, fd >= 0), 0);
    return stage->last_id;
}

static inline uint32_t client_note(struct stage *stage, uint32_t type, uint32_t vm, uint32_t number)
{
    static char frame[CTL_NOTE_MAX];
    struct ctl_note note = {.vm = vm, .number = number, .text = ""};
    struct iovec part = {frame, ctl_encode_note(type, ++stage->last_id, &note, frame)};
    assert_int_equal(bx_send_wait(stage->control, &part, 1, NULL, 0), 0);
    return stage->last_id;
}

static inline void client_interrupt(struct stage *stage, uint32_t vm, uint32_t session, uint64_t call, uint32_t reason,
                                    uint32_t grace_ms)
{
    struct ctl_interrupt body = {vm, session, call, reason, grace_ms};
    client_say(stage, CTL_INTERRUPT, &body, sizeof body, -1);
}

static inline struct message *client_hear(struct stage *stage)
{
    static struct message message;
    unsigned count = 0;
    message.fd = -1;
    if (!arrives(stage->control, patience()))
        fail_msg("bioxend says nothing");
    ssize_t got = bx_receive(stage->control, message.bytes, sizeof message.bytes, &message.fd, 1, &count, 0);
    if (got <= 0)
        fail_msg("bioxend's message: %zd", got);
    assert_int_equal(ctl_decode_head(message.bytes, (size_t)got, &message.head, &message.body), 0);
    return &message;
}

static inline struct message *client_expect(struct stage *stage, uint32_t type, uint32_t id)
{
    struct message *message = client_hear(stage);
    assert_int_equal(message->head.type, type);
    assert_int_equal(message->head.id, id);
    return message;
}

static inline void client_refused(struct stage *stage, uint32_t id, uint32_t code)
{
    struct message *message = client_expect(stage, CTL_ERROR, id);
    struct ctl_note note;
    assert_int_equal(ctl_decode_note(message->body, message->head.length, &note), 0);
    assert_int_equal(note.number, code);
    assert_true(note.length > 0);
}

static inline void client_death(struct stage *stage, uint32_t vm, uint32_t outcome, uint32_t exit_code)
{
    struct message *message = client_expect(stage, CTL_DEATH, 0);
    msgpack_unpacked unpacked;
    struct record record = {0};
    assert_int_equal(bx_unpack(&unpacked, message->body, message->head.length), 0);
    assert_int_equal(bx_map_find(&unpacked.data, "vm")->via.u64, vm);
    assert_int_equal(record_unpack(bx_map_find(&unpacked.data, "record"), &record), 0);
    assert_int_equal(record.outcome, outcome);
    assert_int_equal(record.exit_code, exit_code);
    record_fini(&record);
    msgpack_unpacked_destroy(&unpacked);
}

/* ---- the jailer ---- */

static inline struct jw_request jailer_hear(struct stage *stage, int fds[3])
{
    struct jw_request request;
    unsigned count = 0;
    if (!arrives(stage->link, patience()))
        fail_msg("the jailer hears nothing");
    assert_int_equal(bx_receive(stage->link, &request, sizeof request, fds, 3, &count, 0), sizeof request);
    assert_null(jw_request_check(&request, sizeof request, count));
    return request;
}

static inline void jailer_expect(struct stage *stage, uint32_t type, uint32_t vm)
{
    int fds[3];
    struct jw_request request = jailer_hear(stage, fds);
    assert_int_equal(request.type, type);
    assert_int_equal(request.vm, vm);
}

static inline void jailer_say(struct stage *stage, struct jw_reply reply)
{
    struct iovec part = {&reply, sizeof reply};
    reply.magic = JW_MAGIC;
    assert_int_equal(bx_send_wait(stage->link, &part, 1, NULL, 0), 0);
}

static inline void jailer_spawned(struct stage *stage, uint32_t vm)
{
    jailer_say(stage, (struct jw_reply){.type = JW_SPAWNED, .vm = vm, .u.spawned.pid = 1});
}

static inline void jailer_death(struct stage *stage, uint32_t vm, int code, int status)
{
    struct jw_reply reply = {.type = JW_DEATH, .vm = vm};
    reply.u.death = (struct jw_death){.wait_code = code, .wait_status = status};
    jailer_say(stage, reply);
}

/* ---- the VM ---- */

/* `bytes` outlives the frame, whose texts point into it. Returns the descriptor that came with it, or -1. */
static inline int vm_hear(const struct actor *actor, struct lw_frame *frame, char bytes[LW_FRAME_MAX])
{
    int fd = -1;
    unsigned count = 0;
    if (!arrives(actor->lifeline, patience()))
        fail_msg("the VM hears nothing");
    ssize_t got = bx_receive(actor->lifeline, bytes, LW_FRAME_MAX, &fd, 1, &count, 0);
    assert_true(got > 0);
    assert_int_equal(lw_decode(bytes, (uint64_t)got, frame), 0);
    return count == 1 ? fd : -1;
}

static inline void vm_say(const struct actor *actor, struct lw_frame frame)
{
    char bytes[sizeof(struct lw_header)];
    struct iovec part = {bytes, lw_encode(&frame, bytes)};
    assert_int_equal(bx_send_wait(actor->lifeline, &part, 1, NULL, 0), 0);
}

static inline void vm_close(struct actor *actor)
{
    int fds[] = {actor->out, actor->err, actor->lifeline};
    bx_close_all(fds, 3);
}

/* ---- all three ---- */

/* Asks for a VM; it is asked of the jailer, who has not answered yet. Returns the request's id. */
static inline uint32_t stage_ask_vm(struct stage *stage, uint32_t serve, struct actor *actor)
{
    struct vm_spec spec = {.name = "actor", .memory = BX_DEFAULT_MEMORY, .cpus_milli = 1000, .pids = 16,
                           .output_limit = BX_DEFAULT_OUTPUT, .serve = serve};
    msgpack_sbuffer body;
    msgpack_packer packer;
    msgpack_sbuffer_init(&body);
    msgpack_packer_init(&packer, &body, msgpack_sbuffer_write);
    vm_spec_pack(&packer, &spec);
    int program = memfd_create("program", MFD_CLOEXEC);
    uint32_t id = client_say(stage, CTL_CREATE, body.data, body.size, program);
    close(program);
    msgpack_sbuffer_destroy(&body);
    int fds[3];
    struct jw_request request = jailer_hear(stage, fds);
    assert_int_equal(request.type, JW_SPAWN);
    *actor = (struct actor){.vm = request.vm, .out = fds[0], .err = fds[1], .lifeline = fds[2]};
    static char bytes[LW_FRAME_MAX];
    program = vm_hear(actor, &actor->spec, bytes);
    assert_true(program >= 0 && actor->spec.type == LW_SPEC);
    close(program);
    return id;
}

static inline struct actor stage_vm(struct stage *stage, uint32_t serve)
{
    struct actor actor;
    struct ctl_note note;
    uint32_t id = stage_ask_vm(stage, serve, &actor);
    jailer_spawned(stage, actor.vm);
    struct message *message = client_expect(stage, CTL_CREATED, id);
    assert_int_equal(ctl_decode_note(message->body, message->head.length, &note), 0);
    assert_int_equal(note.vm, actor.vm);
    return actor;
}

/* ---- what several tests expect ---- */

static char frame_bytes[LW_FRAME_MAX];

static inline uint32_t attach(struct stage *stage, const struct actor *actor, int *client_end, int *vm_end)
{
    struct lw_frame frame;
    struct ctl_note note;
    uint32_t id = client_note(stage, CTL_ATTACH, actor->vm, 0);
    *vm_end = vm_hear(actor, &frame, frame_bytes);
    assert_int_equal(frame.type, LW_SESSION);
    assert_true(*vm_end >= 0);
    struct message *message = client_expect(stage, CTL_ATTACHED, id);
    assert_int_equal(ctl_decode_note(message->body, message->head.length, &note), 0);
    assert_int_equal(note.vm, actor->vm);
    assert_int_equal(note.number, frame.a);
    *client_end = message->fd;
    assert_true(*client_end >= 0);
    return note.number;
}

/* The VM breaks a rule: the jailer is asked to kill it, and the record says why. */
static inline void expect_broken(struct stage *stage, struct actor *actor)
{
    jailer_expect(stage, JW_KILL, actor->vm);
    jailer_death(stage, actor->vm, CLD_KILLED, SIGKILL);
    vm_close(actor);
    client_death(stage, actor->vm, RECORD_KILLED, 137);
}

/* bioxend is alive and serves others: it answers a question about a VM that does not exist. */
static inline void expect_alive(struct stage *stage)
{
    client_refused(stage, client_note(stage, CTL_STATS, 4000000000u, 0), ESRCH);
}

/* ---- descriptors ---- */

static inline int next_fd(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(fd);
    return fd;
}

/* Every test above, seen from the table of descriptors. */
static inline int count_before(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    *state = (void *)(intptr_t)next_fd();
    return 0;
}

static inline int nothing_is_left_open(void **state)
{
    return next_fd() == (int)(intptr_t)*state ? 0 : -1;
}

#define STAGED(test) cmocka_unit_test_setup_teardown(test, count_before, nothing_is_left_open)

#endif
