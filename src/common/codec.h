/*
 * codec.h - structs to MessagePack maps and back, by one table of fields that serves both directions.
 *
 * The table is the format: a key that is missing, doubled, unknown, of the wrong type or out of its range makes
 * the whole message bad. MessagePack itself is msgpack-c's.
 */
#ifndef BX_COMMON_CODEC_H
#define BX_COMMON_CODEC_H

#include <msgpack.h>
#include <stddef.h>
#include <stdint.h>

/* Text of any bytes on the heap; bytes is NULL when there is none. */
struct bx_text {
    char *bytes;
    uint32_t length;
};

/* Copies `length` bytes. Returns 0 or -ENOMEM; replaces what was there. */
int bx_text_set(struct bx_text *text, const char *bytes, size_t length);
void bx_text_fini(struct bx_text *text);

enum bx_field_kind {
    BX_FIELD_U64,   /* uint64_t, 0..max */
    BX_FIELD_U32,   /* uint32_t, 0..max */
    BX_FIELD_CHARS, /* char[max], NUL-terminated, no NUL inside */
    BX_FIELD_TEXT,  /* struct bx_text, at most max bytes; absent as nil */
};

struct bx_field {
    const char *key;
    enum bx_field_kind kind;
    size_t offset;
    uint64_t max;
};

#define BX_FIELD(type, member, kind, max) {#member, kind, offsetof(type, member), max}

/* Packs one map entry after another for `object`; the caller has packed the map's head. */
void bx_fields_pack(msgpack_packer *packer, const struct bx_field *fields, size_t count, const void *object);

/*
 * Reads a map into `object`, whose texts must be initialised. `extra` keys (NULL-terminated, may be NULL)
 * are left to the caller.
 * Returns 0, -EBADMSG or -ENOMEM; the object is then to be finished by its owner as after success.
 */
int bx_fields_unpack(const msgpack_object *map, const struct bx_field *fields, size_t count, void *object,
                     const char *const *extra);

/* The value of a key, or NULL. */
const msgpack_object *bx_map_find(const msgpack_object *map, const char *key);

/* Decodes exactly one MessagePack value that fills `length` bytes. Returns 0 or -EBADMSG; on success the caller
 * calls msgpack_unpacked_destroy. Strings in it point into `bytes`. */
int bx_unpack(msgpack_unpacked *out, const char *bytes, size_t length);

#endif
