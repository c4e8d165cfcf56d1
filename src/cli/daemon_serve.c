/*
 * daemon_serve.c - a daemon's life. This process owns the orchestrator: whatever ends this process ends everything. It
 * reads nothing that clients or VMs say; one that `bioxen up -d` started only hears how many topologies there are.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon.h"
#include "follow.h"
#include "run.h"

/* Who started it in the background has this long to bring something up. */
#define IDLE_MS 60000

struct served {
    bioxen_manager *manager;
    int wake_fd;
    bool until_idle;
    bool had_any;  /* a topology has been up */
    uint32_t list; /* the request that asks how many there are; 0: none */
};

static void ask_how_many(struct served *served)
{
    if (served->list == 0)
        (void)bioxen_list_start(served->manager, BIOXEN_LIST_TOPOLOGIES, NULL, &served->list, NULL);
}

/* False when it is to end. */
static bool take_event(struct served *served, const struct bioxen_event *event)
{
    if (event->type == BIOXEN_EVENT_CHANGE) {
        struct bioxen_string name = bioxen_node_text(bioxen_node_find(event->node, "event"));
        served->had_any = served->had_any || (name.length == 2 && memcmp(name.bytes, "up", 2) == 0);
        if (name.length == 4 && memcmp(name.bytes, "down", 4) == 0 && remote_number(event->node, "done"))
            ask_how_many(served);
    } else if (event->type == BIOXEN_EVENT_ANSWER && event->request == served->list) {
        served->list = 0;
        return bioxen_node_count(event->node) > 0;
    } else if (event->type == 0 && !served->had_any) {
        ask_how_many(served);
    }
    return true;
}

/* Returns the exit status when it is to end. */
static int follow(struct served *served)
{
    struct bioxen_event event;
    struct bioxen_error err;
    uint32_t request;
    if (served->until_idle && bioxen_events_start(served->manager, NULL, &request, &err) != 0) {
        cli_say("daemon: %s", err.text);
        return CLI_HOST;
    }
    for (;;) {
        int timeout = served->until_idle && !served->had_any ? IDLE_MS : -1;
        int rc = follow_next(served->manager, served->wake_fd, timeout, &event);
        if (rc <= 0)
            return rc == 0 ? CLI_OK : CLI_HOST;
        if (served->until_idle && !take_event(served, &event))
            return CLI_OK;
    }
}

/*
 * In the background nothing of the caller's is held, by this process or by those that it starts: not his terminal, not
 * his pipes. Only our own messages go to his stderr, until it serves. Returns that, or -1.
 */
static int let_go(void)
{
    int messages = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; null >= 0 && fd <= 2; fd++)
        dup2(null, fd);
    close(null);
    return messages;
}

static void tell_ready(int ready_fd)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(null, STDERR_FILENO);
    close(null);
    ssize_t ignored = write(ready_fd, "", 1);
    (void)ignored;
    close(ready_fd);
}

static int serve(struct served *served, const struct daemon_socket *socket, int ready_fd)
{
    struct bioxen_error err;
    served->wake_fd = follow_arm();
    if (served->wake_fd < 0)
        return CLI_HOST;
    if (bioxen_listen(served->manager, socket->fd, &err) != 0) {
        cli_say("daemon: %s", err.text);
        return CLI_HOST;
    }
    if (ready_fd >= 0)
        tell_ready(ready_fd);
    else
        cli_say("daemon: serving at %s", socket->path);
    return follow(served);
}

/* The orchestrator is started first: should it not start, there never was a socket. */
int daemon_serve(const char *path, bool until_idle, int ready_fd)
{
    struct served served = {.until_idle = until_idle};
    struct daemon_socket socket;
    struct bioxen_error err;
    int messages = ready_fd >= 0 ? let_go() : -1;
    run_signals_install();
    int rc = bioxen_open(&served.manager, &err);
    if (messages >= 0) {
        dup2(messages, STDERR_FILENO);
        close(messages);
    }
    if (rc < 0) {
        cli_say("%s", err.text);
        return CLI_HOST;
    }
    run_signals_ignore_pipe();
    int status = daemon_socket_open(&socket, path);
    if (status == CLI_OK)
        status = serve(&served, &socket, ready_fd);
    daemon_socket_close(&socket); /* whoever comes now finds no daemon, and not one that is about to end */
    bioxen_close(served.manager);
    return status;
}

/* The exit status of one that never served. */
static int status_of(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : CLI_HOST;
}

int daemon_spawn(const char *path)
{
    int ready[2];
    char byte;
    if (pipe2(ready, O_CLOEXEC) != 0) {
        cli_say("cannot start a daemon: %s", strerror(errno));
        return CLI_HOST;
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(ready[0]);
        setsid();
        _exit(daemon_serve(path, true, ready[1]));
    }
    close(ready[1]);
    ssize_t got = 0;
    while (pid > 0 && (got = read(ready[0], &byte, 1)) < 0 && errno == EINTR)
        ;
    close(ready[0]);
    if (pid < 0)
        cli_say("cannot start a daemon: %s", strerror(errno));
    return pid > 0 && got == 1 ? CLI_OK : pid > 0 ? status_of(pid) : CLI_HOST;
}
