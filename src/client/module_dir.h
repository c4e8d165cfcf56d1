/* module_dir.h - one directory with modules; between modules.c and module_dir.c. */
#ifndef BX_CLIENT_MODULE_DIR_H
#define BX_CLIENT_MODULE_DIR_H

#include <stdint.h>

struct module_dir {
    struct module_dir *next; /* in its chain */
    uint64_t key;
    int fd;
    char *name;     /* as the user sees it */
    unsigned asked; /* how often the VM asked */
};

#endif
