/* codec.c - field tables over msgpack-c. */
#include "codec.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int bx_text_set(struct bx_text *text, const char *bytes, size_t length)
{
    char *copy = malloc(length + 1);
    if (copy == NULL)
        return -ENOMEM;
    memcpy(copy, bytes, length);
    copy[length] = '\0'; /* a convenience for readers; the length counts */
    free(text->bytes);
    *text = (struct bx_text){copy, (uint32_t)length};
    return 0;
}

void bx_text_fini(struct bx_text *text)
{
    free(text->bytes);
    *text = (struct bx_text){0};
}

static void pack_string(msgpack_packer *packer, const char *bytes, size_t length)
{
    msgpack_pack_str(packer, length);
    msgpack_pack_str_body(packer, bytes, length);
}

static void pack_text(msgpack_packer *packer, const struct bx_text *text)
{
    if (text->bytes == NULL)
        msgpack_pack_nil(packer);
    else
        pack_string(packer, text->bytes, text->length);
}

void bx_fields_pack(msgpack_packer *packer, const struct bx_field *fields, size_t count, const void *object)
{
    for (size_t i = 0; i < count; i++) {
        const char *at = (const char *)object + fields[i].offset;
        pack_string(packer, fields[i].key, strlen(fields[i].key));
        switch (fields[i].kind) {
        case BX_FIELD_U64: msgpack_pack_uint64(packer, *(const uint64_t *)at); break;
        case BX_FIELD_U32: msgpack_pack_uint32(packer, *(const uint32_t *)at); break;
        case BX_FIELD_CHARS: pack_string(packer, at, strlen(at)); break;
        case BX_FIELD_TEXT: pack_text(packer, (const struct bx_text *)at); break;
        }
    }
}

static int unpack_text(const msgpack_object *value, uint64_t max, struct bx_text *out)
{
    if (value->type == MSGPACK_OBJECT_NIL) {
        bx_text_fini(out);
        return 0;
    }
    if (value->type != MSGPACK_OBJECT_STR || value->via.str.size > max)
        return -EBADMSG;
    return bx_text_set(out, value->via.str.ptr, value->via.str.size);
}

static int unpack_chars(const msgpack_object *value, uint64_t max, char *out)
{
    if (value->type != MSGPACK_OBJECT_STR || value->via.str.size >= max ||
        memchr(value->via.str.ptr, '\0', value->via.str.size) != NULL)
        return -EBADMSG;
    memcpy(out, value->via.str.ptr, value->via.str.size);
    out[value->via.str.size] = '\0';
    return 0;
}

static int unpack_number(const msgpack_object *value, const struct bx_field *field, void *out)
{
    if (value->type != MSGPACK_OBJECT_POSITIVE_INTEGER || value->via.u64 > field->max)
        return -EBADMSG;
    if (field->kind == BX_FIELD_U64)
        *(uint64_t *)out = value->via.u64;
    else
        *(uint32_t *)out = (uint32_t)value->via.u64;
    return 0;
}

static int unpack_field(const msgpack_object *value, const struct bx_field *field, void *object)
{
    char *at = (char *)object + field->offset;
    switch (field->kind) {
    case BX_FIELD_TEXT: return unpack_text(value, field->max, (struct bx_text *)at);
    case BX_FIELD_CHARS: return unpack_chars(value, field->max, at);
    default: return unpack_number(value, field, at);
    }
}

static bool key_is(const msgpack_object *key, const char *name)
{
    return key->type == MSGPACK_OBJECT_STR && key->via.str.size == strlen(name) &&
           memcmp(key->via.str.ptr, name, key->via.str.size) == 0;
}

const msgpack_object *bx_map_find(const msgpack_object *map, const char *key)
{
    if (map->type != MSGPACK_OBJECT_MAP)
        return NULL;
    for (uint32_t i = 0; i < map->via.map.size; i++)
        if (key_is(&map->via.map.ptr[i].key, key))
            return &map->via.map.ptr[i].val;
    return NULL;
}

static size_t count_extra(const msgpack_object *map, const char *const *extra)
{
    size_t found = 0;
    for (; extra != NULL && *extra != NULL; extra++)
        found += bx_map_find(map, *extra) != NULL;
    return found;
}

int bx_fields_unpack(const msgpack_object *map, const struct bx_field *fields, size_t count, void *object,
                     const char *const *extra)
{
    /* Every field present and as many keys as fields and extras: then none is unknown and none is doubled. */
    if (map->type != MSGPACK_OBJECT_MAP || map->via.map.size != count + count_extra(map, extra))
        return -EBADMSG;
    for (size_t i = 0; i < count; i++) {
        const msgpack_object *value = bx_map_find(map, fields[i].key);
        int rc = value == NULL ? -EBADMSG : unpack_field(value, &fields[i], object);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* ---- counts before trust: msgpack-c allocates what a head announces, 4 G elements for five bytes ---- */

struct scan {
    const unsigned char *at;
    size_t left;
};

/* A big-endian number of `size` bytes; false when it is not there. */
static bool scan_number(struct scan *scan, unsigned size, uint64_t *out)
{
    if (scan->left < size)
        return false;
    *out = 0;
    for (unsigned i = 0; i < size; i++)
        *out = *out << 8 | scan->at[i];
    scan->at += size;
    scan->left -= size;
    return true;
}

/* Reads one head: how many bytes of its own and how many values of others follow it. */
static bool scan_head(struct scan *scan, uint64_t *bytes, uint64_t *values)
{
    /* For the types 0xc0 to 0xdf: how long the length field is, what the length counts, what is fixed beside it. */
    enum { NOTHING, BYTES, ITEMS, PAIRS };
    static const struct { uint8_t field, counts, fixed;
    } types[32] = {
        {0, 0, 0},     {0, 0, 0},     {0, 0, 0},     {0, 0, 0},     {1, BYTES, 0}, {2, BYTES, 0},
        {4, BYTES, 0}, {1, BYTES, 1}, {2, BYTES, 1}, {4, BYTES, 1}, {0, 0, 4},     {0, 0, 8},
        {0, 0, 1},     {0, 0, 2},     {0, 0, 4},     {0, 0, 8},     {0, 0, 1},     {0, 0, 2},
        {0, 0, 4},     {0, 0, 8},     {0, 0, 2},     {0, 0, 3},     {0, 0, 5},     {0, 0, 9},
        {0, 0, 17},    {1, BYTES, 0}, {2, BYTES, 0}, {4, BYTES, 0}, {2, ITEMS, 0}, {4, ITEMS, 0},
        {2, PAIRS, 0}, {4, PAIRS, 0},
    };
    uint64_t head, length = 0;
    *bytes = *values = 0;
    if (!scan_number(scan, 1, &head))
        return false;
    if (head >= 0x80 && head <= 0x8f)
        *values = 2 * (head & 15);
    else if (head >= 0x90 && head <= 0x9f)
        *values = head & 15;
    else if (head >= 0xa0 && head <= 0xbf)
        *bytes = head & 31;
    if (head < 0xc0 || head > 0xdf)
        return true;
    unsigned type = (unsigned)head - 0xc0;
    if (!scan_number(scan, types[type].field, &length))
        return false;
    *bytes = types[type].fixed + (types[type].counts == BYTES ? length : 0);
    *values = types[type].counts == ITEMS ? length : types[type].counts == PAIRS ? 2 * length : 0;
    return true;
}

/* Does one value with all that is inside it fit the bytes? Each value takes one byte at least. */
static bool counts_fit(const char *bytes, size_t length)
{
    struct scan scan = {(const unsigned char *)bytes, length};
    for (uint64_t pending = 1; pending > 0; pending--) {
        uint64_t skip, values;
        if (!scan_head(&scan, &skip, &values) || skip > scan.left)
            return false;
        scan.at += skip;
        scan.left -= skip;
        pending += values;
        if (pending - 1 > scan.left)
            return false;
    }
    return true;
}

/* What most messages need. msgpack's own choice, 8 KiB, is 28 KiB of fresh pages with musl's malloc. */
#define ZONE_CHUNK 1024

int bx_unpack(msgpack_unpacked *out, const char *bytes, size_t length)
{
    size_t offset = 0;
    if (!counts_fit(bytes, length))
        return -EBADMSG;
    msgpack_unpacked_init(out);
    out->zone = msgpack_zone_new(ZONE_CHUNK);
    if (out->zone == NULL)
        return -EBADMSG;
    msgpack_unpack_return rc = msgpack_unpack(bytes, length, &offset, out->zone, &out->data);
    if (rc == MSGPACK_UNPACK_SUCCESS && offset == length)
        return 0;
    msgpack_unpacked_destroy(out);
    return -EBADMSG;
}
