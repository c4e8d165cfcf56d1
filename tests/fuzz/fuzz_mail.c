/*
 * fuzz_mail.c - what a neighbour sends to a VM that takes messages: whatever it is, in whatever pieces, ends in
 * messages that can be read, or in the end of that connection. And what a receiver says to a sender.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vm/mail.h"

static struct vm vm;

/* Each message is a sound value, and its number is one more than that of the one before. */
static void check_inbox(struct vm_mail *mail)
{
    struct mail_peer *peer;
    uint64_t last = 0;
    uint32_t count = mail->waiting;
    for (struct mail_message *message; (message = vm_mail_next(mail, &peer)) != NULL; count--) {
        PROMISE(last == 0 || message->number == last + 1);
        PROMISE(message->length <= message->capacity && message->length <= MAIL_BODY_MAX);
        PROMISE(mail_check_body(message->bytes, message->length) == message->tables);
        last = message->number;
        mail_in_taken(mail, peer, message);
        mail_message_free(mail, message);
    }
    PROMISE(count == 0 && mail->waiting == 0 && peer->in.inbox.bytes == 0);
}

static void check_receiving(const uint8_t *data, size_t size)
{
    struct vm_mail mail = {.vm = &vm, .listener = -1};
    struct mail_peer *peer = mail_peer(&mail, "peer", 4);
    int pair[2];
    PROMISE(peer != NULL && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    peer->in.fd = pair[1];
    mail.in_count = 1;
    for (size_t at = 0; at < size && peer->in.fd >= 0;) {
        size_t piece = 1 + data[at] % 40u < size - at ? 1 + data[at] % 40u : size - at;
        if (send(pair[0], data + at, piece, MSG_NOSIGNAL) != (ssize_t)piece)
            break;
        mail_in_attend(&mail, peer, POLLIN);
        at += piece;
    }
    mail_in_close(&mail, peer);
    PROMISE(mail.in_count == 0);
    if (mail.waiting > 0)
        check_inbox(&mail);
    close(pair[0]);
    mail_free(&mail, peer, sizeof *peer);
    mail_free(&mail, mail.peers, mail.peer_capacity * sizeof *mail.peers);
}

static void check_heads(const uint8_t *data)
{
    struct mail_head head;
    struct mail_hello hello;
    unsigned char again[sizeof head];
    if (mail_decode_from_sender(data, &head) == 0 || mail_decode_from_receiver(data, &head) == 0) {
        PROMISE(head.length <= MAIL_BODY_MAX);
        mail_encode_head(&head, again);
        PROMISE(memcmp(again, data, sizeof again) == 0);
    }
    if (mail_decode_hello(data, &hello) == 0) {
        mail_encode_hello(&hello, again);
        PROMISE(memcmp(again, data, sizeof again) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    if (!ready)
        vm_heap_init(&vm.heap); /* it keeps freed blocks for the next input */
    ready = true;
    check_receiving(data, size);
    if (size >= sizeof(struct mail_head))
        check_heads(data);
    return 0;
}
