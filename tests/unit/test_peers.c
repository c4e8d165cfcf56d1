/*
 * test_peers.c - bioxend's wires: what it asks of the jailer for them, and what VMs are told of each other. The jailer
 * is this test.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/mail_wire.h"
#include "common/socket.h"
#include "daemon/manager.h"
#include "daemon/peers.h"
#include "daemon/vm.h"

static struct manager *manager;
static int jailer;
static struct vm vms[8];

/* Nets 1 to 6, "n1" and on, at addresses 101 and on; the last two are of one group. */
static int set_up(void **state)
{
    struct bx_error err;
    int link[2], control[2];
    (void)state;
    assert_int_equal(bx_socketpair(link), 0);
    assert_int_equal(bx_socketpair(control), 0);
    manager = calloc(1, sizeof *manager);
    assert_int_equal(manager_init(manager, control[0], link[0], &err), 0);
    close(control[1]);
    jailer = link[1];
    for (uint32_t i = 1; i <= 6; i++) {
        char name[8];
        snprintf(name, sizeof name, "n%u", i);
        vms[i] = (struct vm){.id = i, .manager = manager};
        assert_int_equal(network_add(manager, 1, i, name, &vms[i].net, &err), 0);
        network_place(manager, vms[i].net, 100 + i);
        vms[i].net->group = i >= 5 ? 9 : 0;
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(jailer);
    while (manager->network.nets != NULL) /* they are no VM's here, which would take them along */
        network_drop(manager, manager->network.nets, false);
    manager_fini(manager);
    free(manager);
    return 0;
}

static uint32_t replies;

static void on_reply(struct manager *its, const struct network_question *question, const struct jw_reply *reply)
{
    (void)question;
    assert_ptr_equal(its, manager);
    replies += reply != NULL && reply->type == JW_NET_DONE;
}

/* "1>2:80 2>1:25208 ..." of what the jailer was asked; it answers. */
static const char *asked(bool well)
{
    static char text[4000];
    struct jw_request request;
    struct jw_reply reply = {.magic = JW_MAGIC, .type = well ? JW_NET_DONE : JW_NET_FAILED};
    text[0] = '\0';
    if (recv(jailer, &request, sizeof request, MSG_DONTWAIT) != (ssize_t)sizeof request)
        return "nothing";
    assert_int_equal(request.type, JW_WIRES);
    for (uint32_t i = 0; i < request.wires.count; i++) {
        const struct jw_wire *wire = &request.wires.wires[i];
        size_t at = strlen(text);
        snprintf(text + at, sizeof text - at, "%s%s%u>%u:%u%s", at > 0 ? " " : "", wire->on ? "" : "-", wire->from,
                 wire->to, wire->port, wire->protocol == JW_UDP ? "u" : "");
    }
    reply.tag = request.tag;
    network_take_reply(manager, &reply);
    return text;
}

static int wire(uint32_t from, uint32_t to, uint16_t port, uint8_t protocol, uint8_t on)
{
    const struct jw_wire one = {from, to, port, protocol, on};
    return network_wire(manager, &one, 1, &(struct network_question){.done = on_reply});
}

/* "name role port" of each that it is told of. */
static const char *peers_of(uint32_t number)
{
    static char text[4000], bytes[BX_MESSAGE_MAX];
    struct lw_frame answer = {0}, question = {.type = LW_NEED, .b = LW_NEED_PEERS};
    text[0] = '\0';
    do {
        struct lw_peer peer;
        const char *name;
        question.a = answer.a;
        assert_int_equal(peers_list(&vms[number], &question, &answer, bytes), 0);
        for (uint32_t at = 0; lw_next_peer(answer.text1, answer.length1, &at, &peer, &name) == 1;) {
            size_t end = strlen(text);
            snprintf(text + end, sizeof text - end, "%s%.*s %u %u", end > 0 ? ", " : "", peer.name_length, name,
                     peer.role, peer.port);
        }
    } while (answer.a != 0);
    return text;
}

static uint32_t address_of(uint32_t of, const char *name)
{
    struct lw_frame answer, question = {.text1 = name, .length1 = (uint32_t)strlen(name)};
    peers_address(&vms[of], &question, &answer);
    return (uint32_t)answer.a;
}

static const char *name_of(uint32_t of, uint64_t address)
{
    static char text[BX_NAME_MAX + 1];
    struct lw_frame answer, question = {.a = address};
    peers_name(&vms[of], &question, &answer);
    snprintf(text, sizeof text, "%.*s", (int)answer.length1, answer.text1 != NULL ? answer.text1 : "");
    return text;
}

static void test_first_and_last_wire(void **state)
{
    (void)state;
    replies = 0;
    assert_int_equal(wire(1, 2, 80, JW_TCP, 1), 0);
    assert_string_equal(asked(true), "1>2:80 1>2:25208 2>1:25208");
    assert_int_equal(wire(2, 1, 53, JW_UDP, 1), 0);
    assert_string_equal(asked(true), "2>1:53u");
    assert_int_equal(wire(1, 2, MAIL_PORT, JW_TCP, 1), 0);
    assert_string_equal(asked(true), "nothing");
    assert_int_equal(replies, 3);
    assert_int_equal(wire(1, 2, 80, JW_TCP, 0), 0);
    assert_string_equal(asked(true), "-1>2:80");
    assert_int_equal(wire(1, 2, MAIL_PORT, JW_TCP, 0), 0);
    assert_string_equal(asked(true), "nothing");
    assert_int_equal(wire(2, 1, 53, JW_UDP, 0), 0);
    assert_string_equal(asked(true), "-2>1:53u -2>1:25208 -1>2:25208");
    assert_string_equal(peers_of(1), "");
}

static void test_what_fails_is_not_counted(void **state)
{
    (void)state;
    assert_int_equal(wire(1, 2, 80, JW_TCP, 1), 0);
    assert_string_equal(asked(false), "1>2:80 1>2:25208 2>1:25208");
    assert_string_equal(peers_of(1), "");
    assert_int_equal(address_of(1, "n2"), 0);
    assert_int_equal(wire(1, 2, 80, JW_TCP, 1), 0);
    assert_string_equal(asked(true), "1>2:80 1>2:25208 2>1:25208");
    struct jw_wire many[NETWORK_WIRES_MAX + 1] = {{1, 2, 1, JW_TCP, 1}};
    assert_int_equal(network_wire(manager, many, NETWORK_WIRES_MAX + 1, &(struct network_question){0}), -E2BIG);
    assert_int_equal(network_wire(manager, many, 0, &(struct network_question){0}), -E2BIG);
}

static void test_who_is_told_what(void **state)
{
    (void)state;
    wire(1, 2, 80, JW_TCP, 1);
    wire(1, 3, 80, JW_TCP, 1);
    wire(1, 3, 81, JW_TCP, 1);
    wire(3, 4, 90, JW_TCP, 1);
    wire(4, 3, 90, JW_TCP, 1);
    assert_string_equal(peers_of(1), "n2 1 80, n3 1 80, n3 1 81");
    assert_string_equal(peers_of(2), "n1 2 80");
    assert_string_equal(peers_of(3), "n1 2 80, n1 2 81, n4 3 90");
    assert_string_equal(peers_of(5), "n6 3 0");
    assert_int_equal(address_of(2, "n1"), 101); /* it may answer */
    assert_int_equal(address_of(2, "n3"), 0);
    assert_int_equal(address_of(5, "n6"), 106);
    assert_int_equal(address_of(5, "n1"), 0);
    assert_string_equal(name_of(2, 101), "n1");
    assert_string_equal(name_of(2, 103), "");
    assert_string_equal(name_of(2, 102), "n2");
    assert_string_equal(name_of(2, 0), "");
    assert_string_equal(name_of(2, UINT64_MAX), "");
    network_drop(manager, vms[3].net, false);
    assert_string_equal(peers_of(1), "n2 1 80");
    assert_string_equal(peers_of(4), "");
    assert_string_equal(name_of(1, 103), "");
}

/* More than one frame holds, and each once. */
static void test_many(void **state)
{
    (void)state;
    struct bx_error err;
    struct network_net *net;
    static char bytes[BX_MESSAGE_MAX];
    unsigned count = 0, frames = 0;
    for (uint32_t i = 100; i < 700; i++) {
        char name[64];
        snprintf(name, sizeof name, "a-rather-long-name-of-a-vm-among-others-%u", i);
        assert_int_equal(network_add(manager, 1, i, name, &net, &err), 0);
        net->group = 9;
    }
    struct lw_frame answer = {0}, question = {0};
    do {
        struct lw_peer peer;
        const char *name;
        question.a = answer.a;
        assert_int_equal(peers_list(&vms[5], &question, &answer, bytes), 0);
        for (uint32_t at = 0; lw_next_peer(answer.text1, answer.length1, &at, &peer, &name) == 1;)
            count++;
        frames++;
    } while (answer.a != 0);
    assert_int_equal(count, 601);
    assert_true(frames > 1 && frames < 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_first_and_last_wire, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_fails_is_not_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_is_told_what, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
