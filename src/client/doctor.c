/*
 * doctor.c - hears the findings of a jailer in its doctor mode. Its records are checked like a stranger's; its silence
 * ends by a deadline.
 */
#include "bioxen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/doctor_wire.h"
#include "common/socket.h"
#include "launch.h"
#include "public.h"

/* The doctor gives each trial three seconds and itself two more to clean up: longer silence is a dead doctor. */
#define SILENCE_MS 15000

static int receive(int fd, struct doctor_record *record, struct bx_error *err)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    unsigned fds;
    int count = poll(&ready, 1, SILENCE_MS);
    if (count < 0)
        return bx_fail_errno(err, errno, "waiting for the jailer's findings");
    if (count == 0)
        return bx_fail(err, ETIMEDOUT, "the jailer has said nothing for %d seconds", SILENCE_MS / 1000);
    ssize_t length = bx_receive(fd, record, sizeof *record, NULL, 0, &fds, 0);
    if (length <= 0)
        return bx_fail(err, EPIPE, "the jailer ended before its last finding");
    const char *wrong = doctor_record_check(record, (size_t)length);
    return wrong == NULL ? 0 : bx_fail(err, EBADMSG, "the jailer sent %s", wrong);
}

static void tell(const struct doctor_record *record, int privileged,
                 void (*on_finding)(const struct bioxen_finding *, void *), void *context)
{
    const struct bioxen_finding finding = {
        .id = record->id,
        .title = record->title,
        .needed_by = record->needed_by,
        .status = (enum bioxen_finding_status)record->status,
        .required = record->required,
        .privileged = privileged,
        .note = record->note,
        .cause = record->cause,
        .fix = record->fix,
    };
    on_finding(&finding, context);
}

static int listen_to(int fd, void (*on_finding)(const struct bioxen_finding *, void *), void *context,
                     struct bx_error *err)
{
    struct doctor_record record = {0};
    int privileged = 0;
    for (;;) {
        int rc = receive(fd, &record, err);
        if (rc != 0)
            return rc;
        if (record.type == DOCTOR_DONE)
            return 0;
        if (record.type == DOCTOR_HELLO)
            privileged = record.privileged;
        else
            tell(&record, privileged, on_finding, context);
    }
}

int bioxen_doctor(void (*on_finding)(const struct bioxen_finding *finding, void *context), void *context,
                  struct bioxen_error *out)
{
    struct bx_error err = {0};
    pid_t pid;
    int fd;
    int rc = launch_doctor(&fd, &pid, &err);
    if (rc == 0) {
        rc = listen_to(fd, on_finding, context, &err);
        close(fd);
        if (rc != 0)
            kill(pid, SIGKILL); /* its trials die with it */
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    return rc == 0 ? 0 : public_fail(out, &err);
}
