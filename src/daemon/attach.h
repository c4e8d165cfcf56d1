/*
 * attach.h - brings a client and a VM together: makes the socket between them and keeps no end of it.
 */
#ifndef BX_DAEMON_ATTACH_H
#define BX_DAEMON_ATTACH_H

#include <stdint.h>

#include "common/error.h"

struct client;
struct vm;

/* Makes a session and answers the client's request `id` with it. Returns 0 or -errno (nothing was answered). */
int attach_client(struct vm *vm, struct client *client, uint32_t id, struct bx_error *err);

#endif
