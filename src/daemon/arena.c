/* arena.c - blocks of 64 KiB, and one of its own for each piece that is larger. */
#include "arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE (64u * 1024u)

struct arena_block {
    struct arena_block *before;
    size_t used, size;
    _Alignas(max_align_t) char bytes[];
};

void arena_init(struct arena *arena, size_t limit)
{
    arena->last = NULL;
    arena->left = limit;
}

void arena_fini(struct arena *arena)
{
    while (arena->last != NULL) {
        struct arena_block *block = arena->last;
        arena->last = block->before;
        free(block);
    }
}

void arena_leave(struct arena *arena)
{
    longjmp(arena->out, 1);
}

static struct arena_block *add_block(struct arena *arena, size_t size)
{
    struct arena_block *block = size <= arena->left ? malloc(sizeof *block + size) : NULL;
    if (block == NULL)
        arena_leave(arena);
    arena->left -= size;
    block->used = 0;
    block->size = size;
    block->before = arena->last;
    arena->last = block;
    return block;
}

void *arena_take(struct arena *arena, size_t size)
{
    const size_t align = _Alignof(max_align_t);
    if (size > arena->left + BLOCK_SIZE)
        arena_leave(arena);
    size = (size + align - 1) & ~(align - 1);
    struct arena_block *block = arena->last;
    if (block == NULL || size > block->size - block->used)
        block = add_block(arena, size > BLOCK_SIZE ? size : BLOCK_SIZE);
    char *piece = block->bytes + block->used;
    block->used += size;
    memset(piece, 0, size);
    return piece;
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
    size_t whole;
    if (__builtin_mul_overflow(count, size, &whole))
        arena_leave(arena);
    return arena_take(arena, whole);
}

void *arena_room(struct arena *arena, void *array, size_t count, size_t size)
{
    /* Full at 0, 4, 8, 16 ... elements: the size of an array is in its count. */
    if (count != 0 && (count < 4 || (count & (count - 1)) != 0))
        return array;
    void *larger = arena_array(arena, count == 0 ? 4 : 2 * count, size);
    if (count > 0)
        memcpy(larger, array, count * size);
    return larger;
}

char *arena_copy(struct arena *arena, const char *bytes, size_t length)
{
    char *copy = arena_take(arena, length + 1);
    if (length > 0)
        memcpy(copy, bytes, length);
    return copy;
}

char *arena_vformat(struct arena *arena, const char *format, va_list list)
{
    va_list again;
    va_copy(again, list);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0)
        arena_leave(arena);
    char *text = arena_take(arena, (size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, list);
    return text;
}

char *arena_format(struct arena *arena, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    char *text = arena_vformat(arena, format, list);
    va_end(list);
    return text;
}
