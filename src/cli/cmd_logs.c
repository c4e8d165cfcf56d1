/* cmd_logs.c - bioxen logs: what VMs printed, and what they print. */
#include <string.h>
#include <time.h>

#include "follow.h"
#include "log_print.h"

enum { OPT_FOLLOW = 'f', OPT_SINCE = 256 };

struct request {
    struct remote remote;
    bool follow;
    uint64_t since_ms;
};

static int take_option(const struct cli_option *option, const char *text, uint64_t number, void *context)
{
    struct request *request = context;
    if (option->id == OPT_FOLLOW)
        request->follow = true;
    else if (option->id == OPT_SINCE)
        request->since_ms = number;
    else
        return remote_take_option(option, text, number, &request->remote);
    return 0;
}

static uint64_t since(const struct request *request)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t now_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    uint64_t age_us = request->since_ms * 1000;
    return request->since_ms == 0 || age_us >= now_us ? 0 : now_us - age_us;
}

static int show(struct request *request, const char *vm, uint32_t id, struct log_printer *printer)
{
    struct bioxen_event event;
    int wake_fd = follow_arm();
    if (wake_fd < 0)
        return CLI_HOST;
    for (;;) {
        int rc = follow_next(request->remote.manager, wake_fd, -1, &event);
        if (rc <= 0)
            return rc == 0 ? CLI_OK : CLI_HOST;
        if (event.request != id)
            continue;
        if (event.type == BIOXEN_EVENT_REFUSED)
            return remote_fail(&request->remote, vm, &event.error);
        if (event.type == BIOXEN_EVENT_ANSWER)
            return CLI_OK;
        if (event.type == BIOXEN_EVENT_LOG && log_print(printer, &event) != 0)
            return follow_cannot_print();
    }
}

static int logs(struct request *request, const char *vm)
{
    struct log_printer printer;
    struct bioxen_error err;
    uint32_t id;
    size_t length = strlen(vm);
    log_printer_init(&printer, vm[length > 0 ? length - 1 : 0] == '/');
    printer.json = request->remote.json;
    int status = remote_open(&request->remote);
    if (status == CLI_OK &&
        bioxen_logs_start(request->remote.manager, vm, request->follow, since(request), &id, &err) != 0)
        status = remote_fail(&request->remote, vm, &err);
    else if (status == CLI_OK)
        status = show(request, vm, id, &printer);
    if (log_printer_fini(&printer) != 0 && status == CLI_OK)
        status = follow_cannot_print();
    remote_close(&request->remote);
    return status;
}

static int run_logs(int argc, char **argv)
{
    struct request request = {0};
    int count;
    enum cli_parsed parsed = remote_parse(&verb_logs, argc, argv, take_option, &request, 0, 1, &count);
    if (parsed != CLI_PARSED)
        return parsed == CLI_PARSED_HELP ? cli_finish_output() : CLI_USAGE;
    return logs(&request, count == 1 ? argv[1] : "/");
}

static const struct cli_option options[] = {
    {.id = OPT_FOLLOW, .name = "follow", .kind = CLI_FLAG, .help = "go on with what is printed from now on"},
    {.id = OPT_SINCE,
     .name = "since",
     .kind = CLI_TIME,
     .value = "TIME",
     .min = 1,
     .max = UINT64_C(8760) * 3600000,
     .help = "only what is not older, like 10m"},
    REMOTE_OPTION_SOCKET,
    REMOTE_OPTION_JSON("one JSON object a line"),
};

const struct cli_verb verb_logs = {
    .name = "logs",
    .arguments = "[options] [VM|TOPOLOGY/]",
    .summary = "Show what VMs printed",
    .details =
        "The last 64 KiB of each VM are kept. TOPOLOGY/ is all VMs of a topology, and without an argument all that\n"
        "there are are shown, each line with its VM's name before it.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run_logs,
};
