/*
 * run.c - the script: its arguments, its end, and what is said of it. As lua(1) does it, so that a script
 * cannot tell the difference; but the error goes into a report, and nothing here prints.
 */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "vm.h"

struct job {
    int fd;
    uint64_t length;
};

/* Cuts at the start of a UTF-8 sequence: half a character at the end would make the whole text look like
 * binary. */
static uint32_t cut_length(const char *text, size_t length)
{
    if (length <= BX_MESSAGE_MAX)
        return (uint32_t)length;
    uint32_t end = BX_MESSAGE_MAX;
    for (int back = 0; back < 3 && ((unsigned char)text[end] & 0xC0) == 0x80; back++)
        end--;
    return end;
}

uint32_t vm_keep(char *to, const char *text, size_t length)
{
    uint32_t kept = cut_length(text, length);
    memcpy(to, text, kept);
    return kept;
}

bool vm_push_message(lua_State *L, int index)
{
    if (lua_type(L, index) == LUA_TSTRING || lua_type(L, index) == LUA_TNUMBER) {
        lua_pushvalue(L, index);
        lua_tostring(L, -1);
        return true;
    }
    if (luaL_callmeta(L, index, "__tostring") && lua_type(L, -1) == LUA_TSTRING)
        return false;
    lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, index));
    return true;
}

/* The message handler. Keeps the traceback, for which the stack must still stand, and returns the message as
 * a string. */
static int on_error(lua_State *L)
{
    struct vm_report *report = &vm_of(L)->report;
    report->traceback_length = 0;
    lua_settop(L, 1);
    if (!vm_push_message(L, 1))
        return 1; /* an error object that speaks for itself has no traceback */
    lua_replace(L, 1);
    lua_settop(L, 1);
    luaL_traceback(L, L, NULL, 1);
    size_t length;
    const char *traceback = lua_tolstring(L, -1, &length);
    report->traceback_length = vm_keep(report->traceback, traceback, length);
    lua_settop(L, 1);
    return 1;
}

static void end_with(struct vm_report *report, enum lw_outcome outcome)
{
    report->outcome = outcome;
    report->status = outcome == LW_SYNTAX ? 126 : 1;
}

/* Records a failure, whose message is on the top of the stack. Allocates nothing: memory may be what is
 * lacking. */
static void fail(lua_State *L, enum lw_outcome outcome)
{
    struct vm_report *report = &vm_of(L)->report;
    size_t length = 0;
    const char *message = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &length) : NULL;
    if (message == NULL) {
        message = "(error object is not a string)";
        length = strlen(message);
    }
    report->message_length = vm_keep(report->message, message, length);
    end_with(report, outcome);
}

static void push_string(lua_State *L, const struct program_string *string)
{
    lua_pushlstring(L, string->bytes, string->length);
}

/* arg[0] is the script's name, arg[1] and on its arguments. */
static void set_arg_table(lua_State *L, const struct program *program)
{
    lua_createtable(L, (int)program->arg_count, 1);
    for (uint32_t i = 0; i < program->arg_count; i++) {
        push_string(L, &program->args[i]);
        lua_rawseti(L, -2, i);
    }
    lua_setglobal(L, "arg");
}

static int push_arguments(lua_State *L, const struct program *program)
{
    if (program->arg_count < 2)
        return 0;
    int count = (int)program->arg_count - 1;
    luaL_checkstack(L, count + 3, "too many arguments to script");
    for (int i = 1; i <= count; i++)
        push_string(L, &program->args[i]);
    return count;
}

/* Text from the command line is no file: a '#' in it is an error, as for lua -e. */
static bool is_file(const char *chunk)
{
    return strcmp(chunk, "=(command line)") != 0;
}

/* Runs protected, with the job as its argument: what fails before the script does is an error like the
 * script's own. */
static int run_script(lua_State *L)
{
    struct vm *vm = vm_of(L);
    const struct job *job = lua_touserdata(L, 1);
    push_string(L, &vm->program.chunk);
    const char *chunk = lua_tostring(L, -1);
    set_arg_table(L, &vm->program);
    lua_pushcfunction(L, on_error);
    int handler = lua_gettop(L);
    int status = vm_load_fd(L, job->fd, job->length, chunk, is_file(chunk));
    if (status != LUA_OK) {
        vm->report.traceback_length = 0;
        fail(L, status == LUA_ERRMEM ? LW_ERROR : LW_SYNTAX);
        return 0;
    }
    int count = push_arguments(L, &vm->program);
    vm_begin(vm, 0, 0);
    if (vm->stopping && vm->mode == LW_RUN)
        vm->interrupted = VM_INTERRUPTED; /* it was told so before it began, and would not end by itself */
    vm_enter(vm, L);
    status = lua_pcall(L, count, 0, handler);
    bool is_noted = vm->noted;
    vm_leave(vm, L);
    vm_end(vm);
    if (status != LUA_OK && is_noted)
        end_with(&vm->report, LW_ERROR); /* where it was interrupted */
    else if (status != LUA_OK)
        fail(L, LW_ERROR); /* its traceback was kept last: by on_error, or for memory by vm_note_where */
    else
        vm->report.traceback_length = 0; /* an error that the script has caught */
    return 0;
}

void vm_close(struct vm *vm)
{
    if (vm->closing)
        return; /* os.exit in a finalizer that lua_close called */
    vm->closing = true;
    vm->heap.on_refusal = NULL; /* a finalizer's memory is not what the report is about */
    lua_close(vm->L);
}

void vm_run(struct vm *vm, int fd, uint64_t length)
{
    struct job job = {fd, length};
    lua_pushcfunction(vm->L, run_script);
    lua_pushlightuserdata(vm->L, &job);
    if (lua_pcall(vm->L, 1, 0, 0) != LUA_OK)
        fail(vm->L, LW_ERROR);
}

int vm_os_exit(lua_State *L)
{
    struct vm *vm = vm_of(L);
    int status = lua_isboolean(L, 1) ? !lua_toboolean(L, 1) : (int)luaL_optinteger(L, 1, 0);
    if (lua_toboolean(L, 2))
        vm_close(vm);
    /* A script that has failed already stays failed; only its exit status can be changed from here. */
    if (vm->report.outcome == LW_OK) {
        vm->report.outcome = LW_EXIT;
        vm->report.message_length = vm->report.traceback_length = 0;
    }
    vm->report.status = status & 0xff;
    vm_finish(vm);
}
