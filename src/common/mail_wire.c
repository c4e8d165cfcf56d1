/* mail_wire.c - heads of messages between VMs, encoder and decoder side by side. Allocates nothing. */
#include "mail_wire.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "values.h"

void mail_encode_head(const struct mail_head *head, unsigned char out[sizeof(struct mail_head)])
{
    const struct mail_head wire = {
        .length = htole32(head->length), .type = head->type, .number = htole64(head->number)};
    memcpy(out, &wire, sizeof wire);
}

void mail_encode_hello(const struct mail_hello *hello, unsigned char out[sizeof(struct mail_hello)])
{
    const struct mail_hello wire = {.magic = htole32(MAIL_MAGIC), .first = htole64(hello->first)};
    memcpy(out, &wire, sizeof wire);
}

/* What both directions have in common. */
static int decode_head(const unsigned char *bytes, struct mail_head *out)
{
    static const uint8_t zero[sizeof out->zero];
    struct mail_head wire;
    memcpy(&wire, bytes, sizeof wire);
    wire.length = le32toh(wire.length);
    wire.number = le64toh(wire.number);
    if (memcmp(wire.zero, zero, sizeof zero) != 0 || wire.length > MAIL_BODY_MAX)
        return -EBADMSG;
    *out = wire;
    return 0;
}

int mail_decode_from_sender(const unsigned char bytes[sizeof(struct mail_head)], struct mail_head *out)
{
    struct mail_head head;
    if (decode_head(bytes, &head) != 0 || head.number == 0)
        return -EBADMSG;
    bool is_hello = head.type == MAIL_HELLO && head.length == sizeof(struct mail_hello);
    if (!is_hello && (head.type != MAIL_MESSAGE || head.length == 0))
        return -EBADMSG;
    *out = head;
    return 0;
}

int mail_decode_from_receiver(const unsigned char bytes[sizeof(struct mail_head)], struct mail_head *out)
{
    struct mail_head head;
    if (decode_head(bytes, &head) != 0 || head.type != MAIL_TAKEN || head.length != 0)
        return -EBADMSG;
    *out = head;
    return 0;
}

int mail_decode_hello(const unsigned char bytes[sizeof(struct mail_hello)], struct mail_hello *out)
{
    struct mail_hello wire;
    memcpy(&wire, bytes, sizeof wire);
    wire.magic = le32toh(wire.magic);
    wire.first = le64toh(wire.first);
    if (wire.magic != MAIL_MAGIC || wire.zero != 0 || wire.first == 0)
        return -EBADMSG;
    *out = wire;
    return 0;
}

int64_t mail_check_body(const char *bytes, uint32_t length)
{
    struct bx_value count;
    int64_t tables = bx_values_check(bytes, length);
    if (tables < 0)
        return tables;
    bx_values_read(&bytes, &count);
    return count.integer == 1 ? tables : -EBADMSG;
}
