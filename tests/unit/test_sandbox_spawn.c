/*
 * test_sandbox_spawn.c - a child that fails on its way to being a jail, before or after its parent lets it go: the
 * parent says which step it was and why, and nothing of the child is left. Three functions are played, so that either
 * side waits for the other where it matters: for that, the two files that call them are compiled here once more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/internal.h"

/* When does the child fail? */
static enum { BEFORE_ITS_MAPS, WITH_GO_UNREAD, AFTER_GO } moment;

#define REASON EHOSTDOWN /* which no call in the sandbox gives */

static int play_creds_map(const struct sb_host *host, pid_t pid, struct sb_error *err)
{
    siginfo_t info;
    if (moment == BEFORE_ITS_MAPS)
        waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
    return sb_creds_map(host, pid, err);
}

static int play_step_host_name(struct sb_child *child)
{
    struct pollfd go = {.fd = child->sync, .events = POLLIN};
    if (moment == AFTER_GO)
        return sb_step_host_name(child);
    if (moment == WITH_GO_UNREAD)
        poll(&go, 1, -1);
    return -REASON;
}

static int play_step_ids(struct sb_child *child)
{
    return moment == AFTER_GO ? -REASON : sb_step_ids(child);
}

#define sb_creds_map      play_creds_map
#define sb_step_host_name play_step_host_name
#define sb_step_ids       play_step_ids
#include "sandbox/child.c"
#include "sandbox/spawn.c"

enum { AS_IT_SHOULD = 10, NO_HOST, WRONG_STATUS, WRONG_WORDS, SOMETHING_LEFT };

/* In a process of its own: an ordinary user's becomes root of a new user namespace. */
static int spawn_one(const char *words)
{
    static const char *const argv[] = {"program", NULL};
    struct sb_host host;
    struct sb_error err = {0};
    if (sb_host_begin(&host, &err) != 0 || sb_host_settle(&host, open("/dev/null", O_RDONLY | O_CLOEXEC), &err) != 0) {
        print_message("SKIP: %s\n", err.text);
        return NO_HOST;
    }
    host.empty_root = true; /* none of the steps up to there asks for it */
    struct sb_spec spec = {
        .argv = argv, .handed = {0, 1, 2}, .hostname = "vm", .limits = {64ull << 20, 16, 1000}};
    struct sb_plan plan;
    struct sb_jail jail;
    int rc = sb_plan_make(&host, &spec, &plan, &err);
    if (rc == 0)
        rc = sb_spawn(&plan, &jail, &err);
    sb_host_fini(&host);
    if (rc != -REASON)
        return print_message("%d: %s\n", rc, err.text), WRONG_STATUS;
    if (strstr(err.text, words) == NULL || strstr(err.text, strerror(REASON)) == NULL)
        return print_message("%s\n", err.text), WRONG_WORDS;
    return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD ? AS_IT_SHOULD : SOMETHING_LEFT;
}

static void child_fails(int when, const char *words)
{
    int status;
    moment = when;
    pid_t pid = fork();
    if (pid == 0)
        _exit(spawn_one(words));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == NO_HOST)
        skip();
    assert_int_equal(WEXITSTATUS(status), AS_IT_SHOULD);
}

static void test_before_its_maps(void **state)
{
    (void)state;
    child_fails(BEFORE_ITS_MAPS, "the jail's step \"host name\" failed");
}

static void test_with_go_unread(void **state)
{
    (void)state;
    child_fails(WITH_GO_UNREAD, "the jail's step \"host name\" failed");
}

static void test_after_go(void **state)
{
    (void)state;
    child_fails(AFTER_GO, "the jail's step \"user\" failed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_before_its_maps),
        cmocka_unit_test(test_with_go_unread),
        cmocka_unit_test(test_after_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
