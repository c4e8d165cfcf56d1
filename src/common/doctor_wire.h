/*
 * doctor_wire.h - what the jailer's doctor mode tells the command line: one fixed-size record a finding.
 *
 * A private SEQPACKET socket, one direction: DOCTOR_HELLO, then a DOCTOR_FINDING for each thing that was
 * tried, then DOCTOR_DONE. An end of file without DOCTOR_DONE means that the doctor died.
 */
#ifndef BX_COMMON_DOCTOR_WIRE_H
#define BX_COMMON_DOCTOR_WIRE_H

#include <stddef.h>
#include <stdint.h>

#define DOCTOR_MAGIC 0x31445842u /* "BXD1" */

enum doctor_type { DOCTOR_HELLO = 1, DOCTOR_FINDING = 2, DOCTOR_DONE = 3 };

enum doctor_status {
    DOCTOR_OK = 0,
    DOCTOR_DEGRADED = 1, /* something weaker takes its place */
    DOCTOR_MISSING = 2,  /* what needs it is refused */
};

struct doctor_record {
    uint32_t magic;
    uint32_t type;    /* enum doctor_type */
    uint8_t status;   /* FINDING: enum doctor_status */
    uint8_t required; /* FINDING: 1 when `run` with its default options needs it */
    uint8_t
        privileged; /* HELLO: 1 when the jailer has the privileges to work without a user namespace of its own */
    uint8_t pad[5];
    char id[32]; /* lower case letters, digits, '-' */
    char title[64];
    char needed_by[64];
    char note[192];  /* ok: what was seen, or empty */
    char cause[320]; /* not ok: why */
    char fix[640];   /* not ok: one command that mends it, or empty when there is none */
};

_Static_assert(sizeof(struct doctor_record) == 16 + 32 + 64 + 64 + 192 + 320 + 640,
               "wire layout: no hidden padding");

/* Checks a record as it came off the socket: size, magic, type, status, every text terminated. Returns NULL when it is
 * sound, else a constant text that says what is wrong. */
const char *doctor_record_check(const void *bytes, size_t length);

#endif
