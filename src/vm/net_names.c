/*
 * net_names.c - names of peers become addresses without a resolver: a number is a number, "localhost" is the VM itself,
 * and whatever else is asked for over the lifeline, where the wiring is known. No packet is sent for a name.
 *
 * IPv4 only: the private network has nothing else, and the filter makes no other socket.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net.h"
#include "vm.h"

/* The last answer. LuaSocket looks at one at a time, and an interrupt may end it before it frees that. */
static struct addrinfo answer;
static struct sockaddr_in answer_address;

/* Asks bioxend for a peer. */
static int ask(const char *name, struct in_addr *out)
{
    struct lw_frame question = {.type = LW_NEED, .b = LW_NEED_ADDRESS, .text1 = name}, told;
    size_t length = strlen(name);
    int fd;
    if (length > BX_NAME_MAX)
        return EAI_NONAME;
    question.length1 = (uint32_t)length;
    if (vm_ask(vm_net_vm(), &question, &told, &fd) != 0)
        return EAI_AGAIN;
    if (fd >= 0)
        close(fd);
    if (told.type != LW_ADDRESS || told.a == 0 || told.a > UINT32_MAX)
        return EAI_NONAME;
    out->s_addr = htonl((uint32_t)told.a);
    return 0;
}

static int resolve(const char *node, int flags, struct in_addr *out)
{
    if (node == NULL) {
        out->s_addr = htonl((flags & AI_PASSIVE) != 0 ? INADDR_ANY : INADDR_LOOPBACK);
        return 0;
    }
    if (inet_pton(AF_INET, node, out) == 1)
        return 0;
    if ((flags & AI_NUMERICHOST) != 0 || strchr(node, ':') != NULL)
        return EAI_NONAME;
    if (strcmp(node, "localhost") == 0) {
        out->s_addr = htonl(INADDR_LOOPBACK);
        return 0;
    }
    return ask(node, out);
}

static int read_port(const char *service, in_port_t *out)
{
    char *end = NULL;
    unsigned long port = service != NULL ? strtoul(service, &end, 10) : 0;
    if (service != NULL && (end == service || *end != '\0' || port > UINT16_MAX || *service == '-'))
        return EAI_SERVICE;
    *out = htons((uint16_t)port);
    return 0;
}

int vm_net_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
    static const struct addrinfo none;
    hints = hints != NULL ? hints : &none;
    if (hints->ai_family != AF_UNSPEC && hints->ai_family != AF_INET)
        return EAI_FAMILY;
    struct sockaddr_in address = {.sin_family = AF_INET};
    int rc = read_port(service, &address.sin_port);
    if (rc == 0)
        rc = resolve(node, hints->ai_flags, &address.sin_addr);
    if (rc != 0)
        return rc;
    answer_address = address;
    answer = (struct addrinfo){
        .ai_family = AF_INET,
        .ai_socktype = hints->ai_socktype,
        .ai_protocol = hints->ai_protocol,
        .ai_addrlen = sizeof answer_address,
        .ai_addr = (struct sockaddr *)&answer_address,
    };
    *out = &answer;
    return 0;
}

void vm_net_freeaddrinfo(struct addrinfo *info)
{
    (void)info;
}

const char *vm_net_gai_strerror(int code)
{
    switch (code) {
    case EAI_NONAME: return "host or service not provided, or not known"; /* as LuaSocket words it */
    case EAI_FAMILY: return "ai_family not supported";
    case EAI_SERVICE: return "service not supported for socket type";
    case EAI_AGAIN: return "temporary failure in name resolution";
    default: return "name resolution failed";
    }
}

/* There is no way back from an address to a name: the number is the name. */
int vm_net_getnameinfo(const struct sockaddr *address, socklen_t length, char *host, socklen_t host_size, char *service,
                       socklen_t service_size, int flags)
{
    (void)flags;
    struct sockaddr_in in;
    if (length < sizeof in || address->sa_family != AF_INET)
        return EAI_FAMILY;
    memcpy(&in, address, sizeof in);
    if (host != NULL && host_size > 0 && inet_ntop(AF_INET, &in.sin_addr, host, host_size) == NULL)
        return EAI_OVERFLOW;
    if (service != NULL && service_size > 0)
        snprintf(service, service_size, "%u", (unsigned)ntohs(in.sin_port));
    return 0;
}

struct hostent *vm_net_gethostbyname(const char *name)
{
    static struct in_addr address;
    static char kept[BX_NAME_MAX + 1], *no_aliases[1], *addresses[2];
    static struct hostent entry;
    if (resolve(name, 0, &address) != 0) {
        h_errno = HOST_NOT_FOUND;
        return NULL;
    }
    snprintf(kept, sizeof kept, "%s", name);
    addresses[0] = (char *)&address;
    entry = (struct hostent){kept, no_aliases, AF_INET, sizeof address, addresses};
    return &entry;
}

struct hostent *vm_net_gethostbyaddr(const void *address, socklen_t length, int type)
{
    char text[INET_ADDRSTRLEN];
    if (type != AF_INET || length != sizeof(struct in_addr) || inet_ntop(AF_INET, address, text, sizeof text) == NULL) {
        h_errno = HOST_NOT_FOUND;
        return NULL;
    }
    return vm_net_gethostbyname(text);
}

const char *vm_net_hstrerror(int code)
{
    return code == HOST_NOT_FOUND ? "Unknown host" : "Host name lookup failure";
}
