/*
 * check.h - a client's question about a topology file: what is wrong with it, and what does it ask for?
 */
#ifndef BX_DAEMON_CHECK_H
#define BX_DAEMON_CHECK_H

#include <msgpack.h>

#include "common/control.h"
#include "common/error.h"
#include "topology.h"

struct client;

/* Reads a topology file from a descriptor. Returns 0 with *out, which may have errors of its own, or -errno. */
int check_receive(int fd, const struct ctl_note *note, struct topology **out, struct bx_error *err);

/* Reads the source from a descriptor and answers request `id`. Returns 0 or -errno: then nothing was answered. */
int check_file(struct client *client, uint32_t id, int fd, const struct ctl_note *note, struct bx_error *err);

/*
 * Writes what is known of a topology, errors or not: {diagnostics, omitted, errors, programs, topology}; the last is
 * nil where there are errors. Returns 0 or -ENOMEM.
 */
int topology_pack(struct topology *topology, msgpack_sbuffer *out, struct bx_error *err);

#endif
