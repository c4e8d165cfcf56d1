/*
 * net_socket.c - LuaSocket as a script finds it: its objects cannot be told which descriptor they have, nor tell it.
 *
 * With setfd, one line of Lua would read, write or close any descriptor of this process, the lifeline and clients'
 * sessions included. LuaSocket's own select believes whatever number an object's getfd answers, and writes a bit there;
 * ours asks only what is a socket of this library, and has no bits.
 */
#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <math.h>
#include <string.h>

#include "common/clock.h"
#include "net.h"
#include "vm.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *const classes[] = {
    "tcp{master}", "tcp{client}", "tcp{server}", "udp{connected}", "udp{unconnected}",
};

/* Of the class with that index: what was taken away from scripts. Each checks its object by itself. */
static lua_CFunction get_fd[COUNT(classes)], is_dirty[COUNT(classes)];

/* Takes a method out of the class whose table of methods is on the top of the stack. */
static lua_CFunction take_method(lua_State *L, const char *name)
{
    lua_getfield(L, -1, name);
    lua_CFunction function = lua_tocfunction(L, -1);
    lua_pop(L, 1);
    lua_pushnil(L);
    lua_setfield(L, -2, name);
    return function;
}

static void close_class(lua_State *L, unsigned class)
{
    luaL_getmetatable(L, classes[class]);
    lua_getfield(L, -1, "__index");
    get_fd[class] = take_method(L, "getfd");
    is_dirty[class] = take_method(L, "dirty");
    take_method(L, "setfd");
    lua_pop(L, 1);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}

/* ---- select ---- */

/* Sockets in both tables together: more than a VM can have descriptors. */
#define SELECT_MAX 1000

struct selection {
    int count, readers;    /* the first ones wait to read, the others to write */
    bool buffered;         /* one of them has bytes that were read already */
    bool messages;         /* a message that waits is as good as a socket that is ready */
    struct pollfd *fds;
    bool *dirty;
};

/* Of select: arguments 1 to 3, then these. A finalizer may change the script's tables at any time, but not ours. */
enum { SELECTION = 4, SOCKETS = 5 };

static int class_of(lua_State *L, int index)
{
    for (unsigned i = 0; i < COUNT(classes); i++)
        if (luaL_testudata(L, index, classes[i]) != NULL)
            return (int)i;
    return -1;
}

/* What a method of LuaSocket answers: a number or a boolean. */
static lua_Integer ask(lua_State *L, lua_CFunction method, int index)
{
    lua_pushcfunction(L, method);
    lua_pushvalue(L, index);
    lua_call(L, 1, 1);
    lua_Integer answer = lua_isboolean(L, -1) ? lua_toboolean(L, -1) : lua_tointeger(L, -1);
    lua_pop(L, 1);
    return answer;
}

/* The socket on the top of the stack. A closed one is never ready. */
static void add_socket(lua_State *L, struct selection *selection, short events)
{
    int object = lua_gettop(L), class = class_of(L, object);
    if (class < 0) {
        luaL_error(L, "select: a %s value is not a socket", luaL_typename(L, object));
        return; /* it does not come here */
    }
    lua_Integer fd = ask(L, get_fd[class], object);
    bool dirty = events == POLLIN && ask(L, is_dirty[class], object) != 0;
    int at = selection->count++;
    selection->fds[at] = (struct pollfd){.fd = fd >= 0 && fd <= INT_MAX ? (int)fd : -1, .events = events};
    selection->dirty[at] = dirty;
    selection->buffered |= dirty;
    lua_rawseti(L, SOCKETS, at + 1);
}

static void add_table(lua_State *L, int index, struct selection *selection, size_t most, short events)
{
    for (size_t i = 1; i <= most; i++) {
        if (lua_rawgeti(L, index, (lua_Integer)i) == LUA_TNIL) {
            lua_pop(L, 1);
            return;
        }
        add_socket(L, selection, events);
    }
}

static size_t table_length(lua_State *L, int index)
{
    if (lua_isnoneornil(L, index))
        return 0;
    luaL_checktype(L, index, LUA_TTABLE);
    return (size_t)lua_rawlen(L, index);
}

static struct selection *new_selection(lua_State *L, size_t most)
{
    if (most > SELECT_MAX)
        luaL_error(L, "select: too many sockets");
    struct selection *selection =
        lua_newuserdatauv(L, sizeof *selection + most * (sizeof *selection->fds + sizeof *selection->dirty), 0);
    *selection = (struct selection){.fds = (struct pollfd *)(selection + 1)};
    selection->dirty = (bool *)(selection->fds + most);
    lua_createtable(L, (int)most, 0);
    return selection;
}

/* Until something is ready (1) or the time is over (0); negative seconds: for ever. -1: in vain, of a finalizer. */
static int wait_for_any(const struct selection *selection, double seconds)
{
    const uint64_t until = seconds < 0 ? 0 : bx_now_us() + (uint64_t)(fmin(seconds, 1e9) * 1e6);
    for (;;) {
        bool is_there = selection->buffered || (selection->messages && vm_mail_waits(vm_net_vm()));
        int rest = is_there ? 0 : seconds < 0 ? -1 : bx_ms_until(until);
        int ready = vm_net_poll(selection->fds, (nfds_t)selection->count, rest);
        if (ready > 0 || selection->buffered || (selection->messages && vm_mail_waits(vm_net_vm())))
            return 1;
        if (ready < 0 && errno != EINTR)
            return -1;
        if (seconds >= 0 && bx_now_us() >= until)
            return 0;
    }
}

/* Pushes a list of those that are ready; each is a key of it, too. */
static void push_ready(lua_State *L, const struct selection *selection, int first, int end)
{
    lua_Integer found = 0;
    lua_newtable(L);
    for (int i = first; i < end; i++) {
        if (selection->fds[i].revents == 0 && !selection->dirty[i])
            continue;
        lua_rawgeti(L, SOCKETS, i + 1);
        lua_pushvalue(L, -1);
        lua_rawseti(L, -3, ++found);
        lua_pushinteger(L, found);
        lua_rawset(L, -3);
    }
}

static int select_sockets(lua_State *L, bool messages)
{
    size_t reads = table_length(L, 1), writes = table_length(L, 2);
    double seconds = luaL_optnumber(L, 3, -1);
    lua_settop(L, 3);
    struct selection *selection = new_selection(L, reads > SELECT_MAX ? reads : reads + writes);
    selection->messages = messages;
    add_table(L, 1, selection, reads, POLLIN);
    selection->readers = selection->count;
    add_table(L, 2, selection, writes, POLLOUT);
    int rc = wait_for_any(selection, seconds);
    push_ready(L, selection, 0, rc > 0 ? selection->readers : 0);
    push_ready(L, selection, selection->readers, rc > 0 ? selection->count : selection->readers);
    if (rc > 0)
        return 2;
    lua_pushstring(L, rc == 0 ? "timeout" : "interrupted");
    return 3;
}

static int vm_select(lua_State *L)
{
    return select_sockets(L, false);
}

/* The same with one argument more: whether to end when there is a message, too. */
int vm_select_or_message(lua_State *L)
{
    return select_sockets(L, lua_toboolean(L, 4));
}

int vm_open_socket(lua_State *L)
{
    luaopen_socket_core(L);
    for (unsigned i = 0; i < COUNT(classes); i++)
        close_class(L, i);
    lua_pushcfunction(L, vm_select);
    lua_setfield(L, -2, "select");
    return 1;
}
