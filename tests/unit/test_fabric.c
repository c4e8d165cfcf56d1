/*
 * test_fabric.c - nets, wires and ways, against the kernel, in a user namespace of its own: that the lists and the
 * kernel's sets agree, and that nothing is left of what was dropped. Who reaches whom is test_fabric.py's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jailer/fabric.h"
#include "jailer/nft.h"

enum { PASSED = 0, FAILED = 1, CANNOT = 77 };

static struct fabric fabric;
static struct sb_host host;
static struct sb_error err;

#define CHECK(condition)                                                                  \
    do {                                                                                  \
        if (!(condition)) {                                                               \
            fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition, err.text); \
            _exit(FAILED);                                                                \
        }                                                                                 \
    } while (0)

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        _exit(CANNOT);
    close(fd);
}

static void become_root_of_its_own(void)
{
    char map[64];
    snprintf(map, sizeof map, "0 %u 1", getuid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        _exit(CANNOT);
    write_file("/proc/self/setgroups", "deny");
    write_file("/proc/self/uid_map", map);
    host = (struct sb_host){.proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC)};
    fabric_init(&fabric);
}

static void in_child(void (*test)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        become_root_of_its_own();
        test();
        fabric_fini(&fabric);
        _exit(PASSED);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT)
        skip();
    assert_int_equal(status, PASSED);
}

static struct net *new_net(uint32_t number, uint32_t group)
{
    CHECK(sb_host_new_net(&err) == 0);
    struct net *net = fabric_new(&fabric, &host, number, &err);
    CHECK(net != NULL);
    int rc = fabric_attach(&fabric, &host, net, group, &err);
    if (rc == -EOPNOTSUPP || rc == -ENOENT)
        _exit(CANNOT); /* a kernel without nf_tables or veth */
    CHECK(rc == 0);
    return net;
}

static int wire(uint32_t from, uint32_t to, unsigned first, unsigned count, unsigned on)
{
    struct jw_wires wires = {.count = count};
    for (unsigned i = 0; i < count; i++)
        wires.wires[i] =
            (struct jw_wire){from, to, (uint16_t)(first + i), (first + i) % 2 ? JW_TCP : JW_UDP, (uint8_t)on};
    return fabric_wire(&fabric, &wires, &err);
}

static unsigned count(struct between *list, int side)
{
    unsigned found = 0;
    for (; list != NULL; list = list->next[side])
        found++;
    return found;
}

static void nets_and_wires(void)
{
    struct net *a = new_net(1, 0), *b = new_net(2, 5), *c = new_net(4097, 5); /* the first and the last share a chain */
    CHECK(fabric_find(&fabric, 1) == a && fabric_find(&fabric, 4097) == c && fabric_find(&fabric, 3) == NULL);
    CHECK(fabric_address(a) != fabric_address(b) && (fabric_address(a) & 0xffff0000u) == FABRIC_ADDRESS);
    CHECK(fabric_attach(&fabric, &host, a, 0, &err) == -EEXIST);
    CHECK(wire(1, 2, 1, JW_WIRES_MAX, 1) == 0 && fabric.wires == JW_WIRES_MAX);
    CHECK(wire(2, 1, 1, 10, 1) == 0 && wire(4097, 1, 1, 10, 1) == 0);
    CHECK(count(a->wires[LEAVING], LEAVING) == JW_WIRES_MAX && count(a->wires[ARRIVING], ARRIVING) == 20);
    CHECK(wire(1, 2, JW_WIRES_MAX, 2, 1) == -EEXIST && fabric.wires == JW_WIRES_MAX + 20);
    CHECK(wire(1, 9, 1, 1, 1) == -ENOENT && wire(1, 2, 60000, 1, 0) == -ENOENT);
    CHECK(wire(1, 2, 1, JW_WIRES_MAX, 0) == 0 && a->wires[LEAVING] == NULL && fabric.wires == 20);
    CHECK(wire(1, 2, 1, JW_WIRES_MAX, 1) == 0);
    fabric_drop(&fabric, a);
    CHECK(fabric.wires == 0 && b->wires[ARRIVING] == NULL && c->wires[LEAVING] == NULL);
    CHECK(fabric_find(&fabric, 1) == NULL && fabric_find(&fabric, 4097) == c);
    fabric_drop(&fabric, b);
    fabric_drop(&fabric, c);
}

static void test_nets_and_wires(void **state)
{
    (void)state;
    in_child(nets_and_wires);
}

/* Adding each element anew says whether it had been removed: what is there already is an error. */
static void nothing_is_left(void)
{
    struct net *a = new_net(1, 7), *b = new_net(2, 7);
    const uint32_t from = fabric_address(a), to = fabric_address(b), index = FABRIC_FIRST_INDEX + a->slot;
    CHECK(wire(1, 2, 80, 1, 1) == 0 && wire(2, 1, 80, 1, 1) == 0);
    fabric_drop(&fabric, a);
    nft_begin(&fabric.filter);
    nft_add(&fabric.filter, NFT_MEMBERS, &(struct nft_element){{index, from}, 0}, 1);
    nft_add(&fabric.filter, NFT_PACE, &(struct nft_element){{from}, 0}, 1);
    nft_add(&fabric.filter, NFT_GROUPS, &(struct nft_element){{from}, 7}, 1);
    nft_add(&fabric.filter, NFT_TOGETHER, &(struct nft_element){{7, from}, 0}, 1);
    nft_add(&fabric.filter, NFT_WIRES, &(struct nft_element){{from, to, JW_UDP, 80}, 0}, 1);
    nft_add(&fabric.filter, NFT_WIRES, &(struct nft_element){{to, from, JW_UDP, 80}, 0}, 1);
    CHECK(nft_commit(&fabric.filter) == 0);
    nft_begin(&fabric.filter);
    nft_add(&fabric.filter, NFT_WIRES, &(struct nft_element){{from, to, JW_UDP, 81}, 0}, 1);
    nft_add(&fabric.filter, NFT_WIRES, &(struct nft_element){{from, to, JW_UDP, 80}, 0}, 1);
    CHECK(nft_commit(&fabric.filter) == -EEXIST);
    nft_begin(&fabric.filter); /* and of a transaction that failed nothing was done */
    nft_remove(&fabric.filter, NFT_WIRES, &(struct nft_element){{from, to, JW_UDP, 81}, 0}, 1);
    CHECK(nft_commit(&fabric.filter) == -ENOENT);
    fabric_drop(&fabric, b);
}

static void test_nothing_is_left(void **state)
{
    (void)state;
    in_child(nothing_is_left);
}

static void more_wires_than_a_transaction_holds(void)
{
    struct net *a = new_net(1, 0);
    new_net(2, 0);
    for (unsigned i = 0; i < 50; i++)
        CHECK(wire(1, 2, 1 + i * JW_WIRES_MAX, JW_WIRES_MAX, 1) == 0);
    CHECK(fabric.wires == 50 * JW_WIRES_MAX);
    fabric_drop(&fabric, a);
    CHECK(fabric.wires == 0);
}

static void test_more_wires_than_a_transaction_holds(void **state)
{
    (void)state;
    in_child(more_wires_than_a_transaction_holds);
}

static void shapes(void)
{
    struct net *a = new_net(1, 0), *b = new_net(2, 0), *c = new_net(3, 0);
    struct jw_shape shape = {.from = 1, .to = 2, .rate = 1000000};
    int rc = fabric_shape(&fabric, &shape, &err);
    if (rc == -ENOTSUP)
        _exit(CANNOT);
    CHECK(rc == 0 && fabric.shapes == 1 && b->classes && !a->classes);
    shape.rate = BX_RATE_MAX;
    CHECK(fabric_shape(&fabric, &shape, &err) == 0 && fabric.shapes == 1);
    shape = (struct jw_shape){.from = 3, .to = 2, .rate = BX_RATE_MIN};
    CHECK(fabric_shape(&fabric, &shape, &err) == 0 && fabric.shapes == 2);
    shape = (struct jw_shape){.from = 3, .to = 1, .delay_us = 1000};
    rc = fabric_shape(&fabric, &shape, &err);
    CHECK(rc == 0 || (rc == -ENOTSUP && strstr(err.text, "sch_netem") != NULL));
    CHECK(fabric.shapes == (rc == 0 ? 3u : 2u));
    shape = (struct jw_shape){.from = 1, .to = 2};
    CHECK(fabric_shape(&fabric, &shape, &err) == 0 && fabric_shape(&fabric, &shape, &err) == 0);
    CHECK(a->shapes[LEAVING] == NULL);
    fabric_drop(&fabric, c);
    CHECK(fabric.shapes == 0 && b->shapes[ARRIVING] == NULL);
    fabric_drop(&fabric, a);
    fabric_drop(&fabric, b);
}

static void test_shapes(void **state)
{
    (void)state;
    in_child(shapes);
}

/* A slot that is taken, by whomever, is passed over; and numbers begin anew at the end. */
static void slots(void)
{
    struct net *a = new_net(1, 0);
    CHECK(a->slot == 1);
    fabric.last_slot = 0;
    struct net *b = new_net(2, 0);
    CHECK(b->slot == 2);
    fabric.last_slot = FABRIC_SLOTS - 1;
    struct net *c = new_net(3, 0), *d = new_net(4, 0);
    CHECK(c->slot == FABRIC_SLOTS && d->slot == 3);
    CHECK(wire(1, 2, 80, 1, 1) == 0); /* that of the first is as it was */
}

static void test_slots(void **state)
{
    (void)state;
    in_child(slots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nets_and_wires),
        cmocka_unit_test(test_nothing_is_left),
        cmocka_unit_test(test_more_wires_than_a_transaction_holds),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_slots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
