/*
 * chunk.c - text becomes functions. Binary chunks never do: a forged one is native code for the asking, since
 * Lua verifies none of it. Each function here replaces Lua's own of the same name and passes mode "t"
 * whatever it was asked.
 */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <string.h>
#include <unistd.h>

#include "vm.h"

#define TEXT_ONLY "t"

/* Matches neither a text nor a binary chunk. */
#define NOTHING ""

enum source_state { AT_START, IN_COMMENT, IN_TEXT };

struct source {
    int fd;
    uint64_t left;      /* bytes that are still to be read at most */
    bool ends_early;    /* the end of the file is an end like any other */
    int failure;        /* errno of a failed read, else 0 */
    enum source_state state;
    char buffer[16 * 1024];
};

/* Reads a block. Returns its length, 0 at the end or on failure. */
static size_t read_block(struct source *source)
{
    size_t want = source->left < sizeof source->buffer ? (size_t)source->left : sizeof source->buffer;
    size_t have = 0;
    while (have < want) {
        ssize_t got = read(source->fd, source->buffer + have, want - have);
        if (got > 0) {
            have += (size_t)got;
        } else if (got == 0) {
            source->failure = source->ends_early ? 0 : EBADMSG;
            source->left = have;
            break;
        } else if (errno != EINTR) {
            source->failure = errno;
            return 0;
        }
    }
    source->left -= have;
    return have;
}

/* Skips what a file may begin with and Lua does not know: the mark of UTF-8, and a first line with '#'. The
 * end of that line stays, so that line numbers are right. Moves *start; may use up the block. */
static void skip_beginning(struct source *source, const char **start, size_t *length)
{
    if (source->state == AT_START) {
        if (*length >= 3 && memcmp(*start, "\xEF\xBB\xBF", 3) == 0) {
            *start += 3;
            *length -= 3;
        }
        source->state = *length > 0 && **start == '#' ? IN_COMMENT : IN_TEXT;
    }
    if (source->state == IN_COMMENT) {
        const char *end = memchr(*start, '\n', *length);
        if (end == NULL) {
            *length = 0;
            return;
        }
        *length -= (size_t)(end - *start);
        *start = end;
        source->state = IN_TEXT;
    }
}

static const char *next_piece(lua_State *L, void *ud, size_t *size)
{
    struct source *source = ud;
    (void)L;
    while ((*size = read_block(source)) > 0) {
        const char *start = source->buffer;
        if (source->state != IN_TEXT)
            skip_beginning(source, &start, size);
        if (*size > 0)
            return start;
    }
    return NULL;
}

static const char *display_name(const char *chunk)
{
    return chunk + (*chunk == '@' || *chunk == '=');
}

static int load_fd(lua_State *L, int fd, uint64_t length, const char *chunk, bool is_file, const char *mode)
{
    struct source source;
    source.fd = fd;
    source.left = length;
    source.ends_early = length == UINT64_MAX;
    source.failure = 0;
    source.state = is_file ? AT_START : IN_TEXT;
    int status = lua_load(L, next_piece, &source, chunk, mode); /* raises no error */
    close(fd);
    if (source.failure != 0) {
        lua_pop(L, 1);
        lua_pushfstring(L, "cannot read %s: %s", display_name(chunk), strerror(source.failure));
        return LUA_ERRFILE;
    }
    return status;
}

int vm_load_fd(lua_State *L, int fd, uint64_t length, const char *chunk, bool is_file)
{
    return load_fd(L, fd, length, chunk, is_file, TEXT_ONLY);
}

/* As luaL_loadfilex, which opens a file anew when it turns out to be binary: the filter knows no dup3, and
 * the error would be that. */
static int load_file(lua_State *L, const char *file, const char *mode)
{
    if (file == NULL)
        return luaL_loadfilex(L, NULL, mode); /* stdin, with what io.read has left of it */
    const char *chunk = lua_pushfstring(L, "@%s", file);
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        lua_pushfstring(L, "cannot open %s: %s", file, strerror(errno));
        lua_remove(L, -2);
        return LUA_ERRFILE;
    }
    int status = load_fd(L, fd, UINT64_MAX, chunk, true, mode);
    lua_remove(L, -2);
    return status;
}

int vm_load_file(lua_State *L, const char *file)
{
    return load_file(L, file, TEXT_ONLY);
}

/* A caller's mode, reduced: without 't' nothing may pass. */
static const char *text_mode(const char *mode)
{
    return mode == NULL || strchr(mode, 't') != NULL ? TEXT_ONLY : NOTHING;
}

/* The end of load and loadfile: sets the environment and returns the function, or fail and the message. */
static int give(lua_State *L, int status, int environment)
{
    if (status != LUA_OK) {
        luaL_pushfail(L);
        lua_insert(L, -2);
        return 2;
    }
    if (environment != 0) {
        lua_pushvalue(L, environment);
        if (lua_setupvalue(L, -2, 1) == NULL)
            lua_pop(L, 1);
    }
    return 1;
}

/* Where `load` keeps the string that its reader function returned last, safe from the collector. */
#define READER_SLOT 5

static const char *call_reader(lua_State *L, void *ud, size_t *size)
{
    (void)ud;
    luaL_checkstack(L, 2, "too many nested functions");
    lua_pushvalue(L, 1);
    lua_call(L, 0, 1);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        *size = 0;
        return NULL;
    }
    if (!lua_isstring(L, -1))
        luaL_error(L, "reader function must return a string");
    lua_replace(L, READER_SLOT);
    return lua_tolstring(L, READER_SLOT, size);
}

int vm_lua_load(lua_State *L)
{
    size_t length;
    const char *text = lua_tolstring(L, 1, &length);
    const char *mode = text_mode(luaL_optstring(L, 3, NULL));
    int environment = lua_isnone(L, 4) ? 0 : 4;
    if (text != NULL)
        return give(L, luaL_loadbufferx(L, text, length, luaL_optstring(L, 2, text), mode), environment);
    const char *chunk = luaL_optstring(L, 2, "=(load)");
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, READER_SLOT);
    return give(L, lua_load(L, call_reader, NULL, chunk, mode), environment);
}

int vm_lua_loadfile(lua_State *L)
{
    const char *file = luaL_optstring(L, 1, NULL);
    const char *mode = text_mode(luaL_optstring(L, 2, NULL));
    int environment = lua_isnone(L, 3) ? 0 : 3;
    return give(L, load_file(L, file, mode), environment);
}

static int dofile_done(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    return lua_gettop(L) - 1;
}

int vm_lua_dofile(lua_State *L)
{
    const char *file = luaL_optstring(L, 1, NULL);
    lua_settop(L, 1);
    if (vm_load_file(L, file) != LUA_OK)
        return lua_error(L);
    lua_callk(L, 0, LUA_MULTRET, 0, dofile_done);
    return dofile_done(L, 0, 0);
}
