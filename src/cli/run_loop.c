/*
 * run_loop.c - follows one VM from its start to its end: passes its output on, finds its modules, and ends
 * it when we are told to end or nobody takes its output any more. What ends a VM for its limits is not
 * decided here.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "run.h"

/*
 * How long a VM that was asked to end is waited for. It takes about a millisecond; this much late,
 * something is broken, and our own end (by end of file) is what is left to end it.
 */
#define GRACE_MS 3000

/*
 * How long, after a signal, a reader of our output that stands still is waited for: what is on its way
 * arrives, and Ctrl-C does not hang.
 */
#define STALL_MS 250

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Milliseconds until we give up, for poll. */
static int time_left(const struct run_loop *loop)
{
    if (loop->give_up == 0)
        return -1;
    uint64_t now = now_ms();
    return now < loop->give_up ? (int)(loop->give_up - now) : 0;
}

/*
 * A failure to ask needs no words: the next event says what became of the VM, or that the orchestrator is
 * gone.
 */
static void end_vm(struct run_loop *loop, int signal)
{
    if (loop->give_up == 0)
        loop->give_up = now_ms() + GRACE_MS;
    (void)bioxen_kill(loop->manager, loop->vm, signal, NULL);
}

static void look_for_signal(struct run_loop *loop)
{
    int caught = run_signals_caught();
    if (caught == 0 || loop->signal != 0)
        return;
    loop->signal = caught;
    end_vm(loop, caught);
}

/*
 * Writes on after a signal: the event's bytes live only until the next call on the manager, which end_vm
 * makes.
 */
static int write_interrupted(struct run_loop *loop, int fd, const char *bytes, size_t length)
{
    char *kept = malloc(length + 1);
    if (kept == NULL)
        return -ENOMEM;
    memcpy(kept, bytes, length);
    const char *rest = kept;
    int rc;
    do {
        look_for_signal(loop);
        rc = run_output_write(fd, &rest, &length, loop->wake_fd, STALL_MS);
    } while (rc == -EINTR);
    free(kept);
    return rc;
}

static void on_output(struct run_loop *loop, int stream, struct bioxen_string bytes)
{
    if (loop->output_error != 0 || loop->stalled)
        return;
    int fd = stream == 2 ? STDERR_FILENO : STDOUT_FILENO;
    int rc =
        run_output_write(fd, &bytes.bytes, &bytes.length, loop->wake_fd, loop->signal != 0 ? STALL_MS : -1);
    if (rc == -EINTR)
        rc = write_interrupted(loop, fd, bytes.bytes, bytes.length);
    loop->stalled = rc == -ETIME;
    if (rc == 0 || loop->stalled)
        return;
    loop->output_error = -rc;
    loop->output_stream = stream;
    end_vm(loop, rc == -EPIPE ? SIGPIPE : SIGKILL);
}

/* The library answers where there is a directory to search. */
static void on_need(struct run_loop *loop, uint32_t vm)
{
    char why[4096 + 256];
    run_modules_why_none(loop->modules, why, sizeof why);
    (void)bioxen_answer_no_module(loop->manager, vm, why, NULL);
}

/* Waits until there may be an event. False when the VM should have ended long ago. */
static bool wait_for_event(struct run_loop *loop)
{
    struct pollfd ready[2] = {
        {.fd = bioxen_fd(loop->manager), .events = POLLIN},
        {.fd = loop->wake_fd, .events = POLLIN},
    };
    return poll(ready, 2, time_left(loop)) != 0;
}

static int fail_overdue(const struct run_loop *loop, struct run_failure *failure)
{
    int status = loop->signal != 0             ? 128 + loop->signal
                 : loop->output_error == EPIPE ? 128 + SIGPIPE
                                               : CLI_HOST;
    return run_fail(failure, status,
                    "the VM did not end within %d s of being asked to; it is left to the jailer",
                    GRACE_MS / 1000);
}

int run_loop_follow(struct run_loop *loop, struct bioxen_record *record, struct run_failure *failure)
{
    struct bioxen_event event;
    struct bioxen_error err;
    for (;;) {
        look_for_signal(loop);
        int rc = bioxen_next(loop->manager, &event, 0, &err);
        if (rc == 0 && !wait_for_event(loop))
            return fail_overdue(loop, failure);
        if (rc == 0 || rc == -EINTR)
            continue;
        if (rc < 0)
            return run_fail(failure, CLI_HOST, "lost the VM: %s", err.text);
        if (event.type == BIOXEN_EVENT_OUTPUT)
            on_output(loop, event.stream, event.bytes);
        else if (event.type == BIOXEN_EVENT_NEED)
            on_need(loop, event.vm);
        else if (event.type == BIOXEN_EVENT_ENDED)
            run_say_again(loop->request, &event.record, event.wait_us);
        else if (event.type == BIOXEN_EVENT_DEATH)
            break;
    }
    loop->given_up = event.why;
    *record = event.record;
    return 0;
}
