/* fleet.h - for tests with topologies that are up: brings texts up, and asks about what is there. */
#ifndef BX_TESTS_FLEET_H
#define BX_TESTS_FLEET_H

#include "serving.h"

static inline int check_text(const char *text, bioxen_checked **checked, struct bioxen_topology_file *file)
{
    struct bioxen_error err;
    *file = (struct bioxen_topology_file){.text = text_of(text), .name = "test", .directory = "."};
    if (bioxen_check(manager, file, checked, &err) != 0)
        fail_msg("%s", err.text);
    if (bioxen_checked_errors(*checked) > 0)
        fail_msg("line %u: %s", bioxen_checked_diagnostic(*checked, 0)->line,
                 bioxen_checked_diagnostic(*checked, 0)->message);
    return 0;
}

static inline uint32_t up_start(const char *text, unsigned flags)
{
    struct bioxen_error err;
    struct bioxen_topology_file file;
    bioxen_checked *checked;
    uint32_t request;
    check_text(text, &checked, &file);
    if (bioxen_up_start(manager, &file, checked, flags, &request, &err) != 0)
        fail_msg("%s", err.text);
    bioxen_checked_free(checked);
    return request;
}

static inline bioxen_answer *wait_answer(uint32_t request)
{
    struct bioxen_error err;
    bioxen_answer *answer;
    if (bioxen_answer_wait(manager, request, &answer, &err) != 0)
        fail_msg("%s", err.text);
    return answer;
}

static inline bioxen_answer *up(const char *text, unsigned flags)
{
    return wait_answer(up_start(text, flags));
}

static inline void up_quietly(const char *text, unsigned flags)
{
    bioxen_answer_free(up(text, flags));
}

/* The error by which it is refused. */
static inline const char *refusal_of(uint32_t request)
{
    static struct bioxen_error err;
    bioxen_answer *answer;
    if (bioxen_answer_wait(manager, request, &answer, &err) == 0)
        fail_msg("it was not refused");
    return err.text;
}

static inline bioxen_answer *list(enum bioxen_list what)
{
    struct bioxen_error err;
    uint32_t request;
    assert_int_equal(bioxen_list_start(manager, what, NULL, &request, &err), 0);
    return wait_answer(request);
}

static inline size_t count_of(enum bioxen_list what)
{
    bioxen_answer *answer = list(what);
    size_t count = bioxen_node_count(bioxen_answer_node(answer));
    bioxen_answer_free(answer);
    return count;
}

static inline void down(const char *name)
{
    struct bioxen_error err;
    uint32_t request;
    assert_int_equal(bioxen_down_start(manager, name, &request, &err), 0);
    bioxen_answer_free(wait_answer(request));
}

static inline bioxen_answer *inspect(const char *name)
{
    struct bioxen_error err;
    uint32_t request;
    assert_int_equal(bioxen_inspect_start(manager, name, &request, &err), 0);
    return wait_answer(request);
}

static inline int text_is(const bioxen_node *map, const char *key, const char *want)
{
    struct bioxen_string text = bioxen_node_text(bioxen_node_find(map, key));
    return text.bytes != NULL && text.length == strlen(want) && memcmp(text.bytes, want, text.length) == 0;
}

static inline uint64_t number_at(const bioxen_node *map, const char *key)
{
    return bioxen_node_number(bioxen_node_find(map, key));
}

/* The item of a list of maps with that name. */
static inline const bioxen_node *named(const bioxen_node *items, const char *name)
{
    for (size_t i = 0; i < bioxen_node_count(items); i++)
        if (text_is(bioxen_node_item(items, i), "name", name))
            return bioxen_node_item(items, i);
    return NULL;
}

static inline uint32_t number_of_vm(const char *name)
{
    bioxen_answer *answer = inspect(name);
    uint32_t number = (uint32_t)number_at(bioxen_answer_node(answer), "number");
    bioxen_answer_free(answer);
    return number;
}

static inline void expect_state(const char *name, const char *state)
{
    bioxen_answer *answer = inspect(name);
    if (!text_is(bioxen_answer_node(answer), "state", state)) {
        struct bioxen_string is = bioxen_node_text(bioxen_node_find(bioxen_answer_node(answer), "state"));
        fail_msg("%s is %.*s, not %s", name, (int)is.length, is.bytes, state);
    }
    bioxen_answer_free(answer);
}

/* The next event of one of these types for a request, within the patience. */
static inline struct bioxen_event next_of(uint32_t request)
{
    struct bioxen_error err;
    struct bioxen_event event;
    for (;;) {
        int rc = bioxen_next(manager, &event, patience(), &err);
        if (rc != 1)
            fail_msg("%d: %s", rc, rc == 0 ? "nothing came" : err.text);
        if (event.request == request)
            return event;
    }
}

/* Waits for a change of that name, of a VM or (NULL) of any. */
static inline struct bioxen_event wait_change(uint32_t request, const char *name, const char *vm)
{
    for (;;) {
        struct bioxen_event event = next_of(request);
        assert_int_equal(event.type, BIOXEN_EVENT_CHANGE);
        if (text_is(event.node, "event", name) && (vm == NULL || text_is(event.node, "vm", vm)))
            return event;
    }
}

static inline uint32_t listen_to(const char *topology)
{
    struct bioxen_error err;
    uint32_t request;
    assert_int_equal(bioxen_events_start(manager, topology, &request, &err), 0);
    return request;
}

#endif
