/*
 * fuzz_session.c - what a client may send to a VM: all bytes of one session, served by the VM's own code and a Lua
 * state. Whatever comes, the answers are in order and sound, and what makes no sense ends the session only.
 *
 * Scripts are real ones: what would take for ever by itself is taken out of their reach, and loops are interrupted.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/session_wire.h"
#include "common/socket.h"
#include "common/values.h"
#include "vm/session.h"

static struct vm vm;
static int lifeline = -1;

struct answers {
    int fd;
    char *bytes;
    size_t length;
};

static void on_tick(int number)
{
    (void)number;
    if (vm.running == NULL)
        return;
    vm.interrupted = VM_INTERRUPTED;
    vm_runs(vm.running);
}

/* Once: descriptor 3 is the VM's end of the lifeline, what is printed goes nowhere, and a clock ticks. */
static void prepare(void)
{
    int pair[2], nowhere = open("/dev/null", O_WRONLY);
    struct itimerval every = {{0, 10000}, {0, 10000}};
    PROMISE(bx_socketpair(pair) == 0);
    lifeline = fcntl(pair[0], F_DUPFD, 100);
    if (pair[1] != LW_FD)
        PROMISE(dup2(pair[1], LW_FD) == LW_FD);
    PROMISE(dup2(nowhere, STDOUT_FILENO) == STDOUT_FILENO);
    signal(SIGVTALRM, on_tick);
    signal(SIGPIPE, SIG_IGN);
    setitimer(ITIMER_VIRTUAL, &every, NULL);
}

static void open_vm(void)
{
    static const char *const removed[] = {"os", "require", "string", "setmetatable", "collectgarbage", "warn"};
    static bool has_streams;
    struct bx_error err;
    memset(&vm, 0, sizeof vm);
    PROMISE(vm_open(&vm, JW_RESTRICTED, &err) == 0);
    vm_heap_set_ceiling(&vm.heap, 16 << 20);
    for (size_t i = 0; i < sizeof removed / sizeof *removed; i++) {
        lua_pushnil(vm.L);
        lua_setglobal(vm.L, removed[i]);
    }
    vm.serving = true;
    if (!has_streams)
        PROMISE(vm_output_open(&vm, &err) == 0);
    has_streams = true;
}

/* With the blocks that the allocator keeps, so that LeakSanitizer sees nothing but leaks. */
static void close_vm(void)
{
    char frame[sizeof(struct lw_header)];
    vm_close(&vm);
    for (size_t i = 0; i < sizeof vm.heap.lists / sizeof vm.heap.lists[0]; i++) {
        void **block = (void **)vm.heap.lists[i];
        while (block != NULL) {
            void *next = *block;
            free(block);
            block = next;
        }
    }
    while (recv(lifeline, frame, sizeof frame, MSG_DONTWAIT) > 0)
        continue;
}

static void *read_answers(void *argument)
{
    struct answers *answers = argument;
    static char piece[65536];
    for (ssize_t got; (got = read(answers->fd, piece, sizeof piece)) > 0;) {
        answers->bytes = realloc(answers->bytes, answers->length + (size_t)got);
        PROMISE(answers->bytes != NULL);
        memcpy(answers->bytes + answers->length, piece, (size_t)got);
        answers->length += (size_t)got;
    }
    return NULL;
}

static void check_error(const char *body, size_t length)
{
    struct sw_error lengths;
    PROMISE(length >= sizeof lengths);
    memcpy(&lengths, body, sizeof lengths);
    size_t before = sizeof lengths + lengths.message_length + lengths.traceback_length;
    PROMISE(before <= length && bx_values_check(body + before, length - before) >= 0);
}

/* As a client looks at them. The last one may be cut: a session that breaks is closed as it is. */
static void check_answers(const char *bytes, size_t length)
{
    uint64_t last = 0;
    struct sw_head head;
    while (length >= sizeof head) {
        memcpy(&head, bytes, sizeof head);
        PROMISE(head.length <= SW_BODY_MAX && head.zero == 0 && head.zero2 == 0 && head.name_length == 0);
        PROMISE(head.type == SW_RESULT || head.type == SW_ERROR || head.type == SW_OUTPUT);
        PROMISE(head.call > last);
        if (head.length > length - sizeof head)
            return;
        if (head.type == SW_RESULT)
            PROMISE(bx_values_check(bytes + sizeof head, head.length) >= 0);
        if (head.type == SW_ERROR)
            check_error(bytes + sizeof head, head.length);
        if (head.type != SW_OUTPUT)
            last = head.call;
        bytes += sizeof head + head.length;
        length -= sizeof head + head.length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int pair[2];
    pthread_t reader;
    if (lifeline < 0)
        prepare();
    open_vm();
    PROMISE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    fcntl(pair[1], F_SETFL, O_NONBLOCK);
    struct answers answers = {.fd = pair[0]};
    vm_session_add(&vm, 1, pair[1]);
    PROMISE(vm.session_count == 1);
    PROMISE(send(pair[0], data, size, MSG_DONTWAIT) == (ssize_t)size);
    shutdown(pair[0], SHUT_WR);
    PROMISE(pthread_create(&reader, NULL, read_answers, &answers) == 0);
    while (vm.session_count > 0)
        vm_wait(&vm, NULL, 0, -1);
    pthread_join(reader, NULL);
    close(pair[0]);
    close_vm();
    check_answers(answers.bytes, answers.length);
    free(answers.bytes);
    return 0;
}
