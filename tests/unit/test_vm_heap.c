/* test_vm_heap.c - the Lua allocator: its ceiling, its books, and blocks that keep what is in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
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
    assert_int_equal(heap.used, 0);
}

/* A new block's "old size" is a type, not a size. */
static void test_books_balance(void **state)
{
    (void)state;
    start(64 * MIB);
    void *a = vm_heap_realloc(&heap, NULL, LUA_TTABLE, 56);
    assert_int_equal(heap.used, 64);
    a = change(a, 56, 1000);
    assert_int_equal(heap.used, 1008);
    a = change(a, 1000, 10);
    assert_int_equal(heap.used, 32);
    assert_null(change(a, 10, 0));
    assert_int_equal(heap.used, 0);
    void *large = get(20 * MIB);
    assert_true(heap.used >= 20 * MIB);
    large = change(large, 20 * MIB, 30 * MIB);
    large = change(large, 30 * MIB, 5 * MIB);
    large = change(large, 5 * MIB, 100);
    assert_int_equal(heap.used, 112);
    assert_int_equal(heap.footprint.mapped, 0);
    change(large, 100, 0);
    assert_int_equal(heap.used, 0);
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
    assert_int_equal(heap.used, 0);
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
    assert_int_equal(heap.used, 0);
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
    assert_int_equal(heap.used, 0);
}

static lua_State *open_state(size_t ceiling)
{
    vm_heap_init(&heap);
    lua_State *L = lua_newstate(vm_heap_realloc, &heap);
    heap.L = L;
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
    assert_int_equal(heap.used, 0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_freeing_nothing),
        cmocka_unit_test(test_books_balance),
        cmocka_unit_test(test_ceiling),
        cmocka_unit_test(test_small_blocks_reach_the_ceiling),
        cmocka_unit_test(test_shrinking_never_fails),
        cmocka_unit_test(test_contents_stay),
        cmocka_unit_test(test_lua_gets_an_error_and_lives_on),
        cmocka_unit_test(test_stopped_collector),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
