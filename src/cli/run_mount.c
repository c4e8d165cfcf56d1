/*
 * run_mount.c - what a VM of profile full is shown of the host: --mount, and the script's directory.
 *
 * Everything is opened here, as the caller and with the caller's rights: the jailer is handed descriptors
 * and never a path, so a path can't make it reach what the caller may not. Nothing is read.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run.h"

#define APP_DIRECTORY "/app"

/*
 * Is it absolute and in normal form, but for one slash at its end? Returns its length without that, 0 when
 * not.
 */
static size_t normal_length(const char *target)
{
    size_t length = strlen(target);
    if (target[0] != '/')
        return 0;
    if (length > 1 && target[length - 1] == '/')
        length--;
    for (size_t at = 1, end; at <= length; at = end + 1) {
        for (end = at; end < length && target[end] != '/'; end++)
            ;
        size_t part = end - at;
        if (part == 0 || (part == 1 && target[at] == '.') ||
            (part == 2 && target[at] == '.' && target[at + 1] == '.'))
            return 0;
    }
    return length <= RUN_TARGET_MAX ? length : 0;
}

static int wrong_mount(const char *text, const char *why)
{
    cli_say("--mount: '%s' %s; allowed is HOST:VM[:ro|rw], where VM is an absolute path of at most %d bytes "
            "without '.', '..' or '//'",
            text, why, RUN_TARGET_MAX);
    return -1;
}

/* The colon before VM: the last one that a slash follows, so that HOST may have colons. */
static const char *find_separator(const char *text)
{
    const char *found = NULL;
    for (const char *at = text; (at = strstr(at, ":/")) != NULL; at++)
        found = at;
    return found;
}

int run_mount_parse(const char *text, struct run_mount *out)
{
    const char *separator = find_separator(text);
    if (separator == NULL)
        return wrong_mount(text, "has no absolute path inside the VM");
    if (separator == text)
        return wrong_mount(text, "has no path of the host");
    char target[RUN_TARGET_MAX + sizeof "/:rw"];
    if (strlen(separator + 1) >= sizeof target)
        return wrong_mount(text, "has too long a path inside the VM");
    strcpy(target, separator + 1);
    char *mode = strchr(target, ':');
    if (mode != NULL)
        *mode++ = '\0';
    if (mode != NULL && strcmp(mode, "ro") != 0 && strcmp(mode, "rw") != 0)
        return wrong_mount(text, "ends in an unknown mode");
    size_t length = normal_length(target);
    if (length == 0)
        return wrong_mount(text, "has no proper path inside the VM");
    char *host = strndup(text, (size_t)(separator - text));
    if (host == NULL)
        return wrong_mount(text, "does not fit in memory");
    *out = (struct run_mount){.host = host, .writable = mode != NULL && strcmp(mode, "rw") == 0};
    memcpy(out->target, target, length);
    return 0;
}

static int open_one(struct run_mounts *mounts, const char *host, const char *target, bool writable,
                    struct run_failure *failure)
{
    struct bioxen_error err;
    int fd;
    if (bioxen_mount_open(host, writable, &fd, &err) != 0)
        return run_fail(failure, CLI_HOST, "%s", err.text);
    mounts->list[mounts->count++] = (struct bioxen_mount){.fd = fd, .target = target, .writable = writable};
    return 0;
}

/*
 * The script's directory as its path names it, not the one that a symlink in its place leads to: what is
 * shown is what the user pointed at. An explicit mount at /app comes instead of it.
 */
static int open_app(struct run_mounts *mounts, const struct run_request *request, struct run_failure *failure)
{
    for (size_t i = 0; i < mounts->count; i++)
        if (strcmp(mounts->list[i].target, APP_DIRECTORY) == 0)
            return 0;
    if (mounts->count == BIOXEN_MOUNTS_MAX)
        return run_fail(failure, CLI_HOST,
                        "too many mounts: the script's directory at " APP_DIRECTORY
                        " is one of the %d that a VM may have",
                        BIOXEN_MOUNTS_MAX);
    char *directory = run_directory_of(request->script);
    if (directory == NULL)
        return run_fail(failure, CLI_HOST, "out of memory");
    int rc = open_one(mounts, directory[0] != '\0' ? directory : "/", APP_DIRECTORY, false, failure);
    free(directory);
    return rc;
}

int run_mounts_open(struct run_mounts *mounts, const struct run_request *request, struct run_failure *failure)
{
    if (request->config.profile != BIOXEN_FULL)
        return 0;
    for (size_t i = 0; i < request->mount_count; i++) {
        const struct run_mount *mount = &request->mounts[i];
        if (open_one(mounts, mount->host, mount->target, mount->writable, failure) < 0)
            return -1;
    }
    return request->kind == RUN_FILE ? open_app(mounts, request, failure) : 0;
}

void run_mounts_fini(struct run_mounts *mounts)
{
    for (size_t i = 0; i < mounts->count; i++)
        close(mounts->list[i].fd);
    mounts->count = 0;
}
