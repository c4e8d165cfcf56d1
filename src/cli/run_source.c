/*
 * run_source.c - the script: opens it without being held up or harmed by what it turns out to be, and reads
 * it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run.h"

/* What is not a regular file is not read: a FIFO would hang, a terminal or device may do anything. */
static const char *kind_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return "is a directory, not a script";
    case S_IFIFO:
        return "is a pipe, not a file; use - to read a script from a pipe: bioxen run - < FILE";
    case S_IFSOCK:
        return "is a socket, not a script";
    case S_IFCHR:
    case S_IFBLK:
        return "is a device, not a script; use - to read from standard input";
    default:
        return "is not a regular file";
    }
}

static int fail_open(const char *path, int code, struct run_failure *failure)
{
    if (code == ENOENT || code == ENOTDIR)
        return run_fail(failure, CLI_NOT_FOUND, "there is no script '%s': %s", path, strerror(code));
    if (code == EMFILE || code == ENFILE || code == ENOMEM)
        return run_fail(failure, CLI_HOST, "cannot open script '%s': %s", path, strerror(code));
    if (code == ENXIO) /* what open says of sockets */
        return run_fail(failure, CLI_UNREADABLE,
                        "'%s' is a socket or a device without a driver, not a script", path);
    return run_fail(failure, CLI_UNREADABLE, "cannot read script '%s': %s", path, strerror(code));
}

static int fail_size(const char *title, struct run_failure *failure)
{
    return run_fail(failure, CLI_UNREADABLE, "script '%s' is too large: at most %u MiB are read", title,
                    RUN_SCRIPT_MAX >> 20);
}

int run_source_open(struct run_source *source, const struct run_request *request, struct run_failure *failure)
{
    struct stat st;
    if (request->kind != RUN_FILE)
        return 0;
    source->fd = open(request->script, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (source->fd < 0)
        return fail_open(request->script, errno, failure);
    if (fstat(source->fd, &st) < 0)
        return run_fail(failure, CLI_UNREADABLE, "cannot read script '%s': %s", request->script,
                        strerror(errno));
    if (!S_ISREG(st.st_mode))
        return run_fail(failure, CLI_UNREADABLE, "'%s' %s", request->script, kind_of(st.st_mode));
    if (st.st_size > (off_t)RUN_SCRIPT_MAX) /* before a byte is read: it may be a sparse terabyte */
        return fail_size(request->title, failure);
    source->size = (uint64_t)st.st_size;
    return 0;
}

/* Makes room for more than `length` bytes, one byte above the limit at most: that byte tells "too large". */
static int grow(char **buffer, size_t *room, uint64_t hint)
{
    size_t next = *room == 0 ? (size_t)hint + 1 : 2 * *room;
    if (next < 4096)
        next = 4096;
    if (next > RUN_SCRIPT_MAX + 1)
        next = RUN_SCRIPT_MAX + 1;
    char *larger = realloc(*buffer, next);
    if (larger == NULL)
        return -ENOMEM;
    *buffer = larger;
    *room = next;
    return 0;
}

int run_read_all(int fd, uint64_t size, char **out, size_t *length)
{
    char *buffer = NULL;
    size_t room = 0, used = 0;
    int rc = 0;
    for (;;) {
        if (used == room && (rc = grow(&buffer, &room, size)) < 0)
            break;
        ssize_t n = read(fd, buffer + used, room - used);
        if (n > 0)
            used += (size_t)n;
        else if (n == 0)
            break;
        else if (errno != EINTR) {
            rc = -errno;
            break;
        }
        if (used > RUN_SCRIPT_MAX) {
            rc = -EFBIG;
            break;
        }
    }
    if (rc < 0) {
        free(buffer);
        return rc;
    }
    *out = buffer;
    *length = used;
    return 0;
}

/* Standard input may be non-blocking, because somebody else who shares it made it so. */
static int read_stdin(struct run_source *source)
{
    int flags = fcntl(STDIN_FILENO, F_GETFL);
    bool changed =
        flags >= 0 && (flags & O_NONBLOCK) != 0 && fcntl(STDIN_FILENO, F_SETFL, flags & ~O_NONBLOCK) == 0;
    int rc = run_read_all(STDIN_FILENO, 0, &source->memory, &source->text.length);
    if (changed)
        (void)fcntl(STDIN_FILENO, F_SETFL, flags);
    return rc;
}

int run_source_read(struct run_source *source, const struct run_request *request, struct run_failure *failure)
{
    if (request->kind == RUN_CODE) {
        source->text = (struct bioxen_string){.bytes = request->code, .length = strlen(request->code)};
        return 0;
    }
    int rc = request->kind == RUN_STDIN
                 ? read_stdin(source)
                 : run_read_all(source->fd, source->size, &source->memory, &source->text.length);
    source->text.bytes = source->memory;
    if (rc == -EFBIG)
        return fail_size(request->title, failure);
    if (rc == -EBADF && request->kind == RUN_STDIN)
        return run_fail(failure, CLI_UNREADABLE, "cannot read a script from stdin: it is closed");
    if (rc == -ENOMEM)
        return run_fail(failure, CLI_HOST, "out of memory while reading script '%s'", request->title);
    if (rc < 0)
        return run_fail(failure, CLI_UNREADABLE, "cannot read script '%s': %s", request->title,
                        strerror(-rc));
    return 0;
}

void run_source_fini(struct run_source *source)
{
    if (source->fd >= 0)
        close(source->fd);
    free(source->memory);
    *source = (struct run_source){.fd = -1};
}
