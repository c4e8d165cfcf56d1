/*
 * again.c - between two lives of a VM: its last record, its descriptors, one timer.
 *
 * What somebody has asked to end is not started again. A start that fails is an end like others: it counts.
 */
#include "again.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/chance.h"
#include "common/clock.h"
#include "common/socket.h"
#include "common/timer.h"
#include "death.h"
#include "manager.h"
#include "restart.h"
#include "vm.h"

struct again {
    struct restart_history history;
    struct restart_decision decision; /* the last */
    struct record record;             /* of the last life, while it rests */
    struct vm_source timer;
    uint32_t restarts;
    int fds[1 + BX_MOUNTS_MAX]; /* the program, then each mount */
    unsigned fd_count;
};

static int keep(struct again *again, int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        return -errno;
    again->fds[again->fd_count++] = copy;
    return 0;
}

int again_prepare(struct vm *vm, int program, const int *mounts)
{
    if (vm->spec.restart.policy == VM_RESTART_NEVER)
        return 0;
    struct again *again = calloc(1, sizeof *again);
    if (again == NULL)
        return -ENOMEM;
    again->timer = (struct vm_source){.source.fd = -1, .vm = vm};
    vm->again = again;
    int rc = keep(again, program);
    for (uint32_t i = 0; i < vm->spec.mount_count && rc == 0; i++)
        rc = keep(again, mounts[i]);
    return rc;
}

uint32_t again_count(const struct vm *vm)
{
    return vm->again != NULL ? vm->again->restarts : 0;
}

static void on_due(struct bx_source *source, uint32_t events)
{
    (void)events;
    struct vm *vm = ((struct vm_source *)source)->vm;
    struct again *again = vm->again;
    struct bx_error err = {0};
    bx_loop_close(&vm->manager->loop, source);
    record_fini(&again->record);
    again->record = (struct record){0};
    again->restarts++;
    vm_begin(vm);
    /* The VM before it has read the program: the offset is the open file's. */
    if (lseek(again->fds[0], 0, SEEK_SET) != 0)
        bx_fail_errno(&err, errno, "cannot read the program of VM '%s' again", vm->spec.name);
    else
        vm_make(vm, again->fds[0], again->fds + 1, &err);
    if (err.code != 0)
        vm_refused(vm, err.text);
}

bool again_rest(struct vm *vm, struct record *record, const char **why)
{
    struct again *again = vm->again;
    *why = "";
    if (again == NULL || vm->lost || vm->end_asked)
        return false;
    struct restart_end end = {(enum record_outcome)record->outcome, record->exit_code,
                              vm->words.ready ? record->wall_us : 0};
    restart_decide(&vm->spec.restart, &again->history, &end, bx_now_us(), bx_chance(), &again->decision);
    *why = again->decision.reason;
    if (again->decision.verdict != RESTART_AGAIN)
        return false;
    again->timer.source.on_ready = on_due;
    if (bx_timer_set(&vm->manager->loop, &again->timer.source, bx_now_us() + again->decision.wait_us) != 0) {
        *why = "the orchestrator has no descriptor left to wait for its restart";
        return false;
    }
    death_send(vm, CTL_ENDED, record, "", again->decision.wait_us);
    again->record = *record;
    *record = (struct record){0};
    return true;
}

/* That life has been told of: what ends now is the VM. */
void again_report_end(struct vm *vm)
{
    static const char text[] = "it was waiting to be started again";
    struct record *record = &vm->again->record;
    bool stopped = vm->stop_asked || vm->kill == VM_KILL_STOP;
    record->outcome = stopped ? RECORD_STOPPED : RECORD_KILLED;
    record->exit_code = stopped ? 0 : (128 + vm->kill_signal) & 0xff;
    bx_text_fini(&record->traceback);
    bx_text_set(&record->error, text, strlen(text)); /* without memory the record stands with the text that it had */
    death_send(vm, CTL_DEATH, record, "", 0);
}

void again_free(struct vm *vm)
{
    struct again *again = vm->again;
    if (again == NULL)
        return;
    bx_loop_close(&vm->manager->loop, &again->timer.source);
    bx_close_all(again->fds, again->fd_count);
    restart_forget(&again->history);
    record_fini(&again->record);
    free(again);
    vm->again = NULL;
}
