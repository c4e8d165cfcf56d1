/* program.h - a VM's program, written into a sealed memfd. */
#ifndef BX_CLIENT_PROGRAM_H
#define BX_CLIENT_PROGRAM_H

#include <stddef.h>

#include "bioxen.h"
#include "common/error.h"

/* A memfd of `head` and `text`, sealed, its offset at the start. Returns the descriptor or -errno. */
int program_memfd(const char *head, size_t head_length, struct bioxen_string text, struct bx_error *err);

/* The same from a config: name, arguments, environment, text. */
int program_from_config(const struct bioxen_config *config, struct bx_error *err);

#endif
