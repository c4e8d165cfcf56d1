/* control.c - heads and notes of the control socket. */
#include "control.h"

#include <errno.h>
#include <string.h>

#include "codec.h"

#define NOTE_ENTRIES 3

struct fixed_buffer {
    char *at;
    size_t left;
};

static int write_fixed(void *data, const char *bytes, size_t length)
{
    struct fixed_buffer *buffer = data;
    if (length > buffer->left)
        return -1;
    memcpy(buffer->at, bytes, length);
    buffer->at += length;
    buffer->left -= length;
    return 0;
}

static int pack_key(msgpack_packer *packer, const char *key)
{
    return msgpack_pack_str(packer, strlen(key)) | msgpack_pack_str_body(packer, key, strlen(key));
}

static int pack_note(msgpack_packer *packer, const struct ctl_note *note)
{
    int failed = msgpack_pack_map(packer, NOTE_ENTRIES);
    failed |= pack_key(packer, "vm") | msgpack_pack_uint32(packer, note->vm);
    failed |= pack_key(packer, "number") | msgpack_pack_uint32(packer, note->number);
    failed |= pack_key(packer, "text") | msgpack_pack_str(packer, note->length);
    return failed | msgpack_pack_str_body(packer, note->text, note->length);
}

size_t ctl_encode_note(uint32_t type, uint32_t id, const struct ctl_note *note, void *out)
{
    char *body = (char *)out + sizeof(struct ctl_head);
    struct fixed_buffer buffer = {body, CTL_NOTE_MAX - sizeof(struct ctl_head)};
    msgpack_packer packer;
    msgpack_packer_init(&packer, &buffer, write_fixed);
    if (pack_note(&packer, note) != 0)
        return 0;
    struct ctl_head head = {CTL_MAGIC, type, id, (uint32_t)(buffer.at - body)};
    memcpy(out, &head, sizeof head);
    return sizeof head + head.length;
}

static int read_u32(const msgpack_object *map, const char *key, uint32_t *out)
{
    const msgpack_object *value = bx_map_find(map, key);
    if (value == NULL || value->type != MSGPACK_OBJECT_POSITIVE_INTEGER || value->via.u64 > UINT32_MAX)
        return -EBADMSG;
    *out = (uint32_t)value->via.u64;
    return 0;
}

static int read_note(const msgpack_object *map, struct ctl_note *out)
{
    const msgpack_object *text = bx_map_find(map, "text");
    if (text == NULL || text->type != MSGPACK_OBJECT_STR || map->via.map.size != NOTE_ENTRIES)
        return -EBADMSG;
    struct ctl_note note = {.text = text->via.str.ptr, .length = text->via.str.size};
    if (read_u32(map, "vm", &note.vm) != 0 || read_u32(map, "number", &note.number) != 0)
        return -EBADMSG;
    *out = note;
    return 0;
}

int ctl_decode_note(const char *body, size_t length, struct ctl_note *out)
{
    msgpack_unpacked unpacked;
    int rc = bx_unpack(&unpacked, body, length);
    if (rc != 0)
        return rc;
    rc = read_note(&unpacked.data, out); /* its text points into `body`, not into the unpacked object */
    msgpack_unpacked_destroy(&unpacked);
    return rc;
}

int ctl_decode_interrupt(const char *body, size_t length, struct ctl_interrupt *out)
{
    struct ctl_interrupt interrupt;
    if (length != sizeof interrupt)
        return -EBADMSG;
    memcpy(&interrupt, body, sizeof interrupt);
    if (interrupt.reason != CTL_BY_TIMEOUT && interrupt.reason != CTL_BY_CLIENT)
        return -EBADMSG;
    if ((interrupt.session == 0) != (interrupt.call == 0))
        return -EBADMSG;
    *out = interrupt;
    return 0;
}

int ctl_decode_statistics(const char *body, size_t length, struct ctl_statistics *out)
{
    if (length != sizeof *out)
        return -EBADMSG;
    memcpy(out, body, sizeof *out);
    return 0;
}

/* Copies the struct at the beginning of a body. */
static int split(const char *body, size_t length, void *out, size_t size, struct ctl_bytes *rest)
{
    if (length < size)
        return -EBADMSG;
    memcpy(out, body, size);
    *rest = (struct ctl_bytes){body + size, length - size};
    return 0;
}

int ctl_decode_part(const char *body, size_t length, struct ctl_part *out, struct ctl_bytes *rest)
{
    struct ctl_part part;
    struct ctl_bytes text;
    if (split(body, length, &part, sizeof part, &text) != 0 || part.kind < CTL_PART_PROGRAM ||
        part.kind > CTL_PART_APP)
        return -EBADMSG;
    *out = part;
    *rest = text;
    return 0;
}

int ctl_decode_logs(const char *body, size_t length, struct ctl_logs *out, struct ctl_bytes *rest)
{
    struct ctl_logs logs;
    struct ctl_bytes text;
    if (split(body, length, &logs, sizeof logs, &text) != 0 || logs.follow > 1 || logs.zero != 0)
        return -EBADMSG;
    *out = logs;
    *rest = text;
    return 0;
}

int ctl_decode_log(const char *body, size_t length, struct ctl_log *out, struct ctl_bytes *name, struct ctl_bytes *rest)
{
    struct ctl_log log;
    struct ctl_bytes both;
    if (split(body, length, &log, sizeof log, &both) != 0 || log.name > both.length || log.stream > 2)
        return -EBADMSG;
    *out = log;
    *name = (struct ctl_bytes){both.bytes, log.name};
    *rest = (struct ctl_bytes){both.bytes + log.name, both.length - log.name};
    return 0;
}

int ctl_decode_head(const void *bytes, size_t length, struct ctl_head *head, const char **body)
{
    if (length < sizeof *head)
        return -EBADMSG;
    memcpy(head, bytes, sizeof *head);
    if (head->magic != CTL_MAGIC || head->length != length - sizeof *head)
        return -EBADMSG;
    *body = (const char *)bytes + sizeof *head;
    return 0;
}
