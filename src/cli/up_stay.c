/*
 * up_stay.c - bioxen up in the foreground: one loop over what VMs print, what happens to them, and signals. It ends
 * when the topology is down: because somebody wants that, or because no VM runs any more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "follow.h"
#include "log_print.h"
#include "run.h"
#include "up.h"

struct stay {
    struct up *up;
    struct log_printer printer;
    int wake_fd;
    uint32_t bringing, listing, downing; /* requests; 0: none */
    bool is_up, dirty;                   /* dirty: something ended since the list was asked for */
    int status;
    bool over;
};

static void fail(struct stay *stay, const struct bioxen_error *err)
{
    cli_say("%s", err->text);
    stay->status = CLI_HOST;
    stay->over = true;
}

static void go_down(struct stay *stay, const char *why, int status)
{
    struct bioxen_error err;
    if (stay->downing != 0)
        return;
    stay->status = status;
    cli_say("%s: taking it down", why);
    if (!stay->is_up) /* what is half up goes with the orchestrator */
        stay->over = true;
    else if (bioxen_down_start(stay->up->remote.manager, NULL, &stay->downing, &err) != 0)
        fail(stay, &err);
}

/* Does anything run, or wait to? */
static void ask_for_list(struct stay *stay)
{
    struct bioxen_error err;
    if (!stay->is_up || stay->listing != 0 || stay->downing != 0)
        return;
    stay->dirty = false;
    if (bioxen_list_start(stay->up->remote.manager, BIOXEN_LIST_VMS, NULL, &stay->listing, &err) != 0)
        fail(stay, &err);
}

static bool is_over(const bioxen_node *vm)
{
    static const char *const ends[] = {"ended", "stopped", "failed"};
    struct bioxen_string state = bioxen_node_text(bioxen_node_find(vm, "state"));
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (strlen(ends[i]) == state.length && memcmp(ends[i], state.bytes, state.length) == 0)
            return true;
    return false;
}

static void take_list(struct stay *stay, const bioxen_node *list)
{
    int status = CLI_OK;
    stay->listing = 0;
    for (size_t i = 0; i < bioxen_node_count(list); i++) {
        const bioxen_node *vm = bioxen_node_item(list, i);
        if (!is_over(vm)) {
            if (stay->dirty)
                ask_for_list(stay);
            return;
        }
        if (remote_number(vm, "exit_code") != 0)
            status = CLI_FAILED;
    }
    go_down(stay, "every VM has ended", status);
}

/* ---- events ---- */

static void say_death(const bioxen_node *change)
{
    const bioxen_node *record = bioxen_node_find(change, "record");
    char *vm = remote_text(change, "vm"), *outcome = remote_text(record, "outcome"),
         *error = remote_text(record, "error");
    unsigned long long code = remote_number(record, "exit_code");
    if (vm != NULL && outcome != NULL && error != NULL)
        cli_say("%s ended: %s, exit status %llu%s%s", vm, outcome, code, error[0] != '\0' ? ": " : "", error);
    free(vm);
    free(outcome);
    free(error);
}

static void take_change(struct stay *stay, const bioxen_node *change)
{
    struct bioxen_string name = bioxen_node_text(bioxen_node_find(change, "event"));
    if (name.length != 5 || memcmp(name.bytes, "death", 5) != 0)
        return;
    if (stay->downing == 0)
        say_death(change);
    stay->dirty = true;
    ask_for_list(stay);
}

static void take_answer(struct stay *stay, const struct bioxen_event *event)
{
    if (event->request == stay->bringing) {
        stay->bringing = 0;
        stay->is_up = true;
        up_tell(stay->up, event->node);
        ask_for_list(stay); /* all may have ended before it was up */
    } else if (event->request == stay->listing) {
        take_list(stay, event->node);
    } else if (event->request == stay->downing) {
        stay->over = true;
    }
}

static void take_refusal(struct stay *stay, const struct bioxen_event *event)
{
    if (event->request == stay->bringing) {
        stay->status = up_refused(stay->up, &event->error);
        stay->over = true;
    } else if (event->request == stay->listing) {
        stay->listing = 0;
    } else if (event->request == stay->downing) {
        fail(stay, &event->error);
    }
}

static void take_event(struct stay *stay, const struct bioxen_event *event)
{
    switch (event->type) {
    case BIOXEN_EVENT_LOG:
        if (log_print(&stay->printer, event) != 0 && stay->downing == 0)
            go_down(stay, "nobody reads", follow_cannot_print());
        break;
    case BIOXEN_EVENT_CHANGE:
        take_change(stay, event->node);
        break;
    case BIOXEN_EVENT_ANSWER:
        take_answer(stay, event);
        break;
    case BIOXEN_EVENT_REFUSED:
        take_refusal(stay, event);
        break;
    default:
        break;
    }
}

/* ---- all of it ---- */

static int ask(struct stay *stay, struct bioxen_error *err)
{
    bioxen_manager *manager = stay->up->remote.manager;
    uint32_t unused;
    int rc = bioxen_logs_start(manager, "/", 1, 0, &unused, err);
    if (rc == 0)
        rc = bioxen_events_start(manager, NULL, &unused, err);
    if (rc == 0)
        rc = bioxen_up_start(manager, &stay->up->source.file, stay->up->checked, stay->up->flags,
                             &stay->bringing, err);
    return rc;
}

static void follow(struct stay *stay)
{
    struct bioxen_event event;
    while (!stay->over) {
        int rc = follow_next(stay->up->remote.manager, stay->wake_fd, -1, &event);
        if (rc < 0) {
            stay->status = CLI_HOST;
            return;
        }
        if (rc == 1) {
            take_event(stay, &event);
        } else if (stay->downing == 0) {
            run_signals_forget();
            go_down(stay, "interrupted", CLI_OK);
        } else { /* who asks again does not want to wait */
            return;
        }
    }
}

int up_stay(struct up *up)
{
    struct stay stay = {.up = up};
    struct bioxen_error err;
    log_printer_init(&stay.printer, true);
    stay.printer.short_names = true;
    stay.printer.json = up->remote.json;
    stay.wake_fd = follow_arm();
    if (stay.wake_fd < 0)
        return CLI_HOST;
    int rc = ask(&stay, &err);
    if (rc != 0)
        stay.status = up_refused(up, &err);
    else
        follow(&stay);
    (void)log_printer_fini(&stay.printer);
    bool was_up = stay.is_up;
    remote_close(&up->remote);
    if (was_up)
        cli_say("%s: down", up->file.path);
    return stay.status;
}
