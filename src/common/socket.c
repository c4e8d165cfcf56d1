/* socket.c - sendmsg and recvmsg with descriptors, checked for truncation on both sides. */
#include "socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
    char bytes[CMSG_SPACE(BX_FDS_MAX * sizeof(int))];
    struct cmsghdr align;
};

int bx_socketpair(int pair[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0 ? 0 : -errno;
}

static void attach(struct msghdr *message, union control *control, const int *fds, unsigned fd_count)
{
    memset(control, 0, sizeof *control);
    message->msg_control = control->bytes;
    message->msg_controllen = (socklen_t)CMSG_SPACE(fd_count * sizeof(int));
    struct cmsghdr *head = CMSG_FIRSTHDR(message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = (socklen_t)CMSG_LEN(fd_count * sizeof(int));
    memcpy(CMSG_DATA(head), fds, fd_count * sizeof(int));
}

static int send_message(int fd, const struct iovec *parts, size_t part_count, const int *fds,
                        unsigned fd_count, int flags)
{
    if (fd_count > BX_FDS_MAX)
        return -E2BIG;
    union control control;
    struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (int)part_count};
    if (fd_count > 0)
        attach(&message, &control, fds, fd_count);
    ssize_t sent;
    do
        sent = sendmsg(fd, &message, MSG_NOSIGNAL | flags);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

int bx_send(int fd, const struct iovec *parts, size_t part_count, const int *fds, unsigned fd_count)
{
    return send_message(fd, parts, part_count, fds, fd_count, MSG_DONTWAIT);
}

int bx_send_wait(int fd, const struct iovec *parts, size_t part_count, const int *fds, unsigned fd_count)
{
    return send_message(fd, parts, part_count, fds, fd_count, 0);
}

/* Moves the descriptors of a message into fds[]; closes those that do not fit. Returns how many there were. */
static unsigned detach(struct msghdr *message, int *fds, unsigned fd_max)
{
    unsigned count = 0;
    for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head != NULL; head = CMSG_NXTHDR(message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
            continue;
        unsigned here = (unsigned)((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (unsigned i = 0; i < here; i++, count++) {
            int received;
            memcpy(&received, CMSG_DATA(head) + i * sizeof(int), sizeof received);
            if (count < fd_max)
                fds[count] = received;
            else
                close(received);
        }
    }
    return count;
}

ssize_t bx_receive(int fd, void *buffer, size_t size, int *fds, unsigned fd_max, unsigned *fd_count, int flags)
{
    union control control;
    struct iovec part = {.iov_base = buffer, .iov_len = size};
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control.bytes,
    };
    ssize_t got;
    do
        got = recvmsg(fd, &message, flags | MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR && flags != 0);
    if (got < 0)
        return -errno;
    unsigned count = detach(&message, fds, fd_max);
    if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || count > fd_max) {
        bx_close_all(fds, count < fd_max ? count : fd_max);
        return -EMSGSIZE;
    }
    *fd_count = count;
    return got;
}

void bx_close_all(int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
        fds[i] = -1;
    }
}
