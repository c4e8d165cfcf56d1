/* test_serving.c - libbioxen and the real programs: what VMs that serve answer, and to whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "serving.h"

#include <pthread.h>

/* ---- calls ---- */

static void test_calls(void **state)
{
    (void)state;
    uint32_t vm = start("total = 5; m = {deep = {f = function(a, b) return b, a, total end}}");
    bioxen_session *session = attach(vm);
    struct bioxen_error err;
    uint64_t call;
    run(session, "return 1 + 1", "2");
    run(session, "", "");
    run(session, "return nil, true, 1.5, 'x', {}, 2^53, math.maxinteger", "nil true 1.5 x table0 9.0072e+15 "
                                                                           "9223372036854775807");
    run(session, "total = total + 1", "");
    run(session, "return total", "6");
    bioxen_values *values = bioxen_values_new();
    struct bioxen_string arguments;
    bioxen_put_list(values, 2);
    bioxen_put_string(values, "one", 3);
    bioxen_put_table(values, 0);
    bioxen_put_map(values, 1);
    bioxen_put_string(values, "me", 2);
    bioxen_put_table(values, 0);
    assert_int_equal(bioxen_values_bytes(values, &arguments), 0);
    assert_int_equal(
        bioxen_session_send(session, BIOXEN_CALL, text_of("m.deep.f"), arguments, 0, &call, &err), 0);
    expect(session, "table0 one 6");
    assert_int_equal(bioxen_session_send(session, BIOXEN_EXECUTE, text_of("local s, t = ... return s, t.me.me == t"),
                                         arguments, 0, &call, &err), 0);
    expect(session, "one true");
    bioxen_values_free(values);
    bioxen_detach(session);
    stop(vm);
}

static void test_errors(void **state)
{
    (void)state;
    uint32_t vm = start("");
    bioxen_session *session = attach(vm);
    run(session, "error('no', 0)", "! 1: no");
    run(session, "return 1 +", "! 2: ");
    run(session, "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end", "! 3: not enough memory");
    run(session, "return print", "! 6: ");
    run(session, "\27Lua", "! 2: ");
    ask(session, "error({code = 7})");
    struct bioxen_reply reply = hear(session);
    assert_int_equal(reply.type, BIOXEN_REPLY_ERROR);
    assert_true(reply.bytes.length > 8); /* the object itself */
    ask(session, "local function f() error('deep') end f()");
    reply = hear(session);
    assert_non_null(memmem(reply.traceback.bytes, reply.traceback.length, "stack traceback", 15));
    uint64_t call;
    bioxen_session_send(session, BIOXEN_EXECUTE, text_of("ran = true"), nothing, bx_now_us() - 1, &call, NULL);
    expect(session, "! 4: "); /* its time was over before it began */
    run(session, "return ran", "nil");
    bioxen_detach(session);
    stop(vm);
}

static void test_output(void **state)
{
    (void)state;
    uint32_t vm = start("");
    bioxen_session *session = attach(vm);
    ask(session, "print('one', 2)  return 'done'");
    struct bioxen_reply reply = hear(session);
    assert_true(reply.type == BIOXEN_REPLY_OUTPUT && reply.stream == 1 && reply.call == 1);
    assert_int_equal(reply.bytes.length, 6);
    assert_memory_equal(reply.bytes.bytes, "one\t2\n", 6);
    expect(session, "done");
    struct bioxen_stats stats;
    assert_int_equal(bioxen_stats(manager, vm, &stats, NULL), 0);
    assert_int_equal(stats.output_bytes, 6);
    struct bioxen_event event;
    assert_int_equal(bioxen_next(manager, &event, 0, NULL), 1); /* it came before the figures */
    assert_true(event.type == BIOXEN_EVENT_OUTPUT && event.bytes.length == 6);
    bioxen_detach(session);
    stop(vm);
}

/* Everything that is sent while the script runs waits for its end. */
static void test_requests_wait_for_the_script(void **state)
{
    (void)state;
    uint32_t vm = start("local t = os.clock() while os.clock() - t < 0.05 do end ready = true");
    bioxen_session *session = attach(vm);
    run(session, "return ready", "true");
    bioxen_detach(session);
    stop(vm);
    vm = start("error('at once')");
    struct bioxen_record record = death(vm, BIOXEN_OUTCOME_ERROR, 1);
    assert_non_null(memmem(record.error.bytes, record.error.length, "at once", 7));
}

static void test_many_at_once(void **state)
{
    (void)state;
    enum { CALLS = 20000 };
    uint32_t vm = start("n = 0");
    bioxen_session *session = attach(vm);
    struct bioxen_reply reply;
    struct bioxen_error err;
    char want[20];
    int heard = 0;
    for (int i = 0; i < CALLS; i++) {
        ask(session, "n = n + 1 return n");
        while (bioxen_session_next(session, &reply, 0, &err) == 1) {
            snprintf(want, sizeof want, "%d", ++heard);
            assert_string_equal(show(&reply), want);
        }
    }
    while (heard < CALLS) {
        snprintf(want, sizeof want, "%d", ++heard);
        expect(session, want);
    }
    bioxen_detach(session);
    stop(vm);
}

static void test_sizes(void **state)
{
    (void)state;
    struct bioxen_config config = config_of("large", "");
    config.memory = 1ull << 30;
    uint32_t vm = create(&config);
    bioxen_session *session = attach(vm);
    static const size_t sizes[] = {0, 1, 31, 32, 65535, 65536, 1 << 20, 20 << 20, BIOXEN_VALUES_MAX - 100};
    char *bytes = malloc(BIOXEN_VALUES_MAX);
    for (size_t i = 0; i < BIOXEN_VALUES_MAX; i++)
        bytes[i] = (char)(i * 7);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        bioxen_values *values = bioxen_values_new();
        struct bioxen_string arguments;
        uint64_t call;
        bioxen_put_list(values, 1);
        bioxen_put_string(values, bytes, sizes[i]);
        assert_int_equal(bioxen_values_bytes(values, &arguments), 0);
        assert_int_equal(
            bioxen_session_send(session, BIOXEN_EXECUTE, text_of("return ..."), arguments, 0, &call, NULL), 0);
        struct bioxen_reply reply = hear(session);
        struct bioxen_value value;
        assert_int_equal(reply.type, BIOXEN_REPLY_RESULT);
        bioxen_read(bioxen_read(reply.bytes.bytes, &value), &value);
        assert_int_equal(value.string.length, sizes[i]);
        assert_memory_equal(value.string.bytes, bytes, sizes[i]);
        bioxen_values_free(values);
    }
    free(bytes);
    run(session, "return ('x'):rep(64 * 1024 * 1024)", "! 7: ");
    run(session, "return 'still here'", "still here");
    bioxen_detach(session);
    stop(vm);
}

/* ---- sessions ---- */

static void test_many_sessions(void **state)
{
    (void)state;
    enum { MOST = 64 };
    uint32_t vm = start("n = 0");
    bioxen_session *sessions[MOST], *more;
    struct bioxen_error err;
    for (int i = 0; i < MOST; i++)
        sessions[i] = attach(vm);
    assert_int_equal(bioxen_attach(manager, vm, &more, &err), -EUSERS);
    for (int round = 0; round < 10; round++)
        for (int i = 0; i < MOST; i++)
            ask(sessions[i], "n = n + 1");
    for (int i = 0; i < MOST; i++)
        for (int round = 0; round < 10; round++)
            expect(sessions[i], "");
    run(sessions[0], "return n", "640");
    bioxen_detach(sessions[7]);
    uint64_t deadline = bx_now_us() + (uint64_t)patience() * 1000;
    int rc;
    while ((rc = bioxen_attach(manager, vm, &sessions[7], &err)) == -EUSERS && bx_now_us() < deadline)
        run(sessions[0], "", ""); /* the VM sees the end, and says so */
    assert_int_equal(rc, 0);
    for (int i = 0; i < MOST; i++)
        bioxen_detach(sessions[i]);
    stop(vm);
}

static void test_garbage_ends_one_session(void **state)
{
    (void)state;
    static char garbage[5000];
    uint32_t vm = start("");
    bioxen_session *bad = attach(vm), *good = attach(vm);
    memset(garbage, 0xa5, sizeof garbage);
    assert_int_equal(write(bioxen_session_fd(bad), garbage, sizeof garbage), sizeof garbage);
    expect_gone(bad);
    run(good, "return 'well'", "well");
    bioxen_detach(good);
    stop(vm);
}

static void test_detached_while_it_runs(void **state)
{
    (void)state;
    uint32_t vm = start("");
    bioxen_session *one = attach(vm), *other = attach(vm);
    ask(one, "print('started') local t = os.clock() while os.clock() - t < 0.05 do end print(('x'):rep(30000)) "
             "over = true");
    assert_int_equal(hear(one).type, BIOXEN_REPLY_OUTPUT);
    bioxen_detach(one);
    run(other, "return over", "true");
    bioxen_detach(other);
    stop(vm);
}

static void *use_a_session(void *given)
{
    bioxen_session *session = given;
    for (int i = 0; i < 1000; i++)
        run(session, "return select('#', 1, 2, 3)", "3");
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    enum { THREADS = 8 };
    uint32_t vms[THREADS];
    bioxen_session *sessions[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        vms[i] = i < 4 ? start("") : vms[i - 4]; /* two sessions each */
        sessions[i] = attach(vms[i]);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_a_session, sessions[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++)
        bioxen_detach(sessions[i]);
    for (int i = 0; i < 4; i++)
        stop(vms[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_output),
        cmocka_unit_test(test_requests_wait_for_the_script),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_many_sessions),
        cmocka_unit_test(test_garbage_ends_one_session),
        cmocka_unit_test(test_detached_while_it_runs),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
