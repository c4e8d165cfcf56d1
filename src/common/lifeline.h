/*
 * lifeline.h - the private SEQPACKET socket between bioxend and one VM (descriptor 3 inside the VM).
 *
 * bioxend hands the program down; the VM tells how it ended and asks for modules. Whatever a VM says is a
 * liar's word: sizes are checked before anything is read, and nothing that it says changes what the
 * kernel enforces. Its end of file tells a VM that bioxend is gone: it exits.
 */
#ifndef BX_COMMON_LIFELINE_H
#define BX_COMMON_LIFELINE_H

#include <stdint.h>

#include "limits.h"

#define LW_MAGIC 0x314c5842u /* "BXL1" */
#define LW_FD 3

enum lw_type {
    /* bioxend -> VM */
    LW_SPEC = 1,      /* one descriptor: the program (program.h). a = Lua heap ceiling in bytes, b = enum lw_mode */
    LW_MODULE = 2,    /* answer to LW_NEED: one descriptor with the text. text1 = the chunk's name */
    LW_NO_MODULE = 3, /* answer to LW_NEED: text1 = why not, for the error message of require */
    LW_SESSION = 4,   /* one descriptor: a session's stream socket (session_wire.h), non-blocking already. a = its
                         number, from 1. At any time */
    LW_INTERRUPT = 5, /* end a running call: a = session, b = call; both 0: whatever runs. text1 = "timeout" or
                         "interrupted". Answered by LW_UNWOUND when that call does not run, or no longer */
    LW_ADDRESS = 7,   /* answer to LW_NEED of an address: a = IPv4, host order; 0: there is no such peer */
    LW_NAME = 8,      /* answer to LW_NEED of a name: text1 = whose address it is; empty: nobody's that it may know */
    LW_PEERS = 9,     /* answer to LW_NEED of peers: text1 = some of them (struct lw_peer), a = what to ask for the next
                         ones with; 0: that was all */
    LW_STOP = 6,      /* serving: close the state (finalizers run) and exit with LW_DONE */
    /* VM -> bioxend */
    LW_READY = 64, /* locked: the syscall filter is on, nothing of the script was read yet */
    LW_NEED = 65,  /* b = enum lw_need, which says what the rest is */
    LW_DONE =
        66, /* the script ended: a = enum lw_outcome, b = exit status, text1 = message, text2 = traceback */
    LW_FATAL = 67,   /* last words: a = signal, b = number of the refused syscall (SIGSYS), else 0 */
    LW_UNWOUND = 68, /* answer to LW_INTERRUPT, one for each: a, b as there */
    LW_CLOSED = 69,  /* a session has ended, said once: a = its number */
    LW_SAYS_READY = 70, /* the script says that it is ready (bioxen.ready); said again, it means nothing more */
    LW_LISTENS = 71, /* a TCP socket of the script's began to listen: a = its port. As often as that happens */
};

/* When sessions are served, and what comes after the program's end. The numbers are those of vm_spec's `serve`. */
enum lw_mode {
    LW_RUN_ONCE = 0, /* no sessions; it ends with its program */
    LW_SERVE = 1,    /* they are served after the program's end, until LW_STOP; a program that fails is the end, too */
    LW_RUN = 2,      /* they are served while the program waits (bioxen.receive, sockets); it ends with it or LW_STOP */
};

enum lw_need {
    LW_NEED_MODULE = 0,  /* text1 = its name, as given to require */
    LW_NEED_ADDRESS = 1, /* text1 = the name of a peer */
    LW_NEED_NAME = 2,    /* a = the address of a peer, IPv4, host order */
    LW_NEED_PEERS = 3,   /* a = 0, or what the last answer said. The set may change between two questions */
};

enum lw_outcome { LW_OK = 0, LW_ERROR = 1, LW_SYNTAX = 2, LW_EXIT = 3, LW_MEMORY = 4 };

struct lw_header {
    uint32_t magic;
    uint32_t type;    /* enum lw_type */
    uint64_t a;
    int64_t b;
    uint32_t length1; /* bytes of text1, at most BX_MESSAGE_MAX; not NUL-terminated, any bytes */
    uint32_t length2; /* bytes of text2, likewise; text2 follows text1 */
};

_Static_assert(sizeof(struct lw_header) == 32, "wire layout");

#define LW_FRAME_MAX (sizeof(struct lw_header) + 2 * BX_MESSAGE_MAX)

struct lw_frame {
    uint32_t type;
    uint64_t a;
    int64_t b;
    const char *text1, *text2; /* into the caller's buffer */
    uint32_t length1, length2;
};

/* Who may begin: roles of a peer, as the one who asks sees it. */
enum lw_role {
    LW_ROLE_SERVER = 1, /* it serves `port`, which one may connect to */
    LW_ROLE_CLIENT = 2, /* it may connect to one's own `port` */
    LW_ROLE_PEER = 3,   /* both */
};

/* One peer in the text of LW_PEERS: this, without padding, and its name. A peer on two ports is there twice. */
struct lw_peer {
    uint32_t address;    /* IPv4, host order */
    uint16_t port;       /* 0: any port (all of a default network may talk) */
    uint8_t role;        /* enum lw_role */
    uint8_t name_length; /* 1..BX_NAME_MAX */
};

_Static_assert(sizeof(struct lw_peer) == 8, "wire layout");

/* Appends a peer to *length bytes in `out` (`size` bytes). Returns 0, or -ENOSPC. */
int lw_put_peer(const struct lw_peer *peer, const char *name, char *out, uint32_t size, uint32_t *length);

/*
 * Reads the peer at *at (from 0) of a text and moves *at on; *name points into the text. Returns 1, 0 at the end, or
 * -EBADMSG for what is no peer.
 */
int lw_next_peer(const char *text, uint32_t length, uint32_t *at, struct lw_peer *out, const char **name);

/* Writes a frame into `out` (LW_FRAME_MAX bytes); texts longer than BX_MESSAGE_MAX are cut. Returns its size. */
uint32_t lw_encode(const struct lw_frame *frame, void *out);

/* Reads one whole message. Returns 0, or -EBADMSG when its size, magic or lengths do not agree. */
int lw_decode(const void *bytes, uint64_t length, struct lw_frame *out);

#endif
