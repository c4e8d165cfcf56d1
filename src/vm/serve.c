/*
 * serve.c - the VM as bioxend sees it: ready, given a program, done. Everything that arrives comes over the
 * lifeline; when that ends, nobody is left to run for, and the process ends too.
 */
#include <errno.h>
#include <lauxlib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/socket.h"
#include "vm.h"

/* One frame, out or in. Not on the stack: pages that an idle VM never touches cost nothing here. */
static char frame_buffer[LW_FRAME_MAX];

int vm_tell(const struct lw_frame *frame)
{
    struct iovec part = {frame_buffer, lw_encode(frame, frame_buffer)};
    return bx_send(LW_FD, &part, 1, NULL, 0);
}

void vm_tell_surely(const struct lw_frame *frame)
{
    struct iovec part = {frame_buffer, lw_encode(frame, frame_buffer)};
    while (bx_send_wait(LW_FD, &part, 1, NULL, 0) == -EINTR)
        continue;
}

/* Returns 1 with a frame, 0 when there was none (that made sense), -1 when there is none now. */
static int hear(struct lw_frame *frame, int *fd, int flags)
{
    unsigned count = 0;
    *fd = -1;
    ssize_t length = bx_receive(LW_FD, frame_buffer, sizeof frame_buffer, fd, 1, &count, flags);
    if (length == -EAGAIN)
        return -1;
    if (length == 0 || (length < 0 && length != -EINTR && length != -EMSGSIZE))
        _exit(0);
    if (length > 0 && lw_decode(frame_buffer, (uint64_t)length, frame) == 0)
        return 1;
    if (*fd >= 0)
        close(*fd);
    return 0;
}

void vm_hear(struct lw_frame *frame, int *fd)
{
    while (hear(frame, fd, 0) != 1)
        continue;
}

bool vm_hear_now(struct lw_frame *frame, int *fd)
{
    int heard;
    while ((heard = hear(frame, fd, MSG_DONTWAIT)) == 0)
        continue;
    return heard == 1;
}

void vm_finish(struct vm *vm)
{
    const struct vm_report *report = &vm->report;
    fflush(NULL);
    vm_mail_drain(vm);
    vm_sessions_drain(vm);
    vm_tell(&(struct lw_frame){
        .type = LW_DONE,
        .a = report->outcome,
        .b = report->status,
        .text1 = report->message,
        .length1 = report->message_length,
        .text2 = report->traceback,
        .length2 = report->traceback_length,
    });
    _exit(report->status);
}

static void finish_with(struct vm *vm, enum lw_outcome outcome, const char *message) __attribute__((noreturn));
static void finish_with(struct vm *vm, enum lw_outcome outcome, const char *message)
{
    vm->report.outcome = outcome;
    vm->report.status = 1;
    vm->report.message_length = (uint32_t)strlen(message);
    memcpy(vm->report.message, message, vm->report.message_length);
    vm_finish(vm);
}

static bool read_all(int fd, void *to, size_t length)
{
    for (char *at = to; length > 0;) {
        ssize_t got = read(fd, at, length);
        if (got > 0) {
            at += got;
            length -= (size_t)got;
        } else if (got == 0 || errno != EINTR) {
            return false;
        }
    }
    return true;
}

/* The environment of the process, made of the program's: os.getenv reads it, and libc's TZ. */
static bool set_environment(const struct program *program)
{
    char **block = calloc(program->env_count + 1, sizeof *block);
    if (block == NULL)
        return false;
    for (uint32_t i = 0; i < program->env_count; i++) {
        const struct program_string *name = &program->env[2 * i], *value = &program->env[2 * i + 1];
        if (asprintf(&block[i], "%.*s=%.*s", (int)name->length, name->bytes, (int)value->length, value->bytes) < 0)
            return false;
    }
    environ = block;
    return true;
}

/* Reads and decodes everything before the text. The head stays in memory: names and arguments point into it. */
static uint64_t read_head(struct vm *vm, int fd)
{
    struct program_header header;
    if (!read_all(fd, &header, sizeof header) || program_check_header(&header) < 0)
        finish_with(vm, LW_SYNTAX, "cannot read the program");
    char *head = vm_heap_realloc(&vm->heap, NULL, 0, header.head_length);
    if (head == NULL)
        finish_with(vm, LW_MEMORY, "not enough memory for the script's arguments and environment");
    if (!read_all(fd, head, header.head_length))
        finish_with(vm, LW_SYNTAX, "cannot read the program");
    int failed = program_decode(head, header.head_length, &vm->program);
    if (failed == -ENOMEM || (!failed && !set_environment(&vm->program)))
        finish_with(vm, LW_MEMORY, "not enough memory for the script's arguments and environment");
    if (failed)
        finish_with(vm, LW_SYNTAX, "cannot read the program");
    return header.text_length;
}

static int add_thread(lua_State *L)
{
    vm_of(L)->caller = lua_newthread(L);
    luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

/* A thread for calls that come while the script waits. */
static bool make_caller(struct vm *vm)
{
    lua_pushcfunction(vm->L, add_thread);
    return lua_pcall(vm->L, 0, 0, 0) == LUA_OK;
}

/* Before the first byte of the script is read: what it prints is captured, what comes meanwhile is heard. */
static void prepare_to_serve(struct vm *vm)
{
    struct bx_error err;
    vm->serving = true;
    signal(SIGPIPE, SIG_IGN); /* a client that goes away is no reason to die */
    if (vm_output_open(vm, &err) < 0)
        finish_with(vm, LW_MEMORY, err.text);
    if (vm->mode == LW_RUN && !make_caller(vm))
        finish_with(vm, LW_MEMORY, "not enough memory to serve sessions");
    vm_interrupt_install(vm);
}

/* Whoever was told to stop, and does, has no error. */
static void end_well(struct vm *vm)
{
    vm->report.outcome = LW_OK;
    vm->report.status = 0;
    vm->report.message_length = vm->report.traceback_length = 0;
}

void vm_serve(struct vm *vm)
{
    struct lw_frame spec;
    int fd;
    if (vm_tell(&(struct lw_frame){.type = LW_READY}) < 0)
        _exit(0);
    vm_hear(&spec, &fd);
    if (spec.type != LW_SPEC || fd < 0)
        finish_with(vm, LW_SYNTAX, "cannot read the program");
    if (spec.a > 0)
        vm_heap_set_ceiling(&vm->heap, (size_t)spec.a);
    vm->mode = spec.b == LW_SERVE || spec.b == LW_RUN ? (enum lw_mode)spec.b : LW_RUN_ONCE;
    uint64_t length = read_head(vm, fd);
    if (vm->mode != LW_RUN_ONCE)
        prepare_to_serve(vm);
    vm_run(vm, fd, length);
    if (vm->mode == LW_SERVE && vm->report.outcome == LW_OK && !vm->stopping)
        vm_sessions_serve(vm);
    if (vm->stopping)
        end_well(vm);
    vm_close(vm);
    vm_finish(vm);
}
