/*
 * test_vm_crash.c - last words: every way to crash tells its signal over the lifeline, once, and then the
 * process dies. (With the filter on, inside the jail, tests/sandbox looks at the same.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "vm_child.h"

#include <cmocka.h>
#include <sys/resource.h>

static void by_abort(void)
{
    abort();
}

static void by_segv(void)
{
    raise(SIGSEGV);
}

static void by_fault(void)
{
    volatile char *closed = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *closed = 1;
}

static void by_trap(void)
{
    __builtin_trap();
}

static int descend(volatile int *deeper)
{
    volatile int here[1024];
    here[0] = *deeper;
    return *deeper ? descend(here) + here[0] : 0;
}

/* The stack is used up: only a handler on another one can speak. */
static void by_overflow(void)
{
    volatile int deeper = 1;
    descend(&deeper);
}

/* Runs `crash` in a child with the handlers installed. Returns the frames that it sent, and its wait status. */
static unsigned last_words(void (*crash)(void), struct lw_frame *last, int *wait_status)
{
    int lifeline[2];
    assert_int_equal(bx_socketpair(lifeline), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit none = {0, 0}, small = {1 << 20, 1 << 20};
        setrlimit(RLIMIT_CORE, &none);
        setrlimit(RLIMIT_STACK, &small);
        int far = fcntl(lifeline[1], F_DUPFD, 100);
        dup2(far, LW_FD);
        close_range(LW_FD + 1, ~0U, 0);
        if (vm_crash_install(NULL) == 0)
            crash();
        _exit(0);
    }
    close(lifeline[1]);
    static char bytes[LW_FRAME_MAX];
    unsigned frames = 0, fds = 0;
    ssize_t length;
    while ((length = bx_receive(lifeline[0], bytes, sizeof bytes, NULL, 0, &fds, 0)) > 0) {
        assert_int_equal(lw_decode(bytes, (uint64_t)length, last), 0);
        frames++;
    }
    close(lifeline[0]);
    waitpid(pid, wait_status, 0);
    return frames;
}

static void test_every_crash_tells_its_signal(void **state)
{
    (void)state;
    static const struct {
        void (*crash)(void);
        int signal;
        bool dies_by_it; /* a true fault; what is sent dies by a trap where there is no filter */
    } ways[] = {
        {by_abort, SIGABRT, false}, {by_segv, SIGSEGV, false},    {by_fault, SIGSEGV, true},
        {by_trap, SIGILL, true},    {by_overflow, SIGSEGV, true},
    };
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct lw_frame last = {0};
        int wait_status = 0;
        assert_int_equal(last_words(ways[i].crash, &last, &wait_status), 1);
        assert_int_equal(last.type, LW_FATAL);
        assert_int_equal(last.a, ways[i].signal);
        assert_int_equal(last.b, 0);
        assert_true(WIFSIGNALED(wait_status));
        if (ways[i].dies_by_it)
            assert_int_equal(WTERMSIG(wait_status), ways[i].signal);
    }
}

static void by_sigsys_sent(void)
{
    raise(SIGSYS);
    raise(SIGSYS);
}

/* A SIGSYS that no filter raised says nothing of a system call, and harms nobody. */
static void test_a_sent_sigsys_is_nothing(void **state)
{
    (void)state;
    struct lw_frame last = {0};
    int wait_status = 0;
    assert_int_equal(last_words(by_sigsys_sent, &last, &wait_status), 0);
    assert_true(WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0);
}

/* Runs the program itself, with no jail around it. Returns its exit status, and what it said. */
static int run_program(const char *program, const char *profile, bool with_lifeline, char *said, size_t size)
{
    int err[2], lifeline[2];
    assert_int_equal(pipe(err), 0);
    assert_int_equal(bx_socketpair(lifeline), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int far_err = fcntl(err[1], F_DUPFD, 100), far_line = fcntl(lifeline[1], F_DUPFD, 100);
        dup2(far_err, 2);
        if (with_lifeline)
            dup2(far_line, LW_FD);
        else
            close(LW_FD);
        close_range(LW_FD + 1, ~0U, 0);
        execl(program, "bioxen-vm", profile, (char *)NULL);
        _exit(77);
    }
    close(err[1]);
    close(lifeline[1]);
    size_t length = 0;
    while (child_read(err[0], said, size, &length))
        ;
    said[length] = '\0';
    close(err[0]);
    close(lifeline[0]);
    int wait_status;
    waitpid(pid, &wait_status, 0);
    return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;
}

/* There is no way to run a script without the jail. */
static void test_the_program_refuses_to_run_outside(void **state)
{
    (void)state;
    char program[4096], said[512];
    const char *build = getenv("BIOXEN_BUILD");
    snprintf(program, sizeof program, "%s/bioxen-vm", build != NULL ? build : "build");
    if (access(program, X_OK) != 0) {
        print_message("SKIP: %s is not built\n", program);
        skip();
    }
    assert_int_equal(run_program(program, "restricted", true, said, sizeof said), 125);
    assert_non_null(strstr(said, "not in a jail"));
    assert_int_equal(run_program(program, "restricted", false, said, sizeof said), 125);
    assert_non_null(strstr(said, "no lifeline"));
    assert_int_equal(run_program(program, "none", true, said, sizeof said), 125);
    assert_non_null(strstr(said, "'none' is no profile"));
    assert_int_equal(run_program(program, NULL, true, said, sizeof said), 125);
    assert_non_null(strstr(said, "started by bioxen-jailer"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_crash_tells_its_signal),
        cmocka_unit_test(test_a_sent_sigsys_is_nothing),
        cmocka_unit_test(test_the_program_refuses_to_run_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
