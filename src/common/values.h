/*
 * values.h - Lua values on their way between processes.
 *
 * MessagePack, laid flat, so that shared and cyclic tables keep their shape and no depth of nesting needs a
 * deep stack: first one array with the values themselves, then one array or map for each table, in the order
 * in which they are first referred to. A table in an array, map or in the first array is a reference: ext type
 * 1 with 4 bytes, little-endian, the table's number from 0. A table whose keys are 1..n is an array, any other
 * (an empty one too) a map. Integers are MessagePack integers within int64, floats are float64 (NaN and -0.0
 * as they are), strings are MessagePack str (any bytes). Map keys are booleans, integers, floats (not NaN, and none
 * that is equal to an int64: Lua has that integer in its place) or strings.
 *
 * What comes in is a stranger's: bx_values_check reads all of it once, and says no to every other form, to counts
 * that the bytes cannot hold, to references out of order or out of range; after that reading cannot fail.
 * Our own reader of the format, because msgpack-c's builds a tree first, whose size a liar chooses.
 */
#ifndef BX_COMMON_VALUES_H
#define BX_COMMON_VALUES_H

#include <stddef.h>
#include <stdint.h>

#define BX_VALUES_TABLE 1 /* the ext type of a reference */

/* ---- writing: calls in the order of the format; the caller keeps to the counts that it announced ---- */

/* Bytes that grow. `grow` is realloc with its owner's accounting: NULL is returned when there is no memory. */
struct bx_values {
    char *bytes;
    size_t length, capacity;
    size_t max;   /* growing past it fails with -E2BIG */
    int error;    /* 0, or the first -errno: later calls do nothing, so that one check at the end is enough */
    void *(*grow)(void *owner, void *block, size_t old_size, size_t new_size); /* new_size 0 frees */
    void *owner;
};

/* With malloc when `grow` is NULL. */
void bx_values_init(struct bx_values *values, size_t max, void *(*grow)(void *, void *, size_t, size_t), void *owner);
void bx_values_fini(struct bx_values *values);
void bx_values_clear(struct bx_values *values); /* keeps the memory */
/* Gives memory back: `capacity` bytes stay, or what is in use if that is more. */
void bx_values_shrink(struct bx_values *values, size_t capacity);

/* Room for `more` bytes of the caller's own at the end, or NULL. */
char *bx_values_room(struct bx_values *values, size_t more);

void bx_values_list(struct bx_values *values, uint32_t count); /* `count` items follow */
void bx_values_map(struct bx_values *values, uint32_t count);  /* `count` pairs follow */
/* Sets the count of the list or map whose head is at `at`, to a smaller one than it was written with. */
void bx_values_recount(struct bx_values *values, size_t at, uint32_t count);
void bx_values_nil(struct bx_values *values);
void bx_values_boolean(struct bx_values *values, int value);
void bx_values_integer(struct bx_values *values, int64_t value);
void bx_values_number(struct bx_values *values, double value);
void bx_values_string(struct bx_values *values, const char *bytes, size_t length);
void bx_values_table(struct bx_values *values, uint32_t number);

/* ---- reading ---- */

enum bx_value_type {
    BX_VALUE_NIL, BX_VALUE_BOOLEAN, BX_VALUE_INTEGER, BX_VALUE_NUMBER, BX_VALUE_STRING,
    BX_VALUE_TABLE, /* a reference: integer is its number */
    BX_VALUE_LIST,  /* integer items follow */
    BX_VALUE_MAP,   /* integer pairs follow */
};

struct bx_value {
    enum bx_value_type type;
    int64_t integer; /* also 0 or 1 for booleans, and counts */
    double number;
    const char *bytes; /* into the message */
    size_t length;
};

/* Returns how many tables there are, or -EBADMSG. After that bx_values_read on the same bytes cannot go wrong. */
int64_t bx_values_check(const char *bytes, size_t length);

/* Reads the item at *at and moves it on. Only on checked bytes, and not past their end. */
void bx_values_read(const char **at, struct bx_value *out);

#endif
