/* lifeline.c - frames of the lifeline, encoder and decoder side by side. Allocates nothing. */
#include "lifeline.h"

#include <errno.h>
#include <string.h>

static uint32_t cut(uint32_t length)
{
    return length < BX_MESSAGE_MAX ? length : BX_MESSAGE_MAX;
}

uint32_t lw_encode(const struct lw_frame *frame, void *out)
{
    struct lw_header header = {
        .magic = LW_MAGIC,
        .type = frame->type,
        .a = frame->a,
        .b = frame->b,
        .length1 = cut(frame->length1),
        .length2 = cut(frame->length2),
    };
    char *p = out;
    memcpy(p, &header, sizeof header);
    if (header.length1 > 0)
        memcpy(p + sizeof header, frame->text1, header.length1);
    if (header.length2 > 0)
        memcpy(p + sizeof header + header.length1, frame->text2, header.length2);
    return (uint32_t)sizeof header + header.length1 + header.length2;
}

int lw_decode(const void *bytes, uint64_t length, struct lw_frame *out)
{
    struct lw_header header;
    if (length < sizeof header)
        return -EBADMSG;
    memcpy(&header, bytes, sizeof header);
    if (header.magic != LW_MAGIC || header.length1 > BX_MESSAGE_MAX || header.length2 > BX_MESSAGE_MAX ||
        length != sizeof header + header.length1 + header.length2)
        return -EBADMSG;
    const char *text = (const char *)bytes + sizeof header;
    *out = (struct lw_frame){
        .type = header.type,
        .a = header.a,
        .b = header.b,
        .text1 = text,
        .text2 = text + header.length1,
        .length1 = header.length1,
        .length2 = header.length2,
    };
    return 0;
}

int lw_put_peer(const struct lw_peer *peer, const char *name, char *out, uint32_t size, uint32_t *length)
{
    if (size - *length < sizeof *peer + peer->name_length)
        return -ENOSPC;
    memcpy(out + *length, peer, sizeof *peer);
    memcpy(out + *length + sizeof *peer, name, peer->name_length);
    *length += (uint32_t)sizeof *peer + peer->name_length;
    return 0;
}

int lw_next_peer(const char *text, uint32_t length, uint32_t *at, struct lw_peer *out, const char **name)
{
    struct lw_peer peer;
    uint32_t left = length - *at;
    if (left == 0)
        return 0;
    if (left < sizeof peer)
        return -EBADMSG;
    memcpy(&peer, text + *at, sizeof peer);
    if (peer.name_length < 1 || peer.name_length > BX_NAME_MAX || peer.role < LW_ROLE_SERVER ||
        peer.role > LW_ROLE_PEER || left - sizeof peer < peer.name_length)
        return -EBADMSG;
    *out = peer;
    *name = text + *at + sizeof peer;
    *at += (uint32_t)sizeof peer + peer.name_length;
    return 1;
}
