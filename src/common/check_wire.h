/*
 * check_wire.h - a topology file on its way from a client to bioxend: its text, and the variables that it names, in
 * one sealed memfd. What comes back is a MessagePack map in pieces (CTL_CHECK_PART, CTL_CHECKED).
 *
 * Layout: struct check_header, then the variables, each "NAME=value" and a NUL, then the text to the end.
 */
#ifndef BX_COMMON_CHECK_WIRE_H
#define BX_COMMON_CHECK_WIRE_H

#include <stddef.h>
#include <stdint.h>

#define CHECK_MAGIC 0x31435342u /* "BSC1" */

/* One byte more than is read of a topology file: that byte says that it is too large. */
#define CHECK_TEXT_MAX (1024u * 1024u + 1u)

/* All variables that one file names. The kernel takes 2 MiB of arguments and environment together. */
#define CHECK_VARIABLES_MAX      (2u * 1024u * 1024u)
#define CHECK_VARIABLE_COUNT_MAX 65536u

#define CHECK_MAX (sizeof(struct check_header) + CHECK_VARIABLES_MAX + CHECK_TEXT_MAX)

/* Bytes of an answer in one message. */
#define CHECK_PART (64u * 1024u)

struct check_header {
    uint32_t magic;
    uint32_t variables; /* bytes, at most CHECK_VARIABLES_MAX */
    uint32_t text;      /* bytes, at most CHECK_TEXT_MAX */
    uint32_t count;     /* of variables */
};

_Static_assert(sizeof(struct check_header) == 16, "wire layout");

struct check_source {
    const char *variables; /* `count` of them: "NAME=value", NUL-terminated, one behind the other */
    uint32_t count;
    const char *text;
    uint32_t text_length;
};

/* Reads a whole one: every size agrees, every variable has a name and ends. Returns 0 or -EBADMSG. */
int check_decode(const char *bytes, size_t length, struct check_source *out);

#endif
