/*
 * mount.c - opens what a VM of profile full is shown of the host. The jailer is handed descriptors and never a path, so
 * that a path cannot make it reach what the caller may not. Nothing is read.
 */
#include "bioxen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "public.h"

/*
 * May the caller use what is open? Asked of the descriptor, not of its path again, so that nothing can be
 * swapped between.
 */
static int check_access(int fd, const struct stat *st, int writable)
{
    int mode = R_OK | (S_ISDIR(st->st_mode) ? X_OK : 0) | (writable ? W_OK : 0);
    if (faccessat(fd, "", mode, AT_EACCESS | AT_EMPTY_PATH) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -errno;
    char path[32]; /* kernels before 5.8 */
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0 ? 0 : -errno;
}

static int check(int fd, const char *path, int writable, struct bx_error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return bx_fail(err, errno, "cannot mount '%s': %s", path, strerror(errno));
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
        return bx_fail(err, EINVAL, "cannot mount '%s': it is neither a directory nor a regular file", path);
    int rc = check_access(fd, &st, writable);
    if (rc < 0)
        return bx_fail(err, -rc, "cannot mount '%s' %s: %s", path, writable ? "for writing" : "for reading",
                       strerror(-rc));
    return 0;
}

int bioxen_mount_open(const char *path, int writable, int *out, struct bioxen_error *public_err)
{
    struct bx_error err = {0};
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        bx_fail(&err, errno, "cannot mount '%s': %s", path, strerror(errno));
    else if (check(fd, path, writable, &err) != 0)
        close(fd);
    if (err.code != 0)
        return public_fail(public_err, &err);
    *out = fd;
    return 0;
}
