/*
 * netlink.c - a batch of messages, and the kernel's answers to it.
 *
 * rtnetlink and nf_tables do the work inside of the call that sends, so that all answers wait when it returns: nothing
 * here ever sleeps, and nobody can keep the jailer waiting.
 */
#include "jailer/netlink.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

/* Bytes of one message. A large one holds NETLINK_ELEMENTS_MAX elements of a set. */
enum { SMALL = 1024, LARGE = 32768 };

/* Acknowledgements of a whole batch. */
#define RECEIVE_BYTES (256 * 1024)

int netlink_open(struct netlink *nl, int protocol)
{
    memset(nl, 0, sizeof *nl);
    nl->socket = nl_socket_alloc();
    if (nl->socket == NULL)
        return -ENOMEM;
    int rc = nl_connect(nl->socket, protocol);
    if (rc != 0) {
        int code = errno;
        netlink_close(nl);
        return code != 0 ? -code : -EIO;
    }
    nl_socket_set_buffer_size(nl->socket, RECEIVE_BYTES, RECEIVE_BYTES);
    int on = 1; /* an error does not carry the message that caused it */
    setsockopt(nl_socket_get_fd(nl->socket), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
    return 0;
}

static void forget_messages(struct netlink *nl)
{
    while (nl->count > 0)
        nlmsg_free(nl->messages[--nl->count]);
    nl->failed = 0;
}

void netlink_close(struct netlink *nl)
{
    forget_messages(nl);
    if (nl->socket != NULL)
        nl_socket_free(nl->socket);
    nl->socket = NULL;
}

bool netlink_is_open(const struct netlink *nl)
{
    return nl->socket != NULL;
}

/* ---- putting together: a failure is kept, and told when the batch is sent ---- */

static void note(struct netlink *nl, bool well)
{
    if (!well && nl->failed == 0)
        nl->failed = -ENOBUFS;
}

static struct nl_msg *last(struct netlink *nl)
{
    return nl->failed == 0 && nl->count > 0 ? nl->messages[nl->count - 1] : NULL;
}

static void begin(struct netlink *nl, size_t room, uint16_t type, uint16_t flags, const void *family, size_t size)
{
    note(nl, nl->count < NETLINK_BATCH_MAX);
    struct nl_msg *message = nl->failed == 0 ? nlmsg_alloc_size(room) : NULL;
    note(nl, message != NULL);
    if (message == NULL)
        return;
    nl->messages[nl->count++] = message;
    note(nl, nlmsg_put(message, NL_AUTO_PORT, ++nl->sequence, type, 0, NLM_F_REQUEST | flags) != NULL);
    netlink_raw(nl, family, size);
}

void netlink_begin(struct netlink *nl, uint16_t type, uint16_t flags, const void *family, size_t size)
{
    begin(nl, SMALL, type, flags, family, size);
}

void netlink_begin_large(struct netlink *nl, uint16_t type, uint16_t flags, const void *family, size_t size)
{
    begin(nl, LARGE, type, flags, family, size);
}

void netlink_raw(struct netlink *nl, const void *data, size_t size)
{
    struct nl_msg *message = last(nl);
    if (message != NULL)
        note(nl, nlmsg_append(message, (void *)(uintptr_t)data, size, NLMSG_ALIGNTO) == 0);
}

void netlink_put(struct netlink *nl, uint16_t type, const void *data, size_t size)
{
    struct nl_msg *message = last(nl);
    if (message != NULL)
        note(nl, nla_put(message, type, (int)size, data) == 0);
}

void netlink_put_text(struct netlink *nl, uint16_t type, const char *text)
{
    netlink_put(nl, type, text, strlen(text) + 1);
}

void netlink_put_u8(struct netlink *nl, uint16_t type, uint8_t value)
{
    netlink_put(nl, type, &value, sizeof value);
}

void netlink_put_u32(struct netlink *nl, uint16_t type, uint32_t value)
{
    netlink_put(nl, type, &value, sizeof value);
}

void netlink_put_u64(struct netlink *nl, uint16_t type, uint64_t value)
{
    netlink_put(nl, type, &value, sizeof value);
}

void netlink_put_be32(struct netlink *nl, uint16_t type, uint32_t value)
{
    netlink_put_u32(nl, type, htonl(value));
}

void netlink_put_be64(struct netlink *nl, uint16_t type, uint64_t value)
{
    netlink_put_u64(nl, type, htobe64(value));
}

struct nlattr *netlink_nest(struct netlink *nl, uint16_t type)
{
    struct nl_msg *message = last(nl);
    struct nlattr *nest = message != NULL ? nla_nest_start(message, type) : NULL;
    note(nl, nest != NULL);
    return nest;
}

void netlink_nest_end(struct netlink *nl, struct nlattr *nest)
{
    struct nl_msg *message = last(nl);
    if (message != NULL && nest != NULL)
        note(nl, nla_nest_end_keep_empty(message, nest) == 0);
}

/* ---- talking ---- */

static int send_batch(struct netlink *nl)
{
    struct iovec parts[NETLINK_BATCH_MAX];
    for (unsigned i = 0; i < nl->count; i++) {
        struct nlmsghdr *header = nlmsg_hdr(nl->messages[i]);
        header->nlmsg_pid = nl_socket_get_local_port(nl->socket);
        parts[i] = (struct iovec){header, NLMSG_ALIGN(header->nlmsg_len)};
    }
    errno = 0;
    if (nl_send_iovec(nl->socket, nl->messages[0], parts, nl->count) >= 0)
        return 0;
    return errno != 0 ? -errno : -EIO;
}

static void keep_answer(struct netlink *nl, const struct nlmsghdr *header)
{
    nl->answer_length = header->nlmsg_len < sizeof nl->answer ? header->nlmsg_len : sizeof nl->answer;
    memcpy(nl->answer, header, nl->answer_length);
}

/* One datagram of answers. Returns whether there was one. */
static bool read_answers(struct netlink *nl, uint32_t first, bool *whole, int *error)
{
    static _Alignas(NLMSG_ALIGNTO) char buffer[32768];
    ssize_t length;
    do
        length = recv(nl_socket_get_fd(nl->socket), buffer, sizeof buffer, MSG_DONTWAIT);
    while (length < 0 && errno == EINTR);
    if (length < 0)
        return errno == ENOBUFS; /* some were lost: then the last one is missing, too */
    for (struct nlmsghdr *header = (struct nlmsghdr *)buffer; NLMSG_OK(header, (size_t)length);
         header = NLMSG_NEXT(header, length)) {
        if (header->nlmsg_seq - first > nl->sequence - first)
            continue; /* of an earlier batch */
        if (header->nlmsg_seq == nl->sequence)
            *whole = true;
        if (header->nlmsg_type != NLMSG_ERROR)
            keep_answer(nl, header);
        else if (header->nlmsg_len >= NLMSG_LENGTH(sizeof(int)) && *error == 0)
            *error = *(const int *)NLMSG_DATA(header);
    }
    return true;
}

/* The last message that is not the mark of a batch's end asks for an answer: it says that all were looked at. */
static void ask_for_answer(struct netlink *nl)
{
    for (unsigned i = nl->count; i > 0; i--) {
        struct nlmsghdr *header = nlmsg_hdr(nl->messages[i - 1]);
        if (header->nlmsg_type == NFNL_MSG_BATCH_END)
            continue;
        if (header->nlmsg_type != RTM_GETLINK)
            header->nlmsg_flags |= NLM_F_ACK;
        nl->sequence = header->nlmsg_seq; /* the mark's own number is used again, which hurts nobody */
        return;
    }
}

int netlink_talk(struct netlink *nl)
{
    int rc = nl->failed;
    nl->answer_length = 0;
    if (rc == 0 && nl->count > 0) {
        uint32_t first = nlmsg_hdr(nl->messages[0])->nlmsg_seq;
        bool whole = false;
        ask_for_answer(nl);
        rc = send_batch(nl);
        int error = 0;
        while (rc == 0 && read_answers(nl, first, &whole, &error))
            ;
        if (rc == 0)
            rc = error != 0 || whole ? error : -EPROTO;
        nl->sequence++;
    }
    forget_messages(nl);
    return rc;
}

const void *netlink_answer(const struct netlink *nl, size_t header, uint16_t type, size_t size)
{
    struct nlmsghdr *message = (struct nlmsghdr *)(uintptr_t)nl->answer;
    if (nl->answer_length < NLMSG_LENGTH(header) || message->nlmsg_len > nl->answer_length)
        return NULL;
    struct nlattr *found = nlmsg_find_attr(message, (int)header, type);
    return found != NULL && nla_len(found) >= (int)size ? nla_data(found) : NULL;
}
