/*
 * vm_child.h - runs a program in a VM outside the jail, for tests: the code of bioxen-vm but for main.c and
 * its filter, in a child process whose other end of the lifeline is the test. The production program has no
 * such way in.
 */
#ifndef TESTS_UNIT_VM_CHILD_H
#define TESTS_UNIT_VM_CHILD_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/lifeline.h"
#include "common/program.h"
#include "common/socket.h"
#include "vm/vm.h"

struct child_input {
    enum jw_profile profile;
    size_t ceiling;            /* 0: 64 MiB */
    const char *chunk;         /* NULL: "@script.lua" */
    const char *text;
    size_t length;             /* of text; 0: it is a C string */
    struct program_string *args;
    uint32_t arg_count;        /* 0: one, "script.lua" */
    struct program_string *env;
    uint32_t env_count;
    const char *const *modules; /* name, text, name, text, ..., NULL */
    const char *raw;           /* the whole descriptor, instead of all that */
    size_t raw_length;
    bool no_spec;              /* hang up instead */
    void (*before)(void);      /* in the child, before anything else */
};

struct child_result {
    bool ready, done, fatal;
    struct lw_frame last;      /* LW_DONE or LW_FATAL; its texts are the strings below */
    char message[BX_MESSAGE_MAX + 1], traceback[BX_MESSAGE_MAX + 1];
    char out[1 << 16], err[1 << 16]; /* what was written, cut, with a NUL */
    size_t out_length, err_length;
    int wait_status;
    unsigned asked;            /* LW_NEED frames */
};

static inline void child_main(const struct child_input *input, int lifeline, int out, int err)
{
    static struct vm vm;
    struct bx_error error;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (input->before != NULL)
        input->before();
    dup2(out, 1);
    dup2(err, 2);
    dup2(lifeline, LW_FD);
    close_range(LW_FD + 1, ~0U, 0);
    setvbuf(stdout, NULL, _IOLBF, 4096);
    if (vm_open(&vm, input->profile, &error) < 0)
        _exit(99);
    vm_serve(&vm);
}

static inline void child_write(int fd, const void *bytes, size_t length)
{
    if (write(fd, bytes, length) != (ssize_t)length)
        abort();
}

/* A memfd with the program, at its start. */
static inline int child_program(const struct child_input *input)
{
    int fd = memfd_create("program", MFD_CLOEXEC);
    struct program_string name = {"script.lua", 10};
    const char *chunk = input->chunk != NULL ? input->chunk : "@script.lua";
    struct program program = {
        .chunk = {chunk, (uint32_t)strlen(chunk)},
        .args = input->arg_count > 0 ? input->args : &name,
        .arg_count = input->arg_count > 0 ? input->arg_count : 1,
        .env = input->env,
        .env_count = input->env_count,
    };
    size_t length = input->length > 0 ? input->length : strlen(input->text != NULL ? input->text : "");
    char *head;
    size_t head_length;
    if (input->raw != NULL) {
        child_write(fd, input->raw, input->raw_length);
    } else {
        if (program_encode(&program, length, &head, &head_length, NULL) < 0)
            abort();
        child_write(fd, head, head_length);
        child_write(fd, input->text != NULL ? input->text : "", length);
        free(head);
    }
    lseek(fd, 0, SEEK_SET);
    return fd;
}

static inline void child_send(int lifeline, const struct lw_frame *frame, int fd)
{
    static char bytes[LW_FRAME_MAX];
    struct iovec part = {bytes, lw_encode(frame, bytes)};
    bx_send(lifeline, &part, 1, &fd, fd >= 0);
    if (fd >= 0)
        close(fd);
}

/* A name that begins with '!' is answered with a frame that makes no sense, to see what the VM does. */
static inline void child_answer(const struct child_input *input, const struct lw_frame *need, int lifeline)
{
    char name[300], chunk[320];
    snprintf(name, sizeof name, "%.*s", (int)need->length1, need->text1);
    snprintf(chunk, sizeof chunk, "@%s.lua", name);
    for (const char *const *m = input->modules; m != NULL && *m != NULL; m += 2) {
        if (strcmp(*m, name) != 0)
            continue;
        int fd = memfd_create("module", MFD_CLOEXEC);
        child_write(fd, m[1], strlen(m[1]));
        lseek(fd, 0, SEEK_SET);
        struct lw_frame found = {.type = LW_MODULE, .text1 = chunk, .length1 = (uint32_t)strlen(chunk)};
        child_send(lifeline, &found, fd);
        return;
    }
    snprintf(chunk, sizeof chunk, "no file '%s.lua'", name);
    struct lw_frame missing = {.type = name[0] == '!' ? LW_MODULE : LW_NO_MODULE, .text1 = chunk,
                               .length1 = (uint32_t)strlen(chunk)};
    child_send(lifeline, &missing, -1);
}

/* Returns false at the end of file. */
static inline bool child_hear(const struct child_input *input, struct child_result *result, int lifeline)
{
    static char bytes[LW_FRAME_MAX];
    struct lw_frame frame;
    unsigned fds = 0;
    ssize_t length = bx_receive(lifeline, bytes, sizeof bytes, NULL, 0, &fds, 0);
    if (length <= 0)
        return false;
    if (lw_decode(bytes, (uint64_t)length, &frame) != 0)
        abort();
    switch (frame.type) {
    case LW_READY: {
        result->ready = true;
        if (input->no_spec)
            return false;
        struct lw_frame spec = {.type = LW_SPEC, .a = input->ceiling != 0 ? input->ceiling : (size_t)64 << 20};
        child_send(lifeline, &spec, child_program(input));
        break;
    }
    case LW_NEED:
        result->asked++;
        child_answer(input, &frame, lifeline);
        break;
    case LW_DONE:
    case LW_FATAL:
        result->done |= frame.type == LW_DONE;
        result->fatal |= frame.type == LW_FATAL;
        result->last = frame;
        memcpy(result->message, frame.text1, frame.length1);
        memcpy(result->traceback, frame.text2, frame.length2);
        break;
    default:
        abort();
    }
    return true;
}

static inline bool child_read(int fd, char *buffer, size_t size, size_t *length)
{
    char lost[4096];
    size_t room = size - 1 - *length;
    ssize_t got = read(fd, room > 0 ? buffer + *length : lost, room > 0 ? room : sizeof lost);
    if (got > 0 && room > 0)
        *length += (size_t)got;
    return got > 0;
}

static inline void child_watch(const struct child_input *input, struct child_result *result, struct pollfd *polled)
{
    while (polled[0].fd >= 0 || polled[1].fd >= 0 || polled[2].fd >= 0) {
        poll(polled, 3, -1);
        bool open[3] = {true, true, true};
        if (polled[0].revents)
            open[0] = child_hear(input, result, polled[0].fd);
        if (polled[1].revents)
            open[1] = child_read(polled[1].fd, result->out, sizeof result->out, &result->out_length);
        if (polled[2].revents)
            open[2] = child_read(polled[2].fd, result->err, sizeof result->err, &result->err_length);
        for (int i = 0; i < 3; i++)
            if (!open[i]) {
                close(polled[i].fd);
                polled[i].fd = -1;
            }
    }
}

/* Runs it to its end. The result is static: the next run overwrites it. */
static inline struct child_result *child_run(const struct child_input *input)
{
    static struct child_result result;
    int lifeline[2], out[2], err[2];
    memset(&result, 0, sizeof result);
    if (bx_socketpair(lifeline) < 0 || pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0)
        abort();
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) /* out of the way of 0 to 3 first */
        child_main(input, fcntl(lifeline[1], F_DUPFD, 100), fcntl(out[1], F_DUPFD, 100), fcntl(err[1], F_DUPFD, 100));
    close(lifeline[1]);
    close(out[1]);
    close(err[1]);
    struct pollfd polled[3] = {{lifeline[0], POLLIN, 0}, {out[0], POLLIN, 0}, {err[0], POLLIN, 0}};
    child_watch(input, &result, polled);
    waitpid(pid, &result.wait_status, 0);
    return &result;
}

static inline struct child_result *child_run_text(enum jw_profile profile, const char *text)
{
    return child_run(&(struct child_input){.profile = profile, .text = text});
}

#endif
