/*
 * socket.h - whole messages with descriptors over a SEQPACKET socket. Never blocks unless its name or a flag says so.
 */
#ifndef BX_COMMON_SOCKET_H
#define BX_COMMON_SOCKET_H

#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "limits.h"

/* The most descriptors in one message: three streams or a program, and every mount. */
#define BX_FDS_MAX (4 + BX_MOUNTS_MAX)

/* A SEQPACKET pair, close-on-exec. Returns 0 or -errno. */
int bx_socketpair(int pair[2]);

/* Sends one message with `fd_count` borrowed descriptors. Returns 0, -EAGAIN when the socket is full, or
 * -errno (-EPIPE: the
 * peer is gone; no signal is raised). */
int bx_send(int fd, const struct iovec *parts, size_t part_count, const int *fds, unsigned fd_count);

/* The same, but waits for room: for a peer that always reads on and never waits for us. */
int bx_send_wait(int fd, const struct iovec *parts, size_t part_count, const int *fds, unsigned fd_count);

/*
 * Receives one message. Descriptors that came with it are put into fds[] (close-on-exec, owned by the
 * caller), at most fd_max;
 * a message with more, or one that did not fit into `size`, is dropped whole and is -EMSGSIZE.
 * `flags` is 0 or MSG_DONTWAIT. Returns its length, 0 at the end of file, or -errno.
 */
ssize_t bx_receive(int fd, void *buffer, size_t size, int *fds, unsigned fd_max, unsigned *fd_count, int flags);

/* Closes each descriptor that is not -1, and sets it to -1. */
void bx_close_all(int *fds, unsigned count);

#endif
