/*
 * node.c - reads a checked topology: a thin view on what msgpack-c decoded. Every function takes a node that is not
 * there, or of another kind, for nothing.
 */
#include "bioxen.h"

#include <msgpack.h>

#include "common/codec.h"
#include "node.h"

static const msgpack_object *inside(const bioxen_node *node)
{
    return (const msgpack_object *)node;
}

const bioxen_node *node_of(const msgpack_object *object)
{
    return object != NULL && object->type != MSGPACK_OBJECT_NIL ? (const bioxen_node *)object : NULL;
}

size_t bioxen_node_count(const bioxen_node *node)
{
    const msgpack_object *object = inside(node);
    if (object == NULL)
        return 0;
    return object->type == MSGPACK_OBJECT_ARRAY ? object->via.array.size
           : object->type == MSGPACK_OBJECT_MAP ? object->via.map.size
                                                : 0;
}

const bioxen_node *bioxen_node_item(const bioxen_node *list, size_t index)
{
    const msgpack_object *object = inside(list);
    if (object == NULL || object->type != MSGPACK_OBJECT_ARRAY || index >= object->via.array.size)
        return NULL;
    return node_of(&object->via.array.ptr[index]);
}

static struct bioxen_string text_of(const msgpack_object *object)
{
    if (object == NULL || object->type != MSGPACK_OBJECT_STR)
        return (struct bioxen_string){NULL, 0};
    return (struct bioxen_string){object->via.str.ptr, object->via.str.size};
}

const bioxen_node *bioxen_node_pair(const bioxen_node *map, size_t index, struct bioxen_string *key)
{
    const msgpack_object *object = inside(map);
    if (object == NULL || object->type != MSGPACK_OBJECT_MAP || index >= object->via.map.size)
        return NULL;
    *key = text_of(&object->via.map.ptr[index].key);
    return node_of(&object->via.map.ptr[index].val);
}

const bioxen_node *bioxen_node_find(const bioxen_node *map, const char *key)
{
    return map != NULL ? node_of(bx_map_find(inside(map), key)) : NULL;
}

int bioxen_node_is_number(const bioxen_node *node)
{
    return node != NULL && inside(node)->type == MSGPACK_OBJECT_POSITIVE_INTEGER;
}

uint64_t bioxen_node_number(const bioxen_node *node)
{
    if (node != NULL && inside(node)->type == MSGPACK_OBJECT_BOOLEAN)
        return inside(node)->via.boolean;
    return bioxen_node_is_number(node) ? inside(node)->via.u64 : 0;
}

enum bioxen_node_kind bioxen_node_kind(const bioxen_node *node)
{
    if (node == NULL)
        return BIOXEN_NODE_NONE;
    switch (inside(node)->type) {
    case MSGPACK_OBJECT_STR: return BIOXEN_NODE_TEXT;
    case MSGPACK_OBJECT_POSITIVE_INTEGER: return BIOXEN_NODE_NUMBER;
    case MSGPACK_OBJECT_BOOLEAN: return BIOXEN_NODE_BOOLEAN;
    case MSGPACK_OBJECT_ARRAY: return BIOXEN_NODE_LIST;
    case MSGPACK_OBJECT_MAP: return BIOXEN_NODE_MAP;
    default: return BIOXEN_NODE_NONE;
    }
}

struct bioxen_string bioxen_node_text(const bioxen_node *node)
{
    return text_of(inside(node));
}
