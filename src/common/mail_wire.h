/*
 * mail_wire.h - what two VMs say to each other on a connection for messages (docs/messages.md).
 *
 * Whoever sends connects: one connection carries messages one way, and the other way only which of them were
 * taken. What comes in is a stranger's: a head is checked before anything of its body is read.
 * Integers are little-endian.
 */
#ifndef BX_COMMON_MAIL_WIRE_H
#define BX_COMMON_MAIL_WIRE_H

#include <stdint.h>

/* The TCP port at which a VM takes messages. Wires between two VMs permit it, both ways ("bx" in ASCII). */
#define MAIL_PORT 25208

/* Bytes of one message: an eighth of what a VM has of memory by default. */
#define MAIL_BODY_MAX (8u * 1024u * 1024u)

enum mail_type {
    /* sender -> receiver */
    MAIL_HELLO = 1,   /* once, first. number = the sender's incarnation, not 0; body = struct mail_hello */
    MAIL_MESSAGE = 2, /* number = its own, from 1, each one more than the one before; body = one value (values.h) */
    /* receiver -> sender */
    MAIL_TAKEN = 3,   /* the messages up to this number were handed to the script; no body */
};

struct mail_head {
    uint32_t length; /* of the body, bytes */
    uint8_t type;    /* enum mail_type */
    uint8_t zero[3];
    uint64_t number;
};

#define MAIL_MAGIC 0x314d5842u /* "BXM1" */

struct mail_hello {
    uint32_t magic;
    uint32_t zero;
    uint64_t first; /* the number of the first message that follows */
};

_Static_assert(sizeof(struct mail_head) == 16 && sizeof(struct mail_hello) == 16, "wire layout");

/* A head as its bytes. */
void mail_encode_head(const struct mail_head *head, unsigned char out[sizeof(struct mail_head)]);
void mail_encode_hello(const struct mail_hello *hello, unsigned char out[sizeof(struct mail_hello)]);

/* Reads the head of something that a sender, or a receiver, may say. Returns 0 or -EBADMSG. */
int mail_decode_from_sender(const unsigned char bytes[sizeof(struct mail_head)], struct mail_head *out);
int mail_decode_from_receiver(const unsigned char bytes[sizeof(struct mail_head)], struct mail_head *out);
int mail_decode_hello(const unsigned char bytes[sizeof(struct mail_hello)], struct mail_hello *out);

/* Reads the body of a message: exactly one value. Returns how many tables there are in it, or -EBADMSG. */
int64_t mail_check_body(const char *bytes, uint32_t length);

#endif
