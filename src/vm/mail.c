/* mail.c - peers and queues, and the poll round over all connections. */
#include "mail.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"

/* How long a VM that ends waits for peers that it cannot reach, and for those that only have not taken everything. */
#define DRAIN_AWAY_US 5000000u
#define DRAIN_HELD_US 1000000u

/* ---- memory: Lua's, so that its limit is about messages, too ---- */

void *mail_allocate(struct vm_mail *mail, size_t size)
{
    void *block = vm_heap_realloc(&mail->vm->heap, NULL, 0, size);
    mail->short_of_memory |= block == NULL;
    return block;
}

void mail_free(struct vm_mail *mail, void *block, size_t size)
{
    if (block != NULL)
        vm_heap_realloc(&mail->vm->heap, block, size, 0);
}

/* ---- messages ---- */

struct mail_message *mail_message_new(struct vm_mail *mail, uint32_t capacity)
{
    struct mail_message *message = mail_allocate(mail, sizeof *message + capacity);
    if (message != NULL)
        *message = (struct mail_message){.capacity = capacity};
    return message;
}

void mail_message_free(struct vm_mail *mail, struct mail_message *message)
{
    if (message != NULL)
        mail_free(mail, message, sizeof *message + message->capacity);
}

void mail_append(struct mail_queue *queue, struct mail_message *message)
{
    message->next = NULL;
    if (queue->last != NULL)
        queue->last->next = message;
    else
        queue->first = message;
    queue->last = message;
    queue->count++;
    queue->bytes += message->length;
}

struct mail_message *mail_take_first(struct mail_queue *queue)
{
    struct mail_message *message = queue->first;
    queue->first = message->next;
    if (queue->first == NULL)
        queue->last = NULL;
    queue->count--;
    queue->bytes -= message->length;
    return message;
}

bool mail_has_room(const struct mail_queue *queue, size_t bytes)
{
    return queue->count == 0 || (queue->count < MAIL_QUEUE_COUNT && queue->bytes + bytes <= MAIL_QUEUE_BYTES);
}

/* ---- peers ---- */

static struct mail_peer **bucket_of(struct vm_mail *mail, const char *name, size_t length)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)name[i]) * 16777619u;
    return &mail->buckets[hash % MAIL_BUCKETS];
}

static bool grow_peers(struct vm_mail *mail)
{
    uint32_t capacity = mail->peer_capacity > 0 ? 2 * mail->peer_capacity : 8;
    struct mail_peer **grown = vm_heap_realloc(&mail->vm->heap, mail->peers, mail->peer_capacity * sizeof *grown,
                                               capacity * sizeof *grown);
    if (grown == NULL)
        return false;
    mail->peers = grown;
    mail->peer_capacity = capacity;
    return true;
}

static struct mail_peer *add_peer(struct vm_mail *mail, const char *name, size_t length, struct mail_peer **bucket)
{
    if (mail->peer_count == mail->peer_capacity && !grow_peers(mail))
        return NULL;
    struct mail_peer *peer = mail_allocate(mail, sizeof *peer);
    if (peer == NULL)
        return NULL;
    *peer = (struct mail_peer){.out = {.fd = -1, .slot = -1}, .in = {.fd = -1, .slot = -1}, .chain = *bucket};
    memcpy(peer->name, name, length);
    *bucket = peer;
    mail->peers[mail->peer_count++] = peer;
    return peer;
}

struct mail_peer *mail_peer(struct vm_mail *mail, const char *name, size_t length)
{
    struct mail_peer **bucket = bucket_of(mail, name, length);
    for (struct mail_peer *peer = *bucket; peer != NULL; peer = peer->chain)
        if (strncmp(peer->name, name, length) == 0 && peer->name[length] == '\0')
            return peer;
    return length >= 1 && length <= BX_NAME_MAX ? add_peer(mail, name, length, bucket) : NULL;
}

void mail_mark_ready(struct vm_mail *mail, struct mail_peer *peer)
{
    peer->next_ready = NULL;
    if (mail->ready_last != NULL)
        mail->ready_last->next_ready = peer;
    else
        mail->ready_first = peer;
    mail->ready_last = peer;
}

struct mail_message *vm_mail_next(struct vm_mail *mail, struct mail_peer **from)
{
    struct mail_peer *peer = mail->ready_first;
    if (peer == NULL)
        return NULL;
    mail->ready_first = peer->next_ready;
    if (mail->ready_first == NULL)
        mail->ready_last = NULL;
    struct mail_message *message = mail_take_first(&peer->in.inbox);
    mail->waiting--;
    if (peer->in.inbox.count > 0)
        mail_mark_ready(mail, peer);
    *from = peer;
    return message;
}

void vm_mail_put_back(struct vm_mail *mail, struct mail_peer *peer, struct mail_message *message)
{
    struct mail_queue *inbox = &peer->in.inbox;
    if (inbox->count == 0)
        mail_mark_ready(mail, peer);
    message->next = inbox->first;
    inbox->first = message;
    if (inbox->last == NULL)
        inbox->last = message;
    inbox->count++;
    inbox->bytes += message->length;
    mail->waiting++;
}

/* ---- opening ---- */

/* Two lives of one VM are never the same number: the clock of the machine goes on between them. */
static uint64_t make_incarnation(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec + 1;
}

int vm_mail_open(struct vm *vm)
{
    if (vm->mail != NULL)
        return 0;
    struct vm_mail *mail = vm_heap_realloc(&vm->heap, NULL, 0, sizeof *mail);
    if (mail == NULL)
        return -ENOMEM;
    int fd = mail_listen();
    if (fd < 0) {
        vm_heap_realloc(&vm->heap, mail, sizeof *mail, 0);
        return fd;
    }
    *mail = (struct vm_mail){.vm = vm, .listener = fd, .slot = -1, .incarnation = make_incarnation()};
    vm->mail = mail;
    return 0;
}

/* ---- the poll round ---- */

static int add_polled(struct pollfd *fds, unsigned *count, unsigned max, int fd, short events)
{
    if (fd < 0 || events == 0 || *count == max)
        return -1;
    fds[*count] = (struct pollfd){fd, events, 0};
    return (int)(*count)++;
}

/* When it is time to connect again: as long as there is something to send. */
static uint64_t next_try(const struct mail_out *out)
{
    return out->state == MAIL_CLOSED && out->kept.count > 0 ? out->retry_us : UINT64_MAX;
}

unsigned vm_mail_prepare(struct vm_mail *mail, struct pollfd *fds, unsigned max, int *timeout_ms)
{
    unsigned count = 0;
    uint64_t soonest = UINT64_MAX;
    mail->slot = add_polled(fds, &count, max, mail->listener, POLLIN);
    for (uint32_t i = 0; i < mail->peer_count; i++) {
        struct mail_peer *peer = mail->peers[i];
        peer->in.slot = add_polled(fds, &count, max, peer->in.fd, mail_in_events(&peer->in));
        peer->out.slot = add_polled(fds, &count, max, peer->out.fd, mail_out_events(mail, &peer->out));
        if (next_try(&peer->out) < soonest)
            soonest = next_try(&peer->out);
    }
    if (soonest != UINT64_MAX) {
        int wait = bx_ms_until(soonest);
        *timeout_ms = *timeout_ms < 0 || wait < *timeout_ms ? wait : *timeout_ms;
    }
    return count;
}

static short seen(const struct pollfd *fds, int slot)
{
    return slot >= 0 ? fds[slot].revents : 0;
}

void vm_mail_attend(struct vm_mail *mail, const struct pollfd *fds)
{
    uint64_t now = bx_now_us();
    mail->busy = true;
    for (uint32_t i = 0; i < mail->peer_count; i++) {
        struct mail_peer *peer = mail->peers[i];
        short in = seen(fds, peer->in.slot), out = seen(fds, peer->out.slot);
        if (in != 0)
            mail_in_attend(mail, peer, in);
        if (out != 0)
            mail_out_attend(mail, peer, out);
        if (next_try(&peer->out) <= now)
            mail_out_push(mail, peer, now);
    }
    if (seen(fds, mail->slot) != 0)
        mail_in_accept(mail);
    mail->busy = false;
}

/* ---- the end ---- */

/* What is still to be waited for: peers that have everything but have not taken it, or peers that have not. */
static bool is_drained(const struct vm_mail *mail, uint64_t waited_us)
{
    for (uint32_t i = 0; i < mail->peer_count; i++) {
        const struct mail_out *out = &mail->peers[i]->out;
        uint64_t limit = out->state == MAIL_OPEN && out->next == NULL ? DRAIN_HELD_US : DRAIN_AWAY_US;
        if (out->kept.count > 0 && out->why != ENOENT && waited_us < limit)
            return false;
    }
    return true;
}

static void say_what_is_lost(const struct vm_mail *mail)
{
    for (uint32_t i = 0; i < mail->peer_count; i++) {
        const struct mail_out *out = &mail->peers[i]->out;
        if (out->kept.count > 0 && (out->state != MAIL_OPEN || out->next != NULL))
            fprintf(stderr, "bioxen: %u message%s for '%s' could not be delivered: %s\n", out->kept.count,
                    out->kept.count == 1 ? "" : "s", mail->peers[i]->name, vm_mail_why(out->why));
    }
}

void vm_mail_drain(struct vm *vm)
{
    enum { POLLED_MAX = 1 + 2 * MAIL_LINKS_MAX };
    struct pollfd fds[POLLED_MAX];
    struct vm_mail *mail = vm->mail;
    const uint64_t start = bx_now_us();
    if (mail == NULL || vm->stopping)
        return;
    mail->wants_taken = true;
    while (!is_drained(mail, bx_now_us() - start)) {
        int timeout_ms = 100; /* limits are looked at again; nothing else wakes it up */
        unsigned count = vm_mail_prepare(mail, fds, POLLED_MAX, &timeout_ms);
        if (poll(fds, count, timeout_ms) >= 0)
            vm_mail_attend(mail, fds);
        vm_attend(vm);
        if (vm->stopping)
            return;
    }
    say_what_is_lost(mail);
}

bool vm_mail_waits(const struct vm *vm)
{
    return vm->mail != NULL && vm->mail->waiting > 0;
}

const char *vm_mail_why(int why)
{
    switch (why) {
    case 0: return "it does not take them";
    case ENOENT: return "there is no such peer";
    case ECONNREFUSED: return "connection refused: its script does not use bioxen, or has ended";
    case EPROTO: return "it does not speak as bioxen does";
    default: return strerror(why);
    }
}
