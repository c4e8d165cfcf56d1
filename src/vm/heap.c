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
 * says. A block on a list counts as used: it comes and goes without a look at any limit. */
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
    heap->used -= heap->kept;
    heap->kept = 0;
}

static inline bool has_holes(const struct vm_heap *heap)
{
    return unlikely(heap->footprint.filled != VM_ALL_OF_IT);
}

/* While the heap has holes, every block that comes from malloc is looked at: see is_too_much. */
static void trim(struct vm_heap *heap)
{
    give_back_kept(heap);
    vm_footprint_trim(&heap->footprint);
    heap->limit = has_holes(heap) ? 0 : heap->ceiling;
}

/* Looks at what malloc has taken of the kernel. Returns whether that is within the ceiling. */
static bool measure(struct vm_heap *heap)
{
    return vm_footprint_measure(&heap->footprint, heap->ceiling) == 0;
}

static inline bool fits(const struct vm_heap *heap, size_t more)
{
    return more <= heap->ceiling && vm_footprint_now(&heap->footprint) <= heap->ceiling - more;
}

/* A block has come from malloc: it fills holes, unless it is a mapping. */
static inline void note_filled(struct vm_heap *heap, size_t bytes, size_t mapped)
{
    if (has_holes(heap) && mapped == 0)
        heap->footprint.filled += bytes;
    heap->footprint.mapped += mapped;
}

static inline void release(struct vm_heap *heap, void *block, size_t size)
{
    size_t bytes = cost(size);
    if (likely(keep(heap, block, bytes)))
        return;
    heap->used -= bytes;
    heap->footprint.mapped -= mapping(block, size);
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
    heap->skip_collection = false;
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

/* Can `more` bytes of blocks not be added for a request of that size? (No limit is so high that this wraps.) */
static inline bool is_too_much(const struct vm_heap *heap, size_t size, size_t more)
{
    if (likely(size <= heap->ceiling && heap->used + more <= heap->limit))
        return false;
    return !has_holes(heap) || size > heap->ceiling || heap->used + more > heap->ceiling || !fits(heap, more);
}

/* Does a new block lie in memory that the process did not have? What malloc asks the kernel for is for the
 * block that did not fit otherwise, so that block reaches beyond the old end (or is a mapping, which lies
 * beyond it anyway). */
static inline bool is_beyond(const struct vm_heap *heap, const void *block, size_t size)
{
    return (uintptr_t)block + size > heap->footprint.end;
}

/*
 * Undoes an allocation that took the process above its ceiling. A large one goes back to the kernel: what stays at
 * the heap's end would make every smaller request look as if it were too much. What is left of a small one lies beyond
 * the end that was accepted, which stays where it was, and so is refused again: else every refusal would grant the
 * next request a page, and the script would creep on with a full collection for each.
 */
static void undo(struct vm_heap *heap, void *block, size_t size)
{
    heap->used -= cost(size);
    heap->footprint.mapped -= mapping(block, size);
    void *larger = size < BEYOND_CACHES ? realloc(block, BEYOND_CACHES) : NULL;
    if (size >= TOP_PAD)
        mallopt(M_TRIM_THRESHOLD, 0);
    free(larger != NULL ? larger : block);
    if (size >= TOP_PAD)
        mallopt(M_TRIM_THRESHOLD, TRIM_FROM);
}

/* A block of malloc's, or NULL when that is too much. */
static inline void *obtain(struct vm_heap *heap, size_t size, size_t bytes)
{
    void *block = malloc(bytes - HEADER);
    if (unlikely(block == NULL))
        return NULL;
    heap->used += bytes;
    if (likely(!is_beyond(heap, block, size))) {
        note_filled(heap, bytes, 0);
        return block;
    }
    note_filled(heap, bytes, mapping(block, size));
    if (measure(heap))
        return block;
    undo(heap, block, size);
    return NULL;
}

/* Memory is short. Gives back what is not needed; returns whether it is worth another try. */
static bool make_room(struct vm_heap *heap, size_t size, size_t bytes)
{
    if (size > heap->ceiling || heap->used - heap->kept + bytes > heap->ceiling)
        return false;
    trim(heap);
    /* Not for the last few bytes: looking through the heap for each of them would take for ever. */
    return !has_holes(heap) || fits(heap, bytes + WORTH_IT);
}

static void *acquire(struct vm_heap *heap, size_t size)
{
    size_t bytes = cost(size);
    void *block = likely(bytes <= VM_HEAP_SMALL) ? take_kept(heap, bytes) : NULL;
    if (likely(block != NULL))
        return block;
    if (likely(!is_too_much(heap, size, bytes))) {
        block = obtain(heap, size, bytes);
        if (likely(block != NULL))
            return block;
    }
    block = make_room(heap, size, bytes) ? obtain(heap, size, bytes) : NULL;
    return block != NULL ? block : refuse(heap, size);
}

/* May realloc do as it likes? A block that is mapped grows where it is, page by page; another may be moved, with
 * both in memory for a while. */
static bool has_room(struct vm_heap *heap, size_t mapped, size_t old_size, size_t new_size)
{
    size_t more = mapped > 0 ? new_size - old_size + 2 * PAGE : new_size + TOP_PAD + 2 * PAGE;
    if (likely(measure(heap) && fits(heap, more)))
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
    if (unlikely(is_too_much(heap, new_size, more)) && !make_room(heap, new_size, more))
        return refuse(heap, new_size);
    size_t mapped = mapping(block, old_size);
    if (unlikely(!has_room(heap, mapped, old_size, new_size)))
        return move(heap, block, old_size, new_size); /* which can be refused with the old block untouched */
    void *grown = realloc(block, cost(new_size) - HEADER);
    if (unlikely(grown == NULL))
        return refuse(heap, new_size);
    heap->used += more;
    heap->footprint.mapped -= mapped;
    note_filled(heap, grown == block ? more : cost(new_size), mapping(grown, new_size));
    if (is_beyond(heap, grown, new_size))
        measure(heap);
    return grown;
}

/* A mapping keeps a page at least: a large block that becomes a small one is moved into the heap, if that can
 * be. */
static void *shrink_mapped(struct vm_heap *heap, void *block, size_t mapped, size_t new_size)
{
    void *moved = has_room(heap, 0, 0, new_size) ? malloc(cost(new_size) - HEADER) : NULL;
    if (moved == NULL)
        return NULL;
    memcpy(moved, block, new_size);
    free(block);
    heap->footprint.mapped -= mapped;
    note_filled(heap, cost(new_size), 0);
    measure(heap);
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
        heap->footprint.mapped += mapping(shrunk, new_size) - mapped;
    }
    heap->used -= cost(old_size) - cost(new_size);
    return shrunk;
}

static void *change(struct vm_heap *heap, void *block, size_t old_size, size_t new_size)
{
    if (new_size <= old_size)
        return shrink(heap, block, old_size, new_size);
    if (unlikely(heap->refused != 0) && refused_before(heap, new_size))
        return NULL;
    return grow(heap, block, old_size, new_size);
}

static void *change_strings(struct vm_heap *heap, void *block, size_t old_size, size_t new_size)
{
    if (new_size > old_size && vm_strings_must_wait(heap))
        return NULL;
    void *changed = change(heap, block, old_size, new_size);
    vm_strings_changed(heap, changed, old_size);
    return changed;
}

void *vm_heap_realloc(void *ud, void *block, size_t old_size, size_t new_size)
{
    struct vm_heap *heap = ud;
    if (block == NULL) {
        if (unlikely(heap->refused != 0) && refused_before(heap, new_size))
            return NULL;
        return new_size > 0 ? acquire(heap, new_size) : NULL;
    }
    if (new_size == 0) {
        release(heap, block, old_size);
        return NULL;
    }
    if (unlikely(block == heap->strings.table))
        return change_strings(heap, block, old_size, new_size);
    return change(heap, block, old_size, new_size);
}
