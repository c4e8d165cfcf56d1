/*
 * memfd.h - bytes that travel as a descriptor: in memory, sealed, so that nobody can change them while they are read.
 */
#ifndef BX_COMMON_MEMFD_H
#define BX_COMMON_MEMFD_H

#include <stdbool.h>
#include <stddef.h>

/*
 * A sealed memfd with two texts one behind the other, to be read from its beginning. Returns the descriptor or -errno.
 */
int bx_memfd(const char *first, size_t first_length, const char *second, size_t second_length);

/* Can nobody change what is in it? Then reading it waits for nobody, whoever has sent it. */
bool bx_memfd_is_sealed(int fd);

/* Reads exactly `length` bytes from where it stands. Returns 0, -ENODATA when there are fewer, or -errno. */
int bx_memfd_read(int fd, char *out, size_t length);

#endif
