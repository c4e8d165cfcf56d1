/*
 * execute.c - the C library by itself: a VM that keeps its state, a call with arguments, an error, a call that takes
 * too long, an orderly end.
 *
 *     cc -o execute execute.c $(pkg-config --cflags --libs bioxen)
 *     ./execute [DIRECTORY OF THE PROGRAMS]
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <bioxen.h>

static struct bioxen_string text(const char *bytes)
{
    return (struct bioxen_string){bytes, strlen(bytes)};
}

static void print_output(int stream, struct bioxen_string bytes, void *context)
{
    (void)context;
    fwrite(bytes.bytes, 1, bytes.length, stream == 2 ? stderr : stdout);
}

/* A result begins with a list of the values. Tables would follow it; this prints their numbers only. */
static void print_values(struct bioxen_string values)
{
    struct bioxen_value value;
    const char *at = bioxen_read(values.bytes, &value);
    for (int64_t left = value.integer; left > 0; left--) {
        at = bioxen_read(at, &value);
        switch (value.type) {
        case BIOXEN_NIL: printf(" nil"); break;
        case BIOXEN_BOOLEAN: printf(value.integer ? " true" : " false"); break;
        case BIOXEN_INTEGER: printf(" %" PRId64, value.integer); break;
        case BIOXEN_NUMBER: printf(" %.17g", value.number); break;
        case BIOXEN_STRING: printf(" \"%.*s\"", (int)value.string.length, value.string.bytes); break;
        default: printf(" table %" PRId64, value.integer); break;
        }
    }
    printf("\n");
}

static int run(bioxen_manager *manager, bioxen_session *session, const char *code, bioxen_values *arguments)
{
    struct bioxen_error err;
    struct bioxen_reply reply;
    struct bioxen_string bytes = {NULL, 0};
    if (arguments != NULL && bioxen_values_bytes(arguments, &bytes) != 0)
        return -1;
    printf("> %s\n", code);
    if (bioxen_execute(manager, session, text(code), bytes, 300, &reply, print_output, NULL, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    if (reply.type == BIOXEN_REPLY_RESULT) {
        printf("=");
        print_values(reply.bytes);
    } else {
        printf("! %.*s\n", (int)reply.message.length, reply.message.bytes);
    }
    return 0;
}

static int use(bioxen_manager *manager, bioxen_session *session)
{
    bioxen_values *arguments = bioxen_values_new();
    bioxen_put_list(arguments, 2);
    bioxen_put_integer(arguments, 20);
    bioxen_put_number(arguments, 1.5);
    int rc = run(manager, session, "return 1 + 1", NULL);
    if (rc == 0)
        rc = run(manager, session, "counter = 0; function count(n) counter = counter + n; return counter end", NULL);
    if (rc == 0)
        rc = run(manager, session, "local a, b = ...; print('given', a, b); return count(a), count(b)", arguments);
    if (rc == 0)
        rc = run(manager, session, "error('no')", NULL);
    if (rc == 0)
        rc = run(manager, session, "while true do end", NULL); /* 300 ms, and the VM can be used again */
    if (rc == 0)
        rc = run(manager, session, "return counter, _VERSION", NULL);
    bioxen_values_free(arguments);
    return rc;
}

/* The VM's finalizers run; then its death is told, and how it came to it. */
static int stop(bioxen_manager *manager, uint32_t vm)
{
    struct bioxen_error err;
    struct bioxen_event event;
    int rc = bioxen_stop(manager, vm, 1000, &err);
    while (rc == 0 && (rc = bioxen_next(manager, &event, 5000, &err)) == 1) {
        if (event.type == BIOXEN_EVENT_DEATH) {
            printf("%s: %s\n", event.record.name, bioxen_outcome_name(event.record.outcome));
            return 0;
        }
        rc = 0; /* its output, which print_output has shown already */
    }
    fprintf(stderr, "%s\n", rc == 0 ? "the VM did not end" : err.text);
    return -1;
}

int main(int argc, char **argv)
{
    struct bioxen_error err;
    struct bioxen_config config;
    bioxen_manager *manager;
    bioxen_session *session = NULL;
    uint32_t vm;
    if (bioxen_open_at(&manager, argc > 1 ? argv[1] : NULL, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    bioxen_config_init(&config);
    config.name = "example";
    config.serve = 1;
    int rc = bioxen_create(manager, &config, &vm, &err);
    if (rc == 0)
        rc = bioxen_attach(manager, vm, &session, &err);
    if (rc != 0)
        fprintf(stderr, "%s\n", err.text);
    if (rc == 0)
        rc = use(manager, session);
    bioxen_detach(session);
    if (rc == 0)
        rc = stop(manager, vm);
    bioxen_close(manager);
    return rc == 0 ? 0 : 1;
}
