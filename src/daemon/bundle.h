/*
 * bundle.h - all that an `up` sends: a topology, the texts of its scripts and of their modules, and descriptors of what
 * is mounted. It is kept for as long as a VM of it is there: a VM that is started again runs what was sent, whatever
 * has become of the files. No path is ever opened here.
 */
#ifndef BX_DAEMON_BUNDLE_H
#define BX_DAEMON_BUNDLE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/control.h"
#include "common/error.h"
#include "topology.h"

/* Texts of one bundle, and modules of one script: a client must not fill our memory by one request. */
#define BUNDLE_BYTES_MAX   (256u * 1024u * 1024u)
#define BUNDLE_MODULES_MAX 4096u

struct bundle_module {
    char *name, *chunk;
    char *text;
    size_t length;
};

struct bundle_program {
    char *chunk; /* as Lua wants it; NULL: it was not sent (yet) */
    char *text;
    size_t length;
    struct bundle_module *modules;
    uint32_t module_count;
    int app; /* its directory; -1: it was not sent */
};

struct bundle {
    uint32_t users;
    struct topology *topology; /* without errors */
    struct bundle_program *programs;
    int (*mounts)[BX_MOUNTS_MAX]; /* of each VM of the topology; -1: not sent */
    uint64_t bytes;
};

/* Takes over the topology, also when it fails. One user: the caller. NULL: no memory. */
struct bundle *bundle_new(struct topology *topology);
void bundle_use(struct bundle *bundle);
void bundle_leave(struct bundle *bundle); /* the last user frees it; takes NULL too */

/* Adds what came; a descriptor that is kept is taken by setting *fd to -1. Returns 0, -EBADMSG or -errno. */
int bundle_add(struct bundle *bundle, const struct ctl_part *part, const char *text, size_t length, int *fd,
               struct bx_error *err);

/* Is everything here that its VMs need? Returns 0 or -EINVAL. */
int bundle_check(const struct bundle *bundle, struct bx_error *err);

/* Whether two programs are the same, with all their modules. */
bool bundle_same_program(const struct bundle *a, uint32_t program_a, const struct bundle *b, uint32_t program_b);

/* What a VM runs, as a descriptor (program.h). Returns it or -errno. */
int bundle_open_program(const struct bundle *bundle, uint32_t vm, struct bx_error *err);

/* A module that a VM requires, or NULL. */
const struct bundle_module *bundle_find_module(const struct bundle *bundle, uint32_t vm, const char *name,
                                               size_t length);

/* What is asked of the jailer for a VM: its spec with the mounts, and their descriptors (borrowed) in fds[]. */
void bundle_spec(const struct bundle *bundle, uint32_t vm, struct vm_spec *spec, int fds[BX_MOUNTS_MAX]);

#endif
