/* remote.c - joins a daemon, asks it, waits for its answer, and says what went wrong. */
#include "remote.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/suggest.h"
#include "run.h"

int remote_take_option(const struct cli_option *option, const char *text, uint64_t number, void *context)
{
    struct remote *remote = context;
    (void)number;
    if (option->id == REMOTE_SOCKET)
        remote->socket = text;
    else
        remote->json = true;
    return 0;
}

static enum cli_parsed check_count(const struct cli_verb *verb, int count, int min, int max,
                                   const char *extra)
{
    if (count < min)
        cli_say("%s: an argument is missing: bioxen %s %s", verb->name, verb->name, verb->arguments);
    else if (max >= 0 && count > max)
        cli_say("%s: unexpected argument '%s' (see 'bioxen %s --help')", verb->name, extra, verb->name);
    else
        return CLI_PARSED;
    return CLI_PARSED_WRONG;
}

enum cli_parsed remote_parse(const struct cli_verb *verb, int argc, char **argv, cli_take_option *take,
                             void *context, int min, int max, int *count)
{
    int at = 0, next;
    *count = 0;
    do { /* each argument is put in the verb's place for what follows it */
        enum cli_parsed parsed = cli_parse_options(verb, argc - at, argv + at, take, context, &next);
        if (parsed != CLI_PARSED)
            return parsed;
        bool ended = next > 1 && strcmp(argv[at + next - 1], "--") == 0; /* only arguments follow */
        at += next;
        while (at < argc && (ended || argv[at][0] != '-' || argv[at][1] == '\0')) {
            argv[++*count] = argv[at];
            at++;
        }
        at -= at < argc;
    } while (at < argc);
    return check_count(verb, *count, min, max, max >= 0 && *count > max ? argv[1 + max] : NULL);
}

int remote_open(struct remote *remote)
{
    struct bioxen_error err;
    run_signals_ignore_pipe();
    if (bioxen_open_path(&remote->manager, remote->socket, &err) == 0)
        return CLI_OK;
    cli_say("%s", err.text);
    return CLI_HOST;
}

void remote_close(struct remote *remote)
{
    bioxen_close(remote->manager);
    remote->manager = NULL;
}

/* ---- errors ---- */

static void offer(struct suggestion *near, const bioxen_node *vm, char names[2][160])
{
    struct bioxen_string topology = bioxen_node_text(bioxen_node_find(vm, "topology"));
    struct bioxen_string name = bioxen_node_text(bioxen_node_find(vm, "name"));
    snprintf(names[0], sizeof names[0], "%.*s", (int)name.length, name.bytes);
    snprintf(names[1], sizeof names[1], "%.*s/%.*s", (int)topology.length, topology.bytes, (int)name.length,
             name.bytes);
    suggest_offer(near, names[0]);
    suggest_offer(near, names[1]);
}

/* What was probably meant: names that there are. NULL: nothing is near. */
static char *find_near(struct remote *remote, const char *vm)
{
    uint32_t request;
    bioxen_answer *answer;
    struct suggestion near;
    char *found = NULL;
    if (bioxen_list_start(remote->manager, BIOXEN_LIST_VMS, NULL, &request, NULL) != 0 ||
        bioxen_answer_wait(remote->manager, request, &answer, NULL) != 0)
        return NULL;
    const bioxen_node *list = bioxen_answer_node(answer);
    size_t count = bioxen_node_count(list);
    char(*names)[2][160] = calloc(count + 1, sizeof *names);
    suggest_init(&near, vm, strlen(vm));
    for (size_t i = 0; names != NULL && i < count; i++)
        offer(&near, bioxen_node_item(list, i), names[i]);
    if (near.best != NULL)
        found = strdup(near.best);
    free(names);
    bioxen_answer_free(answer);
    return found;
}

int remote_fail(struct remote *remote, const char *vm, const struct bioxen_error *err)
{
    bool unknown = err->code == ENOENT || err->code == ESRCH;
    char *near = unknown && vm != NULL ? find_near(remote, vm) : NULL;
    if (near != NULL && strcmp(near, vm) != 0)
        cli_say("%s; did you mean '%s'?", err->text, near);
    else
        cli_say("%s", err->text);
    free(near);
    return unknown || err->code == EINVAL || err->code == EBUSY || err->code == EEXIST ? CLI_FAILED
                                                                                       : CLI_HOST;
}

int remote_wait(struct remote *remote, int rc, uint32_t request, const char *vm, bioxen_answer **out,
                struct bioxen_error *err)
{
    if (rc == 0)
        rc = bioxen_answer_wait(remote->manager, request, out, err);
    return rc == 0 ? CLI_OK : remote_fail(remote, vm, err);
}

int remote_find_vm(struct remote *remote, const char *vm, uint32_t *number)
{
    struct bioxen_error err;
    bioxen_answer *answer;
    uint32_t request;
    int rc = bioxen_inspect_start(remote->manager, vm, &request, &err);
    int status = remote_wait(remote, rc, request, vm, &answer, &err);
    if (status != CLI_OK)
        return status;
    const bioxen_node *node = bioxen_answer_node(answer);
    *number = (uint32_t)remote_number(node, "number");
    struct bioxen_string state = bioxen_node_text(bioxen_node_find(node, "state"));
    if (remote_number(node, "pid") == 0) {
        cli_say("VM '%s' does not run: it is %.*s", vm, (int)state.length, state.bytes);
        status = CLI_FAILED;
    }
    bioxen_answer_free(answer);
    return status;
}
