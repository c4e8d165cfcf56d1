/*
 * control.h - the control socket between a client and bioxend: SEQPACKET messages of a fixed head and a body.
 *
 * A body is one MessagePack map; CTL_OUTPUT, CTL_CHECK_PART, CTL_CHECKED and those that name a struct have raw bytes.
 * A reply carries its request's id; what bioxend says by itself has the id 0. Host order: both ends are on one machine.
 */
#ifndef BX_COMMON_CONTROL_H
#define BX_COMMON_CONTROL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "limits.h"

#define CTL_MAGIC 0x31435842u /* "BXC1" */

/* Bytes of output in one message: small enough to interleave VMs, large enough to cost little. */
#define CTL_OUTPUT_CHUNK (32u * 1024u)

enum ctl_type {
    /* client -> bioxend */
    CTL_CREATE = 1,    /* vm_spec; descriptors: the program, then each mount */
    CTL_KILL = 2,      /* {vm, signal}: no reply */
    CTL_MODULE = 3,    /* {vm, text: chunk name}; one descriptor with the text. Answers CTL_NEED */
    CTL_NO_MODULE = 4, /* {vm, text: why}. Answers CTL_NEED */
    CTL_ATTACH = 5,    /* {vm}. Reply: CTL_ATTACHED or CTL_ERROR */
    CTL_INTERRUPT = 6, /* struct ctl_interrupt: no reply. A VM that has not unwound the call after a grace is killed */
    CTL_STOP = 7,      /* {vm, number: grace in ms}: finalizers, the end; SIGKILL after the grace. Reply: CTL_DEATH */
    CTL_STATS = 8,     /* {vm}. Reply: CTL_STATISTICS or CTL_ERROR */
    CTL_NETWORK = 10,  /* {vm}: connect a VM of VM_NETWORK_LATE now. Reply: CTL_NETWORKED or CTL_ERROR */
    CTL_CHECK = 9,     /* {number: bytes of the source, text: a name for what has none}; one descriptor: the source, a
                          sealed memfd (check_wire.h). Reply: any CTL_CHECK_PART and CTL_CHECKED, or CTL_ERROR */
    CTL_LISTEN = 11,   /* {}; one descriptor: a listening SEQPACKET socket, for more clients. From the owner only.
                          Reply: CTL_DONE or CTL_ERROR */
    /* of topologies. Names are TOPOLOGY/NAME, or NAME where it is unique. Reply: any CTL_ANSWER_PART and CTL_ANSWER, or
       CTL_ERROR */
    CTL_UP = 16,      /* as CTL_CHECK: begins to send a topology, under the request's id. Reply: CTL_ERROR, or later */
    CTL_UP_PART = 17, /* struct ctl_part and its text; one descriptor. What belongs to it; the same id. No reply */
    CTL_UP_GO = 18,   /* {number: set of enum ctl_up_flag}: all was sent. Replies to the same id */
    CTL_DOWN = 19,    /* {text: topology, or "" for all} */
    CTL_LIST = 20,    /* {number: enum ctl_list, text: topology, or "" for all} */
    CTL_INSPECT = 21, /* {text: name} */
    CTL_VERB = 22,    /* {vm: enum ctl_verb, number: grace in ms, text: name} */
    CTL_LOGS = 23,    /* struct ctl_logs and the name: "TOPOLOGY/" is all of it. Also any CTL_LOG */
    CTL_EVENTS = 24,  /* {text: topology, or "" for all}. Also any CTL_CHANGE */
    CTL_ENOUGH = 25,  /* {number: id of CTL_LOGS or CTL_EVENTS}: it is answered now; or of CTL_UP: no more comes,
                         and it is forgotten. No reply of its own */
    /* bioxend -> client */
    CTL_CREATED = 64,  /* {vm}: it runs */
    CTL_ERROR = 65,    /* {code: errno, text} */
    CTL_OUTPUT = 66,   /* struct ctl_output, then the bytes */
    CTL_DEATH = 67,    /* struct death_frame and the record; wait_us is 0. Nothing follows */
    CTL_NEED = 68,     /* {vm, text: the module's name}: one at a time for each VM */
    CTL_ATTACHED = 69, /* {vm, number: the session}; one descriptor: the session's stream socket, non-blocking */
    CTL_STATISTICS = 70, /* struct ctl_statistics */
    CTL_NETWORKED = 73, /* {vm, number: its address, IPv4, host order} */
    CTL_CHECK_PART = 71, /* a piece of what was found out about a topology file; all pieces are one MessagePack map */
    CTL_CHECKED = 72,    /* the last piece */
    CTL_ENDED = 75,      /* as CTL_DEATH: it is started again after wait_us */
    CTL_AGAIN = 76,      /* {vm, number: how often}: it runs again */
    CTL_DONE = 74,       /* {}: what was asked for was done */
    CTL_ANSWER_PART = 80, /* a piece of an answer; all pieces are one MessagePack value */
    CTL_ANSWER = 81,      /* the last piece */
    CTL_LOG = 82,         /* struct ctl_log, then the VM's name, then bytes */
    CTL_CHANGE = 83,      /* a MessagePack map */
};

enum ctl_up_flag { CTL_UP_DRY_RUN = 1, CTL_UP_WAIT = 2 };
enum ctl_list { CTL_LIST_VMS = 1, CTL_LIST_TOPOLOGIES = 2, CTL_LIST_DEATHS = 3, CTL_LIST_STATS = 4 };
enum ctl_verb { CTL_VERB_START = 1, CTL_VERB_STOP = 2, CTL_VERB_RESTART = 3, CTL_VERB_KILL = 4 };

/* What a topology needs beside its file: bytes are in a sealed memfd, as many as are said. */
enum ctl_part_kind {
    CTL_PART_PROGRAM = 1, /* the text of program `index` (of the check's list); text: its chunk's name */
    CTL_PART_MODULE = 2,  /* a module of program `index`; text: its name, a NUL, its chunk's name */
    CTL_PART_MOUNT = 3,   /* an O_PATH descriptor: mount `sub` of VM `index` (of the topology's list) */
    CTL_PART_APP = 4,     /* likewise: the directory of program `index`, for VMs of the full profile */
};

struct ctl_part {
    uint32_t kind;
    uint32_t index, sub;
    uint32_t bytes;
};

struct ctl_logs {
    uint64_t since_us; /* CLOCK_REALTIME, 0: all */
    uint32_t follow;
    uint32_t zero;
};

struct ctl_log {
    uint32_t vm;
    uint32_t stream;  /* 1 stdout, 2 stderr; 0: `skipped` bytes are lost, and none are here */
    uint64_t time_us; /* CLOCK_REALTIME */
    uint64_t skipped;
    uint32_t name;    /* bytes of the VM's name, TOPOLOGY/NAME */
    uint32_t zero;
};

struct ctl_head {
    uint32_t magic;
    uint32_t type;   /* enum ctl_type */
    uint32_t id;     /* chosen by the client */
    uint32_t length; /* of the body, bytes */
};

struct ctl_output {
    uint32_t vm;
    uint32_t stream; /* 1 stdout, 2 stderr */
};

/* Why a call is to end. */
enum ctl_interrupt_reason { CTL_BY_TIMEOUT = 1, CTL_BY_CLIENT = 2 };

struct ctl_interrupt {
    uint32_t vm;
    uint32_t session; /* both 0: whatever runs; else neither is 0 */
    uint64_t call;
    uint32_t reason;  /* enum ctl_interrupt_reason */
    uint32_t grace_ms;
};

struct ctl_statistics {
    uint32_t vm;
    uint32_t sessions;
    uint64_t uptime_us;
    uint64_t cpu_us;       /* user and system */
    uint64_t memory;       /* bytes: the cgroup's figure where it has one, else the resident set */
    uint64_t memory_peak;  /* bytes, likewise */
    uint64_t output_bytes;
};

_Static_assert(sizeof(struct ctl_interrupt) == 24 && sizeof(struct ctl_statistics) == 48, "wire layout");
/* Bytes of a message; not NUL-terminated. */
struct ctl_bytes {
    const char *bytes;
    size_t length;
};

_Static_assert(sizeof(struct ctl_part) == 16 && sizeof(struct ctl_logs) == 16 && sizeof(struct ctl_log) == 32, "wire");
_Static_assert(sizeof(struct ctl_head) == 16 && sizeof(struct ctl_output) == 8, "wire layout");

/* Room for a note with the longest text: head, map and keys take less than 64 bytes. */
#define CTL_NOTE_MAX (sizeof(struct ctl_head) + 64 + BX_MESSAGE_MAX)

/*
 * Small bodies: {vm, number, text}. `number` is the signal of CTL_KILL, the errno of CTL_ERROR; unused
 * parts are zero.
 */
struct ctl_note {
    uint32_t vm;
    uint32_t number;
    const char *text; /* into the decoded bytes; not NUL-terminated */
    uint32_t length;
};

/*
 * Writes a whole message around a note into `out` (CTL_NOTE_MAX bytes). Returns its size, or 0 when the
 * text is too long.
 */
size_t ctl_encode_note(uint32_t type, uint32_t id, const struct ctl_note *note, void *out);

/* Reads a note's body. Returns 0 or -EBADMSG. */
int ctl_decode_note(const char *body, size_t length, struct ctl_note *out);

/* Read the bodies that are structs: their size, and what each part may be. Return 0 or -EBADMSG. */
int ctl_decode_interrupt(const char *body, size_t length, struct ctl_interrupt *out);
int ctl_decode_statistics(const char *body, size_t length, struct ctl_statistics *out);

/* The same for structs that a text, or bytes, follow: *rest is what is behind, to the end of the body. */
int ctl_decode_part(const char *body, size_t length, struct ctl_part *out, struct ctl_bytes *rest);
int ctl_decode_logs(const char *body, size_t length, struct ctl_logs *out, struct ctl_bytes *rest);
int ctl_decode_log(const char *body, size_t length, struct ctl_log *out, struct ctl_bytes *name,
                   struct ctl_bytes *rest);

/* Checks a whole message; *body is what follows the head. Returns 0 or -EBADMSG. */
int ctl_decode_head(const void *bytes, size_t length, struct ctl_head *head, const char **body);

#endif
