/* test_up.c - topologies come up, change, and go down, through libbioxen and the real programs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <sys/un.h>

#include "fleet.h"

#define WAITING "code: \"while true do require('bioxen').sleep(100) end\""

static void test_up_list_down(void **state)
{
    (void)state;
    bioxen_answer *answer = up("version: 1\nname: t\nvms:\n  a: {" WAITING ", server: 80}\n"
                               "  b: {" WAITING ", client: a, replicas: 2}\n", 0);
    const bioxen_node *node = bioxen_answer_node(answer);
    assert_int_equal(bioxen_node_count(bioxen_node_find(node, "vms")), 3);
    assert_true(text_is(named(bioxen_node_find(node, "vms"), "b-2"), "action", "add"));
    assert_int_equal(number_at(node, "wires_added"), 2);
    bioxen_answer_free(answer);
    answer = list(BIOXEN_LIST_VMS);
    node = bioxen_answer_node(answer);
    assert_int_equal(bioxen_node_count(node), 3);
    assert_true(text_is(named(node, "a"), "state", "running"));
    assert_true(text_is(named(node, "b-1"), "topology", "t"));
    bioxen_answer_free(answer);
    assert_int_equal(count_of(BIOXEN_LIST_TOPOLOGIES), 1);
    down("t");
    assert_int_equal(count_of(BIOXEN_LIST_VMS), 0);
    assert_int_equal(count_of(BIOXEN_LIST_TOPOLOGIES), 0);
}

static void test_only_what_differs_is_touched(void **state)
{
    (void)state;
    up_quietly("version: 1\nname: t\nvms:\n  a: {" WAITING ", server: 80}\n  b: {" WAITING ", client: a}\n", 0);
    uint32_t a = number_of_vm("a"), b = number_of_vm("b");
    uint32_t events = listen_to("t");
    wait_change(events, "live", NULL);
    bioxen_answer *answer = up("version: 1\nname: t\nvms:\n  a: {" WAITING ", server: 80}\n"
                               "  b: {" WAITING ", client: a, env: {K: v}}\n  c: {" WAITING ", client: a}\n", 0);
    const bioxen_node *vms = bioxen_node_find(bioxen_answer_node(answer), "vms");
    assert_int_equal(bioxen_node_count(vms), 2);
    assert_true(text_is(named(vms, "b"), "action", "change"));
    assert_true(text_is(named(vms, "c"), "action", "add"));
    bioxen_answer_free(answer);
    wait_change(events, "death", "b");
    wait_change(events, "start", "b");
    assert_int_equal(number_of_vm("a"), a);
    assert_int_equal(number_of_vm("b"), b);
    answer = inspect("a");
    assert_int_equal(bioxen_node_count(bioxen_node_find(bioxen_answer_node(answer), "wires")), 2);
    bioxen_answer_free(answer);
    down(NULL);
}

static void test_dry_run_does_nothing(void **state)
{
    (void)state;
    bioxen_answer *answer = up("version: 1\nname: t\nvms: {a: {" WAITING "}}\n", BIOXEN_UP_DRY_RUN);
    assert_int_equal(number_at(bioxen_answer_node(answer), "dry_run"), 1);
    bioxen_answer_free(answer);
    assert_int_equal(count_of(BIOXEN_LIST_TOPOLOGIES), 0);
}

static void test_order(void **state)
{
    (void)state;
    up_quietly("version: 1\nname: t\nvms:\n"
               "  last: {code: \"print('last')\", depends_on: {middle: completed}}\n"
               "  middle: {code: \"print('middle')\", depends_on: {first: ready}}\n"
               "  first: {code: \"local b = require('bioxen') b.sleep(0.1) b.ready() b.receive()\", server: 80}\n",
               BIOXEN_UP_WAIT);
    expect_state("first", "running");
    expect_state("middle", "ended");
    down("t");
}

static void test_what_fails_is_taken_back(void **state)
{
    (void)state;
    const char *why = refusal_of(up_start("version: 1\nname: t\nvms:\n  a: {code: \"error('no')\"}\n"
                                          "  b: {" WAITING ", depends_on: {a: completed}}\n  c: {" WAITING "}\n", 0));
    assert_non_null(strstr(why, "'b' waits until 'a' has ended with 0"));
    assert_int_equal(count_of(BIOXEN_LIST_TOPOLOGIES), 0);
    assert_int_equal(count_of(BIOXEN_LIST_DEATHS), 2);
    up_quietly("version: 1\nname: t\nvms: {c: {" WAITING "}}\n", BIOXEN_UP_WAIT);
    why = refusal_of(up_start("version: 1\nname: t\nvms: {c: {" WAITING "}, d: {server: 80, code: \"error('no')\"}}\n",
                              BIOXEN_UP_WAIT));
    assert_non_null(strstr(why, "'d' has ended before it was ready"));
    expect_state("c", "running");
    assert_int_equal(count_of(BIOXEN_LIST_VMS), 1);
    down("t");
}

static const char *collect_log(uint32_t request)
{
    static char text[4096];
    size_t length = 0;
    for (;;) {
        struct bioxen_event event = next_of(request);
        if (event.type == BIOXEN_EVENT_ANSWER)
            break;
        assert_int_equal(event.type, BIOXEN_EVENT_LOG);
        assert_true(length + event.bytes.length < sizeof text);
        memcpy(text + length, event.bytes.bytes, event.bytes.length);
        length += event.bytes.length;
    }
    text[length] = '\0';
    return text;
}

static void test_logs(void **state)
{
    (void)state;
    struct bioxen_error err;
    uint32_t request;
    up_quietly("version: 1\nname: t\nvms: {a: {code: \"print('one') io = nil require('bioxen').receive()\"}}\n",
               BIOXEN_UP_WAIT);
    assert_int_equal(bioxen_logs_start(manager, "t/a", 1, 0, &request, &err), 0);
    struct bioxen_event event = next_of(request);
    assert_int_equal(event.type, BIOXEN_EVENT_LOG);
    assert_memory_equal(event.bytes.bytes, "one\n", 4);
    assert_memory_equal(event.name.bytes, "t/a", 3);
    assert_int_equal(event.stream, 1);
    assert_true(event.time_us > 0);
    assert_int_equal(bioxen_unsubscribe(manager, request, &err), 0);
    assert_int_equal(next_of(request).type, BIOXEN_EVENT_ANSWER);
    assert_int_equal(bioxen_logs_start(manager, "t/", 0, 0, &request, &err), 0);
    assert_string_equal(collect_log(request), "one\n");
    down("t");
}

static void test_the_log_is_bounded(void **state)
{
    (void)state;
    struct bioxen_error err;
    uint32_t request;
    size_t bytes = 0;
    up_quietly("version: 1\nname: t\nvms: {a: {code: \"for i = 1, 30000 do print(('%09d'):format(i)) end\"}}\n", 0);
    uint32_t events = listen_to("t");
    struct bioxen_event first;
    do
        first = next_of(events);
    while (!text_is(first.node, "event", "death") && !text_is(first.node, "state", "ended"));
    assert_int_equal(bioxen_logs_start(manager, "a", 0, 0, &request, &err), 0);
    for (;;) {
        struct bioxen_event event = next_of(request);
        if (event.type == BIOXEN_EVENT_ANSWER)
            break;
        bytes += event.bytes.length;
    }
    assert_true(bytes > 32 * 1024 && bytes <= 64 * 1024);
    down("t");
}

static void verb(enum bioxen_vm_verb what, const char *name, const char *state)
{
    struct bioxen_error err;
    uint32_t request;
    assert_int_equal(bioxen_vm_start(manager, what, name, 1000, &request, &err), 0);
    bioxen_answer *answer = wait_answer(request);
    assert_true(text_is(bioxen_answer_node(answer), "state", state));
    bioxen_answer_free(answer);
}

static void test_verbs(void **state)
{
    (void)state;
    up_quietly("version: 1\nname: t\nvms: {a: {" WAITING "}, b: {" WAITING "}}\n", BIOXEN_UP_WAIT);
    uint32_t number = number_of_vm("a");
    verb(BIOXEN_VM_STOP, "a", "stopped");
    expect_state("b", "running");
    verb(BIOXEN_VM_START, "t/a", "running");
    verb(BIOXEN_VM_RESTART, "a", "running");
    verb(BIOXEN_VM_KILL, "a", "ended");
    verb(BIOXEN_VM_START, "a", "running");
    assert_int_equal(number_of_vm("a"), number);
    assert_int_equal(count_of(BIOXEN_LIST_DEATHS), 3);
    struct bioxen_error err;
    uint32_t request;
    assert_int_equal(bioxen_vm_start(manager, BIOXEN_VM_STOP, "nobody", 0, &request, &err), 0);
    assert_non_null(strstr(refusal_of(request), "there is no VM 'nobody'"));
    assert_int_equal(bioxen_stats_all_start(manager, NULL, &request, &err), 0);
    bioxen_answer *answer = wait_answer(request);
    assert_int_equal(bioxen_node_count(bioxen_answer_node(answer)), 2);
    assert_true(number_at(named(bioxen_answer_node(answer), "b"), "memory") > 0);
    bioxen_answer_free(answer);
    down("t");
}

static void test_events(void **state)
{
    (void)state;
    uint32_t events = listen_to(NULL);
    wait_change(events, "live", NULL);
    up_quietly("version: 1\nname: t\nvms: {a: {code: \"error('why')\"}}\n", 0);
    wait_change(events, "up", NULL);
    wait_change(events, "add", "a");
    wait_change(events, "start", "a");
    struct bioxen_event event = wait_change(events, "death", "a");
    const bioxen_node *record = bioxen_node_find(event.node, "record");
    assert_true(text_is(record, "outcome", "error"));
    assert_int_equal(number_at(record, "exit_code"), 1);
    uint32_t later = listen_to("t"); /* a snapshot first */
    wait_change(later, "vm", NULL);
    wait_change(later, "live", NULL);
    down("t");
    wait_change(later, "remove", "a");
    wait_change(later, "down", NULL);
}

/* Every pair that is wired connects, and no other does, whatever it tries. */
static void test_who_reaches_whom(void **state)
{
    (void)state;
    static const char *const names[] = {"s1", "s2", "c1", "c2"};
    static const char code[] =
        "local to, port = ... local socket = require('socket') local c = socket.tcp() c:settimeout(5) "
        "local ok, why = c:connect(to, port) if ok then return (c:receive()) end return why";
    up_quietly("version: 1\nname: t\ndefaults: {code: \"local s = assert(require('socket').bind('*', 80)) "
               "while true do local c = s:accept() c:send('hello\\\\n') c:close() end\"}\n"
               "vms:\n  s1: {server: 80}\n  s2: {server: 80}\n"
               "  c1: {client: s1, depends_on: [s1, s2], code: \"require('bioxen').receive()\"}\n"
               "  c2: {client: s2, depends_on: [s1, s2], code: \"require('bioxen').receive()\"}\n"
               "wires: [{from: s1, to: s2, port: 80}]\n", BIOXEN_UP_WAIT);
    char *addresses[4];
    for (int i = 0; i < 4; i++) {
        bioxen_answer *answer = inspect(names[i]);
        struct bioxen_string text = bioxen_node_text(bioxen_node_find(bioxen_answer_node(answer), "address"));
        addresses[i] = strndup(text.bytes, text.length);
        bioxen_answer_free(answer);
    }
    for (int i = 2; i < 4; i++) { /* the servers are busy with accepting: sessions are served while they wait */
        bioxen_session *session = attach(number_of_vm(names[i]));
        for (int j = 0; j < 4; j++) {
            char call[400];
            if (i == j)
                continue;
            snprintf(call, sizeof call, "return (function(...) %s end)('%s', 80)", code, addresses[j]);
            run(session, call, (i == 2 && j == 0) || (i == 3 && j == 1) ? "hello" : "connection refused");
        }
        bioxen_detach(session);
    }
    for (int i = 0; i < 4; i++)
        free(addresses[i]);
    down("t");
}

static void test_wires_change_while_running(void **state)
{
    (void)state;
#define TWO "version: 1\nname: t\nvms:\n  s: {server: 80, code: \"local s = assert(require('socket').bind('*', 80)) " \
            "while true do local c = s:accept() c:send('hello\\\\n') c:close() end\"}\n" \
            "  c: {network: fabric, " WAITING "}\n"
    static const char call[] = "local c = require('socket').tcp() c:settimeout(5) local ok, why = c:connect('s', 80) "
                               "if ok then return (c:receive()) end return why";
    up_quietly(TWO, BIOXEN_UP_WAIT);
    bioxen_session *session = attach(number_of_vm("c"));
    run(session, call, "host or service not provided, or not known");
    up_quietly(TWO "wires: [{from: c, to: s, port: 80}]\n", BIOXEN_UP_WAIT);
    run(session, call, "hello");
    up_quietly(TWO, BIOXEN_UP_WAIT);
    run(session, call, "host or service not provided, or not known");
    bioxen_detach(session);
    down("t");
#undef TWO
}

static void test_down_in_the_middle_of_up(void **state)
{
    (void)state;
    struct bioxen_error err;
    uint32_t request, going;
    request = up_start("version: 1\nname: t\nvms:\n  a: {" WAITING ", server: 80}\n"
                       "  b: {" WAITING ", depends_on: [a]}\n", 0);
    assert_int_equal(bioxen_down_start(manager, "t", &going, &err), 0);
    bioxen_answer_free(wait_answer(going));
    assert_non_null(strstr(refusal_of(request), "taken down meanwhile"));
    assert_int_equal(count_of(BIOXEN_LIST_TOPOLOGIES), 0);
}

static void test_two_topologies(void **state)
{
    (void)state;
    struct bioxen_error err;
    uint32_t request;
    up_quietly("version: 1\nname: one\nvms: {a: {" WAITING ", server: 80}}\n", 0);
    up_quietly("version: 1\nname: two\nvms: {a: {" WAITING ", server: 80}}\n", 0);
    assert_int_equal(bioxen_inspect_start(manager, "a", &request, &err), 0);
    assert_non_null(strstr(refusal_of(request), "name it as two/a"));
    expect_state("one/a", "running");
    down(NULL);
    assert_int_equal(count_of(BIOXEN_LIST_TOPOLOGIES), 0);
    assert_int_equal(bioxen_down_start(manager, "one", &request, &err), 0);
    assert_non_null(strstr(refusal_of(request), "there is no topology 'one'"));
}

static void test_what_is_not_there_yet_is_refused(void **state)
{
    (void)state;
    const char *why = refusal_of(up_start("version: 1\nname: t\nvms:\n  a: {" WAITING ", watchdog: 5s}\n", 0));
    assert_non_null(strstr(why, "line 4: vms.a: this version of bioxen cannot do 'watchdog' yet"));
    assert_int_equal(count_of(BIOXEN_LIST_TOPOLOGIES), 0);
}

/* Another client of the same orchestrator. */
static bioxen_manager *join(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct bioxen_error err;
    bioxen_manager *other = NULL;
    char directory[] = "/tmp/bioxen-test-XXXXXX";
    assert_non_null(mkdtemp(directory));
    snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", directory);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 8), 0);
    if (bioxen_listen(manager, fd, &err) != 0 || bioxen_open_path(&other, address.sun_path, &err) != 0)
        fail_msg("%s", err.text);
    close(fd);
    unlink(address.sun_path);
    rmdir(directory);
    return other;
}

static void test_client_that_goes_in_the_middle_of_its_up(void **state)
{
    (void)state;
    bioxen_manager *owner = manager, *other = join();
    uint32_t events = listen_to(NULL);
    wait_change(events, "live", NULL);
    manager = other;
    up_start("version: 1\nname: t\nvms:\n  a: {" WAITING ", server: 80}\n  b: {" WAITING ", depends_on: [a]}\n", 0);
    manager = owner;
    wait_change(events, "start", "a");
    bioxen_close(other);
    wait_change(events, "remove", "a");
    struct bioxen_event event = wait_change(events, "up", NULL);
    assert_int_equal(number_at(event.node, "done"), 1);
    assert_int_equal(count_of(BIOXEN_LIST_TOPOLOGIES), 0);
}

static void test_follower_that_does_not_read_holds_nobody_up(void **state)
{
    (void)state;
    struct bioxen_error err;
    bioxen_manager *owner = manager, *other = join();
    uint32_t request, skipped = 0, ended = 0;
    up_quietly("version: 1\nname: t\nvms: {a: {code: \"require('bioxen').receive() \", network: fabric}}\n",
               BIOXEN_UP_WAIT);
    assert_int_equal(bioxen_logs_start(other, "t/", 1, 0, &request, &err), 0);
    uint32_t events = listen_to("t");
    wait_change(events, "live", NULL);
    up_quietly("version: 1\nname: t\nvms: {a: {code: \"for i = 1, 900000 do print('0123456') end print('the end')\", "
               "network: fabric}}\n", 0);
    wait_change(events, "death", "a"); /* of the first script */
    wait_change(events, "death", "a");
    manager = other;
    while (ended == 0) {
        struct bioxen_event event = next_of(request);
        assert_int_equal(event.type, BIOXEN_EVENT_LOG);
        skipped += event.skipped > 0;
        ended = event.bytes.length >= 8 && memcmp(event.bytes.bytes + event.bytes.length - 8, "the end\n", 8) == 0;
    }
    assert_true(skipped > 0);
    bioxen_close(other);
    manager = owner;
    down("t");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_up_list_down, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_only_what_differs_is_touched, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dry_run_does_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_fails_is_taken_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_logs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_log_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_verbs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_events, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_reaches_whom, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wires_change_while_running, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_down_in_the_middle_of_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_two_topologies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_not_there_yet_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_client_that_goes_in_the_middle_of_its_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_follower_that_does_not_read_holds_nobody_up, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
