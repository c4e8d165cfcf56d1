/*
 * doctor_netlink.h - the few netlink messages that the doctor sends, built by hand into one small buffer.
 *
 * No library: the one for links and qdiscs does not speak nftables, and linked statically it would bring name
 * resolution into a privileged program. It reads nothing but the kernel's acknowledgements.
 */
#ifndef BX_JAILER_DOCTOR_NETLINK_H
#define BX_JAILER_DOCTOR_NETLINK_H

#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

#define NL_BUFFER 4096

struct netlink {
    int fd;
    uint32_t sequence;
    uint32_t acks;            /* acknowledgements that the buffer's messages will cause */
    size_t used;              /* bytes of whole messages, and of the one being built */
    struct nlmsghdr *message; /* the one being built */
    _Alignas(NLMSG_ALIGNTO) char buffer[NL_BUFFER];
};

/* `protocol` is NETLINK_ROUTE or NETLINK_NETFILTER; in the present network namespace. Returns 0 or -errno. */
int netlink_open(struct netlink *nl, int protocol);
void netlink_close(struct netlink *nl);

/* Starts a message with its family header. `flags` beside NLM_F_REQUEST; with NLM_F_ACK its answer is awaited. */
void netlink_begin(struct netlink *nl, uint16_t type, uint16_t flags, const void *family, size_t size);
void netlink_put(struct netlink *nl, uint16_t type, const void *data, size_t size);
void netlink_put_text(struct netlink *nl, uint16_t type, const char *text);
void netlink_put_u32(struct netlink *nl, uint16_t type, uint32_t value);
struct nlattr *netlink_nest(struct netlink *nl, uint16_t type);
void netlink_nest_end(struct netlink *nl, struct nlattr *nest);
/* Bytes without an attribute header: the family header inside a nest. */
void netlink_raw(struct netlink *nl, const void *data, size_t size);

/* Sends everything that was begun and waits for its acknowledgements. Returns 0 or the first -errno. */
int netlink_talk(struct netlink *nl);

#endif
