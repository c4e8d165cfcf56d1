/* test_vm_heap.c - the Lua allocator: its ceiling, its books, and blocks that keep what is in them. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <lauxlib.h>
#include <lualib.h>

#include "vm/heap.h"

#define MIB ((size_t)1024 * 1024)

static struct vm_heap heap;

static void *get(size_t size)
{
    return vm_heap_realloc(&heap, NULL, 0, size);
}

static void *change(void *block, size_t from, size_t to)
{
    return vm_heap_realloc(&heap, block, from, to);
}

/* Bytes in use, without what the heap keeps for the next request. */
static size_t live(void)
{
    return heap.used - heap.kept;
}

static void start(size_t ceiling)
{
    vm_heap_init(&heap);
    vm_heap_set_ceiling(&heap, ceiling);
}

static void test_freeing_nothing(void **state)
{
    (void)state;
    start(MIB);
    assert_null(change(NULL, 0, 0));
    assert_null(change(NULL, LUA_TTABLE, 0));
    assert_int_equal(live(), 0);
}

/* A new block's "old size" is a type, not a size. */
static void test_books_balance(void **state)
{
    (void)state;
    start(64 * MIB);
    void *a = vm_heap_realloc(&heap, NULL, LUA_TTABLE, 56);
    assert_int_equal(live(), 64);
    a = change(a, 56, 1000);
    assert_int_equal(live(), 1008);
    a = change(a, 1000, 10);
    assert_int_equal(live(), 32);
    assert_null(change(a, 10, 0));
    assert_int_equal(live(), 0);
    void *large = get(20 * MIB);
    assert_true(heap.used >= 20 * MIB);
    large = change(large, 20 * MIB, 30 * MIB);
    large = change(large, 30 * MIB, 5 * MIB);
    large = change(large, 5 * MIB, 100);
    assert_int_equal(live(), 112);
    assert_int_equal(heap.footprint.mapped, 0);
    change(large, 100, 0);
    assert_int_equal(live(), 0);
}

static void test_ceiling(void **state)
{
    (void)state;
    start(8 * MIB);
    assert_null(get(9 * MIB));
    assert_null(get(SIZE_MAX));
    assert_null(get(SIZE_MAX - 15));
    assert_null(get(SIZE_MAX / 2));
    void *most = get(5 * MIB);
    assert_non_null(most);
    assert_null(get(5 * MIB));
    assert_null(change(most, 5 * MIB, 9 * MIB));
    memset(most, 1, 5 * MIB); /* still ours */
    change(most, 5 * MIB, 0);
    most = get(5 * MIB);
    assert_non_null(most);
    change(most, 5 * MIB, 0);
}

/* Small blocks until none is left: the sum is near the ceiling, and one that was given back can be had again. */
static void test_small_blocks_reach_the_ceiling(void **state)
{
    (void)state;
    start(4 * MIB);
    static void *blocks[4 * MIB / 100];
    size_t count = 0, capacity = sizeof blocks / sizeof *blocks;
    while (count < capacity && (blocks[count] = get(100)) != NULL)
        count++;
    assert_true(count < capacity);
    assert_in_range(count * 112, 3 * MIB + MIB / 2, 4 * MIB);
    for (int i = 0; i < 1000; i++) {
        assert_null(get(100));
        change(blocks[count / 2], 100, 0);
        blocks[count / 2] = get(100);
        assert_non_null(blocks[count / 2]);
    }
    while (count-- > 0)
        change(blocks[count], 100, 0);
    assert_int_equal(live(), 0);
}

static void test_shrinking_never_fails(void **state)
{
    (void)state;
    static const size_t sizes[] = {9 * MIB, 5 * MIB, 3 * MIB, MIB, 70000, 5000, 300, 256, 248, 100, 24, 1};
    start(64 * MIB);
    unsigned char *block = get(10 * MIB);
    memset(block, 0x5a, 10 * MIB);
    vm_heap_set_ceiling(&heap, 1); /* nothing may grow now */
    size_t now = 10 * MIB;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        block = change(block, now, sizes[i]);
        assert_non_null(block);
        now = sizes[i];
        assert_int_equal(block[0], 0x5a);
        assert_int_equal(block[now - 1], 0x5a);
    }
    assert_null(get(1));
    change(block, now, 0);
    assert_int_equal(live(), 0);
}

/* Blocks of many sizes come, grow, shrink and go; what is in them stays, and the books are right at the end. */
static void test_contents_stay(void **state)
{
    (void)state;
    enum { SLOTS = 500 };
    static struct {
        unsigned char *bytes;
        size_t size;
    } slots[SLOTS];
    start(24 * MIB);
    unsigned seed = 12345;
    size_t refused = 0;
    for (int i = 0; i < 60000; i++) {
        size_t s = (size_t)rand_r(&seed) % SLOTS, limit = (size_t)1 << (rand_r(&seed) % 23);
        size_t size = (size_t)rand_r(&seed) % limit;
        unsigned char *block = change(slots[s].bytes, slots[s].bytes ? slots[s].size : 0, size);
        if (size > 0 && block == NULL) {
            refused++;
            continue;
        }
        size_t kept = size < slots[s].size ? size : slots[s].size;
        if (slots[s].bytes != NULL && kept > 0) {
            assert_int_equal(block[0], (unsigned char)s);
            assert_int_equal(block[kept - 1], (unsigned char)s);
        }
        if (size > 0)
            memset(block, (int)s, size);
        slots[s].bytes = block;
        slots[s].size = size;
    }
    assert_true(refused > 0);
    for (int s = 0; s < SLOTS; s++) {
        change(slots[s].bytes, slots[s].size, 0);
        slots[s].bytes = NULL;
    }
    assert_int_equal(live(), 0);
}

/* Memory of this process alone. */
static size_t resident(void)
{
    size_t pages = 0, shared = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%*u %zu %zu", &pages, &shared), 2);
    fclose(file);
    return (pages - shared) * 4096;
}

/* What the kernel counts stays below the ceiling, also when blocks that are freed leave their pages behind and new ones
 * go where pages were given back: it is the kernel that kills. */
static void test_the_kernel_counts_no_more(void **state)
{
    (void)state;
#ifdef __SANITIZE_ADDRESS__
    print_message("SKIP: AddressSanitizer keeps what is freed\n");
    skip();
#endif
    enum { SLOTS = 14, ROUNDS = 1500 };
    static struct {
        void *block;
        size_t size;
    } slots[SLOTS];
    size_t before = resident(), most = 0, ceiling = 16 * MIB, refused = 0;
    start(ceiling);
    unsigned seed = 1;
    for (int i = 0; i < ROUNDS; i++) {
        size_t s = (size_t)rand_r(&seed) % SLOTS, size = (size_t)rand_r(&seed) % (3 * MIB);
        bool grows = size > slots[s].size && i % 3 == 0;
        if (!grows) {
            change(slots[s].block, slots[s].size, 0);
            slots[s].block = NULL;
            slots[s].size = 0;
        }
        void *block = change(slots[s].block, slots[s].size, size);
        if (block == NULL) {
            refused++;
            continue;
        }
        memset(block, 1, size);
        slots[s].block = block;
        slots[s].size = size;
        size_t now = resident();
        most = now > most ? now : most;
    }
    assert_true(refused > 100);
    assert_in_range(most - before, ceiling / 2, ceiling + 256 * 1024);
    for (int s = 0; s < SLOTS; s++)
        change(slots[s].block, slots[s].size, 0);
    assert_int_equal(live(), 0);
}

static lua_State *open_state(size_t ceiling)
{
    vm_heap_init(&heap);
    lua_State *L = vm_heap_open(&heap, &heap);
    assert_non_null(L);
    luaL_openlibs(L);
    vm_heap_set_ceiling(&heap, ceiling);
    return L;
}

static void run(size_t ceiling, const char *code)
{
    lua_State *L = open_state(ceiling);
    if (luaL_dostring(L, code) != LUA_OK)
        fail_msg("%s", lua_tostring(L, -1));
    assert_true(heap.used <= ceiling);
    lua_close(L);
    assert_int_equal(live(), 0);
}

static void test_lua_gets_an_error_and_lives_on(void **state)
{
    (void)state;
    run(8 * MIB, "for round = 1, 20 do\n"
                 "  local t, ok, e = {}, pcall(function() local t = {} for i = 1, 1e9 do t[i] = {i} end end)\n"
                 "  assert(not ok and e == 'not enough memory', e)\n"
                 "  ok, e = pcall(string.rep, 'x', 1 << 30)\n"
                 "  assert(not ok and e == 'not enough memory', e)\n"
                 "end\n"
                 "local s = ('x'):rep(100000) assert(#s == 100000)");
}

/* With the collector stopped, garbage counts like everything else. */
static void test_stopped_collector(void **state)
{
    (void)state;
    run(8 * MIB, "collectgarbage('stop')\n"
                 "local ok, e = pcall(function() for i = 1, 1000 do local s = ('x'):rep(100000) .. i end end)\n"
                 "assert(not ok and e == 'not enough memory', e)\n"
                 "collectgarbage('restart')\n"
                 "for i = 1, 1000 do local s = ('x'):rep(100000) .. i end");
    run(8 * MIB, "for i = 1, 1000 do local s = ('x'):rep(100000) .. i end");
}

/* What fills the memory is garbage after the error: there must be room for a buffer at once, in any coroutine. */
static void test_buffers_collect(void **state)
{
    (void)state;
    for (size_t ceiling = 6 * MIB; ceiling <= 12 * MIB; ceiling += MIB)
        run(ceiling, "for _, step in ipairs{30, 1000, 30000, 300000} do\n"
                     "  local function use()\n"
                     "    local ok, e = pcall(function()\n"
                     "      local t = {} while true do t[#t + 1] = ('x'):rep(step) .. #t end\n"
                     "    end)\n"
                     "    assert(not ok and e == 'not enough memory', e)\n"
                     "    return #('x'):rep(2 << 20)\n"
                     "  end\n"
                     "  assert(use() == 2 << 20)\n"
                     "  assert(coroutine.wrap(use)() == 2 << 20)\n"
                     "  collectgarbage()\n"
                     "end");
}

static int refusals;

static void count_refusal(void *ud)
{
    (void)ud;
    refusals++;
}

/* Each refusal that is counted is a full collection: a table of strings that cannot grow must not make one for every
 * string. And what memory there is can be filled nevertheless. */
static void test_full_string_table(void **state)
{
    (void)state;
    static const char *const fill[] = {
        "local t, i = {}, 0 while true do i = i + 1 t['k' .. i] = i end",
        "local t, i = {}, 0 while true do i = i + 1 t[i] = 'k' .. i end",
        "local t, i = nil, 0 while true do i = i + 1 t = {'k' .. i, t} end",
        "collectgarbage('stop') local i = 0 while true do i = i + 1 local s = 'k' .. i end",
    };
    for (size_t ceiling = 5 * MIB; ceiling <= 23 * MIB; ceiling += 6 * MIB) {
        for (size_t i = 0; i < sizeof fill / sizeof *fill; i++) {
            lua_State *L = open_state(ceiling);
            refusals = 0;
            heap.on_refusal = count_refusal;
            assert_true(luaL_dostring(L, fill[i]));
            assert_string_equal(lua_tostring(L, -1), "not enough memory");
            assert_in_range(refusals, 1, 40);
            lua_gc(L, LUA_GCRESTART);
            assert_false(luaL_dostring(L, "for i = 1, 1e5 do local s = 'n' .. i end"));
            lua_close(L);
            assert_int_equal(live(), 0);
        }
    }
}

/* The table is found, and followed as it grows and shrinks. */
static void test_string_table_is_known(void **state)
{
    (void)state;
    lua_State *L = open_state(64 * MIB);
    const void *first = heap.strings.table;
    assert_non_null(first);
    assert_false(luaL_dostring(L, "t = {} for i = 1, 3e5 do t[i] = 'k' .. i end"));
    const void *grown = heap.strings.table;
    assert_ptr_not_equal(grown, first);
    assert_true(malloc_usable_size(heap.strings.table) >= 300000 * sizeof(void *));
    assert_false(luaL_dostring(L, "t = nil for i = 1, 20 do collectgarbage() end"));
    assert_true(malloc_usable_size(heap.strings.table) < 300000 * sizeof(void *));
    lua_close(L);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_kernel_counts_no_more), /* first: no other test has left free memory behind */
        cmocka_unit_test(test_freeing_nothing),
        cmocka_unit_test(test_books_balance),
        cmocka_unit_test(test_ceiling),
        cmocka_unit_test(test_small_blocks_reach_the_ceiling),
        cmocka_unit_test(test_shrinking_never_fails),
        cmocka_unit_test(test_contents_stay),
        cmocka_unit_test(test_lua_gets_an_error_and_lives_on),
        cmocka_unit_test(test_stopped_collector),
        cmocka_unit_test(test_buffers_collect),
        cmocka_unit_test(test_string_table_is_known),
        cmocka_unit_test(test_full_string_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
