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

int bx_unpack(msgpack_unpacked *out, const char *bytes, size_t length)
{
    size_t offset = 0;
    msgpack_unpacked_init(out);
    msgpack_unpack_return rc = msgpack_unpack_next(out, bytes, length, &offset);
    if (rc == MSGPACK_UNPACK_SUCCESS && offset == length)
        return 0;
    msgpack_unpacked_destroy(out);
    return -EBADMSG;
}
