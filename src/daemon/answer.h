/*
 * answer.h - what a client is told about topologies: MessagePack, in as many messages as it takes. The encoder alone;
 * a client reads it key by key (bioxen_node).
 */
#ifndef BX_DAEMON_ANSWER_H
#define BX_DAEMON_ANSWER_H

#include <msgpack.h>
#include <stdbool.h>
#include <stdint.h>

struct client;

/* The messages that carry it: pieces, and the last one. */
struct answer_types {
    uint32_t part, last;
};

void answer_send(struct client *client, uint32_t id, struct answer_types types, const msgpack_sbuffer *bytes);

struct answer {
    msgpack_sbuffer bytes;
    msgpack_packer to;
    bool failed; /* no memory */
};

void answer_init(struct answer *answer);
void answer_fini(struct answer *answer);

/* Sends it as the answer to request `id`, or says that there was no memory; and finishes it. */
void answer_finish(struct answer *answer, struct client *client, uint32_t id);

void answer_map(struct answer *answer, uint32_t entries);
void answer_list(struct answer *answer, uint32_t items);
void answer_text(struct answer *answer, const char *text); /* NULL: nothing */
void answer_bytes(struct answer *answer, const void *packed, size_t length); /* MessagePack already */

/* Entries of a map. */
void answer_put_text(struct answer *answer, const char *key, const char *text);
void answer_put_number(struct answer *answer, const char *key, uint64_t number);
void answer_put_bool(struct answer *answer, const char *key, bool value);
void answer_put_address(struct answer *answer, const char *key, uint32_t address); /* 0: nothing */
void answer_put_list(struct answer *answer, const char *key, uint32_t items);

#endif
