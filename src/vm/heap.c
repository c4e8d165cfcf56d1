/*
 * heap.c - malloc under a ceiling. Never ends the process, never runs Lua.
 *
 * Two things are held under the ceiling. The live blocks: their sizes as malloc rounds them, a bound that
 * holds with any malloc. And the footprint: what the process took from the kernel by brk and mmap, because a
 * script that frees every second block has a heap twice as large as its live blocks, and it is the kernel's
 * count that gets a VM killed. A request that fits into memory which the process has already is granted in
 * either case.
 *
 * Small blocks are kept in lists when they are freed, up to a small part of the ceiling: Lua tells the size
 * of what it frees, which malloc has to find out, and a program that makes and drops objects runs a tenth
 * faster for it.
 */
#include "heap.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

struct vm_heap_block {
    struct vm_heap_block *next;
};

/* Blocks from here on get a mapping of their own: they grow by mremap without a copy, and go back to the
 * kernel at once. Below, a freed block's memory is used again, which is what building long strings wants. */
#define MMAP_FROM (4 * 1024 * 1024)

/* Free memory at the heap's end that stays: two such blocks, so that strings that come and go cost no brk. */
#define TRIM_FROM (2 * MMAP_FROM)

/* What malloc asks of the kernel beyond a request (its own default, which the checks below count on). */
#define TOP_PAD (128 * 1024)

/* No smaller block is mapped: malloc compares a rounded size. */
#define MAYBE_MAPPED (MMAP_FROM / 2)

/* Freed small blocks that are kept: this part of the ceiling, and no more than stays in a processor's cache
 * (more of them only scatters a data structure over the heap). */
#define KEPT_PART 64
#define KEPT_MOST (256 * 1024)

/* malloc keeps smaller blocks in caches of its own when they are freed, instead of joining them to their
 * neighbours. */
#define BEYOND_CACHES 2048

/* A heap is looked through again for no less than this. */
#define WORTH_IT (64 * 1024)

#define PAGE 4096u

#if defined(__SANITIZE_ADDRESS__)
#define KEPT_AT_START 0 /* AddressSanitizer must see every free */
#else
#define KEPT_AT_START (16 * 1024)
#endif

void vm_heap_init(struct vm_heap *heap)
{
    mallopt(M_MMAP_THRESHOLD, MMAP_FROM);
    mallopt(M_TRIM_THRESHOLD, TRIM_FROM);
    mallopt(M_TOP_PAD, TOP_PAD);
    *heap = (struct vm_heap){.ceiling = PTRDIFF_MAX, .limit = PTRDIFF_MAX, .kept_limit = KEPT_AT_START};
    vm_footprint_init(&heap->footprint);
}

void vm_heap_set_ceiling(struct vm_heap *heap, size_t bytes)
{
    heap->limit = heap->ceiling = bytes < PTRDIFF_MAX ? bytes : PTRDIFF_MAX;
    if (heap->kept_limit > 0)
        heap->kept_limit = bytes / KEPT_PART < KEPT_MOST ? bytes / KEPT_PART : KEPT_MOST;
}

/* malloc's header of a block. */
#define HEADER 8

/* A block's size with its header, as malloc rounds it. What is asked of malloc is that size without the header, so
 * that every block of one cost is as large as any other. */
static inline size_t cost(size_t size)
{
    return size <= 24 ? 32 : (size + HEADER + 15) & ~(size_t)15;
}

/* The mapping behind a large block, or 0 when it has none. glibc's usable size is 8 less than a multiple of
 * 16 for a block in the heap, and 16 less than a multiple of the page for a mapped one. (Another malloc's
 * answer makes this an estimate, and so the footprint of large blocks.) */
static size_t mapping(void *block, size_t size)
{
    if (likely(size < MAYBE_MAPPED))
        return 0;
    size_t usable = malloc_usable_size(block);
    return usable % 16 == 0 ? usable + 16 : 0;
}

/* Takes a block of that cost from its list, or NULL. Any block on a list is at least as large as its list
 * says. */
static inline void *take_kept(struct vm_heap *heap, size_t bytes)
{
    struct vm_heap_block **list = &heap->lists[bytes / 16], *block = *list;
    if (block != NULL) {
        *list = block->next;
        heap->kept -= bytes;
    }
    return block;
}

static inline bool keep(struct vm_heap *heap, void *memory, size_t bytes)
{
    if (bytes > VM_HEAP_SMALL || heap->kept + bytes > heap->kept_limit)
        return false;
    struct vm_heap_block **list = &heap->lists[bytes / 16], *block = memory;
    block->next = *list;
    *list = block;
    heap->kept += bytes;
    return true;
}

static void give_back_kept(struct vm_heap *heap)
{
    for (size_t i = 0; i < sizeof heap->lists / sizeof heap->lists[0]; i++) {
        for (void *block; (block = heap->lists[i]) != NULL; free(block))
            heap->lists[i] = heap->lists[i]->next;
    }
    heap->kept = 0;
}

/* Live blocks that are not mappings of their own. */
static size_t live(const struct vm_heap *heap)
{
    return heap->used > heap->footprint.mapped ? heap->used - heap->footprint.mapped : 0;
}

static inline size_t footprint(const struct vm_heap *heap)
{
    const struct vm_footprint *f = &heap->footprint;
    return likely(f->filled == VM_ALL_OF_IT) ? f->end - f->start + f->mapped : vm_footprint_now(f, live(heap));
}

/* While the heap has holes, live blocks may grow by what the footprint leaves, and then it is looked at again. */
static void set_limit(struct vm_heap *heap)
{
    heap->limit = heap->ceiling;
    if (heap->footprint.filled == VM_ALL_OF_IT)
        return;
    size_t now = footprint(heap), room = now < heap->ceiling ? heap->ceiling - now : 0;
    if (heap->used + room < heap->ceiling)
        heap->limit = heap->used + room;
}

static void change_mapped(struct vm_heap *heap, size_t from, size_t to)
{
    if (likely(from == to))
        return;
    heap->footprint.mapped += to - from;
    set_limit(heap);
}

static void trim(struct vm_heap *heap)
{
    give_back_kept(heap);
    vm_footprint_trim(&heap->footprint, live(heap));
    set_limit(heap);
}

/* Looks at what malloc has taken of the kernel. Returns whether that is within the ceiling. */
static bool measure(struct vm_heap *heap)
{
    return vm_footprint_measure(&heap->footprint, live(heap), heap->ceiling) == 0;
}

static inline void release(struct vm_heap *heap, void *block, size_t size)
{
    size_t bytes = cost(size);
    heap->used -= bytes;
    if (keep(heap, block, bytes))
        return;
    change_mapped(heap, mapping(block, size), 0);
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
    if (heap->on_refusal != NULL)
        heap->on_refusal(heap);
    return NULL;
}

static bool refused_before(struct vm_heap *heap, size_t size)
{
    bool same = heap->refused == size;
    heap->refused = 0;
    return same;
}

/* May `more` bytes of live blocks be added for a request of that size? (No limit is so high that this wraps.) */
static inline bool is_too_much(const struct vm_heap *heap, size_t size, size_t more)
{
    return size > heap->ceiling || heap->used + more > heap->limit;
}

/* Does a new block lie in memory that the process did not have? What malloc asks the kernel for is for the
 * block that did not fit otherwise, so that block reaches beyond the old end (or is a mapping, which lies
 * beyond it anyway). */
static inline bool is_beyond(const struct vm_heap *heap, const void *block, size_t size)
{
    return (uintptr_t)block + size > heap->footprint.end;
}

/*
 * Undoes an allocation that took the process above its ceiling. What is left of its memory lies beyond the end
 * that was accepted, which stays where it was, and so is refused again: else every refusal would grant the
 * next request a page, and the script would creep on with a full collection for each.
 */
static void undo(struct vm_heap *heap, void *block, size_t size)
{
    heap->used -= cost(size);
    change_mapped(heap, mapping(block, size), 0);
    void *larger = size < BEYOND_CACHES ? realloc(block, BEYOND_CACHES) : NULL;
    free(larger != NULL ? larger : block);
}

/* A block of malloc's, or NULL when that is too much. */
static inline void *obtain(struct vm_heap *heap, size_t size, size_t bytes)
{
    void *block = malloc(bytes - HEADER);
    if (unlikely(block == NULL))
        return NULL;
    heap->used += bytes;
    if (likely(!is_beyond(heap, block, size)))
        return block;
    change_mapped(heap, 0, mapping(block, size));
    if (measure(heap))
        return block;
    undo(heap, block, size);
    return NULL;
}

/* Memory is short. Gives back what is not needed; returns whether it is worth another try. */
static bool make_room(struct vm_heap *heap, size_t size, size_t bytes)
{
    if (size > heap->ceiling || heap->used + bytes > heap->ceiling)
        return false;
    trim(heap);
    /* Not for the last few bytes: looking through the heap for each of them would take for ever. */
    return heap->limit == heap->ceiling || heap->used + bytes + WORTH_IT <= heap->limit;
}

static void *acquire(struct vm_heap *heap, size_t size)
{
    size_t bytes = cost(size);
    if (unlikely(heap->refused != 0) && refused_before(heap, size))
        return NULL;
    if (likely(!is_too_much(heap, size, bytes))) {
        void *block = bytes <= VM_HEAP_SMALL ? take_kept(heap, bytes) : NULL;
        if (block != NULL) {
            heap->used += bytes;
            return block;
        }
        block = obtain(heap, size, bytes);
        if (likely(block != NULL))
            return block;
    }
    void *block = make_room(heap, size, bytes) ? obtain(heap, size, bytes) : NULL;
    return block != NULL ? block : refuse(heap, size);
}

static inline bool fits(const struct vm_heap *heap, size_t more)
{
    return more <= heap->ceiling && footprint(heap) <= heap->ceiling - more;
}

/* May realloc do as it likes? A block that is mapped grows where it is, page by page; another may be moved, with
 * both in memory for a while. */
static bool has_room(struct vm_heap *heap, size_t mapped, size_t old_size, size_t new_size)
{
    size_t more = mapped > 0 ? new_size - old_size + 2 * PAGE : new_size + TOP_PAD + 2 * PAGE;
    if (likely(fits(heap, more)))
        return true;
    measure(heap);
    if (fits(heap, more))
        return true;
    if (mapped == 0)
        return false;
    trim(heap);
    return fits(heap, more);
}

static void *move(struct vm_heap *heap, void *block, size_t old_size, size_t new_size)
{
    void *moved = acquire(heap, new_size);
    if (moved != NULL) {
        memcpy(moved, block, old_size);
        release(heap, block, old_size);
    }
    return moved;
}

static void *grow(struct vm_heap *heap, void *block, size_t old_size, size_t new_size)
{
    size_t more = cost(new_size) - cost(old_size);
    if (more == 0)
        return block; /* it is large enough */
    if (cost(new_size) <= VM_HEAP_SMALL)
        return move(heap, block, old_size, new_size); /* through the lists, which are faster than realloc */
    if (unlikely(heap->refused != 0) && refused_before(heap, new_size))
        return NULL;
    if (unlikely(is_too_much(heap, new_size, more)) && !make_room(heap, new_size, more))
        return refuse(heap, new_size);
    size_t mapped = mapping(block, old_size);
    if (unlikely(!has_room(heap, mapped, old_size, new_size)))
        return move(heap, block, old_size, new_size); /* which can be refused with the old block untouched */
    void *grown = realloc(block, cost(new_size) - HEADER);
    if (unlikely(grown == NULL))
        return refuse(heap, new_size);
    heap->used += more;
    change_mapped(heap, mapped, mapping(grown, new_size));
    if (is_beyond(heap, grown, new_size))
        measure(heap);
    return grown;
}

/* A mapping keeps a page at least: a large block that becomes a small one is moved into the heap, if that can
 * be. */
static void *shrink_mapped(struct vm_heap *heap, void *block, size_t mapped, size_t new_size)
{
    void *moved = malloc(cost(new_size) - HEADER);
    if (moved == NULL)
        return NULL;
    memcpy(moved, block, new_size);
    free(block);
    change_mapped(heap, mapped, 0);
    return moved;
}

static void *shrink(struct vm_heap *heap, void *block, size_t old_size, size_t new_size)
{
    size_t mapped = mapping(block, old_size);
    void *shrunk = NULL;
    if (unlikely(mapped > 0 && new_size < MAYBE_MAPPED))
        shrunk = shrink_mapped(heap, block, mapped, new_size);
    if (shrunk == NULL) {
        shrunk = realloc(block, cost(new_size) - HEADER);
        if (unlikely(shrunk == NULL))
            shrunk = block; /* it is large enough */
        change_mapped(heap, mapped, mapping(shrunk, new_size));
    }
    heap->used -= cost(old_size) - cost(new_size);
    return shrunk;
}

void *vm_heap_realloc(void *ud, void *block, size_t old_size, size_t new_size)
{
    struct vm_heap *heap = ud;
    if (block == NULL)
        return new_size > 0 ? acquire(heap, new_size) : NULL;
    if (new_size == 0) {
        release(heap, block, old_size);
        return NULL;
    }
    return new_size > old_size ? grow(heap, block, old_size, new_size) : shrink(heap, block, old_size, new_size);
}
