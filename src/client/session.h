/* session.h - a session's inside, and what its files offer each other. */
#ifndef BX_CLIENT_SESSION_H
#define BX_CLIENT_SESSION_H

#include <stdbool.h>
#include <sys/types.h>

#include "bioxen.h"
#include "common/error.h"
#include "common/session_wire.h"

/* Bytes on their way: those from `start` to `end` are there. */
struct session_buffer {
    char *bytes;
    size_t start, end, capacity;
};

struct bioxen_session {
    int fd;
    uint32_t vm, number;
    pid_t owner;              /* the process that attached: in a child after fork nothing is shut down */
    uint64_t asked, answered; /* the last call that was asked for, and that was answered: what is between is open */
    struct session_buffer out, in;
    size_t handed_out;        /* bytes of `in` that the last reply points into */
    bool read_all;            /* the last read took all that there was */
    bool unheard;             /* the VM's end is gone: what we say goes nowhere */
    struct bx_error failed;   /* code 0 until the session is of no more use */
};

/* Takes the descriptor, which is non-blocking. NULL: no memory, and nothing was taken. */
bioxen_session *session_new(int fd, uint32_t vm, uint32_t number);

/* The session is over, for good: every later call fails like this one. Returns -code. */
int session_fail(bioxen_session *session, int code, const char *text, struct bx_error *err);

/* Sends what waits, as far as it goes. Never fails: a VM that is gone is noticed by whoever reads. */
void session_flush(bioxen_session *session);

/* As bioxen_session_next; in reply.c. */
int session_next(bioxen_session *session, struct bioxen_reply *reply, int timeout_ms, struct bx_error *err);

#endif
