/*
 * figures.c - a gathering waits for the VMs that were asked, each known by its number; then it is answered.
 * A VM that dies meanwhile is not in it.
 */
#include "figures.h"

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "answer.h"
#include "common/clock.h"
#include "manager.h"
#include "vm.h"

/* More at a time are clients that do not wait for answers. */
#define GATHERINGS_MAX 16u

struct asked {
    UT_hash_handle hh;
    uint32_t vm;
};

struct figures {
    struct figures *prev, *next;
    struct client_request request;
    struct asked *asked; /* by number (uthash) */
    struct answer items;
    uint32_t count;
};

static void drop(struct manager *manager, struct figures *figures)
{
    struct asked *asked, *next;
    HASH_ITER(hh, figures->asked, asked, next) {
        HASH_DEL(figures->asked, asked);
        free(asked);
    }
    DL_DELETE(manager->fleets.figures, figures);
    answer_fini(&figures->items);
    free(figures);
}

void figures_fini(struct manager *manager)
{
    while (manager->fleets.figures != NULL)
        drop(manager, manager->fleets.figures);
}

static void finish_if_complete(struct manager *manager, struct figures *figures)
{
    struct answer answer;
    if (figures->asked != NULL)
        return;
    answer_init(&answer);
    answer_list(&answer, figures->count);
    answer_bytes(&answer, figures->items.bytes.data, figures->items.bytes.size);
    answer.failed = answer.failed || figures->items.failed;
    answer_finish(&answer, manager_client(manager, figures->request.client), figures->request.id);
    drop(manager, figures);
}

static void ask_one(struct figures *figures, struct instance *instance)
{
    struct jw_request request = {.magic = JW_MAGIC, .type = JW_STATS, .vm = instance->number};
    struct asked *asked = calloc(1, sizeof *asked);
    if (asked == NULL)
        return;
    asked->vm = instance->number;
    HASH_ADD(hh, figures->asked, vm, sizeof asked->vm, asked);
    if (instance->figures_asked++ == 0)
        jailer_send(&instance->fleet->manager->jailer, &request, NULL, 0);
}

int figures_ask(struct manager *manager, const struct fleet *only, struct client_request request,
                struct bx_error *err)
{
    struct figures *figures;
    struct fleet *fleet;
    uint32_t count = 0;
    DL_COUNT(manager->fleets.figures, figures, count);
    if (count >= GATHERINGS_MAX)
        return bx_fail(err, EBUSY, "%u requests for the figures of all VMs wait for an answer already", count);
    figures = calloc(1, sizeof *figures);
    if (figures == NULL)
        return bx_fail_errno(err, ENOMEM, "figures");
    figures->request = request;
    answer_init(&figures->items);
    DL_APPEND(manager->fleets.figures, figures);
    DL_FOREACH(manager->fleets.list, fleet)
        for (struct instance *at = fleet->instances; at != NULL; at = at->in_fleet.next)
            if ((only == NULL || only == fleet) && at->vm != NULL && at->vm->spawned.pid != 0)
                ask_one(figures, at);
    finish_if_complete(manager, figures);
    return 0;
}

static void put(struct answer *answer, const struct vm *vm, const struct jw_statistics *from)
{
    answer_map(answer, 10);
    answer_put_text(answer, "topology", vm->instance->fleet->name);
    answer_put_text(answer, "name", vm->instance->name);
    answer_put_number(answer, "number", vm->id);
    answer_put_number(answer, "cpu_us", from->cpu_us);
    answer_put_number(answer, "memory", from->memory);
    answer_put_number(answer, "memory_peak", from->memory_peak);
    answer_put_number(answer, "output_bytes", vm->output_bytes);
    answer_put_number(answer, "uptime_us", bx_now_us() - vm->started_us);
    answer_put_number(answer, "sessions", vm->sessions.count);
    answer_put_number(answer, "restarts", vm->instance->restarts);
}

void figures_tell(struct vm *vm, const struct jw_statistics *from)
{
    struct manager *manager = vm->manager;
    struct figures *figures, *next;
    struct asked *asked;
    if (vm->instance->figures_asked == 0)
        return;
    vm->instance->figures_asked = 0;
    DL_FOREACH_SAFE(manager->fleets.figures, figures, next) {
        HASH_FIND(hh, figures->asked, &vm->id, sizeof vm->id, asked);
        if (asked == NULL)
            continue;
        HASH_DEL(figures->asked, asked);
        free(asked);
        figures->count += from != NULL;
        if (from != NULL)
            put(&figures->items, vm, from);
        finish_if_complete(manager, figures);
    }
}
