/* test_topology.c - topologies come up, change, and go down, through libbioxen and the real programs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fleet.h"

#define WAITING "code: \"require('bioxen').receive()\""

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_up_list_down, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
