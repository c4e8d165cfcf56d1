/*
 * program.h - what a VM runs: its name, arguments, environment and text, in one descriptor.
 *
 * The client writes it into a memfd, bioxend passes it on unread, the VM reads it after its syscall filter
 * is on. Layout: struct program_header, then `head_length` bytes of MessagePack, the array
 * [chunk name, [argument 0, argument 1, ...], {name: value, ...}], then the script's text to the end of the file.
 */
#ifndef BX_COMMON_PROGRAM_H
#define BX_COMMON_PROGRAM_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "limits.h"

#define PROGRAM_MAGIC 0x31505842u /* "BXP1" */

struct program_header {
    uint32_t magic;
    uint32_t head_length; /* at most BX_PROGRAM_HEAD_MAX */
    uint64_t text_length; /* at most BX_SCRIPT_MAX */
};

_Static_assert(sizeof(struct program_header) == 16, "wire layout");

struct program_string {
    const char *bytes; /* not NUL-terminated */
    uint32_t length;
};

struct program {
    struct program_string chunk; /* as Lua wants it: "@file.lua", "=stdin", "=(command line)" */
    struct program_string *args; /* args[0] is the script's name, `arg[0]` */
    uint32_t arg_count;
    struct program_string *env;  /* name, value, name, value: 2 * env_count entries */
    uint32_t env_count;
};

/* Encodes header and head (not the text) into malloc'd memory: the caller frees *out. Returns 0 or -ENOMEM/-E2BIG. */
int program_encode(const struct program *program, uint64_t text_length, char **out, size_t *out_length,
                   struct bx_error *err);

/* Checks a header as it was read. Returns 0 or -EBADMSG. */
int program_check_header(const struct program_header *header);

/*
 * Decodes a head. The strings point into `head`, which must outlive them; the arrays are malloc'd and freed
 * by program_fini (which takes a zeroed struct too). Returns 0, -EBADMSG or -ENOMEM.
 */
int program_decode(const char *head, size_t length, struct program *out);
void program_fini(struct program *program);

#endif
