/*
 * jailer.h - the link to the jailer: fixed-size requests out, fixed-size replies in.
 */
#ifndef BX_DAEMON_JAILER_H
#define BX_DAEMON_JAILER_H

#include "common/jail_wire.h"
#include "common/loop.h"

struct manager;
struct kept_reply;

struct jailer {
    struct bx_source source;
    struct bx_source later; /* wakes the loop for what was kept */
    struct manager *manager;
    struct kept_reply *kept, *last_kept; /* replies that came while a request waited for room */
};

void jailer_init(struct jailer *jailer, struct manager *manager);

/* Takes the descriptor. Returns 0 or -errno. */
int jailer_open(struct jailer *jailer, int fd);
void jailer_fini(struct jailer *jailer);

/*
 * Sends a request with borrowed descriptors; waits while the link is full. Nothing that the jailer says meanwhile is
 * acted upon before the caller is back in the loop. Returns 0 or -errno (-EPIPE: the jailer is gone).
 */
int jailer_send(struct jailer *jailer, const struct jw_request *request, const int *fds, unsigned fd_count);

#endif
