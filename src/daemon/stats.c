/* stats.c - one question to the jailer at a time for each VM, whoever wants to know meanwhile. */
#include "stats.h"

#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "common/control.h"
#include "figures.h"
#include "manager.h"
#include "streams.h"
#include "vm.h"

int stats_ask(struct vm *vm, struct client_request asked, struct bx_error *err)
{
    if (vm->stats_count == VM_STATS_MAX)
        return bx_fail(err, EBUSY, "%d requests for the figures of VM '%s' wait for an answer already", VM_STATS_MAX,
                       vm->spec.name);
    if (vm->stats_count == 0) {
        struct jw_request request = {.magic = JW_MAGIC, .type = JW_STATS, .vm = vm->id};
        int rc = jailer_send(&vm->manager->jailer, &request, NULL, 0);
        if (rc != 0)
            return bx_fail_errno(err, -rc, "cannot ask for the figures of VM '%s'", vm->spec.name);
    }
    vm->stats[vm->stats_count++] = asked;
    return 0;
}

void stats_tell(struct vm *vm, const struct jw_statistics *figures)
{
    char frame[sizeof(struct ctl_head) + sizeof(struct ctl_statistics)];
    streams_read_dry(vm);
    const struct ctl_statistics body = {
        .vm = vm->id,
        .sessions = vm->sessions.count,
        .uptime_us = bx_now_us() - vm->started_us,
        .cpu_us = figures->cpu_us,
        .memory = figures->memory,
        .memory_peak = figures->memory_peak,
        .output_bytes = vm->output_bytes,
    };
    memcpy(frame + sizeof(struct ctl_head), &body, sizeof body);
    for (uint32_t i = 0; i < vm->stats_count; i++) {
        struct ctl_head head = {CTL_MAGIC, CTL_STATISTICS, vm->stats[i].id, sizeof body};
        memcpy(frame, &head, sizeof head);
        client_send(manager_client(vm->manager, vm->stats[i].client), frame, sizeof frame);
    }
    vm->stats_count = 0;
    if (vm->instance != NULL)
        figures_tell(vm, figures);
}

void stats_refuse(struct vm *vm)
{
    static const char text[] = "the VM has ended";
    for (uint32_t i = 0; i < vm->stats_count; i++)
        client_send_note(manager_client(vm->manager, vm->stats[i].client), CTL_ERROR, vm->stats[i].id, 0, ESRCH, text,
                         sizeof text - 1);
    vm->stats_count = 0;
    if (vm->instance != NULL)
        figures_tell(vm, NULL);
}
