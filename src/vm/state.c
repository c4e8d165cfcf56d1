/*
 * state.c - the Lua state and what a script finds in it. Everything that a restricted script has is named
 * here.
 *
 * Libraries are opened whole and then stripped of every name that the table below does not list: a function
 * that a newer Lua adds is not there until somebody has thought about it. What is replaced (load and its kin,
 * require, os.exit, what switches coroutines) is replaced in both profiles, and the originals are nowhere in the state:
 * in the full profile debug.getupvalue and debug.getinfo would hand out a function that is merely wrapped.
 */
#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "vm.h"

#ifdef BX_TEST_PROBE
int luaopen_native_probe(lua_State *L);
#endif

struct library {
    const char *name;
    lua_CFunction open;
    const char *restricted; /* the names that a restricted script sees; NULL: it sees no such library */
};

static const struct library libraries[] = {
    {LUA_GNAME, luaopen_base,
     "_G _VERSION assert collectgarbage error getmetatable ipairs load next pairs pcall print rawequal rawget "
     "rawlen rawset require select setmetatable tonumber tostring type warn xpcall"},
    {LUA_TABLIBNAME, luaopen_table, "concat insert move pack remove sort unpack"},
    {LUA_STRLIBNAME, luaopen_string,
     "byte char find format gmatch gsub len lower match pack packsize rep reverse sub unpack upper"},
    {LUA_MATHLIBNAME, luaopen_math,
     "abs acos asin atan atan2 ceil cos cosh deg exp floor fmod frexp huge ldexp log log10 max maxinteger min "
     "mininteger modf pi pow rad random randomseed sin sinh sqrt tan tanh tointeger type ult"},
    {LUA_UTF8LIBNAME, luaopen_utf8, "char charpattern codepoint codes len offset"},
    {LUA_COLIBNAME, luaopen_coroutine, "close create isyieldable resume running status wrap yield"},
    {LUA_OSLIBNAME, luaopen_os, "clock date difftime exit getenv time"},
    {LUA_DBLIBNAME, luaopen_debug, "traceback"},
    {LUA_IOLIBNAME, luaopen_io, NULL},
    {LUA_LOADLIBNAME, vm_open_package, NULL},
};

#define LIBRARIES (sizeof libraries / sizeof libraries[0])

struct vm *vm_of(lua_State *L)
{
    void *ud;
    (void)lua_getallocf(L, &ud);
    return ud;
}

/* Is `name` one of the words of `list`? */
static bool is_listed(const char *list, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = strstr(list, name); at != NULL; at = strstr(at + 1, name))
        if ((at == list || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return true;
    return false;
}

/* Removes from the table on the top of the stack what is not listed. */
static void strip(lua_State *L, const char *list)
{
    lua_pushnil(L);
    while (lua_next(L, -2) != 0) {
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TSTRING && is_listed(list, lua_tostring(L, -1)))
            continue;
        lua_pushvalue(L, -1);
        lua_pushnil(L);
        lua_rawset(L, -4);
    }
}

static void replace(lua_State *L, const char *library, const char *name, lua_CFunction function)
{
    lua_getglobal(L, library);
    lua_pushcfunction(L, function);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

/* The metatable of strings is shared by all code of a state; without it no function of it can be swapped
 * behind another's back. */
static void close_string_metatable(lua_State *L)
{
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 2);
}

/* Lua seeds from the clock and an address: two VMs of one second need more than that. */
static void seed_random(lua_State *L)
{
    lua_Integer seed[2];
    if (getrandom(seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed)
        return;
    lua_getglobal(L, LUA_MATHLIBNAME);
    lua_getfield(L, -1, "randomseed");
    lua_pushinteger(L, seed[0]);
    lua_pushinteger(L, seed[1]);
    lua_call(L, 2, 0);
    lua_pop(L, 1);
}

static void open_full(lua_State *L)
{
    for (size_t i = 0; i < LIBRARIES; i++) {
        luaL_requiref(L, libraries[i].name, libraries[i].open, 1);
        lua_pop(L, 1);
    }
    replace(L, LUA_GNAME, "loadfile", vm_lua_loadfile);
    replace(L, LUA_GNAME, "dofile", vm_lua_dofile);
}

static void open_restricted(lua_State *L)
{
    for (size_t i = 0; i < LIBRARIES; i++) {
        if (libraries[i].restricted == NULL)
            continue;
        luaL_requiref(L, libraries[i].name, libraries[i].open, 1);
        strip(L, libraries[i].restricted);
        lua_pop(L, 1);
    }
    replace(L, LUA_GNAME, "require", vm_lua_require);
    close_string_metatable(L);
}

/* Runs protected: any of this may fail for memory. */
static int open_libraries(lua_State *L)
{
    luaL_checkversion(L);
    lua_gc(L, LUA_GCSTOP);
    if (vm_of(L)->profile == JW_FULL)
        open_full(L);
    else
        open_restricted(L);
    replace(L, LUA_GNAME, "load", vm_lua_load);
    replace(L, LUA_OSLIBNAME, "exit", vm_os_exit);
    replace(L, LUA_COLIBNAME, "resume", vm_lua_resume);
    replace(L, LUA_COLIBNAME, "wrap", vm_lua_wrap);
    replace(L, LUA_COLIBNAME, "close", vm_lua_close);
    seed_random(L);
    vm_embed(L);
#ifdef BX_TEST_PROBE
    luaL_requiref(L, "native_probe", luaopen_native_probe, 0);
#endif
    lua_gc(L, LUA_GCRESTART);
    lua_gc(L, LUA_GCGEN, 0, 0); /* as lua(1) does */
    return 0;
}

/* "@on" and "@off", as lua(1) has them; other control messages are ignored. Returns whether it was one. */
static bool warn_control(struct vm *vm, const char *message, bool goes_on)
{
    if (vm->warn_goes_on || goes_on || message[0] != '@')
        return false;
    if (strcmp(message, "@on") == 0)
        vm->warn_on = true;
    else if (strcmp(message, "@off") == 0)
        vm->warn_on = false;
    return true;
}

static void on_warning(void *ud, const char *message, int goes_on)
{
    struct vm *vm = ud;
    if (warn_control(vm, message, goes_on != 0))
        return;
    if (vm->warn_on) {
        if (!vm->warn_goes_on)
            fputs("Lua warning: ", stderr);
        fputs(message, stderr);
        if (!goes_on)
            fputc('\n', stderr);
    }
    vm->warn_goes_on = goes_on != 0;
}

/* An error outside every protected call: none is known, so it is a crash. */
static int on_panic(lua_State *L)
{
    const char *message = lua_tostring(L, -1);
    fprintf(stderr, "bioxen-vm: unprotected error: %s\n", message != NULL ? message : "not a string");
    abort();
}

int vm_open(struct vm *vm, enum jw_profile profile, struct bx_error *err)
{
    vm_heap_init(&vm->heap);
    vm->profile = profile;
    vm->L = vm_heap_open(&vm->heap, vm);
    if (vm->L == NULL)
        return bx_fail(err, ENOMEM, "not enough memory for a Lua state");
    vm->heap.on_refusal = vm_note_where;
    lua_atpanic(vm->L, on_panic);
    lua_setwarnf(vm->L, on_warning, vm);
    lua_pushcfunction(vm->L, open_libraries);
    if (lua_pcall(vm->L, 0, 0, 0) == LUA_OK)
        return 0;
    bx_fail(err, ENOMEM, "cannot open the Lua libraries: %s", lua_tostring(vm->L, -1));
    lua_close(vm->L);
    vm->L = NULL;
    return -ENOMEM;
}
