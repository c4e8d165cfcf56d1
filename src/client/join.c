/*
 * join.c - a daemon's socket path, and becoming its client. What listens there is believed only when it belongs to this
 * user or to root: a path may be in a directory where others write.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "manager.h"
#include "public.h"

_Static_assert(BIOXEN_SOCKET_PATH_MAX == sizeof((struct sockaddr_un){0}.sun_path), "the kernel's limit");

static int copy_path(const char *directory, const char *path, char *out, struct bx_error *err)
{
    int length = snprintf(out, BIOXEN_SOCKET_PATH_MAX, "%s%s", directory, path);
    if (length > 0 && length < BIOXEN_SOCKET_PATH_MAX)
        return 0;
    return bx_fail(err, ENAMETOOLONG, "a socket's path has %d bytes at most: '%s%s'", BIOXEN_SOCKET_PATH_MAX - 1,
                   directory, path);
}

static int default_path(char *out, struct bx_error *err)
{
    const char *given = getenv("BIOXEN_SOCKET"), *directory = getenv("XDG_RUNTIME_DIR");
    if (given != NULL && given[0] != '\0')
        return copy_path("", given, out, err);
    if (geteuid() == 0)
        return copy_path("/run", "/bioxen.sock", out, err);
    if (directory != NULL && directory[0] != '\0')
        return copy_path(directory, "/bioxen.sock", out, err);
    return bx_fail(err, ENOENT, "no path for the daemon's socket: set BIOXEN_SOCKET (XDG_RUNTIME_DIR is not set)");
}

int bioxen_socket_path(char out[BIOXEN_SOCKET_PATH_MAX], struct bioxen_error *public_err)
{
    struct bx_error err = {0};
    return default_path(out, &err) == 0 ? 0 : public_fail(public_err, &err);
}

static int fail_connect(const char *path, int code, struct bx_error *err)
{
    switch (code) {
    case ENOENT: return bx_fail(err, code, "there is no daemon at %s: bioxen daemon starts one", path);
    case ECONNREFUSED:
        return bx_fail(err, code, "the daemon at %s is dead, its socket is left: bioxen daemon starts another", path);
    case EACCES:
    case EPERM: return bx_fail(err, EACCES, "the daemon at %s belongs to another user", path);
    case EPROTOTYPE: return bx_fail(err, code, "what listens at %s is no daemon of bioxen", path);
    default: return bx_fail_errno(err, code, "cannot reach the daemon at %s", path);
    }
}

static int check_peer(int fd, const char *path, struct bx_error *err)
{
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
        return fail_connect(path, errno, err);
    return peer.uid == 0 || peer.uid == geteuid() ? 0 : fail_connect(path, EACCES, err);
}

static int join(const char *path, struct bx_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int rc = path != NULL ? copy_path("", path, address.sun_path, err) : default_path(address.sun_path, err);
    if (rc != 0)
        return rc;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return bx_fail_errno(err, errno, "cannot make a socket");
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
        rc = fail_connect(address.sun_path, errno, err);
    else
        rc = check_peer(fd, address.sun_path, err);
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

int bioxen_open_path(bioxen_manager **out, const char *path, struct bioxen_error *public_err)
{
    struct bx_error err = {0};
    int fd = join(path, &err);
    if (fd < 0)
        return public_fail(public_err, &err);
    bioxen_manager *manager = manager_new();
    if (manager == NULL) {
        close(fd);
        bx_fail_errno(&err, ENOMEM, "manager");
        return public_fail(public_err, &err);
    }
    manager->launched.control_fd = fd;
    *out = manager;
    return 0;
}
