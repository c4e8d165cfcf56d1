/*
 * daemon_socket.c - the path of a daemon. Two daemons that start at once must not both find it free: while one looks
 * and binds, the directory is locked. Nothing is removed that is not a socket of this user on which nobody listens.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "daemon.h"
#include "run.h"

/* Another that starts holds the lock for a millisecond; whoever holds it longer holds it against us. */
#define LOCK_TRIES   500
#define LOCK_WAIT_NS 10000000

/* Clients that may wait to be taken in. */
#define BACKLOG 128

int daemon_path(const char *given, char out[BIOXEN_SOCKET_PATH_MAX])
{
    struct bioxen_error err;
    if (given == NULL && bioxen_socket_path(out, &err) != 0) {
        cli_say("%s", err.text);
        return CLI_USAGE;
    }
    if (given == NULL)
        return CLI_OK;
    if (given[0] == '\0' || strlen(given) >= BIOXEN_SOCKET_PATH_MAX) {
        cli_say("--socket: a socket's path has 1 to %d bytes", BIOXEN_SOCKET_PATH_MAX - 1);
        return CLI_USAGE;
    }
    strcpy(out, given);
    return CLI_OK;
}

static int fail(const char *path, const char *what)
{
    cli_say("daemon: %s %s: %s", what, path, strerror(errno));
    return CLI_HOST;
}

/* Returns the descriptor that holds the lock, or -1 after a message. */
static int lock_directory(const char *path)
{
    const struct timespec pause = {.tv_nsec = LOCK_WAIT_NS};
    char *directory = run_directory_of(path);
    if (directory == NULL) {
        cli_say("out of memory");
        return -1;
    }
    int fd = open(directory[0] != '\0' ? directory : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        fail(directory, "cannot open directory");
    for (int i = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0; i++) {
        if (errno != EINTR && (errno != EWOULDBLOCK || i == LOCK_TRIES)) {
            fail(directory, "cannot lock directory");
            close(fd);
            fd = -1;
        }
        nanosleep(&pause, NULL);
    }
    free(directory);
    return fd;
}

/* Does somebody listen? Returns 0 when nobody does, and else why one must not take his place. */
static int look_for_listener(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail(address->sun_path, "cannot make a socket for");
    int rc = connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ? 0 : errno;
    close(fd);
    if (rc == ECONNREFUSED || rc == ENOENT)
        return CLI_OK;
    if (rc == 0 || rc == EAGAIN)
        cli_say("daemon: a daemon serves at %s already; --socket takes another path", address->sun_path);
    else
        cli_say("daemon: %s is in use: %s", address->sun_path, strerror(rc));
    return CLI_HOST;
}

static int remove_stale(const struct sockaddr_un *address)
{
    struct stat st;
    if (lstat(address->sun_path, &st) != 0)
        return errno == ENOENT ? CLI_OK : fail(address->sun_path, "cannot look at");
    if (!S_ISSOCK(st.st_mode) || st.st_uid != geteuid()) {
        cli_say("daemon: %s is %s: it stays as it is; --socket takes another path", address->sun_path,
                S_ISSOCK(st.st_mode) ? "a socket of another user" : "no socket");
        return CLI_HOST;
    }
    int status = look_for_listener(address);
    if (status == CLI_OK && unlink(address->sun_path) != 0 && errno != ENOENT)
        status = fail(address->sun_path, "cannot remove the socket of a dead daemon");
    return status;
}

/* Nobody may connect before its mode is right: it is made with that mode. */
static int bind_private(int fd, const struct sockaddr_un *address)
{
    mode_t before = umask(0177);
    int rc = bind(fd, (const struct sockaddr *)address, sizeof *address);
    int code = errno;
    umask(before);
    errno = code;
    return rc;
}

static int make(struct daemon_socket *socket_, const struct sockaddr_un *address)
{
    struct stat st;
    socket_->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket_->fd < 0 || bind_private(socket_->fd, address) != 0)
        return fail(address->sun_path, "cannot make a socket at");
    if (listen(socket_->fd, BACKLOG) != 0 || lstat(address->sun_path, &st) != 0)
        return fail(address->sun_path, "cannot listen at");
    socket_->device = st.st_dev;
    socket_->inode = st.st_ino;
    return CLI_OK;
}

int daemon_socket_open(struct daemon_socket *socket, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    *socket = (struct daemon_socket){.fd = -1};
    strcpy(address.sun_path, path);
    strcpy(socket->path, path);
    int lock = lock_directory(path);
    if (lock < 0)
        return CLI_HOST;
    int status = remove_stale(&address);
    if (status == CLI_OK)
        status = make(socket, &address);
    close(lock);
    if (status != CLI_OK)
        daemon_socket_close(socket);
    return status;
}

void daemon_socket_close(struct daemon_socket *socket)
{
    struct stat st;
    if (socket->fd < 0)
        return;
    if (socket->inode != 0 && lstat(socket->path, &st) == 0 && st.st_dev == socket->device &&
        st.st_ino == socket->inode)
        unlink(socket->path);
    close(socket->fd);
    socket->fd = -1;
}
