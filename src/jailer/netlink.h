/*
 * netlink.h - messages for the kernel's network, by libnl: put together, sent in one go, answered in one go.
 *
 * It makes no decision, keeps no state of the network, and reads nothing but the kernel's answers.
 */
#ifndef BX_JAILER_NETLINK_H
#define BX_JAILER_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/netlink.h>

/* Messages of one batch, and elements of a set in one (large) message. */
#define NETLINK_BATCH_MAX    48
#define NETLINK_ELEMENTS_MAX 160

struct nl_sock;
struct nl_msg;

struct netlink {
    struct nl_sock *socket;
    struct nl_msg *messages[NETLINK_BATCH_MAX];
    unsigned count;
    int failed;        /* -errno of what could not be put together; told by netlink_talk */
    uint32_t sequence; /* of the last message */
    /* Of the last answer to a request that has one: the kernel's message, cut. */
    size_t answer_length;
    _Alignas(NLMSG_ALIGNTO) char answer[2048];
};

/*
 * `protocol` is NETLINK_ROUTE or NETLINK_NETFILTER. The socket belongs to the network namespace in which this process
 * is now, also after it has left. Returns 0 or -errno.
 */
int netlink_open(struct netlink *nl, int protocol);
void netlink_close(struct netlink *nl);
bool netlink_is_open(const struct netlink *nl);

/* Starts a message with its family's header; `flags` beside NLM_F_REQUEST. */
void netlink_begin(struct netlink *nl, uint16_t type, uint16_t flags, const void *family, size_t size);
/* The same, for one that holds a list of elements. */
void netlink_begin_large(struct netlink *nl, uint16_t type, uint16_t flags, const void *family, size_t size);
void netlink_put(struct netlink *nl, uint16_t type, const void *data, size_t size);
void netlink_put_text(struct netlink *nl, uint16_t type, const char *text);
void netlink_put_u8(struct netlink *nl, uint16_t type, uint8_t value);
void netlink_put_u32(struct netlink *nl, uint16_t type, uint32_t value);
void netlink_put_u64(struct netlink *nl, uint16_t type, uint64_t value);
/* Numbers as nf_tables has them. */
void netlink_put_be32(struct netlink *nl, uint16_t type, uint32_t value);
void netlink_put_be64(struct netlink *nl, uint16_t type, uint64_t value);
/* Bytes without an attribute around them. */
void netlink_raw(struct netlink *nl, const void *data, size_t size);
struct nlattr *netlink_nest(struct netlink *nl, uint16_t type);
void netlink_nest_end(struct netlink *nl, struct nlattr *nest);

/* Sends what was put together. The kernel works on it before this returns: 0, or the first error of any message. */
int netlink_talk(struct netlink *nl);

/* The payload of an attribute of the last answer, whose family's header has `header` bytes; NULL: it has none such. */
const void *netlink_answer(const struct netlink *nl, size_t header, uint16_t type, size_t size);

#endif
