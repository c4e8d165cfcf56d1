/*
 * jailer.h - the link to the jailer: fixed-size requests out, fixed-size replies in.
 */
#ifndef BX_DAEMON_JAILER_H
#define BX_DAEMON_JAILER_H

#include <stdbool.h>

#include "common/jail_wire.h"
#include "common/loop.h"

struct manager;

struct jailer {
    struct bx_source source;
    struct manager *manager;
};

void jailer_init(struct jailer *jailer, struct manager *manager);

/* Takes the descriptor. Returns 0 or -errno. */
int jailer_open(struct jailer *jailer, int fd);
void jailer_fini(struct jailer *jailer);

/* Sends a request with borrowed descriptors. Returns 0 or -errno (-EPIPE: the jailer is gone). */
int jailer_send(struct jailer *jailer, const struct jw_request *request, const int *fds, unsigned fd_count);

#endif
