/*
 * execute.c - one request: a chunk or a function is called with the arguments that came, and what it returned, or
 * why it did not, is written into the session's buffer. Every request has exactly one answer, whatever happens: the
 * last resort is one of a few words, for which there is always room.
 */
#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "session.h"
#include "values.h"

/* A call that runs longer than so many instructions does not hold back the answers of those before it. */
#define SHORT_CALL 1000

#define NO_MEMORY "not enough memory"

struct request {
    struct vm *vm;
    lua_State *L; /* on which it runs */
    struct vm_session *session;
    const struct sw_head *head;
    const char *text;
    const char *arguments;
    int64_t tables;
};

struct text {
    const char *bytes;
    size_t length;
};

/* While a script waits, its own thread is not free. */
static lua_State *thread_of(const struct vm *vm)
{
    return vm->caller != NULL ? vm->caller : vm->L;
}

/* ---- answers ---- */

/* Leaves room for the head. */
static struct bx_values *begin_answer(struct vm_session *session)
{
    struct bx_values *out = &session->out;
    session->partial = out->length;
    out->max = out->length + sizeof(struct sw_head) + SW_BODY_MAX;
    bx_values_room(out, sizeof(struct sw_head));
    return out;
}

/* Returns 0; or the error of the buffer, and then the answer is taken back. */
static int end_answer(struct vm_session *session, struct sw_head head)
{
    struct bx_values *out = &session->out;
    size_t start = session->partial;
    int failed = out->error;
    session->partial = SIZE_MAX;
    out->error = 0;
    if (failed != 0) {
        out->length = start;
        return failed;
    }
    head.length = (uint32_t)(out->length - start - sizeof head);
    memcpy(out->bytes + start, &head, sizeof head);
    return 0;
}

/* An error came out of the middle of an answer. */
static void drop_answer(struct vm_session *session)
{
    if (session->partial < session->out.length)
        session->out.length = session->partial;
    session->partial = SIZE_MAX;
    session->out.error = 0;
}

static void put(struct bx_values *out, const void *bytes, size_t length)
{
    char *to = bx_values_room(out, length);
    if (to != NULL && length > 0)
        memcpy(to, bytes, length);
}

/* The error object is the value at `index`, or its message: when it cannot cross, or there is none (0). */
static void put_object(lua_State *L, struct bx_values *out, int index, struct text message)
{
    size_t start = out->length;
    if (index != 0 && vm_values_write(L, out, index, 1) == 0)
        return;
    if (out->error == -ENOMEM)
        return;
    out->error = 0;
    out->length = start;
    bx_values_list(out, 1);
    bx_values_string(out, message.bytes, message.length);
}

static int put_error(struct request *r, enum sw_error_kind kind, struct text message, struct text traceback, int object)
{
    struct sw_error lengths = {(uint32_t)message.length, (uint32_t)traceback.length};
    struct bx_values *out = begin_answer(r->session);
    put(out, &lengths, sizeof lengths);
    put(out, message.bytes, message.length);
    put(out, traceback.bytes, traceback.length);
    put_object(r->L, out, object, message);
    return end_answer(r->session, (struct sw_head){.type = SW_ERROR, .kind = (uint8_t)kind, .call = r->head->call});
}

/* There may be no memory for anything: neither Lua nor the buffer is asked for any. */
static void put_last_resort(struct request *r, enum sw_error_kind kind)
{
    struct text message = {NO_MEMORY, sizeof NO_MEMORY - 1}, none = {"", 0};
    if (r->session->out.capacity - r->session->out.length < SESSION_RESERVE)
        vm_session_flush(r->session);
    if (put_error(r, kind, message, none, 0) != 0)
        r->session->broken = true; /* it takes nothing, and there is no memory to keep it in */
}

void vm_refuse(struct vm *vm, struct vm_session *session, const struct sw_head *head, enum sw_error_kind kind,
               const char *message)
{
    struct request r = {.vm = vm, .L = thread_of(vm), .session = session, .head = head};
    struct text text = {message, strlen(message)}, none = {"", 0};
    if (put_error(&r, kind, text, none, 0) != 0)
        put_last_resort(&r, kind);
}

/* ---- errors of the script ---- */

static int on_error(lua_State *L)
{
    struct vm_report *report = &vm_of(L)->report;
    size_t length;
    if (vm_of(L)->noted)
        return 1;
    report->message_length = report->traceback_length = 0;
    lua_settop(L, 1);
    vm_push_message(L, 1);
    const char *text = lua_tolstring(L, -1, &length);
    report->message_length = vm_keep(report->message, text, length);
    luaL_traceback(L, L, NULL, 1);
    text = lua_tolstring(L, -1, &length);
    report->traceback_length = vm_keep(report->traceback, text, length);
    lua_settop(L, 1);
    return 1;
}

/* The message of an error that no handler has seen: Lua's own words. */
static void keep_own_words(lua_State *L, struct vm_report *report)
{
    size_t length = 0;
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &length) : "";
    report->message_length = vm_keep(report->message, text, length);
}

/* An error of memory that was caught and raised again is still one. */
static enum sw_error_kind kind_of(const struct vm *vm, int status)
{
    const struct vm_report *report = &vm->report;
    if (vm->interrupted != VM_GOES_ON)
        return vm->interrupted == VM_TIMED_OUT ? SW_TIMEOUT : SW_INTERRUPTED;
    if (status == LUA_ERRMEM || (report->message_length == sizeof NO_MEMORY - 1 &&
                                 memcmp(report->message, NO_MEMORY, report->message_length) == 0))
        return SW_MEMORY;
    return SW_FAILED;
}

/* An error, which is on the top of the stack; message and traceback are in the report, if a handler has seen it. The
 * error object crosses if it is at the index `object`: only where errors are caught. */
static void answer_error(struct request *r, int status, enum sw_error_kind kind, int object)
{
    struct vm_report *report = &r->vm->report;
    lua_State *L = r->L;
    if (r->vm->stopping && r->vm->interrupted != VM_GOES_ON)
        return; /* the VM is to end: its death, which follows, says more than an error that the script never had */
    if (r->vm->noted)
        object = 0; /* it is not the error that it seems to be */
    else if (status != LUA_ERRRUN)
        keep_own_words(L, report);
    if (status != LUA_ERRRUN && status != LUA_ERRMEM)
        report->traceback_length = 0;
    if (kind == 0)
        kind = kind_of(r->vm, status);
    struct text message = {report->message, report->message_length};
    struct text traceback = {report->traceback, report->traceback_length};
    if (put_error(r, kind, message, traceback, object) != 0)
        put_last_resort(r, kind);
}

/* ---- results ---- */

/* The results could not be written. Any message is on the top of the stack. */
static void refuse_results(struct request *r, int why)
{
    static const char too_large[] = "the results are larger than 64 MiB";
    if (why == -E2BIG)
        vm_refuse(r->vm, r->session, r->head, SW_TOO_LARGE, too_large);
    else if (why == -EINVAL)
        vm_refuse(r->vm, r->session, r->head, SW_CONVERSION, lua_tostring(r->L, -1));
    else
        vm_refuse(r->vm, r->session, r->head, SW_MEMORY, NO_MEMORY " for the results");
}

static void answer_results(struct request *r, int first, int count)
{
    struct bx_values *out = begin_answer(r->session);
    int rc = vm_values_write(r->L, out, first, count);
    if (rc == -EINVAL)
        out->error = rc;
    rc = end_answer(r->session, (struct sw_head){.type = SW_RESULT, .call = r->head->call});
    if (rc != 0)
        refuse_results(r, rc);
}

/* ---- what is called ---- */

/* The function that a name like "math.sqrt" stands for, with whatever metatables there are on the way. */
static void push_named(lua_State *L, const char *name)
{
    lua_pushglobaltable(L);
    for (const char *at = name;;) {
        size_t length = strcspn(at, ".");
        if (!lua_istable(L, -1)) {
            lua_pushlstring(L, name, (size_t)(at - name) - 1);
            luaL_error(L, "cannot call '%s': '%s' is a %s value", name, lua_tostring(L, -1), luaL_typename(L, -2));
        }
        lua_pushlstring(L, at, length);
        lua_gettable(L, -2);
        lua_remove(L, -2);
        if (at[length] == '\0')
            break;
        at += length + 1;
    }
    if (!lua_isfunction(L, -1) && luaL_getmetafield(L, -1, "__call") == LUA_TNIL)
        luaL_error(L, "cannot call '%s': it is a %s value", name, luaL_typename(L, -1));
}

static int call_named(lua_State *L)
{
    int count = lua_gettop(L);
    luaL_checkstack(L, 8, "too many arguments");
    push_named(L, lua_tostring(L, lua_upvalueindex(1)));
    lua_settop(L, count + 1);
    lua_insert(L, 1);
    lua_call(L, count, LUA_MULTRET);
    return lua_gettop(L);
}

/* The chunk's name is its text, as for load: messages then show its first line. No more than that is looked at. */
static int load_chunk(lua_State *L, const char *text, size_t length)
{
    char name[LUA_IDSIZE + 8];
    size_t kept = length < sizeof name - 1 ? length : sizeof name - 1;
    memcpy(name, text, kept);
    name[kept] = '\0';
    return luaL_loadbufferx(L, text, length, name, "t");
}

static int push_function(lua_State *L, const struct request *r)
{
    if (r->head->type == SW_EXECUTE)
        return load_chunk(L, r->text, r->head->name_length);
    lua_pushlstring(L, r->text, r->head->name_length);
    lua_pushcclosure(L, call_named, 1);
    return LUA_OK;
}

/* ---- the call ---- */

static int call(struct request *r, int count)
{
    struct vm *vm = r->vm;
    vm->listener = r->session;
    vm_enter(vm, r->L);
    if (vm_session_unsent(r->session) > 0)
        vm_flush_after(r->L, SHORT_CALL);
    int status = lua_pcall(r->L, count, LUA_MULTRET, 1);
    vm_leave(vm, r->L);
    fflush(stdout);
    vm->listener = NULL;
    return status;
}

/* Runs protected: errors of memory in what is around the call come out of it. */
static int run(lua_State *L)
{
    struct request *r = lua_touserdata(L, 1);
    lua_settop(L, 0);
    lua_pushcfunction(L, on_error);
    int status = push_function(L, r);
    if (status != LUA_OK) {
        answer_error(r, status, status == LUA_ERRSYNTAX ? SW_SYNTAX : 0, 2);
        return 0;
    }
    int count = r->arguments != NULL ? vm_values_push(L, r->arguments, r->tables) : 0;
    vm_session_release(r->vm, r->session);
    status = call(r, count);
    if (status == LUA_OK)
        answer_results(r, 2, lua_gettop(L) - 1);
    else
        answer_error(r, status, 0, 2);
    return 0;
}

static void run_protected(struct request *r)
{
    lua_State *L = r->L;
    lua_pushcfunction(L, run);
    lua_pushlightuserdata(L, r);
    int status = lua_pcall(L, 1, 0, 0);
    if (status != LUA_OK) {
        drop_answer(r->session);
        answer_error(r, status == LUA_ERRRUN ? LUA_ERRERR : status, 0, 0);
    }
    lua_settop(L, 0);
}

void vm_execute(struct vm *vm, struct vm_session *session, const struct sw_head *head, const char *body)
{
    struct request r = {.vm = vm, .L = thread_of(vm), .session = session, .head = head, .text = body};
    struct vm_aside aside;
    size_t length = head->length - head->name_length;
    if (length > 0) {
        r.arguments = body + head->name_length;
        r.tables = bx_values_check(r.arguments, length);
    }
    if (r.tables < 0) {
        session->broken = true;
        return;
    }
    vm->report.message_length = vm->report.traceback_length = 0;
    vm_stand_aside(vm, &aside);
    vm_begin(vm, session->number, head->call);
    run_protected(&r);
    vm_end(vm);
    vm_stand_back(vm, &aside);
}
