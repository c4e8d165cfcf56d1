/*
 * mail_in.c - receiving: who connects is who its address says, by the orchestrator's word; the connection before is
 * closed. What does not make sense ends that connection, and costs nobody else anything. A peer whose messages are not
 * taken is not read.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "mail.h"

/* What is read at a time. One buffer for all: it is empty between two reads. */
#define PIECE (64u * 1024u)

/* The buffer of a message begins with this, and grows as the message comes: its length is a stranger's word. */
#define FIRST_PIECE (16u * 1024u)

/* Connections that are accepted before somebody else has a turn. */
#define ACCEPT_TURN 16

static unsigned char read_buffer[PIECE];

void mail_in_close(struct vm_mail *mail, struct mail_peer *peer)
{
    struct mail_in *in = &peer->in;
    if (in->fd < 0)
        return;
    close(in->fd);
    mail->in_count--;
    mail_message_free(mail, in->partial);
    in->partial = NULL;
    in->fd = in->slot = -1;
    in->greeted = false;
    in->head_filled = in->reply_left = in->body_left = 0;
}

/* ---- what was taken ---- */

static void write_reply(struct vm_mail *mail, struct mail_peer *peer)
{
    struct mail_in *in = &peer->in;
    while (in->fd >= 0 && (in->owes || in->reply_left > 0)) {
        if (in->reply_left == 0) {
            mail_encode_head(&(struct mail_head){.type = MAIL_TAKEN, .number = in->taken}, in->reply);
            in->reply_left = sizeof in->reply;
            in->owes = false;
        }
        ssize_t sent = send(in->fd, in->reply + sizeof in->reply - in->reply_left, in->reply_left,
                            MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent >= 0)
            in->reply_left -= (size_t)sent;
        else if (errno == EAGAIN || errno == EINTR)
            return;
        else
            mail_in_close(mail, peer);
    }
}

void mail_in_taken(struct vm_mail *mail, struct mail_peer *peer, const struct mail_message *message)
{
    struct mail_in *in = &peer->in;
    if (message->incarnation != in->incarnation || message->number <= in->taken)
        return; /* it has another life now, and does not remember */
    in->taken = message->number;
    in->owes = in->greeted;
    write_reply(mail, peer);
}

/* ---- what comes in ---- */

/* Its first words are there. */
static int take_hello(struct mail_in *in)
{
    struct mail_head head;
    struct mail_hello hello;
    if (mail_decode_from_sender(in->head, &head) != 0 || head.type != MAIL_HELLO ||
        mail_decode_hello(in->head + sizeof head, &hello) != 0)
        return -EPROTO;
    in->greeted = true;
    in->head_filled = 0;
    if (in->incarnation == head.number && hello.first <= in->received + 1) {
        in->owes = true; /* it may not know what was taken */
        return 0;
    }
    in->incarnation = head.number;
    in->received = in->taken = hello.first - 1;
    in->owes = false;
    return 0;
}

static int finish_message(struct vm_mail *mail, struct mail_peer *peer)
{
    struct mail_in *in = &peer->in;
    struct mail_message *message = in->partial;
    if (message == NULL)
        return 0; /* it was here before */
    in->partial = NULL;
    message->tables = mail_check_body(message->bytes, message->length);
    if (message->tables < 0) {
        mail_message_free(mail, message);
        return -EPROTO;
    }
    message->number = in->received = in->current.number;
    message->incarnation = in->incarnation;
    if (in->inbox.count == 0)
        mail_mark_ready(mail, peer);
    mail_append(&in->inbox, message);
    mail->waiting++;
    return 0;
}

/* The head of a message is there. What was received before is skipped. */
static int begin_message(struct vm_mail *mail, struct mail_in *in)
{
    if (mail_decode_from_sender(in->head, &in->current) != 0 || in->current.type != MAIL_MESSAGE)
        return -EPROTO;
    in->body_left = in->current.length;
    if (in->current.number <= in->received)
        return 0;
    if (in->current.number != in->received + 1)
        return -EPROTO;
    in->partial = mail_message_new(mail, in->body_left < FIRST_PIECE ? in->body_left : FIRST_PIECE);
    return in->partial != NULL ? 0 : -ENOMEM;
}

/* Room for `more` bytes of the message. */
static int grow_body(struct vm_mail *mail, struct mail_in *in, uint32_t more)
{
    struct mail_message *message = in->partial;
    if (message->capacity - message->length >= more)
        return 0;
    uint32_t capacity = 2 * (message->length + more);
    if (capacity > in->current.length)
        capacity = in->current.length;
    message = vm_heap_realloc(&mail->vm->heap, message, sizeof *message + message->capacity,
                              sizeof *message + capacity);
    if (message == NULL) {
        mail->short_of_memory = true;
        return -ENOMEM;
    }
    message->capacity = capacity;
    in->partial = message;
    return 0;
}

static int take_body(struct vm_mail *mail, struct mail_peer *peer, const unsigned char *bytes, uint32_t length)
{
    struct mail_in *in = &peer->in;
    in->body_left -= length;
    if (in->partial != NULL) {
        int rc = grow_body(mail, in, length);
        if (rc != 0)
            return rc;
        memcpy(in->partial->bytes + in->partial->length, bytes, length);
        in->partial->length += length;
    }
    if (in->body_left > 0)
        return 0;
    in->head_filled = 0;
    return finish_message(mail, peer);
}

/* Returns how many bytes it used, or -errno. */
static ssize_t take_piece(struct vm_mail *mail, struct mail_peer *peer, const unsigned char *bytes, size_t length)
{
    struct mail_in *in = &peer->in;
    int rc = 0;
    if (in->body_left > 0) {
        uint32_t piece = length < in->body_left ? (uint32_t)length : in->body_left;
        rc = take_body(mail, peer, bytes, piece);
        return rc == 0 ? (ssize_t)piece : rc;
    }
    size_t whole = in->greeted ? sizeof(struct mail_head) : sizeof in->head;
    size_t want = whole - in->head_filled, piece = length < want ? length : want;
    memcpy(in->head + in->head_filled, bytes, piece);
    in->head_filled += piece;
    if (in->head_filled == whole)
        rc = in->greeted ? begin_message(mail, in) : take_hello(in);
    return rc == 0 ? (ssize_t)piece : rc;
}

static int take_bytes(struct vm_mail *mail, struct mail_peer *peer, const unsigned char *bytes, size_t length)
{
    for (ssize_t used = 0; length > 0; bytes += used, length -= (size_t)used) {
        used = take_piece(mail, peer, bytes, length);
        if (used < 0)
            return (int)used;
    }
    return 0;
}

static bool is_paused(const struct mail_in *in)
{
    return in->partial == NULL && !mail_has_room(&in->inbox, PIECE);
}

/* One piece of it: the others want a turn, too. */
static void read_messages(struct vm_mail *mail, struct mail_peer *peer)
{
    struct mail_in *in = &peer->in;
    ssize_t got = recv(in->fd, read_buffer, sizeof read_buffer, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    in->used_us = bx_now_us();
    if (got <= 0 || take_bytes(mail, peer, read_buffer, (size_t)got) != 0)
        mail_in_close(mail, peer);
    else
        write_reply(mail, peer);
}

short mail_in_events(const struct mail_in *in)
{
    return (short)((is_paused(in) ? 0 : POLLIN) | (in->owes || in->reply_left > 0 ? POLLOUT : 0));
}

void mail_in_attend(struct vm_mail *mail, struct mail_peer *peer, short events)
{
    if ((events & ~POLLOUT) != 0)
        read_messages(mail, peer);
    if ((events & POLLOUT) != 0 && peer->in.fd >= 0)
        write_reply(mail, peer);
}

/* ---- who connects ---- */

/* The peer that has the address, or NULL. */
static struct mail_peer *who_is(struct vm_mail *mail, uint32_t address)
{
    const struct lw_frame question = {.type = LW_NEED, .b = LW_NEED_NAME, .a = address};
    struct lw_frame told;
    int fd;
    if (vm_ask(mail->vm, &question, &told, &fd) != 0)
        return NULL;
    if (fd >= 0)
        close(fd);
    if (told.type != LW_NAME || told.length1 < 1 || told.length1 > BX_NAME_MAX)
        return NULL;
    return mail_peer(mail, told.text1, told.length1);
}

/* The connection that was quiet for the longest time goes: its sender connects again when it has something. */
static void make_room(struct vm_mail *mail)
{
    struct mail_peer *oldest = NULL;
    for (uint32_t i = 0; i < mail->peer_count; i++) {
        struct mail_peer *peer = mail->peers[i];
        if (peer->in.fd >= 0 && (oldest == NULL || peer->in.used_us < oldest->in.used_us))
            oldest = peer;
    }
    if (oldest != NULL)
        mail_in_close(mail, oldest);
}

static void take_on(struct vm_mail *mail, int fd, uint32_t address)
{
    struct mail_peer *peer = who_is(mail, address);
    const int on = 1;
    if (peer == NULL) {
        close(fd);
        return;
    }
    mail_in_close(mail, peer);
    if (mail->in_count >= MAIL_LINKS_MAX)
        make_room(mail);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    peer->address = address;
    peer->in.fd = fd;
    peer->in.used_us = bx_now_us();
    mail->in_count++;
    read_messages(mail, peer); /* what it has to say has come with it, as a rule */
}

void mail_in_accept(struct vm_mail *mail)
{
    for (int i = 0; i < ACCEPT_TURN; i++) {
        struct sockaddr_in from = {0};
        socklen_t size = sizeof from;
        int fd = accept(mail->listener, (struct sockaddr *)&from, &size);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
            make_room(mail);
            continue;
        }
        if (fd < 0)
            return;
        take_on(mail, fd, ntohl(from.sin_addr.s_addr));
    }
}
