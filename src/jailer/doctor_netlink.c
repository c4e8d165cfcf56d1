/* doctor_netlink.c - a writer of netlink messages and a reader of acknowledgements. */
#include "jailer/doctor_netlink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

int netlink_open(struct netlink *nl, int protocol)
{
    memset(nl, 0, sizeof *nl);
    nl->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    if (nl->fd < 0)
        return -errno;
    struct timeval patience = {.tv_sec = 2};
    setsockopt(nl->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return 0;
}

void netlink_close(struct netlink *nl)
{
    close(nl->fd);
    nl->fd = -1;
}

/* Appends to the message that is being built. Every message here is constant and small: not fitting is a bug. */
static void *grow(struct netlink *nl, size_t size)
{
    size_t aligned = NLMSG_ALIGN(size);
    if (aligned > sizeof nl->buffer - nl->used)
        abort();
    void *at = nl->buffer + nl->used;
    memset(at, 0, aligned);
    nl->used += aligned;
    if (nl->message != NULL)
        nl->message->nlmsg_len += (uint32_t)aligned;
    return at;
}

void netlink_begin(struct netlink *nl, uint16_t type, uint16_t flags, const void *family, size_t size)
{
    nl->message = NULL;
    struct nlmsghdr *header = grow(nl, NLMSG_HDRLEN);
    header->nlmsg_len = NLMSG_HDRLEN;
    header->nlmsg_type = type;
    header->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    header->nlmsg_seq = ++nl->sequence;
    nl->message = header;
    if ((flags & NLM_F_ACK) != 0)
        nl->acks++;
    netlink_raw(nl, family, size);
}

void netlink_raw(struct netlink *nl, const void *data, size_t size)
{
    memcpy(grow(nl, size), data, size);
}

void netlink_put(struct netlink *nl, uint16_t type, const void *data, size_t size)
{
    struct nlattr *attribute = grow(nl, NLA_HDRLEN + size);
    attribute->nla_type = type;
    attribute->nla_len = (uint16_t)(NLA_HDRLEN + size);
    if (size > 0)
        memcpy((char *)attribute + NLA_HDRLEN, data, size);
}

void netlink_put_text(struct netlink *nl, uint16_t type, const char *text)
{
    netlink_put(nl, type, text, strlen(text) + 1);
}

void netlink_put_u32(struct netlink *nl, uint16_t type, uint32_t value)
{
    netlink_put(nl, type, &value, sizeof value);
}

struct nlattr *netlink_nest(struct netlink *nl, uint16_t type)
{
    struct nlattr *nest = grow(nl, NLA_HDRLEN);
    nest->nla_type = (uint16_t)(type | NLA_F_NESTED);
    return nest;
}

void netlink_nest_end(struct netlink *nl, struct nlattr *nest)
{
    nest->nla_len = (uint16_t)(nl->buffer + nl->used - (char *)nest);
}

/* One datagram of acknowledgements. Returns how many it held, or the first -errno in it. */
static int read_acks(struct netlink *nl)
{
    _Alignas(NLMSG_ALIGNTO) char buffer[NL_BUFFER];
    ssize_t length = recv(nl->fd, buffer, sizeof buffer, 0);
    if (length < 0)
        return errno == EAGAIN ? -ETIMEDOUT : -errno;
    int acks = 0;
    for (struct nlmsghdr *header = (struct nlmsghdr *)buffer; NLMSG_OK(header, (size_t)length);
         header = NLMSG_NEXT(header, length)) {
        if (header->nlmsg_type != NLMSG_ERROR || header->nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr)))
            continue;
        int code = ((struct nlmsgerr *)NLMSG_DATA(header))->error;
        if (code < 0)
            return code;
        acks++;
    }
    return acks;
}

int netlink_talk(struct netlink *nl)
{
    ssize_t sent = send(nl->fd, nl->buffer, nl->used, 0);
    uint32_t awaited = nl->acks;
    nl->used = 0;
    nl->acks = 0;
    nl->message = NULL;
    if (sent < 0)
        return -errno;
    while (awaited > 0) {
        int acks = read_acks(nl);
        if (acks < 0)
            return acks;
        awaited -= (uint32_t)acks < awaited ? (uint32_t)acks : awaited;
    }
    return 0;
}
