/*
 * embedded.c - the Lua files that this program carries (lua/, and LuaSocket's own), for require: no file is opened, and
 * a restricted VM has them too.
 *
 * They are in the table of what is preloaded, which the package library shows in a full VM.
 */
#include <lauxlib.h>
#include <string.h>

#include "lua_embed.h"
#include "net.h"
#include "vm.h"

static const luaL_Reg natives[] = {
    {"socket.core", vm_open_socket},
    {"mime.core", luaopen_mime_core},
    {NULL, NULL},
};

/* The text of the module, compiled and run. Its upvalue is its place in the table. */
static int load_embedded(lua_State *L)
{
    const struct lua_embed *module = &lua_embed[lua_tointeger(L, lua_upvalueindex(1))];
    lua_pushfstring(L, "=[%s]", module->name);
    if (luaL_loadbufferx(L, module->text, module->length, lua_tostring(L, -1), "t") != LUA_OK)
        return lua_error(L);
    lua_insert(L, 1);
    lua_pop(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

static bool is_own(const char *name)
{
    return strncmp(name, "bioxen", 6) == 0;
}

void vm_embed(lua_State *L)
{
    bool networked = vm_of(L)->networked;
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, vm_open_runtime);
    lua_setfield(L, -2, "bioxen.core");
    for (lua_Integer i = 0; lua_embed[i].name != NULL; i++) {
        if (!networked && !is_own(lua_embed[i].name))
            continue;
        lua_pushinteger(L, i);
        lua_pushcclosure(L, load_embedded, 1);
        lua_setfield(L, -2, lua_embed[i].name);
    }
    if (networked)
        luaL_setfuncs(L, natives, 0);
    lua_pop(L, 1);
}
