/*
 * native_probe.c - the script as native code: a Lua module that makes any system call, crashes in every way,
 * and reads and writes memory. It is linked into the test build of the VM only (BX_TEST_PROBE), where
 * `require "native_probe"` finds it in both profiles: the jail is judged by what it does to code that obeys
 * no rule of Lua's.
 *
 * An argument of a call is an integer, a string or a buffer (their addresses), or a boolean; what is left out
 * is 0.
 */
#include <errno.h>
#include <lauxlib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "syscall_names.h"

#define X32 0x40000000L

int luaopen_native_probe(lua_State *L);

static long argument(lua_State *L, int index)
{
    switch (lua_type(L, index)) {
    case LUA_TNONE:
    case LUA_TNIL: return 0;
    case LUA_TBOOLEAN: return lua_toboolean(L, index);
    case LUA_TSTRING: return (long)(uintptr_t)lua_tostring(L, index);
    case LUA_TUSERDATA:
    case LUA_TLIGHTUSERDATA: return (long)(uintptr_t)lua_touserdata(L, index);
    default: return (long)luaL_checkinteger(L, index);
    }
}

/* The kernel's own answer: glibc's syscall() would turn it into errno. */
static long raw_call(long number, const long *a)
{
#if defined(__x86_64__)
    long result;
    register long r10 __asm__("r10") = a[3];
    register long r8 __asm__("r8") = a[4];
    register long r9 __asm__("r9") = a[5];
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
#else
    long result = syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    return result == -1 ? -errno : result;
#endif
}

static void arguments(lua_State *L, long *a)
{
    for (int i = 0; i < 6; i++)
        a[i] = argument(L, i + 2);
}

/* call(number, ...): the result, or -errno. */
static int probe_call(lua_State *L)
{
    long a[6];
    arguments(L, a);
    lua_pushinteger(L, raw_call((long)luaL_checkinteger(L, 1), a));
    return 1;
}

/* callx32(number, ...): the same through the x32 table. */
static int probe_callx32(lua_State *L)
{
    long a[6];
    arguments(L, a);
    lua_pushinteger(L, raw_call((long)luaL_checkinteger(L, 1) | X32, a));
    return 1;
}

/* call32(number, ...): through the entry of 32-bit programs, whose numbers are others. */
static int probe_call32(lua_State *L)
{
#if defined(__x86_64__)
    int result;
    int number = (int)luaL_checkinteger(L, 1);
    long a[6];
    arguments(L, a);
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(number), "b"((int)a[0]), "c"((int)a[1]), "d"((int)a[2]), "S"((int)a[3]), "D"((int)a[4])
                     : "memory", "r8", "r9", "r10", "r11");
    lua_pushinteger(L, result);
    return 1;
#else
    return luaL_error(L, "this machine has no such entry");
#endif
}

/* name(number): the name of a system call. */
static int probe_name(lua_State *L)
{
    lua_Integer number = luaL_checkinteger(L, 1);
    if (number >= 0 && (size_t)number < sizeof syscall_names / sizeof *syscall_names && syscall_names[number] != NULL)
        lua_pushstring(L, syscall_names[number]);
    else
        lua_pushfstring(L, "call %I", (LUAI_UACINT)number);
    return 1;
}

/* errname(errno): "EPERM" and so on. */
static int probe_errname(lua_State *L)
{
    int number = (int)luaL_checkinteger(L, 1);
    const char *name = strerrorname_np(number);
    if (name != NULL)
        lua_pushstring(L, name);
    else
        lua_pushfstring(L, "errno %d", number);
    return 1;
}

/* buffer(size): memory to hand to a call, filled with zeros. */
static int probe_buffer(lua_State *L)
{
    size_t size = (size_t)luaL_checkinteger(L, 1);
    memset(lua_newuserdatauv(L, size, 0), 0, size);
    return 1;
}

/* address(value): of a buffer, a string, a function or a table. */
static int probe_address(lua_State *L)
{
    const void *at = lua_type(L, 1) == LUA_TSTRING ? (const void *)lua_tostring(L, 1) : lua_topointer(L, 1);
    lua_pushinteger(L, (lua_Integer)(uintptr_t)at);
    return 1;
}

/* stack(): an address on the C stack. */
static int probe_stack(lua_State *L)
{
    int here;
    lua_pushinteger(L, (lua_Integer)(uintptr_t)&here);
    return 1;
}

/* peek(buffer or address, size): its bytes as a string. */
static int probe_peek(lua_State *L)
{
    lua_pushlstring(L, (const char *)(uintptr_t)argument(L, 1), (size_t)luaL_checkinteger(L, 2));
    return 1;
}

/* poke(buffer or address, string): writes it there. */
static int probe_poke(lua_State *L)
{
    size_t length;
    const char *bytes = luaL_checklstring(L, 2, &length);
    memcpy((void *)(uintptr_t)argument(L, 1), bytes, length);
    return 0;
}

/* auxv(type): what the kernel told the process at exec: 11 is the uid, 13 the gid, 23 "secure". No call is
 * made. */
static int probe_auxv(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)getauxval((unsigned long)luaL_checkinteger(L, 1)));
    return 1;
}

/* raise(signal): sent to itself by tgkill, as the C library does it. Returns the call's result. */
static int probe_raise(lua_State *L)
{
    long none[6] = {0};
    long pid = raw_call(SYS_getpid, none), tid = raw_call(SYS_gettid, none);
    lua_pushinteger(L, raw_call(SYS_tgkill, (long[6]){pid, tid, (long)luaL_checkinteger(L, 1)}));
    return 1;
}

static int probe_abort(lua_State *L)
{
    (void)L;
    abort();
}

static int probe_segv(lua_State *L)
{
    *(volatile char *)(uintptr_t)argument(L, 1) = 1; /* without an argument at 0 */
    return 0;
}

static int probe_ill(lua_State *L)
{
    (void)L;
    __builtin_trap();
}

static int probe_fpe(lua_State *L)
{
    volatile int three = 3, zero = 0;
    lua_pushinteger(L, three / zero);
    return 1;
}

/* Each call needs its own piece of stack; the compiler must not see that there is no end. */
static int descend(volatile int *deeper)
{
    volatile int here[1024];
    here[0] = *deeper;
    return *deeper ? descend(here) + here[0] : 0;
}

static int probe_overflow(lua_State *L)
{
    volatile int deeper = 1;
    lua_pushinteger(L, descend(&deeper));
    return 1;
}

/* exit(status): ends the process without a word on the lifeline. */
static int probe_exit(lua_State *L)
{
    _exit((int)luaL_optinteger(L, 1, 0));
}

int luaopen_native_probe(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"call", probe_call},   {"call32", probe_call32}, {"callx32", probe_callx32}, {"name", probe_name},
        {"errname", probe_errname}, {"buffer", probe_buffer}, {"address", probe_address}, {"stack", probe_stack},
        {"peek", probe_peek},   {"poke", probe_poke},     {"auxv", probe_auxv},       {"raise", probe_raise},
        {"abort", probe_abort}, {"segv", probe_segv},     {"ill", probe_ill},         {"fpe", probe_fpe},
        {"overflow", probe_overflow}, {"exit", probe_exit}, {NULL, NULL},
    };
    luaL_newlib(L, functions);
    return 1;
}
