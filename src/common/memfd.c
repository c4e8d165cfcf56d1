/* memfd.c - written with pwrite, so that the offset, which all holders of the descriptor share, stays at 0. */
#include "memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define SEALS (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW)

static int write_at(int fd, const char *bytes, size_t length, size_t offset)
{
    for (size_t done = 0; done < length;) {
        ssize_t put = pwrite(fd, bytes + done, length - done, (off_t)(offset + done));
        if (put < 0 && errno != EINTR)
            return -errno;
        done += put > 0 ? (size_t)put : 0;
    }
    return 0;
}

int bx_memfd(const char *first, size_t first_length, const char *second, size_t second_length)
{
    int fd = memfd_create("bioxen", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    int rc = write_at(fd, first, first_length, 0);
    if (rc == 0)
        rc = write_at(fd, second, second_length, first_length);
    if (rc == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | SEALS) != 0)
        rc = -errno;
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

bool bx_memfd_is_sealed(int fd)
{
    int seals = fcntl(fd, F_GET_SEALS);
    return seals >= 0 && (seals & SEALS) == SEALS;
}

int bx_memfd_read(int fd, char *out, size_t length)
{
    for (size_t have = 0; have < length;) {
        ssize_t got = read(fd, out + have, length - have);
        if (got == 0)
            return -ENODATA;
        if (got < 0 && errno != EINTR)
            return -errno;
        have += got > 0 ? (size_t)got : 0;
    }
    return 0;
}
