/*
 * interrupt.c - the end of a call that somebody else wants. A script that runs is not asked anything, and pays
 * nothing, until a frame arrives on the lifeline: that raises a signal, whose handler sets a hook on the Lua thread
 * that runs (as lua(1) does when Ctrl-C is pressed), and the hook reads the lifeline. If it is this call that is to
 * end, the hook raises an error, and again at each further step: a pcall around it ends nothing.
 *
 * What no hook can end (C code that takes for ever, finalizers, a script that hides the hook behind one of its own)
 * is ended by bioxend, which kills a VM that has not answered LW_UNWOUND in time.
 */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vm.h"

/* The signal handler's VM. */
static struct vm *listening;

/* The hook that a script had set for itself where ours is now, to be put back. */
static struct {
    lua_State *L;
    lua_Hook hook;
    int mask, count;
} displaced;

static void on_hook(lua_State *L, lua_Debug *at);

/* Called by the signal handler too: lua_sethook may be. */
static void set_hook(lua_State *L)
{
    lua_Hook before = lua_gethook(L);
    if (before != NULL && before != on_hook) {
        displaced.mask = lua_gethookmask(L);
        displaced.count = lua_gethookcount(L);
        displaced.hook = before;
        displaced.L = L;
    }
    lua_sethook(L, on_hook, LUA_MASKCALL | LUA_MASKCOUNT, 1);
}

static void clear_hook(lua_State *L)
{
    if (lua_gethook(L) != on_hook)
        return;
    if (displaced.L == L)
        lua_sethook(L, displaced.hook, displaced.mask, displaced.count);
    else
        lua_sethook(L, NULL, 0, 0);
    displaced.L = NULL;
}

static void on_signal(int number)
{
    (void)number;
    lua_State *L = listening->running;
    listening->called = 1;
    if (L != NULL)
        set_hook(L);
}

static int failed(struct bx_error *err, const char *what)
{
    return bx_fail_errno(err, errno, "cannot listen to the lifeline: %s", what);
}

int vm_interrupt_prepare(struct bx_error *err)
{
    if (signal(SIGIO, SIG_IGN) == SIG_ERR)
        return failed(err, "signal");
    if (fcntl(LW_FD, F_SETOWN, getpid()) != 0)
        return failed(err, "F_SETOWN");
    return fcntl(LW_FD, F_SETFL, O_RDWR | O_ASYNC) == 0 ? 0 : failed(err, "O_ASYNC");
}

void vm_interrupt_install(struct vm *vm)
{
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: who waits looks whether it still should */
    listening = vm;
    sigaction(SIGIO, &action, NULL);
    vm->called = 1;
    vm_attend(vm);
}

void vm_runs(lua_State *L)
{
    struct vm *vm = vm_of(L);
    if (vm->running == NULL)
        return; /* a finalizer, between calls */
    vm->running = L;
    if (vm->called || vm->interrupted != VM_GOES_ON)
        set_hook(L);
}

void vm_begin(struct vm *vm, uint64_t session, uint64_t call)
{
    vm->session_number = session;
    vm->call = call;
    vm->busy = true;
}

void vm_enter(struct vm *vm, lua_State *L)
{
    vm->running = L;
    vm_runs(L);
}

void vm_leave(struct vm *vm, lua_State *L)
{
    vm->running = NULL;
    clear_hook(L);
}

void vm_stand_aside(struct vm *vm, struct vm_aside *aside)
{
    *aside = (struct vm_aside){vm->busy, vm->running, vm->unwind_named, vm->unwind_any};
    vm->unwind_named = vm->unwind_any = 0;
}

void vm_stand_back(struct vm *vm, const struct vm_aside *aside)
{
    if (!aside->busy)
        return;
    vm_begin(vm, 0, 0);
    vm->unwind_named += aside->unwind_named;
    vm->unwind_any += aside->unwind_any;
    vm->running = aside->running;
    vm->report.message_length = vm->report.traceback_length = 0;
    if (vm->stopping)
        vm->interrupted = VM_INTERRUPTED;
}

static void tell_unwound(uint64_t session, uint64_t call)
{
    vm_tell_surely(&(struct lw_frame){.type = LW_UNWOUND, .a = session, .b = (int64_t)call});
}

void vm_end(struct vm *vm)
{
    vm->running = NULL;
    vm->busy = vm->noted = false;
    vm->interrupted = VM_GOES_ON;
    for (; vm->unwind_any > 0; vm->unwind_any--)
        tell_unwound(0, 0);
    for (; vm->unwind_named > 0; vm->unwind_named--)
        tell_unwound(vm->session_number, vm->call);
}

/* ---- frames ---- */

static void take_interrupt(struct vm *vm, const struct lw_frame *frame)
{
    static const char timeout[] = "timeout";
    uint64_t session = frame->a, call = (uint64_t)frame->b;
    bool is_timeout = frame->length1 == sizeof timeout - 1 && memcmp(frame->text1, timeout, frame->length1) == 0;
    enum vm_interrupt why = is_timeout ? VM_TIMED_OUT : VM_INTERRUPTED;
    bool any = session == 0 && call == 0;
    if (!vm->busy || (!any && (session != vm->session_number || call != vm->call))) {
        vm_session_cancel(vm, session, call, why);
        tell_unwound(session, call);
        return;
    }
    vm->interrupted = why;
    if (any)
        vm->unwind_any++;
    else
        vm->unwind_named++;
}

static void take_stop(struct vm *vm)
{
    vm->stopping = true;
    if (vm->busy)
        vm->interrupted = VM_INTERRUPTED;
}

static bool is_answer(uint32_t type)
{
    return type == LW_MODULE || type == LW_NO_MODULE || type == LW_ADDRESS || type == LW_NAME || type == LW_PEERS;
}

bool vm_take(struct vm *vm, const struct lw_frame *frame, int fd)
{
    if (is_answer(frame->type))
        return false;
    if (frame->type == LW_SESSION && fd >= 0) {
        vm_session_add(vm, frame->a, fd);
        return true;
    }
    if (fd >= 0)
        close(fd);
    if (frame->type == LW_INTERRUPT)
        take_interrupt(vm, frame);
    else if (frame->type == LW_STOP)
        take_stop(vm);
    return true;
}

void vm_attend(struct vm *vm)
{
    struct lw_frame frame;
    int fd;
    while (vm->called) {
        vm->called = 0;
        while (vm_hear_now(&frame, &fd)) {
            if (vm_take(vm, &frame, fd))
                continue;
            if (fd >= 0)
                close(fd);
            vm->unheard -= vm->unheard > 0; /* the answer to a require that was interrupted */
        }
    }
}

/* ---- the hook ---- */

/* Is it what must not be kept from its work that is being called? */
static bool is_spared(lua_State *L, lua_Debug *at)
{
    if (at->event != LUA_HOOKCALL && at->event != LUA_HOOKTAILCALL)
        return false;
    lua_getinfo(L, "f", at);
    lua_CFunction called = lua_tocfunction(L, -1);
    lua_pop(L, 1);
    return called == vm_on_module_loaded;
}

/* What the report says of the interrupted call. Allocates nothing. */
static void note(struct vm *vm, lua_State *L)
{
    struct vm_report *report = &vm->report;
    const char *what = vm->interrupted == VM_TIMED_OUT ? "timeout" : "interrupted";
    lua_Debug at = {.currentline = -1};
    if (vm->noted)
        return;
    vm->noted = true;
    vm_note_stack(vm, L);
    if (lua_getstack(L, 0, &at))
        lua_getinfo(L, "Sl", &at);
    size_t size = sizeof report->message;
    int length = at.currentline > 0
                     ? snprintf(report->message, size, "%s:%d: %s", at.short_src, at.currentline, what)
                     : snprintf(report->message, size, "%s", what);
    report->message_length = (uint32_t)length;
}

/* The error is the one of memory, which Lua raises without calling a message handler: a handler would run with hooks
 * off, and one with an endless loop in it could not be interrupted any more. */
void vm_interrupt_now(lua_State *L)
{
    note(vm_of(L), L);
    lua_pushliteral(L, "not enough memory");
    lua_error(L);
    abort(); /* lua_error does not return */
}

/* Sets the hook aside before what has come is looked at: a signal that comes meanwhile sets it again. */
static void on_hook(lua_State *L, lua_Debug *at)
{
    struct vm *vm = vm_of(L);
    clear_hook(L);
    vm_sessions_flush(vm);
    vm_attend(vm);
    if (vm->interrupted == VM_GOES_ON)
        return;
    set_hook(L);
    if (is_spared(L, at))
        return;
    vm_interrupt_now(L);
}

void vm_flush_after(lua_State *L, int instructions)
{
    if (lua_gethook(L) == NULL)
        lua_sethook(L, on_hook, LUA_MASKCOUNT, instructions);
}
