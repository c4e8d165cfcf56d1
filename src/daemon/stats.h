/*
 * stats.h - what a VM uses: asked of the jailer, which reads the kernel's figures, and passed on to who asked.
 */
#ifndef BX_DAEMON_STATS_H
#define BX_DAEMON_STATS_H

#include "common/error.h"
#include "common/jail_wire.h"
#include "client.h"

struct vm;

/* Asks; the reply to the request follows by itself, after all that the VM had printed. Returns 0 or -errno. */
int stats_ask(struct vm *vm, struct client_request request, struct bx_error *err);

/* The jailer's answer: for all who wait. */
void stats_tell(struct vm *vm, const struct jw_statistics *figures);

/* The VM is gone: those who wait hear that. */
void stats_refuse(struct vm *vm);

#endif
