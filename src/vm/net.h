/*
 * net.h - what LuaSocket gets from this program in the place of libc (luasocket.syms): names without a resolver, and
 * waits that end when somebody interrupts the running call.
 */
#ifndef BX_VM_NET_H
#define BX_VM_NET_H

#include <lua.h>
#include <netdb.h>
#include <poll.h>
#include <sys/select.h>
#include <time.h>

struct vm;

/* Of LuaSocket, whose header as it is packaged includes one that is not. */
int luaopen_socket_core(lua_State *L);
int luaopen_mime_core(lua_State *L);

/* ---- net_wait.c ---- */

/* For a networked VM, before the filter. */
void vm_net_init(struct vm *vm);
struct vm *vm_net_vm(void);

/*
 * As poll(2), but hears the lifeline meanwhile: -1 with EINTR when something of that came, so that the caller looks
 * at the time again. Raises an error when the running call is to end.
 */
int vm_net_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
void *vm_net_malloc(size_t size);
void vm_net_free(void *block);
int vm_net_nanosleep(const struct timespec *wanted, struct timespec *left);
int vm_net_gethostname(char *out, size_t size);
/* LuaSocket's own select is not in use. */
int vm_net_select(int count, fd_set *reads, fd_set *writes, fd_set *errors, struct timeval *timeout);

/* ---- net_open.c ---- */

int vm_net_listen(int fd, int backlog);

/* ---- net_names.c ---- */

int vm_net_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out);
void vm_net_freeaddrinfo(struct addrinfo *info);
const char *vm_net_gai_strerror(int code);
int vm_net_getnameinfo(const struct sockaddr *address, socklen_t length, char *host, socklen_t host_size, char *service,
                       socklen_t service_size, int flags);
struct hostent *vm_net_gethostbyname(const char *name);
struct hostent *vm_net_gethostbyaddr(const void *address, socklen_t length, int type);
const char *vm_net_hstrerror(int code);

/* ---- net_socket.c ---- */

/* The module "socket.core": LuaSocket's, without what reaches descriptors, and with another select. */
int vm_open_socket(lua_State *L);
int vm_select_or_message(lua_State *L);

#endif
