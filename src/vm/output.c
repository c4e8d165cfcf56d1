/*
 * output.c - standard output and error of a serving VM: to the pipes, as ever, and while a call runs to its
 * session as well. Only a serving VM has these streams: a script that runs once prints into libc's own.
 */
#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <lualib.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vm.h"

struct stream {
    struct vm *vm;
    int fd;
};

static struct stream streams[2];

/* Lines wait here for their end. */
static char line_buffer[4096];

/* Would a write of a small piece wait? */
static bool is_full(int fd)
{
    struct pollfd polled = {fd, POLLOUT, 0};
    return poll(&polled, 1, 0) == 0;
}

/* Returns how many bytes the pipe took: all, unless it is broken, or the call is to end and nobody reads. */
static size_t write_pipe(const struct stream *stream, const char *bytes, size_t length)
{
    size_t done = 0;
    while (done < length) {
        bool is_ending = stream->vm->interrupted != VM_GOES_ON;
        if (is_ending && is_full(stream->fd))
            break;
        size_t piece = is_ending && length - done > PIPE_BUF ? PIPE_BUF : length - done;
        ssize_t written = write(stream->fd, bytes + done, piece);
        if (written >= 0)
            done += (size_t)written;
        else if (errno != EINTR)
            break;
        vm_attend(stream->vm);
    }
    return done;
}

static ssize_t on_write(void *cookie, const char *bytes, size_t length)
{
    const struct stream *stream = cookie;
    size_t done = write_pipe(stream, bytes, length);
    int failure = errno;
    vm_session_print(stream->vm, stream->fd, bytes, done);
    errno = failure;
    return (ssize_t)done;
}

static FILE *open_stream(struct vm *vm, int fd)
{
    struct stream *stream = &streams[fd - STDOUT_FILENO];
    *stream = (struct stream){vm, fd};
    return fopencookie(stream, "w", (cookie_io_functions_t){.write = on_write});
}

/* The io library has taken libc's streams already: its two are made to be these. No script has run yet. */
static void replace_file(lua_State *L, const char *name, FILE *file)
{
    lua_getfield(L, -1, name);
    luaL_Stream *stream = luaL_testudata(L, -1, LUA_FILEHANDLE);
    if (stream != NULL)
        stream->f = file;
    lua_pop(L, 1);
}

static int replace_files(lua_State *L)
{
    if (lua_getglobal(L, LUA_IOLIBNAME) == LUA_TTABLE) {
        replace_file(L, "stdout", stdout);
        replace_file(L, "stderr", stderr);
    }
    return 0;
}

int vm_output_open(struct vm *vm, struct bx_error *err)
{
    FILE *out = open_stream(vm, STDOUT_FILENO), *errors = open_stream(vm, STDERR_FILENO);
    if (out == NULL || errors == NULL)
        return bx_fail(err, ENOMEM, "not enough memory for the standard streams");
    setvbuf(out, line_buffer, _IOLBF, sizeof line_buffer);
    setvbuf(errors, NULL, _IONBF, 0);
    stdout = out;
    stderr = errors;
    lua_pushcfunction(vm->L, replace_files);
    if (lua_pcall(vm->L, 0, 0, 0) == LUA_OK)
        return 0;
    lua_pop(vm->L, 1);
    return bx_fail(err, ENOMEM, "not enough memory for the standard streams");
}
