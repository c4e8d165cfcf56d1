/*
 * package.c - the package library of the full profile: Lua's own, but for everything that reaches native
 * code. There are no C searchers, package.cpath leads nowhere, and package.loadlib finds nothing, as in a Lua
 * that was built without dynamic libraries; the dynamic linker is not even in the program. (With loadlib,
 * every function of libc that is mapped anyway is one call away, and neither noexec nor a filter sees that.)
 */
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "vm.h"

#define PATH "/app/?.lua;/app/?/init.lua"
#define SEPARATOR ";"
#define NO_LIBRARIES "dynamic libraries not enabled; check your Lua installation"
#define CONFIG "/\n;\n?\n!\n-\n"

static bool is_readable(const char *file)
{
    FILE *stream = fopen(file, "r");
    if (stream == NULL)
        return false;
    fclose(stream);
    return true;
}

/* Pushes the error message that lists every file of `files`. */
static void push_not_found(lua_State *L, const char *files)
{
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    luaL_addstring(&buffer, "no file '");
    luaL_addgsub(&buffer, files, SEPARATOR, "'\n\tno file '");
    luaL_addstring(&buffer, "'");
    luaL_pushresult(&buffer);
}

/* Looks for a file by a path's templates. Pushes its name and returns it, or pushes the message and returns
 * NULL. */
static const char *search(lua_State *L, const char *name, const char *path, const char *from, const char *to)
{
    if (*from != '\0' && strchr(name, *from) != NULL)
        name = luaL_gsub(L, name, from, to);
    const char *files = luaL_gsub(L, path, "?", name);
    for (const char *at = files;;) {
        size_t length = strcspn(at, SEPARATOR);
        const char *file = lua_pushlstring(L, at, length);
        if (is_readable(file))
            return file;
        lua_pop(L, 1);
        if (at[length] == '\0')
            break;
        at += length + 1;
    }
    push_not_found(L, files);
    return NULL;
}

static int package_searchpath(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1), *path = luaL_checkstring(L, 2);
    if (search(L, name, path, luaL_optstring(L, 3, "."), luaL_optstring(L, 4, "/")) != NULL)
        return 1;
    luaL_pushfail(L);
    lua_insert(L, -2);
    return 2;
}

static int package_loadlib(lua_State *L)
{
    luaL_checkstring(L, 1);
    luaL_checkstring(L, 2);
    luaL_pushfail(L);
    lua_pushliteral(L, NO_LIBRARIES);
    lua_pushliteral(L, "absent");
    return 3;
}

static int search_preload(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    if (lua_getfield(L, -1, name) == LUA_TNIL) {
        lua_pushfstring(L, "no field package.preload['%s']", name);
        return 1;
    }
    lua_pushliteral(L, ":preload:");
    return 2;
}

/* Looks for a module's file by the path in that field. Pushes its name and returns it, or pushes why not and
 * returns NULL. */
static const char *search_field(lua_State *L, const char *name, const char *field)
{
    lua_getfield(L, lua_upvalueindex(1), field);
    const char *path = lua_tostring(L, -1);
    if (path == NULL)
        luaL_error(L, "'package.%s' must be a string", field);
    if (*path != '\0')
        return search(L, name, path, ".", "/");
    lua_pushnil(L); /* nothing to say */
    return NULL;
}

static int cannot_load(lua_State *L, const char *name, const char *file, const char *why)
{
    return luaL_error(L, "error loading module '%s' from file '%s':\n\t%s", name, file, why);
}

static int search_lua(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    const char *file = search_field(L, name, "path");
    if (file == NULL)
        return 1;
    if (vm_load_file(L, file) != LUA_OK)
        return cannot_load(L, name, file, lua_tostring(L, -1));
    lua_pushstring(L, file);
    return 2;
}

/* package.cpath is empty. A script that sets it learns where there was nothing, and that what there was is of
 * no use. */
static int search_native(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    const char *file = search_field(L, name, "cpath");
    return file == NULL ? 1 : cannot_load(L, name, file, NO_LIBRARIES);
}

/* Asks one searcher after the other. Pushes the loader and its data; raises an error with what each of them
 * said. */
static void find_loader(lua_State *L, const char *name)
{
    if (lua_getfield(L, lua_upvalueindex(1), "searchers") != LUA_TTABLE)
        luaL_error(L, "'package.searchers' must be a table");
    int searchers = lua_gettop(L);
    lua_pushliteral(L, "");
    int said = lua_gettop(L);
    for (lua_Integer i = 1; lua_rawgeti(L, searchers, i) != LUA_TNIL; i++) {
        lua_pushstring(L, name);
        lua_call(L, 1, 2);
        if (lua_isfunction(L, -2))
            return;
        if (lua_isstring(L, -2)) {
            lua_pushfstring(L, "%s\n\t%s", lua_tostring(L, said), lua_tostring(L, -2));
            lua_replace(L, said);
        }
        lua_settop(L, said);
    }
    luaL_error(L, "module '%s' not found:%s", name, lua_tostring(L, said));
}

static int package_require(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    lua_settop(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, 2, name);
    if (lua_toboolean(L, -1))
        return 1;
    lua_pop(L, 1);
    find_loader(L, name);

    int data = lua_gettop(L);
    lua_pushvalue(L, data - 1);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, data);
    lua_call(L, 2, 1);
    if (!lua_isnil(L, -1))
        lua_setfield(L, 2, name);
    else
        lua_pop(L, 1);
    if (lua_getfield(L, 2, name) == LUA_TNIL) {
        lua_pushboolean(L, 1);
        lua_copy(L, -1, -2);
        lua_setfield(L, 2, name);
    }
    lua_pushvalue(L, data);
    return 2;
}

/* Pushes a function that has the package table as its upvalue. */
static void push_member(lua_State *L, int package, lua_CFunction function)
{
    lua_pushvalue(L, package);
    lua_pushcclosure(L, function, 1);
}

static void add_searchers(lua_State *L, int package)
{
    lua_createtable(L, 3, 0);
    push_member(L, package, search_preload);
    lua_rawseti(L, -2, 1);
    push_member(L, package, search_lua);
    lua_rawseti(L, -2, 2);
    push_member(L, package, search_native);
    lua_rawseti(L, -2, 3);
    lua_setfield(L, package, "searchers");
}

int vm_open_package(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"loadlib", package_loadlib},
        {"searchpath", package_searchpath},
        {NULL, NULL},
    };
    luaL_newlib(L, functions);
    int package = lua_gettop(L);
    add_searchers(L, package);
    lua_pushliteral(L, PATH);
    lua_setfield(L, package, "path");
    lua_pushliteral(L, "");
    lua_setfield(L, package, "cpath");
    lua_pushliteral(L, CONFIG);
    lua_setfield(L, package, "config");
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_setfield(L, package, "loaded");
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_setfield(L, package, "preload");
    push_member(L, package, package_require);
    lua_setglobal(L, "require");
    return 1;
}
