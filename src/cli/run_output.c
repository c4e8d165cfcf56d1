/*
 * run_output.c - the script's bytes on their way to our stdout and stderr: unchanged, in order, and never
 * so stuck that a Ctrl-C is not seen.
 */
#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run.h"

/*
 * When poll says that a pipe is writable, this much (PIPE_BUF) goes in without blocking; more may block for
 * ever behind a reader that stands still. Files take all at once.
 */
#define PIPE_PIECE 4096

static size_t piece_size(int fd, size_t length)
{
    struct stat st;
    if (length <= PIPE_PIECE || (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)))
        return length;
    return PIPE_PIECE;
}

int run_output_write(int fd, const char **bytes, size_t *length, int wake_fd, int timeout_ms)
{
    size_t piece = piece_size(fd, *length);
    while (*length > 0) {
        struct pollfd ready[2] = {{.fd = fd, .events = POLLOUT}, {.fd = wake_fd, .events = POLLIN}};
        int rc = poll(ready, 2, timeout_ms);
        if (rc < 0)
            return -errno;
        if (rc == 0)
            return -ETIME;
        if (ready[1].revents != 0)
            return -EINTR;
        ssize_t n = write(fd, *bytes, *length < piece ? *length : piece);
        if (n >= 0) {
            *bytes += n;
            *length -= (size_t)n;
        } else if (errno != EAGAIN) { /* EINTR too: a signal came */
            return -errno;
        }
    }
    return 0;
}
