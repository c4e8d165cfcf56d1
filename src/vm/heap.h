/*
 * heap.h - the allocator of the Lua state, with a ceiling.
 *
 * Above the ceiling an allocation fails, and Lua turns that into its error "not enough memory", which the
 * script may catch. The kernel's limit stands behind it, a little higher, for whatever is not counted here.
 */
#ifndef BX_VM_HEAP_H
#define BX_VM_HEAP_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "footprint.h"

/* Blocks of up to this size (header included) are kept for the next request when they are freed. */
#define VM_HEAP_SMALL 256

struct vm_heap_block;

/* Lua's table of its short strings: see collect.c. */
struct vm_strings {
    void *table; /* NULL: not known */
    void *last;  /* while it is searched for: the newest block */
    bool asked;  /* its growth was refused, and Lua asks again after a collection */
    size_t wait; /* so many requests for its growth are refused without a look */
};

struct vm_heap {
    size_t ceiling;    /* bytes; PTRDIFF_MAX is none */
    size_t limit;      /* of `used`: the ceiling, or 0 while the heap has holes that were given back */
    size_t used;       /* live blocks and those in the lists, as malloc sizes them */
    struct vm_footprint footprint;
    size_t refused;    /* a request that was refused while the script had the collector stopped, else 0 */
    lua_State *L;      /* whose heap this is, once there is one */
    lua_State *asking; /* the coroutine that asked for the allocator last */
    struct vm_strings strings;
    bool skip_collection; /* the one that Lua is about to make for the request that was refused last */
    void (*on_refusal)(void *ud); /* called with the heap when a request is refused, unless NULL; must not allocate */
    size_t kept;       /* bytes in the lists below, and how many they may be */
    size_t kept_limit;
    struct vm_heap_block *lists[VM_HEAP_SMALL / 16 + 1]; /* freed blocks by size in units of 16 */
};

/* Call before anything else has allocated: what the process had before does not count. There is no ceiling
 * yet. */
void vm_heap_init(struct vm_heap *heap);

/* What is in use already counts. */
void vm_heap_set_ceiling(struct vm_heap *heap, size_t bytes);

/* A lua_Alloc; `ud` is the heap. Making a block smaller never fails. */
void *vm_heap_realloc(void *ud, void *block, size_t old_size, size_t new_size);

/* ---- collect.c ---- */

/* Makes the Lua state of this heap, or returns NULL. `ud` is the argument of its allocator; the heap is the first that
 * is in it. */
lua_State *vm_heap_open(struct vm_heap *heap, void *ud);

/* The string table is to grow. Was that refused so lately that it is not worth a look? */
bool vm_strings_must_wait(struct vm_heap *heap);

/* The string table was at `changed` given another size; or, NULL, it was not. */
void vm_strings_changed(struct vm_heap *heap, void *changed, size_t old_size);

#endif
