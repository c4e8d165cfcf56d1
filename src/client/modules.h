/*
 * modules.h - the Lua files that a restricted VM's `require` finds: those of one directory of the caller's, and below.
 */
#ifndef BX_CLIENT_MODULES_H
#define BX_CLIENT_MODULES_H

#include <pthread.h>

#include "bioxen.h"
#include "common/error.h"

struct module_dir;

#define MODULE_DIR_HEADS 128

/* The directories of a manager's VMs, by the request that asks for a VM, and then by the VM's number. */
struct modules {
    pthread_mutex_t lock;
    unsigned count; /* of directories */
    struct module_dir *heads[MODULE_DIR_HEADS]; /* of hash chains: a table that grows could fail to */
};

void modules_init(struct modules *modules);
void modules_fini(struct modules *modules);

/* Keeps a copy of config->module_dir, if there is one, for what request `id` will make. Returns 0 or -errno. */
int modules_add(struct modules *modules, const struct bioxen_config *config, uint32_t id, struct bx_error *err);
void modules_created(struct modules *modules, uint32_t id, uint32_t vm);
void modules_refused(struct modules *modules, uint32_t id);
void modules_died(struct modules *modules, uint32_t vm);

/* The directory of a VM, or NULL. It stays until modules_died, which the same thread calls. */
struct module_dir *modules_of(struct modules *modules, uint32_t vm);

struct module {
    char *chunk; /* "@dir/a/b.lua" */
    char *text;
    size_t length;
};

/*
 * Returns 0 with *out filled (its parts are the caller's to free), or -1 with why not in *why (the caller's to free;
 * NULL: out of memory).
 */
int module_find(struct module_dir *dir, struct bioxen_string name, struct module *out, char **why);

/* Writes "a/b" for module "a.b". Returns the length, or -1 when the name is none that is looked for. */
#define MODULE_NAME_MAX 255
int module_path(struct bioxen_string name, char out[MODULE_NAME_MAX + 1]);

#endif
