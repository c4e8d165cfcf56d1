/*
 * net_open.c - the only place of this program's own that makes sockets, connects and listens: TCP over IPv4, in the
 * network of the VM. Whom that reaches is decided by the router, not here.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mail.h"
#include "net.h"

static int make_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd >= 0 ? fd : -errno;
}

static struct sockaddr_in mail_address(uint32_t address)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(MAIL_PORT), .sin_addr.s_addr = htonl(address)};
}

static int close_failed(int fd)
{
    int failure = errno;
    close(fd);
    return -failure;
}

int mail_listen(void)
{
    const struct sockaddr_in address = mail_address(INADDR_ANY);
    const int on = 1;
    int fd = make_socket();
    if (fd < 0)
        return fd;
    bool done = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 && listen(fd, SOMAXCONN) == 0;
    return done ? fd : close_failed(fd);
}

int mail_connect(uint32_t address)
{
    const struct sockaddr_in to = mail_address(address);
    int fd = make_socket();
    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to) == 0 || errno == EINPROGRESS)
        return fd;
    return close_failed(fd);
}

/* A socket that listens is said to do so: a server is ready then. */
int vm_net_listen(int fd, int backlog)
{
    struct sockaddr_in address = {0};
    socklen_t size = sizeof address;
    if (listen(fd, backlog) != 0)
        return -1;
    if (getsockname(fd, (struct sockaddr *)&address, &size) == 0 && address.sin_family == AF_INET)
        vm_tell_surely(&(struct lw_frame){.type = LW_LISTENS, .a = ntohs(address.sin_port)});
    return 0;
}
