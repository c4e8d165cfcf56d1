/*
 * collect.c - the collections that are made when a request is refused: those that Lua makes and that are not worth
 * their time, and one that it does not make. Never refuses a script anything that Lua could not do without.
 *
 * Lua doubles the table of its short strings when that is full. If it cannot have the memory it collects, asks
 * again, goes on with the old table, and does all of this once more for the very next string. In a heap that is
 * nearly full that was a full collection for each new string: a script that fills its memory with strings ran for
 * hours instead of into an error. But a table that is too full is only a little slower. So once its growth was
 * refused, after a collection, it is refused without a look and without a collection until there is an eighth more
 * of strings.
 *
 * The buffers of Lua's library (string.rep, gsub, table.concat) ask the allocator themselves, and fail at once
 * when they are refused, beside any amount of garbage. For them it is collected, as Lua does for all else.
 *
 * Lua has no switch for that. The linker puts two functions below in the place of Lua's own (--wrap): luaC_fullgc,
 * where to leave out an emergency collection is to Lua as if nothing had been found, and lua_getallocf, which the
 * buffers call each time.
 */
#include "heap.h"

#define GROWN_PART 8

/* Lua's allocator while its state is made. The string table is made right before the first string; a new block's "old
 * size" is what it is for. */
static void *find_strings(void *ud, void *block, size_t old_size, size_t new_size)
{
    struct vm_heap *heap = ud;
    struct vm_strings *strings = &heap->strings;
    void *result = vm_heap_realloc(ud, block, old_size, new_size);
    if (block == NULL && old_size == LUA_TSTRING && strings->table == NULL)
        strings->table = strings->last;
    if (block == NULL)
        strings->last = result;
    return result;
}

lua_State *vm_heap_open(struct vm_heap *heap, void *ud)
{
    heap->L = lua_newstate(find_strings, ud);
    if (heap->L != NULL)
        lua_setallocf(heap->L, vm_heap_realloc, ud);
    return heap->L;
}

/* For each new string Lua asks twice. */
static size_t requests_to_refuse(size_t old_size)
{
    return 2 * (old_size / sizeof(void *)) / GROWN_PART;
}

bool vm_strings_must_wait(struct vm_heap *heap)
{
    if (heap->strings.wait == 0)
        return false;
    heap->strings.wait--;
    heap->skip_collection = true;
    return true;
}

void vm_strings_changed(struct vm_heap *heap, void *changed, size_t old_size)
{
    struct vm_strings *strings = &heap->strings;
    if (changed != NULL) {
        *strings = (struct vm_strings){.table = changed};
    } else if (heap->L != NULL && lua_gc(heap->L, LUA_GCISRUNNING) == 0) {
        /* The script has stopped the collector. It gets its error from a request that it cannot do without. */
        heap->skip_collection = true;
        heap->refused = 0;
        strings->wait = requests_to_refuse(old_size);
    } else if (strings->wait == 0) {
        strings->wait = strings->asked ? requests_to_refuse(old_size) : 0;
        strings->asked = !strings->asked;
    }
}

/* Lua's own, under the names that the linker gives them. */
void __real_luaC_fullgc(lua_State *L, int is_emergency);
void __wrap_luaC_fullgc(lua_State *L, int is_emergency);
lua_Alloc __real_lua_getallocf(lua_State *L, void **ud);
lua_Alloc __wrap_lua_getallocf(lua_State *L, void **ud);

void __wrap_luaC_fullgc(lua_State *L, int is_emergency)
{
    void *ud;
    if (is_emergency && __real_lua_getallocf(L, &ud) == vm_heap_realloc && ((struct vm_heap *)ud)->skip_collection)
        return;
    __real_luaC_fullgc(L, is_emergency);
}

static void *buffer_realloc(void *ud, void *block, size_t old_size, size_t new_size)
{
    struct vm_heap *heap = ud;
    void *result = vm_heap_realloc(ud, block, old_size, new_size);
    if (result != NULL || new_size == 0)
        return result;
    __wrap_luaC_fullgc(heap->asking, 1);
    return vm_heap_realloc(ud, block, old_size, new_size);
}

lua_Alloc __wrap_lua_getallocf(lua_State *L, void **ud)
{
    void *heap;
    lua_Alloc function = __real_lua_getallocf(L, &heap);
    if (ud != NULL)
        *ud = heap;
    if (function != vm_heap_realloc)
        return function;
    ((struct vm_heap *)heap)->asking = L;
    return buffer_realloc;
}
