/* cmd_stats.c - bioxen stats: what VMs use, once or again and again. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "follow.h"

enum { OPT_LIVE = 'l' };

#define PERIOD_MS 1000

struct request {
    struct remote remote;
    bool live;
    const char *topology;
};

/* The CPU time of the sample before, by VM. */
struct sample {
    uint64_t number, cpu_us, uptime_us;
};

struct samples {
    struct sample *list;
    size_t count;
};

static int take_option(const struct cli_option *option, const char *text, uint64_t number, void *context)
{
    struct request *request = context;
    if (option->id != OPT_LIVE)
        return remote_take_option(option, text, number, &request->remote);
    request->live = true;
    return 0;
}

/* Of one processor, since the sample before; or since its start. */
static char *show_share(const bioxen_node *vm, const struct samples *before)
{
    uint64_t cpu = remote_number(vm, "cpu_us"), time = remote_number(vm, "uptime_us");
    char *text;
    for (size_t i = 0; i < before->count; i++)
        if (before->list[i].number == remote_number(vm, "number") && before->list[i].uptime_us < time &&
            before->list[i].cpu_us <= cpu) {
            cpu -= before->list[i].cpu_us;
            time -= before->list[i].uptime_us;
            break;
        }
    return asprintf(&text, "%.1f%%", time > 0 ? 100.0 * (double)cpu / (double)time : 0.0) >= 0 ? text : NULL;
}

static void add_row(struct table *table, const bioxen_node *vm, const struct samples *before)
{
    char *cpu;
    if (asprintf(&cpu, "%.2fs", (double)remote_number(vm, "cpu_us") / 1e6) < 0)
        cpu = NULL;
    table_add(table, remote_text(vm, "name"));
    table_add(table, remote_text(vm, "topology"));
    table_add(table, show_share(vm, before));
    table_add(table, cpu);
    table_add(table, show_bytes(remote_number(vm, "memory")));
    table_add(table, show_bytes(remote_number(vm, "memory_peak")));
    table_add(table, show_bytes(remote_number(vm, "output_bytes")));
    table_add(table, show_number(remote_number(vm, "sessions")));
    table_add(table, show_number(remote_number(vm, "restarts")));
    table_add(table, show_age(remote_number(vm, "uptime_us")));
}

static void show_table(const bioxen_node *list, const struct samples *before)
{
    static const char *const titles[] = {"NAME", "TOPOLOGY", "CPU",      "CPU TIME", "MEMORY",
                                         "PEAK", "OUTPUT",   "SESSIONS", "RESTARTS", "UPTIME"};
    struct table table;
    table_init(&table, titles, sizeof titles / sizeof *titles);
    for (size_t i = 0; i < bioxen_node_count(list); i++)
        add_row(&table, bioxen_node_item(list, i), before);
    table_print(&table, stdout);
}

static void remember(struct samples *samples, const bioxen_node *list)
{
    size_t count = bioxen_node_count(list);
    free(samples->list);
    samples->list = calloc(count + 1, sizeof *samples->list);
    samples->count = samples->list != NULL ? count : 0;
    for (size_t i = 0; i < samples->count; i++) {
        const bioxen_node *vm = bioxen_node_item(list, i);
        samples->list[i] = (struct sample){remote_number(vm, "number"), remote_number(vm, "cpu_us"),
                                           remote_number(vm, "uptime_us")};
    }
}

static int show_once(struct request *request, struct samples *samples)
{
    struct bioxen_error err;
    bioxen_answer *answer = NULL;
    uint32_t id = 0;
    int rc = bioxen_stats_all_start(request->remote.manager, request->topology, &id, &err);
    int status = remote_wait(&request->remote, rc, id, NULL, &answer, &err);
    if (status != CLI_OK)
        return status;
    const bioxen_node *list = bioxen_answer_node(answer);
    if (request->live && !request->remote.json && isatty(STDOUT_FILENO))
        fputs("\033[H\033[2J", stdout);
    if (request->remote.json)
        remote_print_json(list);
    else
        show_table(list, samples);
    remember(samples, list);
    bioxen_answer_free(answer);
    return fflush(stdout) == 0 && !ferror(stdout) ? CLI_OK : follow_cannot_print();
}

/* Nothing is to be heard meanwhile but signals and the daemon's end. */
static int show_live(struct request *request, struct samples *samples)
{
    struct bioxen_event event;
    int wake_fd = follow_arm(), rc = 1, status = wake_fd < 0 ? CLI_HOST : CLI_OK;
    while (status == CLI_OK && rc == 1) {
        status = show_once(request, samples);
        if (status == CLI_OK)
            rc = follow_next(request->remote.manager, wake_fd, PERIOD_MS, &event);
    }
    return rc < 0 ? CLI_HOST : status;
}

static int run_stats(int argc, char **argv)
{
    struct request request = {0};
    struct samples samples = {0};
    int count;
    enum cli_parsed parsed = remote_parse(&verb_stats, argc, argv, take_option, &request, 0, 1, &count);
    if (parsed != CLI_PARSED)
        return parsed == CLI_PARSED_HELP ? cli_finish_output() : CLI_USAGE;
    request.topology = count == 1 ? argv[1] : NULL;
    int status = remote_open(&request.remote);
    if (status == CLI_OK)
        status = request.live ? show_live(&request, &samples) : show_once(&request, &samples);
    free(samples.list);
    remote_close(&request.remote);
    return status;
}

static const struct cli_option options[] = {
    {.id = OPT_LIVE, .name = "live", .kind = CLI_FLAG, .help = "again every second, until Ctrl-C"},
    REMOTE_OPTION_SOCKET,
    REMOTE_OPTION_JSON("one JSON list a sample instead of a table"),
};

const struct cli_verb verb_stats = {
    .name = "stats",
    .arguments = "[options] [TOPOLOGY]",
    .summary = "Show what VMs use",
    .details =
        "CPU is the share of one processor: since the start, or with --live since the sample before.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run_stats,
};
