/*
 * module_dir.c - finds and reads the module that a restricted script requires.
 *
 * The name comes from inside the jail. It is spelled with letters, digits, "_" and "-" between dots or it
 * is refused, and the kernel (openat2) resolves it beneath the directory, so no symlink leads out. Only
 * regular files are read.
 */
#include "module_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/limits.h"
#include "modules.h"

/*
 * Lua keeps what it has loaded, so a program asks once for each module; more than this is a script that
 * wants to keep the host busy with opening files.
 */
#define ASKED_MAX 10000

/* The kernel answers EAGAIN when something was renamed while it walked. */
#define OPEN_TRIES 8

static bool is_module_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

int module_path(struct bioxen_string name, char out[MODULE_NAME_MAX + 1])
{
    if (name.length == 0 || name.length > MODULE_NAME_MAX)
        return -1;
    for (size_t i = 0; i < name.length; i++) {
        bool dot = name.bytes[i] == '.';
        if (!dot && !is_module_character(name.bytes[i]))
            return -1;
        if (dot && (i == 0 || i + 1 == name.length || name.bytes[i + 1] == '.'))
            return -1;
        out[i] = dot ? '/' : name.bytes[i];
    }
    out[name.length] = '\0';
    return (int)name.length;
}

static int open_beneath(int directory, const char *path)
{
    struct open_how how = {
        .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    long fd = -1;
    for (int tries = 0; tries < OPEN_TRIES; tries++) {
        fd = syscall(SYS_openat2, directory, path, &how, sizeof how);
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
            break;
    }
    return fd >= 0 ? (int)fd : -errno;
}

/* Reads up to `size` bytes: a file that grows meanwhile is cut, one that shrinks is shorter. */
static int read_text(int fd, size_t size, struct module *out)
{
    char *text = malloc(size + 1);
    size_t used = 0;
    ssize_t got = 1;
    if (text == NULL)
        return -ENOMEM;
    while (used < size && got != 0) {
        got = read(fd, text + used, size - used);
        if (got < 0 && errno != EINTR) {
            int rc = -errno;
            free(text);
            return rc;
        }
        used += got > 0 ? (size_t)got : 0;
    }
    out->text = text;
    out->length = used;
    return 0;
}

/* Reads one file beneath the directory. Returns 0 or -errno; -EISDIR for whatever is no regular file. */
static int read_beneath(int directory, const char *path, struct module *out)
{
    struct stat st;
    int fd = open_beneath(directory, path);
    if (fd < 0)
        return fd;
    int rc = fstat(fd, &st) < 0 ? -errno : 0;
    if (rc == 0 && !S_ISREG(st.st_mode))
        rc = -EISDIR;
    if (rc == 0 && st.st_size > (off_t)BX_SCRIPT_MAX)
        rc = -EFBIG;
    if (rc == 0)
        rc = read_text(fd, (size_t)st.st_size, out);
    close(fd);
    return rc;
}

static const char *reason(int code)
{
    switch (code) {
    case ENOENT:
    case ENOTDIR:
        return "";
    case EXDEV:
        return " (leads out of the script's directory)";
    case EISDIR:
        return " (not a regular file)";
    case EFBIG:
        return " (over 64 MiB)";
    case EACCES:
        return " (permission denied)";
    case ENOSYS:
        return " (this kernel has no openat2, so that modules cannot be looked for safely)";
    default:
        return " (cannot be read)";
    }
}

static int try_candidate(const struct module_dir *dir, const char *path, struct module *out, FILE *why)
{
    int rc = read_beneath(dir->fd, path, out);
    if (rc < 0) {
        fprintf(why, "\n\tno file '%s/%s'%s", dir->name, path, reason(-rc));
        return rc;
    }
    if (asprintf(&out->chunk, "@%s/%s", dir->name, path) >= 0)
        return 0;
    free(out->text);
    fputs("\n\tout of memory", why);
    return -ENOMEM;
}

static int find(struct module_dir *dir, struct bioxen_string name, struct module *out, FILE *why)
{
    char base[MODULE_NAME_MAX + 1], path[MODULE_NAME_MAX + sizeof "/init.lua"];
    if (module_path(name, base) < 0)
        return fputs(
                   "\n\tno file is looked for: the name must be letters, digits, '_' and '-', with single dots between",
                   why),
               -1;
    if (++dir->asked > ASKED_MAX)
        return fprintf(why, "\n\tno file is looked for: the script asked for more than %d modules", ASKED_MAX), -1;
    snprintf(path, sizeof path, "%s.lua", base);
    if (try_candidate(dir, path, out, why) == 0)
        return 0;
    snprintf(path, sizeof path, "%s/init.lua", base);
    return try_candidate(dir, path, out, why) == 0 ? 0 : -1;
}

int module_find(struct module_dir *dir, struct bioxen_string name, struct module *out, char **why)
{
    size_t length = 0;
    *why = NULL;
    FILE *stream = open_memstream(why, &length);
    if (stream == NULL)
        return -1;
    int rc = find(dir, name, out, stream);
    if (fclose(stream) != 0 || rc == 0) {
        free(*why);
        *why = NULL;
    }
    return rc;
}
