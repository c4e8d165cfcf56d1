/*
 * nodes.c - what the orchestrator says of topologies, as values: so that the thread that reads events can keep it, and
 * whoever has the GIL can make Python's objects of it, as of a VM's answer. No Python in here.
 */
#include <stdlib.h>

#include "manager.h"

/* Lists and maps that were referred to and are still to be written, in the order of their numbers. */
struct queue {
    const bioxen_node **nodes;
    size_t count, room;
};

static int enqueue(struct queue *queue, const bioxen_node *node)
{
    if (queue->count == queue->room) {
        size_t room = 2 * queue->room + 16;
        const bioxen_node **larger = realloc(queue->nodes, room * sizeof *larger);
        if (larger == NULL)
            return -1;
        queue->nodes = larger;
        queue->room = room;
    }
    queue->nodes[queue->count++] = node;
    return 0;
}

static int put(bioxen_values *out, struct queue *queue, const bioxen_node *node)
{
    struct bioxen_string text;
    switch (bioxen_node_kind(node)) {
    case BIOXEN_NODE_TEXT:
        text = bioxen_node_text(node);
        bioxen_put_string(out, text.bytes, text.length);
        return 0;
    case BIOXEN_NODE_NUMBER:
        bioxen_put_integer(out, (int64_t)bioxen_node_number(node));
        return 0;
    case BIOXEN_NODE_BOOLEAN:
        bioxen_put_boolean(out, bioxen_node_number(node) != 0);
        return 0;
    case BIOXEN_NODE_LIST:
    case BIOXEN_NODE_MAP:
        bioxen_put_table(out, (uint32_t)queue->count);
        return enqueue(queue, node);
    default:
        bioxen_put_nil(out);
        return 0;
    }
}

static int put_table(bioxen_values *out, struct queue *queue, const bioxen_node *node)
{
    size_t count = bioxen_node_count(node);
    bool is_map = bioxen_node_kind(node) == BIOXEN_NODE_MAP;
    int rc = 0;
    (is_map ? bioxen_put_map : bioxen_put_list)(out, (uint32_t)count);
    for (size_t i = 0; i < count && rc == 0; i++) {
        struct bioxen_string key;
        const bioxen_node *item = is_map ? bioxen_node_pair(node, i, &key) : bioxen_node_item(node, i);
        if (is_map)
            bioxen_put_string(out, key.bytes, key.length);
        rc = put(out, queue, item);
    }
    return rc;
}

bioxen_values *node_values(const bioxen_node *node)
{
    struct queue queue = {0};
    struct bioxen_string bytes;
    bioxen_values *out = bioxen_values_new();
    if (out == NULL)
        return NULL;
    bioxen_put_list(out, 1);
    int rc = put(out, &queue, node);
    for (size_t i = 0; i < queue.count && rc == 0; i++)
        rc = put_table(out, &queue, queue.nodes[i]);
    free(queue.nodes);
    if (rc == 0 && bioxen_values_bytes(out, &bytes) == 0)
        return out;
    bioxen_values_free(out);
    return NULL;
}
