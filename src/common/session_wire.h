/*
 * session_wire.h - the stream socket between a client and one VM. bioxend makes the pair and hands one end to
 * each; it is not on the path of a call.
 *
 * Either way: a fixed head, then `length` bytes. A client's requests are served in the order in which they come;
 * the answer carries the request's number, and what the script printed meanwhile comes before it. No side
 * believes the other's sizes: a head that is out of bounds ends the session. Neither side takes descriptors from
 * it. Host order: both ends are on one machine.
 */
#ifndef BX_COMMON_SESSION_WIRE_H
#define BX_COMMON_SESSION_WIRE_H

#include <stdint.h>

/* The most that one request or one answer carries: code, arguments, results. Past it: a clear error. */
#define SW_BODY_MAX (64u * 1024u * 1024u)

enum sw_type {
    /* client -> VM. Body: `name_length` bytes of text, then the arguments (values.h) */
    SW_EXECUTE = 1, /* the text is a chunk; the arguments are its `...` */
    SW_CALL = 2,    /* the text names a global function, or one in tables: "math.sqrt" */
    /* VM -> client */
    SW_RESULT = 64, /* body: values */
    SW_ERROR = 65,  /* kind; body: struct sw_error, message, traceback, then one value: the error object */
    SW_OUTPUT = 66, /* kind: 1 stdout, 2 stderr. Body: bytes, at least one, at most SW_OUTPUT_MAX */
};

#define SW_OUTPUT_MAX (64u * 1024u)

enum sw_error_kind {
    SW_FAILED = 1,      /* a Lua error */
    SW_SYNTAX = 2,      /* the chunk does not compile */
    SW_MEMORY = 3,      /* "not enough memory" */
    SW_TIMEOUT = 4,     /* its deadline passed, before or while it ran */
    SW_INTERRUPTED = 5, /* somebody interrupted it */
    SW_CONVERSION = 6,  /* a result or argument cannot cross; the message names its path */
    SW_TOO_LARGE = 7,   /* the results are larger than SW_BODY_MAX */
};

struct sw_head {
    uint32_t length;      /* of what follows, at most SW_BODY_MAX */
    uint8_t type;         /* enum sw_type */
    uint8_t kind;         /* SW_ERROR: enum sw_error_kind; SW_OUTPUT: the stream; else 0 */
    uint16_t zero;
    uint64_t call;        /* chosen by the client, rising, never 0 */
    uint64_t deadline_us; /* requests: CLOCK_MONOTONIC, 0 is none. A call whose time has passed is not begun */
    uint32_t name_length; /* requests: bytes of text in the body, at most `length`; else 0 */
    uint32_t zero2;
};

/* The head of SW_ERROR's body. Both texts are bounded: a script chooses how long its errors are. */
struct sw_error {
    uint32_t message_length;   /* at most BX_MESSAGE_MAX */
    uint32_t traceback_length; /* likewise */
};

_Static_assert(sizeof(struct sw_head) == 32 && sizeof(struct sw_error) == 8, "wire layout");

#endif
