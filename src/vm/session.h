/*
 * session.h - one client of a serving VM, as session.c and execute.c see it.
 */
#ifndef BX_VM_SESSION_H
#define BX_VM_SESSION_H

#include "common/session_wire.h"
#include "common/values.h"
#include "vm.h"

/* Calls that were interrupted before they came: as many are remembered. */
#define SESSION_CANCELLED_MAX 16

struct vm_session {
    uint64_t number;
    int fd;
    bool ended;          /* the client asks nothing more */
    bool broken;         /* nor will it be answered */
    bool ready;          /* a whole request is there, its head is `head` */
    bool is_eager;       /* the last read filled the buffer */
    char *in;            /* what was read and not served: from `start` to `end` */
    size_t start, end, size;
    size_t need;         /* bytes of the next request: its head, as long as that is not there */
    struct sw_head head;
    uint64_t skip;       /* bytes to come of a request that is too large for the VM's memory */
    uint64_t last;       /* the call that came last */
    struct bx_values out; /* answers; the first `sent` bytes are gone */
    size_t sent;
    size_t partial;      /* where an answer begins that is being written, else SIZE_MAX */
    unsigned cancelled_count;
    struct {
        uint64_t call;
        enum vm_interrupt why;
    } cancelled[SESSION_CANCELLED_MAX];
};

/* ---- execute.c ---- */

/* Serves a request; `body` may be gone afterwards. The answer is in session->out; a request that makes no sense
 * breaks the session. */
void vm_execute(struct vm *vm, struct vm_session *session, const struct sw_head *head, const char *body);

/* Answers a request without serving it. */
void vm_refuse(struct vm *vm, struct vm_session *session, const struct sw_head *head, enum sw_error_kind kind,
               const char *message);

/* An answer of a few words always fits, if this much is free. */
#define SESSION_RESERVE 128

/* ---- session.c ---- */

/* What was read is not needed any more: gives a large buffer back. */
void vm_session_release(struct vm *vm, struct vm_session *session);

/* Writes as much as the client takes. */
void vm_session_flush(struct vm_session *session);

/* Bytes of whole answers that are to be sent. (A finalizer can run, and exit, while an answer is being written.) */
static inline size_t vm_session_unsent(const struct vm_session *session)
{
    size_t whole = session->out.length < session->partial ? session->out.length : session->partial;
    return whole - session->sent;
}

#endif
