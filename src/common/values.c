/*
 * values.c - writer and checked reader of values. The writer knows nothing of tables' contents; the reader
 * recurses into nothing, allocates nothing, and never looks beyond the bytes that it was given.
 */
#include "values.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Heads of MessagePack, by their first byte. */
enum {
    FIX_MAP = 0x80, FIX_ARRAY = 0x90, FIX_STR = 0xa0,
    NIL = 0xc0, FALSE = 0xc2, TRUE = 0xc3, FLOAT64 = 0xcb,
    UINT8 = 0xcc, UINT16 = 0xcd, UINT32 = 0xce, UINT64 = 0xcf,
    INT8 = 0xd0, INT16 = 0xd1, INT32 = 0xd2, INT64 = 0xd3,
    FIX_EXT_4 = 0xd6, STR8 = 0xd9, STR16 = 0xda, STR32 = 0xdb,
    ARRAY16 = 0xdc, ARRAY32 = 0xdd, MAP16 = 0xde, MAP32 = 0xdf,
    FIX_NEGATIVE = 0xe0,
};

/* ---- bytes that grow ---- */

/* The first growth makes room for most answers there are. */
#define SMALLEST 128

static void *grow_by_malloc(void *owner, void *block, size_t old_size, size_t new_size)
{
    (void)owner;
    (void)old_size;
    if (new_size > 0)
        return realloc(block, new_size);
    free(block);
    return NULL;
}

void bx_values_init(struct bx_values *values, size_t max, void *(*grow)(void *, void *, size_t, size_t), void *owner)
{
    *values = (struct bx_values){.max = max, .grow = grow != NULL ? grow : grow_by_malloc, .owner = owner};
}

void bx_values_fini(struct bx_values *values)
{
    if (values->bytes != NULL)
        values->grow(values->owner, values->bytes, values->capacity, 0);
    values->bytes = NULL;
    values->length = values->capacity = 0;
}

void bx_values_clear(struct bx_values *values)
{
    values->length = 0;
    values->error = 0;
}

static int resize(struct bx_values *values, size_t capacity)
{
    char *bytes = values->grow(values->owner, values->bytes, values->capacity, capacity);
    if (bytes == NULL)
        return -ENOMEM;
    values->bytes = bytes;
    values->capacity = capacity;
    return 0;
}

void bx_values_shrink(struct bx_values *values, size_t capacity)
{
    if (capacity < values->length)
        capacity = values->length;
    if (capacity > 0 && capacity < values->capacity)
        resize(values, capacity);
}

/* Twice as much, for what comes after; but no more than is needed when there is no memory for that. */
static int make_room(struct bx_values *values, size_t more)
{
    if (values->length > values->max || more > values->max - values->length)
        return -E2BIG;
    size_t needed = values->length + more, roomy = 2 * values->capacity;
    if (roomy < SMALLEST)
        roomy = SMALLEST;
    if (roomy > values->max)
        roomy = values->max;
    if (roomy > needed && resize(values, roomy) == 0)
        return 0;
    return resize(values, needed);
}

char *bx_values_room(struct bx_values *values, size_t more)
{
    if (values->error != 0)
        return NULL;
    if (more > values->capacity - values->length || more > values->max - values->length) {
        values->error = make_room(values, more);
        if (values->error != 0)
            return NULL;
    }
    values->length += more;
    return values->bytes + values->length - more;
}

/* ---- writing ---- */

static void put_byte(struct bx_values *values, unsigned byte)
{
    char *to = bx_values_room(values, 1);
    if (to != NULL)
        *to = (char)byte;
}

/* A head byte and `size` bytes of a number, the most significant first. */
static void put(struct bx_values *values, unsigned head, uint64_t number, unsigned size)
{
    char *to = bx_values_room(values, 1 + size);
    if (to == NULL)
        return;
    *to = (char)head;
    for (unsigned i = size; i > 0; i--, number >>= 8)
        to[i] = (char)(unsigned char)number;
}

void bx_values_list(struct bx_values *values, uint32_t count)
{
    if (count < 16)
        put_byte(values, FIX_ARRAY | count);
    else if (count <= UINT16_MAX)
        put(values, ARRAY16, count, 2);
    else
        put(values, ARRAY32, count, 4);
}

void bx_values_map(struct bx_values *values, uint32_t count)
{
    if (count < 16)
        put_byte(values, FIX_MAP | count);
    else if (count <= UINT16_MAX)
        put(values, MAP16, count, 2);
    else
        put(values, MAP32, count, 4);
}

void bx_values_recount(struct bx_values *values, size_t at, uint32_t count)
{
    unsigned char *head = (unsigned char *)values->bytes + at;
    unsigned size = *head == ARRAY16 || *head == MAP16 ? 2 : *head == ARRAY32 || *head == MAP32 ? 4 : 0;
    if (size == 0)
        *head = (unsigned char)((*head & 0xf0) | count);
    for (unsigned i = size; i > 0; i--, count >>= 8)
        head[i] = (unsigned char)count;
}

void bx_values_nil(struct bx_values *values)
{
    put_byte(values, NIL);
}

void bx_values_boolean(struct bx_values *values, int value)
{
    put_byte(values, value ? TRUE : FALSE);
}

static void put_negative(struct bx_values *values, int64_t value)
{
    if (value >= -32)
        put_byte(values, (unsigned char)value);
    else if (value >= INT8_MIN)
        put(values, INT8, (uint64_t)value, 1);
    else if (value >= INT16_MIN)
        put(values, INT16, (uint64_t)value, 2);
    else if (value >= INT32_MIN)
        put(values, INT32, (uint64_t)value, 4);
    else
        put(values, INT64, (uint64_t)value, 8);
}

void bx_values_integer(struct bx_values *values, int64_t value)
{
    if (value < 0)
        put_negative(values, value);
    else if (value < 128)
        put_byte(values, (unsigned)value);
    else if (value <= UINT8_MAX)
        put(values, UINT8, (uint64_t)value, 1);
    else if (value <= UINT16_MAX)
        put(values, UINT16, (uint64_t)value, 2);
    else if (value <= UINT32_MAX)
        put(values, UINT32, (uint64_t)value, 4);
    else
        put(values, UINT64, (uint64_t)value, 8);
}

void bx_values_number(struct bx_values *values, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put(values, FLOAT64, bits, 8);
}

static void put_string_head(struct bx_values *values, uint32_t length)
{
    if (length < 32)
        put_byte(values, FIX_STR | length);
    else if (length <= UINT8_MAX)
        put(values, STR8, length, 1);
    else if (length <= UINT16_MAX)
        put(values, STR16, length, 2);
    else
        put(values, STR32, length, 4);
}

void bx_values_string(struct bx_values *values, const char *bytes, size_t length)
{
    if (length > UINT32_MAX && values->error == 0)
        values->error = -E2BIG;
    put_string_head(values, (uint32_t)length);
    char *to = bx_values_room(values, length);
    if (to != NULL && length > 0)
        memcpy(to, bytes, length);
}

void bx_values_table(struct bx_values *values, uint32_t number)
{
    char *to = bx_values_room(values, 6);
    if (to == NULL)
        return;
    *to++ = (char)FIX_EXT_4;
    *to++ = BX_VALUES_TABLE;
    for (int i = 0; i < 4; i++, number >>= 8)
        *to++ = (char)(unsigned char)number;
}

/* ---- reading ---- */

static uint64_t big_endian(const char *at, unsigned size)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < size; i++)
        number = number << 8 | (unsigned char)at[i];
    return number;
}

static uint32_t little_endian(const char *at)
{
    uint32_t number = 0;
    for (int i = 3; i >= 0; i--)
        number = number << 8 | (unsigned char)at[i];
    return number;
}

/* How many bytes stand between the first one and the contents, or -1 for what no value begins with. */
static int head_size(unsigned char first)
{
    if (first < NIL || first >= FIX_NEGATIVE)
        return 0;
    switch (first) {
    case NIL: case FALSE: case TRUE: return 0;
    case UINT8: case INT8: case STR8: return 1;
    case UINT16: case INT16: case STR16: case ARRAY16: case MAP16: return 2;
    case UINT32: case INT32: case STR32: case ARRAY32: case MAP32: return 4;
    case FIX_EXT_4: return 5;
    case UINT64: case INT64: case FLOAT64: return 8;
    default: return -1;
    }
}

static void set_counted(struct bx_value *out, enum bx_value_type type, uint64_t count)
{
    out->type = type;
    out->integer = (int64_t)count;
}

static void set_string(struct bx_value *out, uint64_t length, const char *bytes)
{
    out->type = BX_VALUE_STRING;
    out->length = length;
    out->bytes = bytes;
}

static void set_number(struct bx_value *out, uint64_t bits)
{
    out->type = BX_VALUE_NUMBER;
    memcpy(&out->number, &bits, sizeof bits);
}

static void decode_short(unsigned char first, const char *contents, struct bx_value *out)
{
    if (first < FIX_MAP)
        set_counted(out, BX_VALUE_INTEGER, first);
    else if (first < FIX_ARRAY)
        set_counted(out, BX_VALUE_MAP, first & 15u);
    else if (first < FIX_STR)
        set_counted(out, BX_VALUE_LIST, first & 15u);
    else if (first < NIL)
        set_string(out, first & 31u, contents);
    else
        set_counted(out, BX_VALUE_INTEGER, (uint64_t)(int64_t)(int8_t)first);
}

/* Makes a value of a head whose bytes are all there. */
static void decode(unsigned char first, const char *at, unsigned size, struct bx_value *out)
{
    uint64_t number = big_endian(at, size);
    switch (first) {
    case NIL: out->type = BX_VALUE_NIL; return;
    case FALSE: case TRUE: set_counted(out, BX_VALUE_BOOLEAN, first == TRUE); return;
    case FLOAT64: set_number(out, number); return;
    case UINT8: case UINT16: case UINT32: case UINT64: case INT64: set_counted(out, BX_VALUE_INTEGER, number); return;
    case INT8: set_counted(out, BX_VALUE_INTEGER, (uint64_t)(int64_t)(int8_t)number); return;
    case INT16: set_counted(out, BX_VALUE_INTEGER, (uint64_t)(int64_t)(int16_t)number); return;
    case INT32: set_counted(out, BX_VALUE_INTEGER, (uint64_t)(int64_t)(int32_t)number); return;
    case FIX_EXT_4: set_counted(out, BX_VALUE_TABLE, little_endian(at + 1)); return;
    case STR8: case STR16: case STR32: set_string(out, number, at + size); return;
    case ARRAY16: case ARRAY32: set_counted(out, BX_VALUE_LIST, number); return;
    case MAP16: case MAP32: set_counted(out, BX_VALUE_MAP, number); return;
    default: decode_short(first, at, out); return;
    }
}

void bx_values_read(const char **at, struct bx_value *out)
{
    const unsigned char first = (unsigned char)**at;
    const unsigned size = (unsigned)head_size(first);
    const char *contents = *at + 1;
    decode(first, contents, size, out);
    *at = contents + size + (out->type == BX_VALUE_STRING ? out->length : 0);
}

/* ---- checking ---- */

/* One item, of which every byte may be a lie, and the last may be missing. */
static int check_item(const char **at, const char *end, struct bx_value *out)
{
    if (*at == end)
        return -EBADMSG;
    const unsigned char first = (unsigned char)**at;
    const int size = head_size(first);
    if (size < 0 || end - *at - 1 < size)
        return -EBADMSG;
    const char *head = *at + 1;
    if ((first == UINT64 && (unsigned char)*head > 127) || (first == FIX_EXT_4 && *head != BX_VALUES_TABLE))
        return -EBADMSG;
    decode(first, head, (unsigned)size, out);
    *at = head + size;
    if (out->type != BX_VALUE_STRING)
        return 0;
    if ((uint64_t)(end - *at) < out->length)
        return -EBADMSG;
    *at += out->length;
    return 0;
}

/* A float that is an integer is never a key in Lua: as a table's key it is that integer. */
static int is_integer(double number)
{
    return number >= -9223372036854775808.0 && number < 9223372036854775808.0 && (double)(int64_t)number == number;
}

static int is_key(const struct bx_value *value)
{
    switch (value->type) {
    case BX_VALUE_BOOLEAN: case BX_VALUE_INTEGER: case BX_VALUE_STRING: return 1;
    case BX_VALUE_NUMBER: return !isnan(value->number) && !is_integer(value->number);
    default: return 0;
    }
}

/* An item of a table. `seen` is how many tables were referred to so far: the next new one has that number. */
static int check_member(const char **at, const char *end, int key, int64_t *seen)
{
    struct bx_value value;
    int rc = check_item(at, end, &value);
    if (rc != 0)
        return rc;
    if (value.type == BX_VALUE_LIST || value.type == BX_VALUE_MAP || (key && !is_key(&value)))
        return -EBADMSG;
    if (value.type != BX_VALUE_TABLE)
        return 0;
    if (value.integer > *seen)
        return -EBADMSG;
    *seen += value.integer == *seen;
    return 0;
}

/* A list or map with all of its items. Each takes a byte at least: a count that the bytes cannot hold is not
 * counted up to. */
static int check_table(const char **at, const char *end, int only_list, int64_t *seen)
{
    struct bx_value head;
    int rc = check_item(at, end, &head);
    if (rc != 0)
        return rc;
    if (head.type != BX_VALUE_LIST && (head.type != BX_VALUE_MAP || only_list))
        return -EBADMSG;
    int is_map = head.type == BX_VALUE_MAP;
    int64_t items = is_map ? 2 * head.integer : head.integer;
    if (items > end - *at)
        return -EBADMSG;
    for (int64_t i = 0; i < items && rc == 0; i++)
        rc = check_member(at, end, is_map && i % 2 == 0, seen);
    return rc;
}

int64_t bx_values_check(const char *bytes, size_t length)
{
    const char *at = bytes, *end = bytes + length;
    int64_t seen = 0;
    int rc = check_table(&at, end, 1, &seen);
    for (int64_t table = 0; rc == 0 && table < seen; table++)
        rc = check_table(&at, end, 0, &seen);
    return rc != 0 || at != end ? -EBADMSG : seen;
}
