/*
 * mail_out.c - sending: one connection to each peer that something is sent to. It is made when there is a message,
 * made again with growing pauses while there is one that was not taken, and written as far as the peer reads.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "mail.h"

#define BACKOFF_FIRST_MS 20u
#define BACKOFF_MAX_MS 1000u

/* So many messages that were sent and not taken, as far as we have read, before we look. */
#define UNREAD_MAX 16u

static void forget_link(struct vm_mail *mail, struct mail_out *out)
{
    close(out->fd);
    mail->out_count--;
    out->fd = out->slot = -1;
    out->state = MAIL_CLOSED;
    out->next = out->kept.first;
    out->written = out->hello_written = out->head_filled = 0;
}

/* The pauses of many peers do not stay in step. */
static void schedule(struct vm_mail *mail, struct mail_out *out, uint64_t now)
{
    unsigned pause = out->backoff_ms > 0 ? out->backoff_ms : BACKOFF_FIRST_MS;
    uint64_t jitter_us = (now ^ mail->incarnation) % (pause * UINT64_C(250) + 1);
    out->retry_us = now + pause * UINT64_C(1000) + jitter_us;
    out->backoff_ms = pause < BACKOFF_MAX_MS / 2 ? 2 * pause : BACKOFF_MAX_MS;
}

/* Its receiver is not only away, it is gone: nobody will ask for it. */
static void give_up(struct vm_mail *mail, struct mail_out *out)
{
    while (out->kept.count > 0)
        mail_message_free(mail, mail_take_first(&out->kept));
    out->next = NULL;
}

static void fail(struct vm_mail *mail, struct mail_out *out, int why)
{
    uint64_t now = bx_now_us();
    if (out->state != MAIL_CLOSED)
        forget_link(mail, out);
    out->why = why;
    if (out->away_us == 0)
        out->away_us = now;
    if (why == ENOENT && now - out->away_us >= MAIL_AWAY_MS * UINT64_C(1000))
        give_up(mail, out);
    schedule(mail, out, now);
}

/* ---- what was taken ---- */

/* Frees it. One that is half written stays until it is whole: the receiver skips it. */
static void drop_taken(struct vm_mail *mail, struct mail_out *out)
{
    while (out->kept.first != NULL && out->kept.first->number <= out->taken) {
        if (out->next == out->kept.first) {
            if (out->written > 0)
                return;
            out->next = out->next->next;
        }
        mail_message_free(mail, mail_take_first(&out->kept));
    }
}

static int take_head(struct vm_mail *mail, struct mail_out *out)
{
    struct mail_head head;
    out->head_filled = 0;
    if (mail_decode_from_receiver(out->head, &head) != 0 || head.number > out->last_number)
        return -EPROTO;
    if (head.number > out->taken)
        out->taken = head.number;
    out->backoff_ms = 0;
    drop_taken(mail, out);
    return 0;
}

static int take_bytes(struct vm_mail *mail, struct mail_out *out, const unsigned char *bytes, size_t length)
{
    int rc = 0;
    while (length > 0 && rc == 0) {
        size_t want = sizeof out->head - out->head_filled, piece = length < want ? length : want;
        memcpy(out->head + out->head_filled, bytes, piece);
        out->head_filled += piece;
        bytes += piece;
        length -= piece;
        if (out->head_filled == sizeof out->head)
            rc = take_head(mail, out);
    }
    return rc;
}

void mail_out_read(struct vm_mail *mail, struct mail_peer *peer)
{
    struct mail_out *out = &peer->out;
    unsigned char bytes[1024];
    for (ssize_t got = sizeof bytes; out->state == MAIL_OPEN && got == sizeof bytes;) {
        got = recv(out->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        int why = got < 0 ? errno : got == 0 ? ECONNRESET : -take_bytes(mail, out, bytes, (size_t)got);
        if (why == 0)
            continue;
        if (out->kept.count > 0)
            fail(mail, out, why);
        else
            forget_link(mail, out);
    }
}

/* ---- writing ---- */

/* Returns how many bytes went, 0 when there is no room, or -errno. */
static ssize_t write_some(int fd, const void *bytes, size_t length)
{
    ssize_t sent = send(fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent >= 0 ? sent : errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

static ssize_t write_hello(struct mail_out *out)
{
    ssize_t sent = write_some(out->fd, out->hello + out->hello_written, sizeof out->hello - out->hello_written);
    if (sent > 0)
        out->hello_written += (size_t)sent;
    return sent;
}

static ssize_t write_message(struct vm_mail *mail, struct mail_out *out)
{
    struct mail_message *message = out->next;
    ssize_t sent = write_some(out->fd, message->bytes + out->written, message->length - out->written);
    if (sent <= 0)
        return sent;
    out->written += (size_t)sent;
    if (out->written < message->length)
        return 0;
    out->next = message->next;
    out->written = 0;
    drop_taken(mail, out);
    return sent;
}

static void write_all(struct vm_mail *mail, struct mail_peer *peer)
{
    struct mail_out *out = &peer->out;
    ssize_t sent = 1;
    while (sent > 0 && (out->hello_written < sizeof out->hello || out->next != NULL))
        sent = out->hello_written < sizeof out->hello ? write_hello(out) : write_message(mail, out);
    if (sent >= 0)
        return;
    mail_out_read(mail, peer); /* what it has taken it may have said before it went */
    if (out->state == MAIL_OPEN)
        fail(mail, out, (int)-sent);
}

/* ---- connecting ---- */

static void greet(struct vm_mail *mail, struct mail_peer *peer)
{
    struct mail_out *out = &peer->out;
    const int on = 1;
    setsockopt(out->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const struct mail_head head = {
        .length = sizeof(struct mail_hello), .type = MAIL_HELLO, .number = mail->incarnation};
    const struct mail_hello hello = {
        .first = out->kept.first != NULL ? out->kept.first->number : out->last_number + 1};
    mail_encode_head(&head, out->hello);
    mail_encode_hello(&hello, out->hello + sizeof head);
    out->state = MAIL_OPEN;
    out->away_us = 0;
    out->why = 0;
    write_all(mail, peer);
}

/* A connection that has nothing to do makes room for one that has. */
static bool make_room(struct vm_mail *mail)
{
    struct mail_out *idle = NULL;
    for (uint32_t i = 0; i < mail->peer_count; i++) {
        struct mail_out *out = &mail->peers[i]->out;
        if (out->state == MAIL_OPEN && out->kept.count == 0 && (idle == NULL || out->used_us < idle->used_us))
            idle = out;
    }
    if (idle != NULL)
        forget_link(mail, idle);
    return idle != NULL;
}

/* Returns 0 with the address, or -errno. */
static int find(const struct vm_mail *mail, const char *name, uint32_t *address)
{
    const struct lw_frame question = {
        .type = LW_NEED, .b = LW_NEED_ADDRESS, .text1 = name, .length1 = (uint32_t)strlen(name)};
    struct lw_frame told;
    int fd;
    if (vm_ask(mail->vm, &question, &told, &fd) != 0)
        return -EAGAIN;
    if (fd >= 0)
        close(fd);
    if (told.type != LW_ADDRESS || told.a == 0 || told.a > UINT32_MAX)
        return -ENOENT;
    *address = (uint32_t)told.a;
    return 0;
}

static void finish_connecting(struct vm_mail *mail, struct mail_peer *peer)
{
    int failure = 0;
    socklen_t size = sizeof failure;
    if (getsockopt(peer->out.fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0)
        failure = errno;
    if (failure != 0)
        fail(mail, &peer->out, failure);
    else
        greet(mail, peer);
}

void mail_out_connect(struct vm_mail *mail, struct mail_peer *peer)
{
    struct mail_out *out = &peer->out;
    uint32_t address = 0;
    int rc = mail->out_count < MAIL_LINKS_MAX || make_room(mail) ? find(mail, peer->name, &address) : -EMFILE;
    int fd = rc == 0 ? mail_connect(address) : rc;
    if (fd < 0) {
        fail(mail, out, -fd);
        return;
    }
    out->fd = fd;
    mail->out_count++;
    out->state = MAIL_CONNECTING;
    out->next = out->kept.first;
    struct pollfd polled = {out->fd, POLLOUT, 0}; /* between VMs of one machine it is done at once */
    if (poll(&polled, 1, 0) > 0)
        finish_connecting(mail, peer);
}

/* ---- for others ---- */

void mail_out_push(struct vm_mail *mail, struct mail_peer *peer, uint64_t now)
{
    struct mail_out *out = &peer->out;
    out->used_us = now;
    if (out->state == MAIL_CLOSED && out->kept.count > 0 && now >= out->retry_us)
        mail_out_connect(mail, peer);
    else if (out->state == MAIL_OPEN)
        write_all(mail, peer);
    if (out->state == MAIL_OPEN && out->kept.count >= UNREAD_MAX)
        mail_out_read(mail, peer);
}

void mail_out_post(struct vm_mail *mail, struct mail_peer *peer, struct mail_message *message)
{
    struct mail_out *out = &peer->out;
    const struct mail_head head = {.length = message->length - (uint32_t)sizeof head,
                                   .type = MAIL_MESSAGE,
                                   .number = ++out->last_number};
    message->number = head.number;
    mail_encode_head(&head, (unsigned char *)message->bytes);
    mail_append(&out->kept, message);
    if (out->next == NULL)
        out->next = message;
    mail_out_push(mail, peer, bx_now_us());
}

short mail_out_events(const struct vm_mail *mail, const struct mail_out *out)
{
    if (out->state == MAIL_CONNECTING)
        return POLLOUT;
    if (out->state != MAIL_OPEN)
        return 0;
    bool unsent = out->next != NULL || out->hello_written < sizeof out->hello;
    return (short)(POLLRDHUP | (unsent ? POLLOUT : 0) | (mail->wants_taken || unsent ? POLLIN : 0));
}

void mail_out_attend(struct vm_mail *mail, struct mail_peer *peer, short events)
{
    struct mail_out *out = &peer->out;
    if (out->state == MAIL_CONNECTING) {
        finish_connecting(mail, peer);
        return;
    }
    if ((events & ~POLLOUT) != 0)
        mail_out_read(mail, peer);
    if ((events & POLLOUT) != 0 && out->state == MAIL_OPEN)
        write_all(mail, peer);
}
