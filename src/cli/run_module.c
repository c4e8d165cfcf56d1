/*
 * run_module.c - where the modules of a restricted script are: in its own directory and below. The library looks for
 * them; here is only said where, and why not.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run.h"

char *run_directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return strdup(".");
    while (slash > path && slash[-1] == '/')
        slash--;
    return strndup(path, (size_t)(slash - path));
}

/* A directory that cannot be opened is an error of the script that requires something, and of no other. */
int run_modules_init(struct run_modules *modules, const struct run_request *request)
{
    *modules = (struct run_modules){.fd = -1};
    if (request->kind != RUN_FILE || request->config.profile != BIOXEN_RESTRICTED)
        return 0;
    modules->directory = run_directory_of(request->script);
    if (modules->directory == NULL)
        return -ENOMEM;
    modules->fd =
        open(modules->directory[0] != '\0' ? modules->directory : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    modules->error = modules->fd < 0 ? errno : 0;
    return 0;
}

void run_modules_fini(struct run_modules *modules)
{
    if (modules->fd >= 0)
        close(modules->fd);
    free(modules->directory);
}

void run_modules_why_none(const struct run_modules *modules, char *out, size_t size)
{
    if (modules->directory == NULL)
        snprintf(out, size, "\n\tno directory to search (the script is not a file)");
    else
        snprintf(out, size, "\n\tcannot open directory '%s': %s", modules->directory, strerror(modules->error));
}
