/*
 * heap.c - malloc under a ceiling. Never ends the process, never runs Lua.
 *
 * Two things are held under the ceiling. The live blocks: their sizes as malloc rounds them, a bound that holds with any
 * malloc. And the footprint: what the process took from the kernel by brk and mmap, because a script that frees
 * every second block has a heap twice as large as its live blocks, and it is the kernel's count that gets a VM
 * killed. A request that fits into memory that the process has already is granted in either case.
 */
#include "heap.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define unlikely(x) __builtin_expect(!!(x), 0)

/* Blocks from here on get a mapping of their own: they grow by mremap without a copy, and go back to the kernel at once.
 * Below, a freed block's memory is used again, which is what building long strings wants. */
#define MMAP_FROM (1024 * 1024)

/* Free memory at the heap's end that is kept: two such blocks, so that strings that come and go cost no brk. */
#define TRIM_FROM (2 * MMAP_FROM)

/* What malloc asks of the kernel beyond a request (its own default, which the checks below count on). */
#define TOP_PAD (128 * 1024)

/* No smaller block is mapped: malloc compares a rounded size. */
#define MAYBE_MAPPED (MMAP_FROM / 2)

#define PAGE 4096u

void vm_heap_init(struct vm_heap *heap)
{
    mallopt(M_MMAP_THRESHOLD, MMAP_FROM);
    mallopt(M_TRIM_THRESHOLD, TRIM_FROM);
    mallopt(M_TOP_PAD, TOP_PAD);
    *heap = (struct vm_heap){.ceiling = SIZE_MAX, .start = (uintptr_t)sbrk(0)};
}

/* A block's size with its header, as malloc rounds it. */
static inline size_t cost(size_t size)
{
    return size <= 24 ? 32 : (size + 8 + 15) & ~(size_t)15;
}

static inline size_t footprint(const struct vm_heap *heap)
{
    return (uintptr_t)sbrk(0) - heap->start + heap->mapped;
}

/* The mapping behind a large block, or 0 when it has none. glibc's usable size is 8 less than a multiple of 16 for a
 * block in the heap, and 16 less than a multiple of the page for a mapped one. (Another malloc's answer
 * makes this an estimate, and so the footprint of large blocks.) */
static size_t mapping(void *block, size_t size)
{
    if (size < MAYBE_MAPPED)
        return 0;
    size_t usable = malloc_usable_size(block);
    return usable % 16 == 0 ? usable + 16 : 0;
}

static void release(struct vm_heap *heap, void *block, size_t size)
{
    if (block == NULL)
        return;
    heap->used -= cost(size);
    if (unlikely(size >= MAYBE_MAPPED))
        heap->mapped -= mapping(block, size);
    free(block);
}

/*
 * Refuses a request. Lua then collects and asks once more for the same. When the script has stopped the
 * collector that second request is refused as well: "stopped" is what it asked for, and a script
 * that produces garbage with the collector off must meet its limit, not run on a collection for each string.
 */
static void *refuse(struct vm_heap *heap, size_t size)
{
    if (heap->L != NULL && lua_gc(heap->L, LUA_GCISRUNNING) == 0)
        heap->refused = size;
    return NULL;
}

static bool refused_before(struct vm_heap *heap, size_t size)
{
    bool same = heap->refused == size;
    heap->refused = 0;
    return same;
}

static bool is_too_much(const struct vm_heap *heap, size_t more)
{
    return more > heap->ceiling || heap->used > heap->ceiling - more;
}

static void *acquire(struct vm_heap *heap, size_t size)
{
    size_t more = cost(size);
    if (unlikely(is_too_much(heap, more)))
        return refuse(heap, size);
    size_t before = footprint(heap);
    void *block = malloc(size);
    if (unlikely(block == NULL))
        return refuse(heap, size);
    heap->used += more;
    if (unlikely(size >= MAYBE_MAPPED))
        heap->mapped += mapping(block, size);
    size_t after = footprint(heap);
    if (unlikely(after > heap->ceiling && after > before)) {
        release(heap, block, size);
        malloc_trim(0); /* else the memory that was just refused stays and serves the next request */
        return refuse(heap, size);
    }
    return block;
}

/* Whether realloc may do as it likes. A block that is mapped grows where it is; another may be moved, with both in memory. */
static bool has_room(const struct vm_heap *heap, size_t mapped, size_t old_size, size_t new_size)
{
    size_t more = mapped > 0 ? new_size - old_size + 2 * PAGE : new_size + TOP_PAD + 2 * PAGE;
    size_t now = footprint(heap);
    return now <= heap->ceiling && more <= heap->ceiling - now;
}

static void *move(struct vm_heap *heap, void *block, size_t old_size, size_t new_size)
{
    void *moved = acquire(heap, new_size);
    if (moved != NULL) {
        memcpy(moved, block, old_size < new_size ? old_size : new_size);
        release(heap, block, old_size);
    }
    return moved;
}

static void *grow(struct vm_heap *heap, void *block, size_t old_size, size_t new_size)
{
    if (unlikely(is_too_much(heap, cost(new_size) - cost(old_size))))
        return refuse(heap, new_size);
    size_t mapped = mapping(block, old_size);
    if (unlikely(!has_room(heap, mapped, old_size, new_size)))
        return move(heap, block, old_size, new_size); /* which can be refused with the old block untouched */
    void *grown = realloc(block, new_size);
    if (unlikely(grown == NULL))
        return refuse(heap, new_size);
    heap->used += cost(new_size) - cost(old_size);
    heap->mapped += mapping(grown, new_size) - mapped;
    return grown;
}

/* A mapping keeps a page at least: a large block that becomes a small one is moved into the heap, if that can be. */
static void *shrink_mapped(struct vm_heap *heap, void *block, size_t mapped, size_t new_size)
{
    void *moved = malloc(new_size);
    if (moved == NULL)
        return NULL;
    memcpy(moved, block, new_size);
    free(block);
    heap->mapped -= mapped;
    return moved;
}

static void *shrink(struct vm_heap *heap, void *block, size_t old_size, size_t new_size)
{
    size_t mapped = mapping(block, old_size);
    void *shrunk = NULL;
    if (unlikely(mapped > 0 && new_size < MAYBE_MAPPED))
        shrunk = shrink_mapped(heap, block, mapped, new_size);
    if (shrunk == NULL) {
        shrunk = realloc(block, new_size);
        if (unlikely(shrunk == NULL))
            shrunk = block; /* it is large enough */
        heap->mapped += mapping(shrunk, new_size) - mapped;
    }
    heap->used -= cost(old_size) - cost(new_size);
    return shrunk;
}

void *vm_heap_realloc(void *ud, void *block, size_t old_size, size_t new_size)
{
    struct vm_heap *heap = ud;
    if (new_size == 0) {
        release(heap, block, old_size);
        return NULL;
    }
    if (block != NULL && new_size <= old_size)
        return shrink(heap, block, old_size, new_size);
    if (unlikely(heap->refused != 0) && refused_before(heap, new_size))
        return NULL;
    if (block == NULL)
        return acquire(heap, new_size);
    return grow(heap, block, old_size, new_size);
}
