/*
 * where.c - where a script was when memory ran out, or somebody interrupted it. Lua raises that error without
 * calling a message handler, so there is no traceback; and a recursion without end, the most common bug of all,
 * meets the memory limit before it meets Lua's own. So the stack is looked at when a request is refused: into a
 * buffer that exists already, with calls that only read and allocate nothing.
 */
#include <stdarg.h>
#include <stdio.h>

#include "vm.h"

#define LEVELS 10 /* as many as luaL_traceback shows of a deep stack's top */

static void add(struct vm_report *report, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct vm_report *report, const char *format, ...)
{
    size_t room = sizeof report->traceback - report->traceback_length;
    va_list args;
    va_start(args, format);
    int length = vsnprintf(report->traceback + report->traceback_length, room, format, args);
    va_end(args);
    if (length > 0)
        report->traceback_length += (uint32_t)((size_t)length < room ? (size_t)length : room - 1);
}

static void add_level(struct vm_report *report, const lua_Debug *at)
{
    add(report, "\n\t%s:", at->short_src);
    if (at->currentline > 0)
        add(report, "%d:", at->currentline);
    if (*at->namewhat != '\0')
        add(report, " in %s '%.100s'", *at->namewhat == 'g' ? "function" : at->namewhat, at->name);
    else if (*at->what == 'm')
        add(report, " in main chunk");
    else if (*at->what == 'C')
        add(report, " in ?");
    else
        add(report, " in function <%s:%d>", at->short_src, at->linedefined);
}

void vm_note_stack(struct vm *vm, lua_State *L)
{
    lua_Debug at;
    int level = 0;
    vm->report.traceback_length = 0;
    add(&vm->report, "stack traceback:");
    for (; level < LEVELS && lua_getstack(L, level, &at); level++) {
        lua_getinfo(L, "Sln", &at);
        add_level(&vm->report, &at);
    }
    if (lua_getstack(L, level, &at))
        add(&vm->report, "\n\t...");
}

void vm_note_where(void *ud)
{
    struct vm *vm = ud;
    if (!vm->noted)
        vm_note_stack(vm, vm->L);
}
