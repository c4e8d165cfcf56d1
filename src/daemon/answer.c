/* answer.c - a thin layer over msgpack-c that remembers when memory was out. */
#include "answer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "common/check_wire.h"
#include "common/control.h"

void answer_send(struct client *client, uint32_t id, struct answer_types types, const msgpack_sbuffer *bytes)
{
    static char frame[sizeof(struct ctl_head) + CHECK_PART];
    size_t done = 0;
    do {
        size_t part = bytes->size - done < CHECK_PART ? bytes->size - done : CHECK_PART;
        bool last = done + part == bytes->size;
        struct ctl_head head = {CTL_MAGIC, last ? types.last : types.part, id, (uint32_t)part};
        memcpy(frame, &head, sizeof head);
        memcpy(frame + sizeof head, bytes->data + done, part);
        client_send(client, frame, sizeof head + part);
        done += part;
    } while (done < bytes->size);
}

static int write_answer(void *data, const char *bytes, size_t length)
{
    struct answer *answer = data;
    answer->failed = answer->failed || msgpack_sbuffer_write(&answer->bytes, bytes, length) != 0;
    return answer->failed ? -1 : 0;
}

void answer_init(struct answer *answer)
{
    answer->failed = false;
    msgpack_sbuffer_init(&answer->bytes);
    msgpack_packer_init(&answer->to, answer, write_answer);
}

void answer_fini(struct answer *answer)
{
    msgpack_sbuffer_destroy(&answer->bytes);
}

void answer_finish(struct answer *answer, struct client *client, uint32_t id)
{
    static const char why[] = "the orchestrator has no memory left for the answer";
    if (answer->failed)
        client_send_note(client, CTL_ERROR, id, 0, ENOMEM, why, sizeof why - 1);
    else
        answer_send(client, id, (struct answer_types){CTL_ANSWER_PART, CTL_ANSWER}, &answer->bytes);
    answer_fini(answer);
}

void answer_map(struct answer *answer, uint32_t entries)
{
    msgpack_pack_map(&answer->to, entries);
}

void answer_list(struct answer *answer, uint32_t items)
{
    msgpack_pack_array(&answer->to, items);
}

void answer_text(struct answer *answer, const char *text)
{
    if (text == NULL) {
        msgpack_pack_nil(&answer->to);
        return;
    }
    msgpack_pack_str(&answer->to, strlen(text));
    msgpack_pack_str_body(&answer->to, text, strlen(text));
}

void answer_bytes(struct answer *answer, const void *packed, size_t length)
{
    write_answer(answer, packed, length);
}

void answer_put_text(struct answer *answer, const char *key, const char *text)
{
    answer_text(answer, key);
    answer_text(answer, text);
}

void answer_put_number(struct answer *answer, const char *key, uint64_t number)
{
    answer_text(answer, key);
    msgpack_pack_uint64(&answer->to, number);
}

void answer_put_bool(struct answer *answer, const char *key, bool value)
{
    answer_text(answer, key);
    if (value)
        msgpack_pack_true(&answer->to);
    else
        msgpack_pack_false(&answer->to);
}

void answer_put_address(struct answer *answer, const char *key, uint32_t address)
{
    char text[16];
    snprintf(text, sizeof text, "%u.%u.%u.%u", address >> 24, address >> 16 & 255, address >> 8 & 255, address & 255);
    answer_put_text(answer, key, address != 0 ? text : NULL);
}

void answer_put_list(struct answer *answer, const char *key, uint32_t items)
{
    answer_text(answer, key);
    answer_list(answer, items);
}
