/* execute.c - one call from beginning to end, for clients that do one thing at a time. */
#include <errno.h>
#include <poll.h>

#include "common/clock.h"
#include "manager.h"
#include "public.h"
#include "session.h"

/* What a call has to end in, after its time is up; then its VM is killed. */
#define GRACE_MS 1000

struct execution {
    bioxen_manager *manager;
    bioxen_session *session;
    uint64_t call;
    uint64_t deadline_us; /* 0: none, or the VM was told already */
};

static int wait_for_both(const struct execution *run, struct bx_error *err)
{
    struct pollfd ready[2] = {
        {run->session->fd, POLLIN, 0},
        {run->manager->launched.control_fd, POLLIN, 0},
    };
    if (bioxen_session_unsent(run->session) > 0)
        ready[0].events |= POLLOUT;
    if (poll(ready, 2, run->deadline_us != 0 ? bx_ms_until(run->deadline_us) : -1) < 0)
        return errno == EINTR ? 0 : bx_fail_errno(err, errno, "waiting for VM %u", run->session->vm);
    return ready[1].revents != 0 ? manager_take_waiting(run->manager, err) : 0;
}

static int end_in_time(struct execution *run, struct bioxen_error *public_err)
{
    if (run->deadline_us == 0 || bx_now_us() < run->deadline_us)
        return 0;
    run->deadline_us = 0;
    return bioxen_interrupt(run->manager, run->session->vm, run->session, run->call, BIOXEN_BY_TIMEOUT, GRACE_MS,
                            public_err);
}

static int follow(struct execution *run, struct bioxen_reply *reply,
                  void (*on_output)(int stream, struct bioxen_string bytes, void *context), void *context,
                  struct bioxen_error *public_err)
{
    struct bx_error err = {0};
    for (;;) {
        int rc = session_next(run->session, reply, 0, &err);
        if (rc == 1 && reply->type != BIOXEN_REPLY_OUTPUT)
            return 0;
        if (rc == 1 && on_output != NULL)
            on_output(reply->stream, reply->bytes, context);
        if (rc == 0)
            rc = wait_for_both(run, &err);
        if (rc < 0)
            return public_fail(public_err, &err);
        rc = end_in_time(run, public_err);
        if (rc < 0)
            return rc;
    }
}

int bioxen_execute(bioxen_manager *manager, bioxen_session *session, struct bioxen_string code,
                   struct bioxen_string arguments, unsigned timeout_ms, struct bioxen_reply *reply,
                   void (*on_output)(int stream, struct bioxen_string bytes, void *context), void *context,
                   struct bioxen_error *public_err)
{
    struct execution run = {.manager = manager, .session = session};
    struct bx_error err = {0};
    if (session->asked != session->answered) {
        bx_fail(&err, EBUSY, "VM %u has calls of this session to answer yet", session->vm);
        return public_fail(public_err, &err);
    }
    if (timeout_ms > 0)
        run.deadline_us = bx_now_us() + timeout_ms * UINT64_C(1000);
    int rc = bioxen_session_send(session, BIOXEN_EXECUTE, code, arguments, run.deadline_us, &run.call, public_err);
    return rc == 0 ? follow(&run, reply, on_output, context, public_err) : rc;
}
