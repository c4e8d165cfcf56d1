/* manager.c - begin and end of a manager. */
#include "manager.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/socket.h"
#include "public.h"

/* Not calloc: zeroing the frame, too, would touch 32 pages, a tenth of a millisecond of every start. */
bioxen_manager *manager_new(void)
{
    bioxen_manager *manager = malloc(sizeof *manager);
    if (manager == NULL)
        return NULL;
    memset(manager, 0, offsetof(bioxen_manager, frame));
    manager->launched = (struct launched){.control_fd = -1};
    manager->owner = getpid();
    atomic_init(&manager->last_id, 0);
    modules_init(&manager->modules);
    manager->frame_fd = -1;
    return manager;
}

static void manager_free(bioxen_manager *manager)
{
    if (manager == NULL)
        return;
    if (manager->launched.control_fd >= 0)
        close(manager->launched.control_fd);
    bx_close_all(&manager->frame_fd, 1);
    manager_drop_kept(manager);
    bioxen_answer_free(manager->coming);
    bioxen_answer_free(manager->shown);
    modules_fini(&manager->modules);
    record_fini(&manager->record);
    bx_text_fini(&manager->death.why);
    free(manager);
}

int bioxen_open_at(bioxen_manager **out, const char *directory, struct bioxen_error *public_err)
{
    struct bx_error err = {0};
    bioxen_manager *manager = manager_new();
    int rc = manager == NULL ? bx_fail_errno(&err, ENOMEM, "manager")
                             : launch_daemons(directory, &manager->launched, &err);
    if (rc != 0) {
        manager_free(manager);
        return public_fail(public_err, &err);
    }
    *out = manager;
    return 0;
}

int bioxen_open(bioxen_manager **out, struct bioxen_error *err)
{
    return bioxen_open_at(out, NULL, err);
}

void bioxen_forget(bioxen_manager *manager)
{
    manager_free(manager);
}

/* Shut down and not only closed: a child of a fork may hold a copy of the socket, and must not keep VMs alive. */
void bioxen_close(bioxen_manager *manager)
{
    if (manager == NULL || manager->owner != getpid()) {
        bioxen_forget(manager);
        return;
    }
    shutdown(manager->launched.control_fd, SHUT_RDWR);
    close(manager->launched.control_fd);
    manager->launched.control_fd = -1;
    launch_wait(&manager->launched);
    manager_free(manager);
}

int bioxen_fd(const bioxen_manager *manager)
{
    return manager->launched.control_fd;
}
