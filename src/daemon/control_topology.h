/* control_topology.h - what a client may ask of topologies. */
#ifndef BX_DAEMON_CONTROL_TOPOLOGY_H
#define BX_DAEMON_CONTROL_TOPOLOGY_H

#include "common/control.h"

struct client;

/* As control_handle, for CTL_UP and the types behind it. */
int control_topology(struct client *client, const struct ctl_head *head, const char *body, int *fds, unsigned fd_count);

#endif
