/* figures.h - what all VMs of topologies use: one question to the jailer for each, and one answer. */
#ifndef BX_DAEMON_FIGURES_H
#define BX_DAEMON_FIGURES_H

#include "client.h"
#include "common/error.h"
#include "common/jail_wire.h"

struct figures;
struct fleet;
struct manager;
struct vm;

/* Of one topology, or (NULL) of all. Returns 0, and answers later, or -errno. */
int figures_ask(struct manager *manager, const struct fleet *fleet, struct client_request request,
                struct bx_error *err);

/* The jailer's answer about a VM; NULL: it is gone. */
void figures_tell(struct vm *vm, const struct jw_statistics *from);

void figures_fini(struct manager *manager);

#endif
