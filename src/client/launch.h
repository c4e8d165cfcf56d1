/*
 * launch.h - starting the two daemons of an embedded orchestrator, at once.
 */
#ifndef BX_CLIENT_LAUNCH_H
#define BX_CLIENT_LAUNCH_H

#include <sys/types.h>

#include "common/error.h"

struct launched {
    int control_fd; /* the client's end */
    pid_t orchestrator, jailer;
};

/*
 * Starts both. They are in `directory`, or, when that is NULL, beside this program or in ../libexec/bioxen from there.
 * Returns 0 or -errno.
 */
int launch_daemons(const char *directory, struct launched *out, struct bx_error *err);

/* Starts the jailer in its doctor mode. *fd is the socket that its findings come from. Returns 0 or -errno. */
int launch_doctor(int *fd, pid_t *pid, struct bx_error *err);

/* Waits for both to end and reaps them. */
void launch_wait(const struct launched *launched);

#endif
