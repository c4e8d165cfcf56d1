/*
 * mail.h - messages from VM to VM (docs/messages.md): who they are for, what was not taken yet, and the connections.
 *
 * For each peer there are two connections at most: we made the one on which we send, it made the one on which we
 * receive. A message that was sent is kept until its receiver has said that its script took it, and is sent again over
 * the next connection if this one ends before. Nothing here believes what a connection says, and nothing runs Lua.
 */
#ifndef BX_VM_MAIL_H
#define BX_VM_MAIL_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/limits.h"
#include "common/mail_wire.h"
#include "common/values.h"
#include "vm.h"

/* Each way. A VM has 512 descriptors for sockets, and its script wants some of them. */
#define MAIL_LINKS_MAX 160

/* Messages that wait at one end, for each peer: when there are more the sender waits. One always has room. */
#define MAIL_QUEUE_BYTES (1024u * 1024u)
#define MAIL_QUEUE_COUNT 1024u

/* A peer that takes nothing for so long is said to be away. */
#define MAIL_AWAY_MS 30000u

struct mail_message {
    struct mail_message *next;
    uint64_t number, incarnation;
    int64_t tables;      /* of a body that came in */
    uint32_t length;     /* of `bytes`, as far as they are in use */
    uint32_t capacity;
    char bytes[];        /* going out: head and body; coming in: the body */
};

struct mail_queue {
    struct mail_message *first, *last;
    uint32_t count;
    size_t bytes;
};

enum mail_state { MAIL_CLOSED, MAIL_CONNECTING, MAIL_OPEN };

/* What we send to a peer. */
struct mail_out {
    int fd;
    int slot;                     /* in what is polled, or -1 */
    enum mail_state state;
    struct mail_queue kept;       /* what was not taken */
    struct mail_message *next;    /* of them: what is to be written on this connection; NULL: all was */
    size_t written;               /* bytes of that */
    unsigned char hello[sizeof(struct mail_head) + sizeof(struct mail_hello)];
    size_t hello_written;
    uint64_t last_number, taken;
    unsigned char head[sizeof(struct mail_head)]; /* of what it says */
    size_t head_filled;
    uint64_t retry_us, away_us, used_us; /* away_us: since then it cannot be reached; 0: it can */
    unsigned backoff_ms;
    int why;                      /* errno of the last failure; ENOENT: there is no such peer */
};

/* What we receive from it. */
struct mail_in {
    int fd;
    int slot;
    bool greeted;
    uint64_t incarnation;         /* whose numbers these are */
    uint64_t received, taken;
    bool owes;                    /* it is not told of `taken` yet */
    unsigned char reply[sizeof(struct mail_head)];
    size_t reply_left;            /* bytes at its end that are still to be written */
    unsigned char head[sizeof(struct mail_head) + sizeof(struct mail_hello)]; /* the second part for the hello only */
    size_t head_filled;
    struct mail_head current;
    struct mail_message *partial; /* the body of `current`; NULL: it is skipped */
    uint32_t body_left;
    struct mail_queue inbox;
    uint64_t used_us;
};

struct mail_peer {
    struct mail_peer *chain;      /* of the same hash */
    struct mail_peer *next_ready;
    char name[BX_NAME_MAX + 1];
    uint32_t address;             /* from which it connected last, IPv4, host order */
    struct mail_out out;
    struct mail_in in;
};

#define MAIL_BUCKETS 64

struct vm_mail {
    struct vm *vm;
    int listener, slot;
    uint64_t incarnation;
    struct mail_peer **peers;
    uint32_t peer_count, peer_capacity;
    struct mail_peer *buckets[MAIL_BUCKETS];
    struct mail_peer *ready_first, *ready_last; /* those with messages, by turns */
    uint32_t waiting;             /* messages in all inboxes */
    uint32_t handed_out;          /* messages, ever */
    struct bx_values scratch;     /* where one is encoded */
    uint32_t in_count, out_count; /* connections */
    bool wants_taken;             /* somebody waits for room or for the end: TAKEN is of interest now */
    bool busy;                    /* in the middle of something: a finalizer's turn is not now */
    bool short_of_memory;         /* a message found none: collecting garbage may help */
};

/* ---- mail.c: peers and queues ---- */

void *mail_allocate(struct vm_mail *mail, size_t size);
void mail_free(struct vm_mail *mail, void *block, size_t size);

struct mail_message *mail_message_new(struct vm_mail *mail, uint32_t capacity);
void mail_message_free(struct vm_mail *mail, struct mail_message *message);
void mail_append(struct mail_queue *queue, struct mail_message *message);
struct mail_message *mail_take_first(struct mail_queue *queue);

/* The peer of that name; it is made when there is none. NULL: no memory. */
struct mail_peer *mail_peer(struct vm_mail *mail, const char *name, size_t length);

/* Is there room for one more message of that many bytes? */
bool mail_has_room(const struct mail_queue *queue, size_t bytes);

/* A message of that peer can be taken. */
void mail_mark_ready(struct vm_mail *mail, struct mail_peer *peer);

/* ---- net_open.c ---- */

/* A socket at MAIL_PORT, and one that is being connected to it; both do not block. Or -errno. */
int mail_listen(void);
int mail_connect(uint32_t address);

/* ---- mail_out.c ---- */

/* Queues a message (head and body, numbered here) and sends what can be sent. Steals it. */
void mail_out_post(struct vm_mail *mail, struct mail_peer *peer, struct mail_message *message);

/* Connects if there is something to send and it is time to, and writes what the connection takes. */
void mail_out_push(struct vm_mail *mail, struct mail_peer *peer, uint64_t now);
/* The same if there is nothing to send. */
void mail_out_connect(struct vm_mail *mail, struct mail_peer *peer);

/* Reads what it says of what was taken. */
void mail_out_read(struct vm_mail *mail, struct mail_peer *peer);

/* What it is to be polled for; 0: nothing. */
short mail_out_events(const struct vm_mail *mail, const struct mail_out *out);
void mail_out_attend(struct vm_mail *mail, struct mail_peer *peer, short events);

/* ---- mail_in.c ---- */

void mail_in_accept(struct vm_mail *mail);
short mail_in_events(const struct mail_in *in);
void mail_in_attend(struct vm_mail *mail, struct mail_peer *peer, short events);
void mail_in_close(struct vm_mail *mail, struct mail_peer *peer);

/* Its script has got this message: says so before anything else happens. */
void mail_in_taken(struct vm_mail *mail, struct mail_peer *peer, const struct mail_message *message);

#endif
