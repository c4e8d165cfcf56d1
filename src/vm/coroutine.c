/*
 * coroutine.c - coroutine.resume, wrap and close as Lua has them, and one thing more: they tell which coroutine
 * runs. Whoever interrupts a script must set its hook on that one, and only it.
 */
#include <lauxlib.h>

#include "vm.h"

/* Closes within closes: each takes C stack that this Lua does not count (5.4.4 crashes where 5.4.5 says this). */
#define CLOSES_MAX 150

#define FAILED (-1)

static lua_State *get_coroutine(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);
    luaL_argexpected(L, co != NULL, 1, "coroutine");
    return co;
}

static int no_room(lua_State *L, const char *message)
{
    lua_pushstring(L, message);
    return FAILED;
}

/* Resumes with the `count` values on the top of L. Pushes the results and returns how many, or FAILED with the error
 * pushed. */
static int resume(lua_State *L, lua_State *co, int count)
{
    if (!lua_checkstack(co, count))
        return no_room(L, "too many arguments to resume");
    lua_xmove(L, co, count);
    int results = 0;
    vm_runs(co);
    int status = lua_resume(co, L, count, &results);
    vm_runs(L);
    if (status != LUA_OK && status != LUA_YIELD) {
        lua_xmove(co, L, 1);
        return FAILED;
    }
    if (!lua_checkstack(L, results + 1)) {
        lua_pop(co, results);
        return no_room(L, "too many results to resume");
    }
    lua_xmove(co, L, results);
    return results;
}

/* Runs what is to be closed in the coroutine. Returns its status; an error is on its stack. */
static int reset(lua_State *L, lua_State *co)
{
    struct vm *vm = vm_of(L);
    if (vm->closes >= CLOSES_MAX)
        return luaL_error(L, "C stack overflow");
    vm->closes++;
    vm_runs(co);
#if LUA_VERSION_RELEASE_NUM >= 50406
    int status = lua_closethread(co, L);
#else
    int status = lua_resetthread(co);
#endif
    vm_runs(L);
    vm->closes--;
    return status;
}

int vm_lua_resume(lua_State *L)
{
    lua_State *co = get_coroutine(L);
    int results = resume(L, co, lua_gettop(L) - 1);
    lua_pushboolean(L, results != FAILED);
    if (results == FAILED)
        results = 1;
    lua_insert(L, -(results + 1));
    return results + 1;
}

static int call_wrapped(lua_State *L)
{
    lua_State *co = lua_tothread(L, lua_upvalueindex(1));
    int results = resume(L, co, lua_gettop(L));
    if (results != FAILED)
        return results;
    int status = lua_status(co);
    if (status != LUA_OK && status != LUA_YIELD) {
        status = reset(L, co);
        lua_xmove(co, L, 1);
    }
    if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

int vm_lua_wrap(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_State *co = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    lua_pushcclosure(L, call_wrapped, 1);
    return 1;
}

/* NULL when it can be closed: it is dead or suspended. */
static const char *unclosable(lua_State *L, lua_State *co)
{
    lua_Debug at;
    if (L == co)
        return "running";
    return lua_status(co) == LUA_OK && lua_getstack(co, 0, &at) ? "normal" : NULL;
}

int vm_lua_close(lua_State *L)
{
    lua_State *co = get_coroutine(L);
    const char *how = unclosable(L, co);
    if (how != NULL)
        return luaL_error(L, "cannot close a %s coroutine", how);
    if (reset(L, co) == LUA_OK) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushboolean(L, 0);
    lua_xmove(co, L, 1);
    return 2;
}
