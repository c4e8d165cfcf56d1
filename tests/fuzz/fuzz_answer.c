/*
 * fuzz_answer.c - what a client reads of a checked topology: any bytes in place of the answer, walked through the
 * public view.
 */
#include "fuzz.h"

#include "client/bioxen.h"
#include "client/node.h"
#include "common/codec.h"

static size_t walk(const bioxen_node *node, unsigned depth)
{
    struct bioxen_string text = bioxen_node_text(node), key;
    size_t seen = bioxen_node_number(node) != 0;
    for (size_t i = 0; i < text.length; i++)
        seen += (unsigned char)text.bytes[i] > 127;
    for (size_t i = 0; depth > 0 && i < bioxen_node_count(node); i++) {
        seen += walk(bioxen_node_item(node, i), depth - 1);
        const bioxen_node *value = bioxen_node_pair(node, i, &key);
        seen += value != NULL ? walk(value, depth - 1) + key.length : 0;
    }
    PROMISE(bioxen_node_item(node, bioxen_node_count(node)) == NULL);
    return seen + (bioxen_node_find(node, "topology") != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *bytes = fuzz_exact(data, size);
    msgpack_unpacked answer;
    if (bx_unpack(&answer, bytes, size) == 0) {
        (void)walk(node_of(&answer.data), 8);
        msgpack_unpacked_destroy(&answer);
    }
    free(bytes);
    return 0;
}
