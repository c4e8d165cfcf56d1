/* ask.c - a question over the lifeline, and the wait for its answer. */
#include <errno.h>
#include <unistd.h>

#include "vm.h"

/* Waits for the answer to the oldest question that has none yet. What comes meanwhile is taken: false when that is the
 * end of the running call. */
static bool hear_answer(struct vm *vm, struct lw_frame *frame, int *fd)
{
    do {
        if (vm->interrupted != VM_GOES_ON)
            return false;
        vm_hear(frame, fd);
    } while (vm->serving && vm_take(vm, frame, *fd));
    return true;
}

/* Who was interrupted left a question behind, and the answer still comes: it is not the next one's. */
static bool drop_old_answers(struct vm *vm)
{
    struct lw_frame frame;
    int fd;
    for (; vm->unheard > 0; vm->unheard--) {
        if (!hear_answer(vm, &frame, &fd))
            return false;
        if (fd >= 0)
            close(fd);
    }
    return true;
}

int vm_ask(struct vm *vm, const struct lw_frame *question, struct lw_frame *answer, int *fd)
{
    vm_sessions_flush(vm);
    if (!drop_old_answers(vm))
        return -EINTR;
    int rc = vm_tell(question);
    if (rc < 0)
        return rc;
    if (hear_answer(vm, answer, fd))
        return 0;
    vm->unheard++;
    return -EINTR;
}
