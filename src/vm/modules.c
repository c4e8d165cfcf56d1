/*
 * modules.c - require of the restricted profile. There is no file system to look into: the VM asks bioxend
 * for a module by its name, and the one who started the VM decides what that name means. What comes back is
 * text.
 *
 * Modules are kept in the registry, where a restricted script cannot look; there is no package table.
 */
#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vm.h"

/* Registry: name -> true while that module's own code runs. */
#define LOADING "bioxen.loading"

int vm_on_module_loaded(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, LOADING);
    lua_rawgeti(L, 1, 1);
    lua_pushnil(L);
    lua_rawset(L, -3);
    return 0;
}

/* Marks the module as being loaded until this function is left, in whatever way: pushes the guard that
 * unmarks it. */
static void guard_loading(lua_State *L, const char *name)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LOADING);
    if (lua_getfield(L, -1, name) != LUA_TNIL)
        luaL_error(L, "module '%s' requires itself, by itself or through others", name);
    lua_pop(L, 1);
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);

    lua_createtable(L, 1, 0);
    lua_pushstring(L, name);
    lua_rawseti(L, -2, 1);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, vm_on_module_loaded);
    lua_setfield(L, -2, "__close");
    lua_setmetatable(L, -2);
    lua_toclose(L, -1);
}

/* Asks for the module's text. Returns its descriptor and copies its chunk name; raises an error if there is
 * no such module. */
static int fetch(lua_State *L, const char *name, char *chunk, size_t size)
{
    size_t length = strlen(name);
    if (length > BX_MESSAGE_MAX)
        luaL_error(L, "the name of a module has %d bytes at most", (int)BX_MESSAGE_MAX);
    struct lw_frame frame;
    int fd;
    const struct lw_frame question = {.type = LW_NEED, .text1 = name, .length1 = (uint32_t)length};
    int rc = vm_ask(vm_of(L), &question, &frame, &fd);
    if (rc == -EINTR)
        vm_interrupt_now(L);
    if (rc != 0)
        luaL_error(L, "module '%s' not found:\n\tnobody is there to ask for it", name);
    if (frame.type == LW_MODULE && fd >= 0) {
        snprintf(chunk, size, "%.*s", (int)frame.length1, frame.text1);
        return fd;
    }
    if (fd >= 0)
        close(fd);
    lua_pushlstring(L, frame.text1, frame.length1);
    return luaL_error(L, "module '%s' not found:\n\t%s", name, lua_tostring(L, -1));
}

/* Pushes the loader function of a module that this program carries, if there is one. */
static bool find_embedded(lua_State *L, const char *name)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    bool found = lua_getfield(L, -1, name) != LUA_TNIL;
    if (found)
        lua_pushliteral(L, ":preload:");
    else
        lua_pop(L, 2);
    return found;
}

/* Pushes the loader function and its file's name. */
static void find_loader(lua_State *L, const char *name)
{
    if (find_embedded(L, name))
        return;
    char chunk[PATH_MAX + 1];
    chunk[0] = '\0';
    int fd = fetch(L, name, chunk, sizeof chunk); /* nothing between here and the next line may raise an error */
    int status = vm_load_fd(L, fd, UINT64_MAX, chunk, true);
    const char *file = chunk + (*chunk == '@');
    if (status != LUA_OK)
        luaL_error(L, "error loading module '%s' from file '%s':\n\t%s", name, file, lua_tostring(L, -1));
    lua_pushstring(L, file);
}

int vm_lua_require(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    lua_settop(L, 1);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, 2, name);
    if (lua_toboolean(L, -1))
        return 1;
    guard_loading(L, name);
    find_loader(L, name);

    int file = lua_gettop(L);
    lua_pushvalue(L, file - 1);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, file);
    lua_call(L, 2, 1);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushboolean(L, 1);
    }
    lua_pushvalue(L, -1);
    lua_setfield(L, 2, name);
    lua_pushvalue(L, file);
    return 2;
}
