/*
 * values.c - Lua values to bytes and back. Raw access: no metamethod is run, and no C stack is used for depth.
 *
 * Tables are numbered in the order in which they are first met, breadth first; one Lua table holds both directions:
 * number + 1 -> table and table -> number. Growing the output may run the collector, and that may run finalizers,
 * which may change what is being read: nothing here believes that a table stays as it was counted.
 */
#include <errno.h>
#include <lauxlib.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "values.h"

/* ---- Lua to bytes ---- */

struct writer {
    lua_State *L;
    struct bx_values *out;
    int first, values; /* the values themselves: stack index and count */
    int tables;        /* stack index of the numbering, which is nil while there is no table */
    uint32_t count;    /* tables so far */
};

static uint32_t number_of(struct writer *w, int index)
{
    lua_State *L = w->L;
    if (w->count == 0) {
        lua_newtable(L);
        lua_replace(L, w->tables);
    }
    lua_pushvalue(L, index);
    if (lua_rawget(L, w->tables) == LUA_TNUMBER) {
        uint32_t number = (uint32_t)lua_tointeger(L, -1);
        lua_pop(L, 1);
        return number;
    }
    lua_pop(L, 1);
    lua_pushvalue(L, index);
    lua_rawseti(L, w->tables, (lua_Integer)w->count + 1);
    lua_pushvalue(L, index);
    lua_pushinteger(L, w->count);
    lua_rawset(L, w->tables);
    return w->count++;
}

static void put_number(struct writer *w, int index)
{
    if (lua_isinteger(w->L, index))
        bx_values_integer(w->out, lua_tointeger(w->L, index));
    else
        bx_values_number(w->out, lua_tonumber(w->L, index));
}

/* Returns 0, or -EINVAL for what cannot cross. `index` is absolute. */
static int put_value(struct writer *w, int index)
{
    size_t length;
    const char *bytes;
    switch (lua_type(w->L, index)) {
    case LUA_TNIL: bx_values_nil(w->out); return 0;
    case LUA_TBOOLEAN: bx_values_boolean(w->out, lua_toboolean(w->L, index)); return 0;
    case LUA_TNUMBER: put_number(w, index); return 0;
    case LUA_TSTRING:
        bytes = lua_tolstring(w->L, index, &length);
        bx_values_string(w->out, bytes, length);
        return 0;
    case LUA_TTABLE: bx_values_table(w->out, number_of(w, index)); return 0;
    default: return -EINVAL;
    }
}

static bool is_key(lua_State *L, int index)
{
    int type = lua_type(L, index);
    return type == LUA_TBOOLEAN || type == LUA_TNUMBER || type == LUA_TSTRING;
}

/* Counts the entries of a table. Returns whether its keys are 1..count. */
static bool count_entries(lua_State *L, int table, uint32_t *count)
{
    lua_Unsigned border = lua_rawlen(L, table);
    bool is_list = border > 0;
    *count = 0;
    lua_pushnil(L);
    while (lua_next(L, table) != 0) {
        lua_pop(L, 1);
        ++*count;
        if (is_list)
            is_list = lua_isinteger(L, -1) && (lua_Unsigned)lua_tointeger(L, -1) - 1 < border;
    }
    return is_list && *count == border;
}

/* Says which value it is that cannot cross: the one on the top of the stack, under its key, in the table `number`. */
static int refuse_member(struct writer *w, uint32_t number, bool is_key);

static int put_list(struct writer *w, uint32_t number, int table, uint32_t count)
{
    lua_State *L = w->L;
    bx_values_list(w->out, count);
    for (uint32_t i = 1; i <= count && w->out->error == 0; i++) {
        lua_rawgeti(L, table, i);
        if (put_value(w, table + 1) != 0) {
            lua_pushinteger(L, i);
            lua_insert(L, -2);
            return refuse_member(w, number, false);
        }
        lua_pop(L, 1);
    }
    return 0;
}

static int put_map(struct writer *w, uint32_t number, int table, uint32_t count)
{
    lua_State *L = w->L;
    uint32_t left = count;
    size_t head = w->out->length;
    bx_values_map(w->out, count);
    lua_pushnil(L);
    while (w->out->error == 0 && left > 0 && lua_next(L, table) != 0) {
        if (!is_key(L, table + 1) || put_value(w, table + 1) != 0)
            return refuse_member(w, number, true);
        if (put_value(w, table + 2) != 0)
            return refuse_member(w, number, false);
        lua_pop(L, 1);
        left--;
    }
    if (left > 0 && w->out->error == 0)
        bx_values_recount(w->out, head, count - left);
    return 0;
}

static int put_table(struct writer *w, uint32_t number)
{
    lua_State *L = w->L;
    uint32_t count;
    lua_rawgeti(L, w->tables, (lua_Integer)number + 1);
    int table = lua_gettop(L);
    bool is_list = count_entries(L, table, &count);
    int rc = is_list ? put_list(w, number, table, count) : put_map(w, number, table, count);
    if (rc == 0)
        lua_settop(L, table - 1);
    return rc;
}

/* ---- where a value is that cannot cross ---- */

/* A path is found from its end; what does not fit is left out in the middle. */
#define PATH_MAX_BYTES 400
#define KEY_MAX_BYTES 40

struct path {
    char text[PATH_MAX_BYTES + 1];
    size_t start;
    bool is_cut;
};

static void prepend(struct path *path, const char *text)
{
    size_t length = strlen(text);
    if (path->is_cut)
        return;
    if (path->start < length + 4) {
        path->is_cut = true;
        text = "...";
        length = 3;
    }
    path->start -= length;
    memcpy(path->text + path->start, text, length);
}

static bool is_name(const char *text, size_t length)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_", digits[] = "0123456789";
    if (length == 0 || length > KEY_MAX_BYTES || strchr(digits, *text) != NULL)
        return false;
    for (size_t i = 0; i < length; i++)
        if (text[i] == '\0' || (strchr(letters, text[i]) == NULL && strchr(digits, text[i]) == NULL))
            return false;
    return true;
}

static void quote(char *to, size_t size, const char *text, size_t length)
{
    size_t kept = length < KEY_MAX_BYTES ? length : KEY_MAX_BYTES;
    int at = snprintf(to, size, "[\"");
    for (size_t i = 0; i < kept; i++) {
        unsigned char c = (unsigned char)text[i];
        const char *format = c == '"' || c == '\\' ? "\\%c" : c < 32 || c > 126 ? "\\x%02x" : "%c";
        at += snprintf(to + at, size - (size_t)at, format, c);
    }
    snprintf(to + at, size - (size_t)at, "%s\"]", kept < length ? "..." : "");
}

/* As Lua would write an index by the key at `index`. */
static void prepend_key(struct path *path, lua_State *L, int index)
{
    char text[4 * KEY_MAX_BYTES + 16];
    size_t length = 0;
    const char *bytes = lua_type(L, index) == LUA_TSTRING ? lua_tolstring(L, index, &length) : NULL;
    if (bytes != NULL && is_name(bytes, length))
        snprintf(text, sizeof text, ".%.*s", (int)length, bytes);
    else if (bytes != NULL)
        quote(text, sizeof text, bytes, length);
    else if (lua_isinteger(L, index))
        snprintf(text, sizeof text, "[%lld]", (long long)lua_tointeger(L, index));
    else if (lua_type(L, index) == LUA_TNUMBER)
        snprintf(text, sizeof text, "[%.14g]", lua_tonumber(L, index));
    else if (lua_type(L, index) == LUA_TBOOLEAN)
        snprintf(text, sizeof text, "[%s]", lua_toboolean(L, index) ? "true" : "false");
    else
        snprintf(text, sizeof text, "[a %s]", luaL_typename(L, index));
    prepend(path, text);
}

/* Is the table on the top of the stack a value of that table? Leaves the key on the stack if so. */
static bool find_in(struct writer *w, uint32_t number)
{
    lua_State *L = w->L;
    int wanted = lua_gettop(L);
    lua_rawgeti(L, w->tables, (lua_Integer)number + 1);
    lua_pushnil(L);
    while (lua_next(L, wanted + 1) != 0) {
        if (lua_rawequal(L, -1, wanted)) {
            lua_pop(L, 1);
            return true;
        }
        lua_pop(L, 1);
    }
    lua_settop(L, wanted);
    return false;
}

static int find_value(struct writer *w, uint32_t number)
{
    lua_rawgeti(w->L, w->tables, (lua_Integer)number + 1);
    int found = 0;
    for (int i = 0; i < w->values && found == 0; i++)
        if (lua_rawequal(w->L, -1, w->first + i))
            found = i + 1;
    lua_pop(w->L, 1);
    return found;
}

/* One step back on the path: prepends the key under which the table is found in one that has a lower number, which
 * is nearer to the values. Returns that number, or UINT32_MAX. */
static uint32_t step_back(struct writer *w, struct path *path, uint32_t number)
{
    lua_State *L = w->L;
    int top = lua_gettop(L);
    uint32_t parent = number;
    lua_rawgeti(L, w->tables, (lua_Integer)number + 1);
    while (parent-- > 0)
        if (find_in(w, parent)) {
            prepend_key(path, L, -1);
            break;
        }
    lua_settop(L, top);
    return parent;
}

/* Prepends the way from one of the values to the table. Returns that value's number, from 1; 0 if the script has
 * changed the way meanwhile. */
static int find_path(struct writer *w, struct path *path, uint32_t number)
{
    int value = find_value(w, number);
    while (value == 0) {
        number = step_back(w, path, number);
        if (number == UINT32_MAX)
            break;
        value = find_value(w, number);
    }
    return value;
}

static int refuse(struct writer *w, int value, const char *path, const char *article, const char *type)
{
    lua_pushfstring(w->L, "result %d%s: a %s%s cannot cross", value, path, article, type);
    return -EINVAL;
}

static int refuse_member(struct writer *w, uint32_t number, bool is_key)
{
    struct path path = {.start = PATH_MAX_BYTES};
    path.text[PATH_MAX_BYTES] = '\0';
    int key = lua_gettop(w->L) - 1;
    const char *type = luaL_typename(w->L, is_key ? key : key + 1);
    if (!is_key)
        prepend_key(&path, w->L, key);
    int value = find_path(w, &path, number);
    return refuse(w, value, path.text + path.start, is_key ? "key that is a " : "", type);
}

int vm_values_write(lua_State *L, struct bx_values *out, int first, int count)
{
    luaL_checkstack(L, LUA_MINSTACK, "too many results");
    lua_pushnil(L);
    struct writer w = {.L = L, .out = out, .first = first, .values = count, .tables = lua_gettop(L)};
    bx_values_list(out, (uint32_t)count);
    for (int i = 0; i < count; i++)
        if (put_value(&w, first + i) != 0)
            return refuse(&w, i + 1, "", "", luaL_typename(L, first + i));
    int rc = 0;
    for (uint32_t number = 0; number < w.count && rc == 0 && out->error == 0; number++)
        rc = put_table(&w, number);
    if (rc == 0)
        lua_settop(L, w.tables - 1);
    return rc != 0 ? rc : out->error;
}

/* ---- bytes to Lua ---- */

static void skip(const char **at, int64_t items)
{
    struct bx_value value;
    for (; items > 0; items--)
        bx_values_read(at, &value);
}

/* Pushes a table that holds every table by its number + 1, each as large as it will be. `at` is behind the values. */
static void make_tables(lua_State *L, const char *at, int64_t count)
{
    struct bx_value head;
    lua_createtable(L, (int)count, 0);
    for (int64_t i = 1; i <= count; i++) {
        bx_values_read(&at, &head);
        if (head.type == BX_VALUE_LIST)
            lua_createtable(L, (int)head.integer, 0);
        else
            lua_createtable(L, 0, (int)head.integer);
        lua_rawseti(L, -2, i);
        skip(&at, head.type == BX_VALUE_MAP ? 2 * head.integer : head.integer);
    }
}

static void push_value(lua_State *L, const char **at, int tables)
{
    struct bx_value value;
    bx_values_read(at, &value);
    switch (value.type) {
    case BX_VALUE_BOOLEAN: lua_pushboolean(L, value.integer != 0); return;
    case BX_VALUE_INTEGER: lua_pushinteger(L, value.integer); return;
    case BX_VALUE_NUMBER: lua_pushnumber(L, value.number); return;
    case BX_VALUE_STRING: lua_pushlstring(L, value.bytes, value.length); return;
    case BX_VALUE_TABLE: lua_rawgeti(L, tables, value.integer + 1); return;
    default: lua_pushnil(L); return;
    }
}

static void fill_table(lua_State *L, const char **at, int tables, int64_t number)
{
    struct bx_value head;
    lua_rawgeti(L, tables, number + 1);
    bx_values_read(at, &head);
    for (int64_t i = 1; i <= head.integer; i++) {
        push_value(L, at, tables);
        if (head.type == BX_VALUE_LIST) {
            lua_rawseti(L, -2, i);
        } else {
            push_value(L, at, tables);
            lua_rawset(L, -3);
        }
    }
    lua_pop(L, 1);
}

int vm_values_push(lua_State *L, const char *bytes, int64_t tables)
{
    struct bx_value head;
    const char *at = bytes;
    bx_values_read(&at, &head);
    if (head.integer > INT32_MAX / 2 || !lua_checkstack(L, (int)head.integer + 8))
        return luaL_error(L, "too many arguments");
    const char *values = at;
    if (tables > 0) {
        skip(&at, head.integer);
        make_tables(L, at, tables);
    } else {
        lua_pushnil(L);
    }
    int numbering = lua_gettop(L);
    for (int64_t i = 0; i < head.integer; i++)
        push_value(L, &values, numbering);
    for (int64_t i = 0; i < tables; i++)
        fill_table(L, &values, numbering, i);
    lua_remove(L, numbering);
    return (int)head.integer;
}
