/*
 * runtime.c - what the Lua files of the module bioxen (lua/) cannot do themselves: messages, waiting, and what the VM
 * knows of itself. Errors that a script should see as such are raised there; here they are answers.
 */
#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "mail.h"
#include "net.h"
#include "values.h"

/* Messages that are handed out from what is there, before the sockets have a turn. */
#define TURN 16

/* Larger buffers are given back after use. */
#define SCRATCH_KEPT (64u * 1024u)

/* What a wait is about: how long, and from when on it gives way to requests of clients. */
struct wish {
    uint64_t deadline;   /* UINT64_MAX: for ever */
    uint64_t gives_way;  /* UINT64_MAX: never */
};

/* Seconds as a time; absent ones, and more than a machine's life, as `absent`. */
static uint64_t time_of(lua_State *L, int index, uint64_t absent)
{
    if (lua_isnoneornil(L, index))
        return absent;
    double seconds = luaL_checknumber(L, index);
    if (!(seconds > 0))
        return 0;
    return seconds > 1e9 ? UINT64_MAX : bx_now_us() + (uint64_t)(seconds * 1e6);
}

/* Arguments from `index` on: seconds, and seconds before it gives way, false for never. */
static struct wish get_wish(lua_State *L, int index)
{
    struct wish wish = {.deadline = time_of(L, index, UINT64_MAX), .gives_way = UINT64_MAX};
    if (lua_type(L, index + 1) == LUA_TNUMBER)
        wish.gives_way = time_of(L, index + 1, 0);
    return wish;
}

static int answer(lua_State *L, const char *kind, const char *detail)
{
    lua_pushnil(L);
    lua_pushstring(L, kind);
    lua_pushstring(L, detail);
    return 3;
}

static struct vm_mail *mail_of(lua_State *L)
{
    struct vm_mail *mail = vm_of(L)->mail;
    if (mail == NULL)
        luaL_error(L, "this VM has no network, and takes no messages");
    else if (mail->busy)
        luaL_error(L, "a finalizer cannot send or receive while a message is being moved");
    return mail;
}

/* ---- waiting ---- */

static int ms_left(const struct wish *wish, uint64_t now)
{
    uint64_t until = wish->deadline;
    if (wish->gives_way != UINT64_MAX && now < wish->gives_way && wish->gives_way < until)
        until = wish->gives_way;
    return until == UINT64_MAX ? -1 : bx_ms_until(until);
}

/* Waits until something has happened: NULL, and the caller looks again. Or says why it does not wait any longer. */
static const char *wait_once(struct vm *vm, const struct wish *wish)
{
    struct pollfd clients[BX_SESSIONS_MAX];
    uint64_t now = bx_now_us();
    if (now >= wish->deadline)
        return "timeout";
    bool gives_way = now >= wish->gives_way;
    unsigned count = gives_way ? vm_sessions_watch(vm, clients) : 0;
    if (gives_way && vm_sessions_want(vm))
        return "busy";
    vm_wait(vm, clients, count, ms_left(wish, now));
    return NULL;
}

/* Another look at everything that is there without waiting. */
static void look(struct vm *vm)
{
    vm_wait(vm, NULL, 0, 0);
}

/* sleep(seconds) */
static int core_sleep(lua_State *L)
{
    const struct wish wish = {.deadline = time_of(L, 1, UINT64_MAX), .gives_way = UINT64_MAX};
    while (wait_once(vm_of(L), &wish) == NULL)
        continue;
    return 0;
}

/* ---- sending ---- */

/* The value at 1; the buffer is a light userdata at 2: room for a head, and the value. */
static int encode(lua_State *L)
{
    struct bx_values *values = lua_touserdata(L, 2);
    bx_values_clear(values);
    bx_values_room(values, sizeof(struct mail_head));
    int rc = vm_values_write(L, values, 1, 1);
    rc = rc == 0 ? values->error : rc;
    values->error = 0;
    if (rc == -EINVAL)
        return lua_error(L);
    if (rc == -E2BIG)
        return luaL_error(L, "a message has %d MiB at most", (int)(MAIL_BODY_MAX / 1024 / 1024));
    return rc == 0 ? 0 : luaL_error(L, "not enough memory for the message");
}

/* The value at `index` as a message, to be freed or posted. Raises an error for what cannot cross. */
static struct mail_message *make_message(lua_State *L, struct vm_mail *mail, int index)
{
    struct bx_values *values = &mail->scratch;
    lua_pushcfunction(L, encode);
    lua_pushvalue(L, index);
    lua_pushlightuserdata(L, values);
    mail->busy = true;
    int status = lua_pcall(L, 2, 0, 0);
    mail->busy = false;
    if (status != LUA_OK)
        lua_error(L);
    struct mail_message *message = mail_message_new(mail, (uint32_t)values->length);
    if (message != NULL) {
        memcpy(message->bytes, values->bytes, values->length);
        message->length = (uint32_t)values->length;
    }
    bx_values_shrink(values, SCRATCH_KEPT);
    return message;
}

/* A message that is not posted yet is the script's: an interrupt may come while it waits for room. */
static int free_waiting(lua_State *L)
{
    struct mail_message **box = lua_touserdata(L, 1);
    mail_message_free(vm_of(L)->mail, *box);
    *box = NULL;
    return 0;
}

static struct mail_message **box_message(lua_State *L)
{
    struct mail_message **box = lua_newuserdatauv(L, sizeof(struct mail_message *), 0);
    *box = NULL;
    if (luaL_newmetatable(L, "bioxen.message")) {
        lua_pushcfunction(L, free_waiting);
        lua_setfield(L, -2, "__gc");
        lua_pushcfunction(L, free_waiting);
        lua_setfield(L, -2, "__close");
    }
    lua_setmetatable(L, -2);
    lua_toclose(L, -1);
    return box;
}

/* Returns NULL when it can be sent to, or what is the matter. */
static const char *look_at(struct vm_mail *mail, struct mail_peer *peer)
{
    struct mail_out *out = &peer->out;
    mail->busy = true;
    if (out->state == MAIL_CLOSED && (out->kept.count == 0 || out->why == ENOENT)) /* a name may be there by now */
        mail_out_connect(mail, peer);
    if (out->state == MAIL_OPEN)
        mail_out_read(mail, peer);
    mail->busy = false;
    if (out->state == MAIL_CLOSED && out->why == ENOENT)
        return "unknown host";
    return out->away_us != 0 && bx_now_us() - out->away_us > MAIL_AWAY_MS * UINT64_C(1000) ? "away" : NULL;
}

/* There is room for more than one: the next ones need not wait, each by itself. */
static bool is_relaxed(const struct mail_queue *queue, size_t length)
{
    return queue->count == 0 ||
           (queue->count <= MAIL_QUEUE_COUNT / 4 * 3 && queue->bytes + length <= MAIL_QUEUE_BYTES / 4 * 3);
}

static const char *wait_for_room(struct vm *vm, struct mail_peer *peer, size_t length, const struct wish *wish)
{
    const char *why = look_at(vm->mail, peer);
    vm->mail->wants_taken = true;
    while (why == NULL && !is_relaxed(&peer->out.kept, length)) {
        why = wait_once(vm, wish);
        if (why == NULL)
            why = look_at(vm->mail, peer);
    }
    vm->mail->wants_taken = false;
    return why != NULL && mail_has_room(&peer->out.kept, length) ? NULL : why;
}

static struct mail_peer *check_peer(lua_State *L, struct vm_mail *mail, int index)
{
    size_t length;
    const char *name = luaL_checklstring(L, index, &length);
    struct mail_peer *peer = length <= BX_NAME_MAX ? mail_peer(mail, name, length) : NULL;
    if (peer == NULL && length >= 1 && length <= BX_NAME_MAX)
        luaL_error(L, "not enough memory for another peer");
    return peer;
}

/* send(name, value, seconds, gives_way): true, or nil, a kind, and a text */
static int core_send(lua_State *L)
{
    struct vm *vm = vm_of(L);
    struct vm_mail *mail = mail_of(L);
    lua_settop(L, 4);
    struct mail_peer *peer = check_peer(L, mail, 1);
    if (peer == NULL)
        return answer(L, "unknown host", vm_mail_why(ENOENT));
    struct mail_message **box = box_message(L);
    *box = make_message(L, mail, 2);
    if (*box == NULL)
        return luaL_error(L, "not enough memory for the message");
    const char *why = peer->out.state == MAIL_OPEN ? NULL : look_at(mail, peer);
    const struct wish wish = get_wish(L, 3);
    if (why == NULL && !mail_has_room(&peer->out.kept, (*box)->length))
        why = wait_for_room(vm, peer, (*box)->length, &wish);
    if (why != NULL)
        return answer(L, why, vm_mail_why(peer->out.why));
    struct mail_message *message = *box;
    *box = NULL;
    mail->busy = true;
    mail_out_post(mail, peer, message);
    mail->busy = false;
    lua_pushboolean(L, 1);
    return 1;
}

/* pending(name): how many messages it has not taken, as far as it has said */
static int core_pending(lua_State *L)
{
    struct vm_mail *mail = mail_of(L);
    struct mail_peer *peer = check_peer(L, mail, 1);
    look(mail->vm);
    if (peer != NULL)
        mail_out_read(mail, peer);
    lua_pushinteger(L, peer != NULL ? peer->out.kept.count : 0);
    return 1;
}

/* ---- receiving ---- */

/* The message is a light userdata. */
static int push_value(lua_State *L)
{
    const struct mail_message *message = lua_touserdata(L, 1);
    return vm_values_push(L, message->bytes, message->tables);
}

/* Pushes its sender's name and its value. Raises an error for memory, and then it is still the next one. */
static void push_message(lua_State *L, struct vm_mail *mail, struct mail_peer *peer, struct mail_message *message)
{
    lua_pushstring(L, peer->name);
    lua_pushcfunction(L, push_value);
    lua_pushlightuserdata(L, message);
    mail->busy = true;
    int status = lua_pcall(L, 1, 1, 0);
    mail->busy = false;
    if (status == LUA_OK)
        return;
    vm_mail_put_back(mail, peer, message);
    lua_error(L);
}

/* Garbage may be what is in a message's way. */
static void make_space(lua_State *L, struct vm_mail *mail)
{
    if (!mail->short_of_memory)
        return;
    mail->short_of_memory = false;
    lua_gc(L, LUA_GCCOLLECT);
}

/* Waits until there is a message. Returns NULL, or why it stopped. */
static const char *wait_for_message(lua_State *L, struct vm_mail *mail, const struct wish *wish)
{
    const char *why = NULL;
    if (wish->deadline == 0 || mail->handed_out++ % TURN == 0)
        look(mail->vm);
    while (mail->waiting == 0 && why == NULL) {
        make_space(L, mail);
        why = wait_once(mail->vm, wish);
    }
    return mail->waiting > 0 ? NULL : why;
}

/* receive(seconds, gives_way): from, value; or nil and why */
static int core_receive(lua_State *L)
{
    struct vm_mail *mail = mail_of(L);
    const struct wish wish = get_wish(L, 1);
    struct mail_peer *peer = NULL;
    luaL_checkstack(L, 8, NULL);
    const char *why = wait_for_message(L, mail, &wish);
    if (why != NULL) {
        lua_pushnil(L);
        lua_pushstring(L, why);
        return 2;
    }
    struct mail_message *message = vm_mail_next(mail, &peer);
    push_message(L, mail, peer, message);
    mail_in_taken(mail, peer, message);
    mail_message_free(mail, message);
    return 2;
}

/* peek(seconds, gives_way): the same, but it is still to be received */
static int core_peek(lua_State *L)
{
    struct vm_mail *mail = mail_of(L);
    const struct wish wish = get_wish(L, 1);
    const char *why = wait_for_message(L, mail, &wish);
    if (why != NULL) {
        lua_pushnil(L);
        lua_pushstring(L, why);
        return 2;
    }
    struct mail_peer *peer = mail->ready_first;
    struct mail_message *message = vm_mail_next(mail, &peer);
    push_message(L, mail, peer, message);
    vm_mail_put_back(mail, peer, message);
    return 2;
}

/* ---- who is there ---- */

/* The text of one answer, on the top of the stack, into the list below it. */
static void add_peers(lua_State *L)
{
    static const char *const roles[] = {
        [LW_ROLE_SERVER] = "server", [LW_ROLE_CLIENT] = "client", [LW_ROLE_PEER] = "peer"};
    size_t length;
    const char *text = lua_tolstring(L, -1, &length), *name;
    struct lw_peer peer;
    for (uint32_t at = 0; lw_next_peer(text, (uint32_t)length, &at, &peer, &name) == 1;) {
        lua_createtable(L, 0, 3);
        lua_pushlstring(L, name, peer.name_length);
        lua_setfield(L, -2, "name");
        lua_pushstring(L, roles[peer.role]);
        lua_setfield(L, -2, "role");
        if (peer.port != 0) {
            lua_pushinteger(L, peer.port);
            lua_setfield(L, -2, "port");
        }
        lua_rawseti(L, -3, (lua_Integer)lua_rawlen(L, -3) + 1);
    }
    lua_pop(L, 1);
}

static void ask(lua_State *L, const struct lw_frame *question, struct lw_frame *told)
{
    int fd, rc = vm_ask(vm_of(L), question, told, &fd);
    if (rc == -EINTR)
        vm_interrupt_now(L);
    if (rc != 0)
        luaL_error(L, "nobody is there to ask for peers");
    if (fd >= 0)
        close(fd);
}

/* peers(): a list of tables */
static int core_peers(lua_State *L)
{
    struct lw_frame told = {0};
    lua_newtable(L);
    do {
        const struct lw_frame question = {.type = LW_NEED, .b = LW_NEED_PEERS, .a = told.a};
        ask(L, &question, &told);
        if (told.type != LW_PEERS)
            return luaL_error(L, "the answer is not about peers");
        lua_pushlstring(L, told.text1, told.length1);
        add_peers(L);
    } while (told.a != 0);
    return 1;
}

/* ---- the VM itself ---- */

/* ready() */
static int core_ready(lua_State *L)
{
    (void)L;
    vm_tell_surely(&(struct lw_frame){.type = LW_SAYS_READY});
    return 0;
}

/* log(line) */
static int core_log(lua_State *L)
{
    size_t length;
    const char *line = luaL_checklstring(L, 1, &length);
    fflush(stdout);
    fwrite(line, 1, length, stderr);
    return 0;
}

/* now() */
static int core_now(lua_State *L)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    lua_pushnumber(L, (double)now.tv_sec + (double)now.tv_nsec / 1e9);
    return 1;
}

static void push_arguments(lua_State *L, const struct program *program)
{
    lua_newtable(L);
    for (uint32_t i = 0; i < program->arg_count; i++) {
        lua_pushlstring(L, program->args[i].bytes, program->args[i].length);
        lua_rawseti(L, -2, i);
    }
}

static void open_mail(lua_State *L, struct vm *vm)
{
    int rc = vm_mail_open(vm);
    if (rc == -EADDRINUSE)
        luaL_error(L, "port %d, at which messages arrive, is in use in this VM", MAIL_PORT);
    if (rc != 0)
        luaL_error(L, "cannot take messages: %s", strerror(-rc));
    if (vm->mail->scratch.grow == NULL)
        bx_values_init(&vm->mail->scratch, sizeof(struct mail_head) + MAIL_BODY_MAX, vm_grow, vm);
}

int vm_open_runtime(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"send", core_send},   {"receive", core_receive}, {"peek", core_peek}, {"pending", core_pending},
        {"peers", core_peers}, {"ready", core_ready},     {"log", core_log},   {"sleep", core_sleep},
        {"now", core_now},     {NULL, NULL},
    };
    struct vm *vm = vm_of(L);
    if (vm->networked)
        open_mail(L, vm);
    luaL_newlib(L, functions);
    lua_pushstring(L, vm->name);
    lua_setfield(L, -2, "name");
    push_arguments(L, &vm->program);
    lua_setfield(L, -2, "args");
    lua_pushboolean(L, vm->networked);
    lua_setfield(L, -2, "networked");
    if (vm->networked) {
        lua_pushcfunction(L, vm_select_or_message);
        lua_setfield(L, -2, "select");
    }
    return 1;
}
