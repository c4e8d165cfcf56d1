/*
 * modules.c - whose modules are where. The table is shared by the threads that ask for VMs and the one that receives;
 * a directory itself is used by the latter only.
 */
#include "modules.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module_dir.h"

/* Requests and VMs are numbered each by themselves. */
#define OF_VM (1ull << 32)

void modules_init(struct modules *modules)
{
    *modules = (struct modules){.heads = {NULL}};
    pthread_mutex_init(&modules->lock, NULL);
}

static void dir_free(struct module_dir *dir)
{
    if (dir == NULL)
        return;
    if (dir->fd >= 0)
        close(dir->fd);
    free(dir->name);
    free(dir);
}

/* Without the lock: after a fork it may be that of a thread that is not here. */
void modules_fini(struct modules *modules)
{
    for (unsigned i = 0; i < MODULE_DIR_HEADS; i++) {
        while (modules->heads[i] != NULL) {
            struct module_dir *dir = modules->heads[i];
            modules->heads[i] = dir->next;
            dir_free(dir);
        }
    }
}

static struct module_dir *dir_new(const struct bioxen_config *config, uint64_t key)
{
    struct module_dir *dir = calloc(1, sizeof *dir);
    if (dir == NULL)
        return NULL;
    dir->key = key;
    dir->fd = fcntl(config->module_dir, F_DUPFD_CLOEXEC, 0);
    dir->name = strdup(config->module_dir_name != NULL ? config->module_dir_name : ".");
    if (dir->fd >= 0 && dir->name != NULL)
        return dir;
    int code = dir->name == NULL ? ENOMEM : errno;
    dir_free(dir);
    errno = code;
    return NULL;
}

/* Both kinds of number count upwards, so that the low bits spread by themselves. */
static struct module_dir **find(struct modules *modules, uint64_t key)
{
    struct module_dir **at = &modules->heads[key % MODULE_DIR_HEADS];
    while (*at != NULL && (*at)->key != key)
        at = &(*at)->next;
    return at;
}

static void put(struct modules *modules, struct module_dir *dir)
{
    pthread_mutex_lock(&modules->lock);
    dir->next = NULL;
    *find(modules, dir->key) = dir;
    modules->count++;
    pthread_mutex_unlock(&modules->lock);
}

static struct module_dir *take(struct modules *modules, uint64_t key)
{
    pthread_mutex_lock(&modules->lock);
    struct module_dir **at = find(modules, key), *dir = *at;
    if (dir != NULL) {
        *at = dir->next;
        modules->count--;
    }
    pthread_mutex_unlock(&modules->lock);
    return dir;
}

int modules_add(struct modules *modules, const struct bioxen_config *config, uint32_t id, struct bx_error *err)
{
    if (config->module_dir < 0)
        return 0;
    struct module_dir *dir = dir_new(config, id);
    if (dir == NULL)
        return bx_fail_errno(err, errno, "cannot keep the directory of VM '%s's modules", config->name);
    put(modules, dir);
    return 0;
}

void modules_created(struct modules *modules, uint32_t id, uint32_t vm)
{
    struct module_dir *dir = take(modules, id);
    if (dir == NULL)
        return;
    dir->key = OF_VM | vm;
    put(modules, dir);
}

void modules_refused(struct modules *modules, uint32_t id)
{
    dir_free(take(modules, id));
}

void modules_died(struct modules *modules, uint32_t vm)
{
    dir_free(take(modules, OF_VM | vm));
}

struct module_dir *modules_of(struct modules *modules, uint32_t vm)
{
    pthread_mutex_lock(&modules->lock);
    struct module_dir *dir = *find(modules, OF_VM | vm);
    pthread_mutex_unlock(&modules->lock);
    return dir;
}
