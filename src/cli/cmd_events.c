/* cmd_events.c - bioxen events: what is, then what happens, until Ctrl-C. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "follow.h"

static void print_rest(const bioxen_node *node)
{
    static const char *const shown[] = {"event", "time_us", "topology", "name", "vm"};
    for (size_t i = 0; i < bioxen_node_count(node); i++) {
        struct bioxen_string key;
        const bioxen_node *value = bioxen_node_pair(node, i, &key);
        bool known = false;
        for (size_t j = 0; j < sizeof shown / sizeof *shown; j++)
            known = known || (strlen(shown[j]) == key.length && memcmp(shown[j], key.bytes, key.length) == 0);
        json_t *json = known ? NULL : remote_json(value);
        char *text = json != NULL ? json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
        if (text != NULL)
            printf(" %.*s=%s", (int)key.length, key.bytes, text);
        free(text);
        json_decref(json);
    }
}

static void print_line(const bioxen_node *node)
{
    char time[SHOW_TIME_MAX] = "";
    char *topology = remote_text(node, "topology"), *vm = remote_text(node, "vm"),
         *event = remote_text(node, "event");
    if (vm != NULL && vm[0] == '\0') { /* what is has its VM's name where the list has it */
        free(vm);
        vm = remote_text(node, "name");
    }
    if (topology == NULL || vm == NULL || event == NULL) {
        cli_say("out of memory");
    } else {
        bool is_topology = strcmp(event, "topology") == 0;
        if (remote_number(node, "time_us") != 0)
            show_time(remote_number(node, "time_us"), time);
        printf("%-23s %-8s %s%s%s", time, event, is_topology ? vm : topology,
               !is_topology && vm[0] != '\0' ? "/" : "", is_topology ? "" : vm);
        print_rest(node);
        putchar('\n');
    }
    free(topology);
    free(vm);
    free(event);
}

static int show(struct remote *remote, uint32_t id)
{
    struct bioxen_event event;
    int wake_fd = follow_arm();
    if (wake_fd < 0)
        return CLI_HOST;
    for (;;) {
        int rc = follow_next(remote->manager, wake_fd, -1, &event);
        if (rc <= 0)
            return rc == 0 ? CLI_OK : CLI_HOST;
        if (event.type == BIOXEN_EVENT_REFUSED && event.request == id)
            return remote_fail(remote, NULL, &event.error);
        if (event.type == BIOXEN_EVENT_ANSWER && event.request == id)
            return CLI_OK;
        if (event.type != BIOXEN_EVENT_CHANGE)
            continue;
        errno = 0;
        if (remote->json)
            remote_print_json(event.node);
        else
            print_line(event.node);
        if (fflush(stdout) != 0 || ferror(stdout))
            return follow_cannot_print();
    }
}

static int run_events(int argc, char **argv)
{
    struct remote remote = {0};
    struct bioxen_error err;
    uint32_t id;
    int count;
    enum cli_parsed parsed =
        remote_parse(&verb_events, argc, argv, remote_take_option, &remote, 0, 1, &count);
    if (parsed != CLI_PARSED)
        return parsed == CLI_PARSED_HELP ? cli_finish_output() : CLI_USAGE;
    int status = remote_open(&remote);
    if (status == CLI_OK && bioxen_events_start(remote.manager, count == 1 ? argv[1] : NULL, &id, &err) != 0)
        status = remote_fail(&remote, NULL, &err);
    else if (status == CLI_OK)
        status = show(&remote, id);
    remote_close(&remote);
    return status;
}

static const struct cli_option options[] = {
    REMOTE_OPTION_SOCKET,
    REMOTE_OPTION_JSON("one JSON object a line"),
};

const struct cli_verb verb_events = {
    .name = "events",
    .arguments = "[options] [TOPOLOGY]",
    .summary = "Show what happens, as it happens",
    .details = "First what is: each topology and each VM, then 'live'. Then what changes, until Ctrl-C.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run_events,
};
