/*
 * daemon.h - a daemon is this process, with an orchestrator of its own and a socket path: what bioxen daemon does in
 * the foreground. VMs, clients and their rights are bioxend's business; here is only the path, and the end.
 */
#ifndef BX_CLI_DAEMON_H
#define BX_CLI_DAEMON_H

#include <stdbool.h>
#include <sys/types.h>

#include "client/bioxen.h"
#include "verb.h"

/* A socket that listens at a path. */
struct daemon_socket {
    int fd; /* -1: none */
    char path[BIOXEN_SOCKET_PATH_MAX];
    dev_t device; /* of the file that we made: another in its place is not ours to remove */
    ino_t inode;
};

/* Makes it, readable and writable for this user alone, in the place of one that a dead daemon left. CLI_OK, or an exit
 * status after a message. */
int daemon_socket_open(struct daemon_socket *socket, const char *path);

/* Removes the path, if it is still ours, and closes. */
void daemon_socket_close(struct daemon_socket *socket);

/*
 * Serves at the path until told to end, or (until_idle) until the last topology is down. Once it serves, a byte goes to
 * ready_fd, unless that is -1. Returns the exit status.
 */
int daemon_serve(const char *path, bool until_idle, int ready_fd);

/*
 * Starts one in the background, until it is idle: it serves when this returns CLI_OK; else an exit status after a
 * message. For processes that have no manager yet.
 */
int daemon_spawn(const char *path);

/* The path to use: as given, or (NULL) the default. CLI_OK, or an exit status after a message. */
int daemon_path(const char *given, char out[BIOXEN_SOCKET_PATH_MAX]);

#endif
