/*
 * fortify.h - what _FORTIFY_SOURCE does under glibc, for the programs that are linked with musl, whose headers have
 * none of it: where the compiler knows how large the target of a copy is, a longer one ends the program (musl.c).
 * The Makefile puts it before every source of theirs.
 */
#ifndef BX_LIBC_FORTIFY_H
#define BX_LIBC_FORTIFY_H

#include <sched.h> /* with _GNU_SOURCE it declares some of them once more */
#include <stdio.h>
#include <string.h>

#define BX_ROOM(to) __builtin_object_size(to, 0)
#define BX_ROOM_OF_TEXT(to) __builtin_object_size(to, 1)

#define memcpy(to, from, length) __builtin___memcpy_chk(to, from, length, BX_ROOM(to))
#define memmove(to, from, length) __builtin___memmove_chk(to, from, length, BX_ROOM(to))
#define memset(to, byte, length) __builtin___memset_chk(to, byte, length, BX_ROOM(to))
#define strcpy(to, from) __builtin___strcpy_chk(to, from, BX_ROOM_OF_TEXT(to))
#define strncpy(to, from, length) __builtin___strncpy_chk(to, from, length, BX_ROOM_OF_TEXT(to))
#define snprintf(to, size, ...) __builtin___snprintf_chk(to, size, 1, BX_ROOM_OF_TEXT(to), __VA_ARGS__)
#define vsnprintf(to, size, format, list) \
    __builtin___vsnprintf_chk(to, size, 1, BX_ROOM_OF_TEXT(to), format, list)

#endif
