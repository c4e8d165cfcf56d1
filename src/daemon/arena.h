/*
 * arena.h - memory of one topology: taken piece by piece, given back all at once, and never more than a limit,
 * whatever a stranger's file makes of it.
 *
 * There is no failure to handle where memory is taken: when it is out, the arena leaves by longjmp to whoever owns
 * it. So nothing that is made from an arena may hold anything that has to be given back by itself.
 */
#ifndef BX_DAEMON_ARENA_H
#define BX_DAEMON_ARENA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *last;
    size_t left; /* bytes that may still be taken from the system */
    jmp_buf out; /* set by the owner before the first piece is taken */
};

void arena_init(struct arena *arena, size_t limit);
void arena_fini(struct arena *arena);

/* Zeroed, aligned for everything. */
void *arena_take(struct arena *arena, size_t size);

/* `count` elements; their product is checked. */
void *arena_array(struct arena *arena, size_t count, size_t size);

/* A larger copy of an array that is full, else the array itself: room for one more of `count`. */
void *arena_room(struct arena *arena, void *array, size_t count, size_t size);

/* A copy with a NUL behind it. */
char *arena_copy(struct arena *arena, const char *bytes, size_t length);

char *arena_format(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *arena_vformat(struct arena *arena, const char *format, va_list list);

/* Leaves as if memory were out. */
void arena_leave(struct arena *arena) __attribute__((noreturn));

#endif
