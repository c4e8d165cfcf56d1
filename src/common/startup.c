/* startup.c - descriptors and ids of a fresh daemon. */
#include "startup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FIRST_FD 3
#define PRIVATE_UID_BASE 0x70000000u

static int read_fd(const char *text, unsigned index)
{
    char wanted[16];
    snprintf(wanted, sizeof wanted, "%u", FIRST_FD + index);
    int fd = (int)(FIRST_FD + index);
    if (strcmp(text, wanted) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return -EINVAL;
    return fd;
}

int startup_fds(int argc, char **argv, const char *const *options, unsigned count, int *fds)
{
    if (argc != (int)(1 + 2 * count))
        return -EINVAL;
    sigset_t none; /* whoever started us did so with every signal blocked */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (unsigned i = 0; i < count; i++) {
        fds[i] = strcmp(argv[1 + 2 * i], options[i]) == 0 ? read_fd(argv[2 + 2 * i], i) : -EINVAL;
        if (fds[i] < 0)
            return -EINVAL;
    }
    return syscall(SYS_close_range, FIRST_FD + count, ~0u, 0) == 0 ? 0 : -errno;
}

uid_t startup_private_uid(pid_t pid)
{
    return PRIVATE_UID_BASE + (uid_t)pid;
}
