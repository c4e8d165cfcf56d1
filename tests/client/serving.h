/*
 * serving.h - for the tests of libbioxen with the real programs: a manager, VMs that serve, what is expected of them.
 */
#ifndef BX_TESTS_SERVING_H
#define BX_TESTS_SERVING_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/bioxen.h"
#include "common/clock.h"

/* One manager for all tests but those that end it. */
static bioxen_manager *manager;

static const struct bioxen_string nothing = {NULL, 0};

static inline int slow(void)
{
    const char *factor = getenv("BIOXEN_TEST_SLOW");
    return factor != NULL ? atoi(factor) : 1;
}

static inline int patience(void)
{
    return 10000 * slow();
}

static inline struct bioxen_string text_of(const char *bytes)
{
    return (struct bioxen_string){bytes, strlen(bytes)};
}

static inline void open_manager(bioxen_manager **out)
{
    struct bioxen_error err;
    if (bioxen_open_at(out, getenv("BIOXEN_BUILD"), &err) != 0)
        fail_msg("%s", err.text);
}

static inline struct bioxen_config config_of(const char *name, const char *script)
{
    struct bioxen_config config;
    bioxen_config_init(&config);
    config.name = name;
    config.text = text_of(script);
    config.chunk_name = "=script";
    config.serve = 1;
    return config;
}

static inline uint32_t create(const struct bioxen_config *config)
{
    struct bioxen_error err;
    uint32_t vm;
    if (bioxen_create(manager, config, &vm, &err) != 0)
        fail_msg("%s", err.text);
    return vm;
}

static inline uint32_t start(const char *script)
{
    struct bioxen_config config = config_of("serving", script);
    return create(&config);
}

static inline bioxen_session *attach(uint32_t vm)
{
    struct bioxen_error err;
    bioxen_session *session;
    if (bioxen_attach(manager, vm, &session, &err) != 0)
        fail_msg("%s", err.text);
    return session;
}

static inline uint64_t ask(bioxen_session *session, const char *code)
{
    struct bioxen_error err;
    uint64_t call;
    if (bioxen_session_send(session, BIOXEN_EXECUTE, text_of(code), nothing, 0, &call, &err) != 0)
        fail_msg("%s", err.text);
    return call;
}

static inline struct bioxen_reply hear(bioxen_session *session)
{
    struct bioxen_error err;
    struct bioxen_reply reply;
    int rc = bioxen_session_next(session, &reply, patience(), &err);
    if (rc != 1)
        fail_msg("%d: %s", rc, rc == 0 ? "no answer" : err.text);
    return reply;
}

/* An answer as text: "1 2.5 nil", or "! kind: message". */
static const char *show(const struct bioxen_reply *reply)
{
    static __thread char text[1000];
    char *to = text, *end = text + sizeof text;
    if (reply->type == BIOXEN_REPLY_ERROR) {
        snprintf(text, sizeof text, "! %d: %.*s", (int)reply->failure, (int)reply->message.length,
                 reply->message.bytes);
        return text;
    }
    struct bioxen_value value;
    const char *at = bioxen_read(reply->bytes.bytes, &value);
    *to = '\0';
    for (int64_t left = value.integer; left > 0 && end - to > 300; left--) {
        at = bioxen_read(at, &value);
        switch (value.type) {
        case BIOXEN_NIL: to += snprintf(to, 20, "nil"); break;
        case BIOXEN_BOOLEAN: to += snprintf(to, 20, "%s", value.integer ? "true" : "false"); break;
        case BIOXEN_INTEGER: to += snprintf(to, 30, "%lld", (long long)value.integer); break;
        case BIOXEN_NUMBER: to += snprintf(to, 40, "%g", value.number); break;
        case BIOXEN_STRING: to += snprintf(to, 200, "%.*s", (int)value.string.length, value.string.bytes); break;
        default: to += snprintf(to, 30, "table%lld", (long long)value.integer); break;
        }
        if (left > 1)
            to += snprintf(to, 2, " ");
    }
    return text;
}

/* "! text": an error whose message has that text in it. */
static inline int matches(const char *got, const char *want)
{
    if (want[0] == '!' && want[1] == ' ')
        return got[0] == '!' && strstr(got, strchr(want, ' ') + 1) != NULL;
    return strcmp(got, want) == 0;
}

static inline void expect(bioxen_session *session, const char *want)
{
    struct bioxen_reply reply = hear(session);
    const char *got = show(&reply);
    if (!matches(got, want))
        fail_msg("got '%s', want '%s'", got, want);
}

static inline void run(bioxen_session *session, const char *code, const char *want)
{
    ask(session, code);
    expect(session, want);
}

static inline void expect_gone(bioxen_session *session)
{
    struct bioxen_error err;
    struct bioxen_reply reply;
    int rc = bioxen_session_next(session, &reply, patience(), &err);
    if (rc != -EPIPE)
        fail_msg("%d: %s", rc, rc == 1 ? show(&reply) : err.text);
    bioxen_detach(session);
}

/* Its output is thrown away. The record's pointers live until the next call on the manager. */
static inline struct bioxen_record death(uint32_t vm, enum bioxen_outcome outcome, int exit_code)
{
    struct bioxen_event event;
    struct bioxen_error err;
    int rc;
    do {
        rc = bioxen_next(manager, &event, patience(), &err);
        if (rc != 1)
            fail_msg("%d: %s", rc, rc == 0 ? "no death" : err.text);
    } while (event.type != BIOXEN_EVENT_DEATH);
    assert_int_equal(event.vm, vm);
    if (event.record.outcome != outcome)
        fail_msg("%s: %.*s", bioxen_outcome_name(event.record.outcome), (int)event.record.error.length,
                 event.record.error.bytes);
    assert_int_equal(event.record.exit_code, exit_code);
    return event.record;
}

/* Until it has worked for so long: then it is in the midst of what it was told. */
static inline void wait_busy(uint32_t vm)
{
    struct bioxen_stats first, now = {0};
    assert_int_equal(bioxen_stats(manager, vm, &first, NULL), 0);
    while (now.cpu_us < first.cpu_us + 50000)
        assert_int_equal(bioxen_stats(manager, vm, &now, NULL), 0);
}

static inline void stop(uint32_t vm)
{
    assert_int_equal(bioxen_stop(manager, vm, (unsigned)patience(), NULL), 0);
    death(vm, BIOXEN_OUTCOME_STOPPED, 0);
}

static inline int set_up(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_DFL); /* the library never raises it */
    open_manager(&manager);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    bioxen_close(manager);
    return 0;
}

#endif
