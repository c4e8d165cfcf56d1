/*
 * control.h - what a client may ask: one handler for each verb of the control socket.
 */
#ifndef BX_DAEMON_CONTROL_H
#define BX_DAEMON_CONTROL_H

#include "common/control.h"

struct client;

/*
 * Serves one request. The descriptors stay the caller's to close; a handler that keeps one takes it by
 * setting its place to -1.
 * Returns 0, or -EBADMSG when the frame breaks the protocol (a request that is only wrong gets a CTL_ERROR and 0).
 */
int control_handle(struct client *client, const struct ctl_head *head, const char *body, int *fds, unsigned fd_count);

#endif
