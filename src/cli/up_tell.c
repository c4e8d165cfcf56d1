/* up_tell.c - what an up did, or would do. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "up.h"

static const char *sign_of(const char *action)
{
    return strcmp(action, "add") == 0 || strcmp(action, "start") == 0 ? "+"
           : strcmp(action, "remove") == 0                            ? "-"
                                                                      : "~";
}

static void print_why(const bioxen_node *why)
{
    for (size_t i = 0; i < bioxen_node_count(why); i++) {
        struct bioxen_string text = bioxen_node_text(bioxen_node_item(why, i));
        printf("%s%.*s", i == 0 ? " (" : ", ", (int)text.length, text.bytes);
    }
    if (bioxen_node_count(why) > 0)
        putchar(')');
}

/* A shape is of the whole way, whatever the port. */
static void print_wire(const bioxen_node *wire, const char *action, const char *from, const char *to, const char *proto)
{
    unsigned long long port = remote_number(wire, "port");
    printf("%s %s wire %s -> %s", sign_of(action), action, from, to);
    if (port != 0)
        printf(":%llu/%s", port, proto);
    putchar('\n');
}

static void print_plan(const bioxen_node *answer)
{
    const bioxen_node *vms = bioxen_node_find(answer, "vms"), *wires = bioxen_node_find(answer, "wires");
    for (size_t i = 0; i < bioxen_node_count(vms); i++) {
        const bioxen_node *vm = bioxen_node_item(vms, i);
        char *name = remote_text(vm, "name"), *action = remote_text(vm, "action");
        if (name != NULL && action != NULL)
            printf("%s %s %s", sign_of(action), action, name);
        print_why(bioxen_node_find(vm, "why"));
        putchar('\n');
        free(name);
        free(action);
    }
    for (size_t i = 0; i < bioxen_node_count(wires); i++) {
        const bioxen_node *wire = bioxen_node_item(wires, i);
        char *from = remote_text(wire, "from"), *to = remote_text(wire, "to"),
             *action = remote_text(wire, "action");
        char *proto = remote_text(wire, "proto");
        if (from != NULL && to != NULL && action != NULL && proto != NULL)
            print_wire(wire, action, from, to, proto);
        free(from);
        free(to);
        free(action);
        free(proto);
    }
}

void up_tell(const struct up *up, const bioxen_node *answer)
{
    const bioxen_node *vms = bioxen_node_find(answer, "vms");
    unsigned long long kept = remote_number(answer, "vms_kept"), changed = bioxen_node_count(vms);
    bool look = (up->flags & BIOXEN_UP_DRY_RUN) != 0;
    char *name = remote_text(answer, "topology");
    if (look && !up->remote.json)
        print_plan(answer);
    if (up->remote.json && (look || up->detach))
        remote_print_json(answer);
    else if (name != NULL)
        cli_say("%s: %s: %llu VM%s changed, %llu kept", name, look ? "would be up" : "up", changed,
                changed == 1 ? "" : "s", kept);
    free(name);
}

int up_refused(const struct up *up, const struct bioxen_error *err)
{
    cli_say("%s: %s", up->file.path, err->text);
    switch (err->code) {
    case EINVAL:
        return CLI_USAGE;
    case ECHILD:
    case ECANCELED:
        return CLI_FAILED;
    default:
        return CLI_HOST;
    }
}

int up_ask(struct up *up)
{
    struct bioxen_error err;
    bioxen_answer *answer = NULL;
    uint32_t request;
    int rc = bioxen_up_start(up->remote.manager, &up->source.file, up->checked, up->flags, &request, &err);
    if (rc == 0)
        rc = bioxen_answer_wait(up->remote.manager, request, &answer, &err);
    if (rc != 0)
        return up_refused(up, &err);
    up_tell(up, bioxen_answer_node(answer));
    bioxen_answer_free(answer);
    return cli_finish_output();
}
