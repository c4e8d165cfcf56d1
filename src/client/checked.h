/* checked.h - the inside of a checked topology file, between the files that fill it. */
#ifndef BX_CLIENT_CHECKED_H
#define BX_CLIENT_CHECKED_H

#include <msgpack.h>

#include "bioxen.h"
#include "common/error.h"

struct bioxen_checked {
    char *bytes; /* the answer: decoded texts point into it */
    size_t length;
    msgpack_unpacked answer;
    int is_decoded;
    struct bioxen_diagnostic *list; /* their texts are ours */
    size_t count, room;
    size_t errors, omitted;
};

/* Adds a diagnostic whose texts are copied; in the order of the file. Returns 0 or -ENOMEM. */
int checked_add(struct bioxen_checked *checked, const struct bioxen_diagnostic *diagnostic);

/* Sends a file's text and the variables that it names, as a request of that type. Returns 0 or -errno. */
int check_send(bioxen_manager *manager, uint32_t type, const struct bioxen_topology_file *file, uint32_t id,
               struct bx_error *err);

/*
 * check_scripts.c: opens each script of the answer's programs from the file's directory, as the caller, has them
 * compiled in a VM of their own, and adds what is wrong. Returns 0, or -errno when that could not be found out.
 */
int check_scripts(bioxen_manager *manager, struct bioxen_checked *checked, const struct bioxen_topology_file *file,
                  struct bx_error *err);

#endif
