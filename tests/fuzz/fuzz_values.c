/*
 * fuzz_values.c - values, as a client or a VM may send them. What the check accepts can be read without a fault to
 * its end, is MessagePack in msgpack-c's opinion too, and survives being written anew.
 */
#include "fuzz.h"

#include <msgpack.h>

#include "common/values.h"

/* The same value by msgpack-c. */
static void check_object(const msgpack_object *object, const struct bx_value *value)
{
    switch (value->type) {
    case BX_VALUE_NIL: PROMISE(object->type == MSGPACK_OBJECT_NIL); break;
    case BX_VALUE_BOOLEAN:
        PROMISE(object->type == MSGPACK_OBJECT_BOOLEAN && object->via.boolean == value->integer);
        break;
    case BX_VALUE_INTEGER:
        PROMISE(object->type ==
                (value->integer < 0 ? MSGPACK_OBJECT_NEGATIVE_INTEGER : MSGPACK_OBJECT_POSITIVE_INTEGER));
        PROMISE(object->via.i64 == value->integer);
        break;
    case BX_VALUE_NUMBER:
        PROMISE(object->type == MSGPACK_OBJECT_FLOAT64);
        PROMISE(memcmp(&object->via.f64, &value->number, sizeof value->number) == 0);
        break;
    case BX_VALUE_STRING:
        PROMISE(object->type == MSGPACK_OBJECT_STR && object->via.str.size == value->length);
        PROMISE(value->length == 0 || object->via.str.ptr == value->bytes);
        break;
    case BX_VALUE_TABLE:
        PROMISE(object->type == MSGPACK_OBJECT_EXT && object->via.ext.type == BX_VALUES_TABLE);
        PROMISE(object->via.ext.size == 4);
        break;
    default: PROMISE(0);
    }
}

static void write_value(struct bx_values *out, const struct bx_value *value)
{
    switch (value->type) {
    case BX_VALUE_NIL: bx_values_nil(out); break;
    case BX_VALUE_BOOLEAN: bx_values_boolean(out, (int)value->integer); break;
    case BX_VALUE_INTEGER: bx_values_integer(out, value->integer); break;
    case BX_VALUE_NUMBER: bx_values_number(out, value->number); break;
    case BX_VALUE_STRING: bx_values_string(out, value->bytes, value->length); break;
    case BX_VALUE_TABLE: bx_values_table(out, (uint32_t)value->integer); break;
    case BX_VALUE_LIST: bx_values_list(out, (uint32_t)value->integer); break;
    case BX_VALUE_MAP: bx_values_map(out, (uint32_t)value->integer); break;
    }
}

static const msgpack_object *member(const msgpack_object *table, const struct bx_value *head, int64_t i)
{
    if (head->type == BX_VALUE_LIST)
        return &table->via.array.ptr[i];
    const msgpack_object_kv *pair = &table->via.map.ptr[i / 2];
    return i % 2 == 0 ? &pair->key : &pair->val;
}

/* One table by both readers. msgpack-c builds it all at once; ours goes through it. */
static void check_table(const char *bytes, size_t size, const char **at, struct bx_values *out)
{
    msgpack_unpacked unpacked;
    struct bx_value head, value;
    size_t offset = (size_t)(*at - bytes);
    msgpack_unpacked_init(&unpacked);
    PROMISE(msgpack_unpack_next(&unpacked, bytes, size, &offset) == MSGPACK_UNPACK_SUCCESS);
    bx_values_read(at, &head);
    write_value(out, &head);
    const msgpack_object *table = &unpacked.data;
    int64_t items = head.integer;
    if (head.type == BX_VALUE_LIST) {
        PROMISE(table->type == MSGPACK_OBJECT_ARRAY && table->via.array.size == head.integer);
    } else {
        PROMISE(table->type == MSGPACK_OBJECT_MAP && table->via.map.size == head.integer);
        items *= 2;
    }
    for (int64_t i = 0; i < items; i++) {
        bx_values_read(at, &value);
        PROMISE(*at <= bytes + size);
        check_object(member(table, &head, i), &value);
        write_value(out, &value);
    }
    PROMISE(*at == bytes + offset);
    msgpack_unpacked_destroy(&unpacked);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *bytes = fuzz_exact(data, size);
    int64_t tables = bx_values_check(bytes, size);
    if (tables >= 0) {
        struct bx_values again;
        const char *at = bytes;
        bx_values_init(&again, SIZE_MAX / 2, NULL, NULL);
        for (int64_t i = 0; i <= tables; i++)
            check_table(bytes, size, &at, &again);
        PROMISE(at == bytes + size);
        PROMISE(again.error == 0 && again.length <= size);
        PROMISE(bx_values_check(again.bytes, again.length) == tables);
        bx_values_fini(&again);
    }
    free(bytes);
    return 0;
}
