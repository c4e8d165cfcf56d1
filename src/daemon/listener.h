/*
 * listener.h - the socket path of a daemon: clients that come and go. The socket is made by whoever starts the daemon,
 * with his rights, and handed in; a path is never seen here.
 */
#ifndef BX_DAEMON_LISTENER_H
#define BX_DAEMON_LISTENER_H

#include "common/error.h"
#include "common/loop.h"

struct manager;

/* Clients at a time, the owner among them: each may hold descriptors and a backlog. */
#define LISTENER_CLIENTS_MAX 256u

struct listener {
    struct bx_source source;
    struct manager *manager;
    int spare; /* a descriptor to give up for a connection that is only to be refused */
};

void listener_init(struct listener *listener, struct manager *manager);

/* Takes a listening socket, and sets *fd to -1. Returns 0 or -errno. */
int listener_open(struct listener *listener, int *fd, struct bx_error *err);
void listener_fini(struct listener *listener);

#endif
