/*
 * run_module.c - the modules that a restricted script may require: Lua files of its own directory and
 * below.
 *
 * The name comes from inside the jail. It is spelled with letters, digits, "_" and "-" between dots or it
 * is refused, and the kernel (openat2) resolves it beneath the directory, so no symlink leads out. Only
 * regular files are read.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "run.h"

/*
 * Lua keeps what it has loaded, so a program asks once for each module; more than this is a script that
 * wants to keep the host busy with opening files.
 */
#define ASKED_MAX 10000

/* The kernel answers EAGAIN when something was renamed while it walked. */
#define OPEN_TRIES 8

char *run_directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return strdup(".");
    while (slash > path && slash[-1] == '/')
        slash--;
    return strndup(path, (size_t)(slash - path));
}

int run_modules_init(struct run_modules *modules, const struct run_request *request)
{
    *modules = (struct run_modules){.fd = -1};
    if (request->kind != RUN_FILE)
        return 0;
    modules->directory = run_directory_of(request->script);
    return modules->directory != NULL ? 0 : -ENOMEM;
}

void run_modules_fini(struct run_modules *modules)
{
    if (modules->fd >= 0)
        close(modules->fd);
    free(modules->directory);
}

static bool is_module_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

int run_module_path(struct bioxen_string name, char out[RUN_MODULE_NAME_MAX + 1])
{
    if (name.length == 0 || name.length > RUN_MODULE_NAME_MAX)
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
        if (fd >= 0 || errno != EAGAIN)
            break;
    }
    return fd >= 0 ? (int)fd : -errno;
}

/* Reads one file beneath the directory. Returns 0 or -errno; -EISDIR for whatever is no regular file. */
static int read_beneath(int directory, const char *path, struct run_module *out)
{
    struct stat st;
    int fd = open_beneath(directory, path);
    if (fd < 0)
        return fd;
    int rc = fstat(fd, &st) < 0 ? -errno : 0;
    if (rc == 0 && !S_ISREG(st.st_mode))
        rc = -EISDIR;
    if (rc == 0 && st.st_size > (off_t)RUN_SCRIPT_MAX)
        rc = -EFBIG;
    if (rc == 0)
        rc = run_read_all(fd, (uint64_t)st.st_size, &out->text, &out->length);
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

static int try_candidate(struct run_modules *modules, const char *path, struct run_module *out, FILE *why)
{
    int rc = read_beneath(modules->fd, path, out);
    if (rc < 0) {
        fprintf(why, "\n\tno file '%s/%s'%s", modules->directory, path, reason(-rc));
        return rc;
    }
    if (asprintf(&out->chunk, "@%s/%s", modules->directory, path) >= 0)
        return 0;
    free(out->text);
    fputs("\n\tout of memory", why);
    return -ENOMEM;
}

static int find(struct run_modules *modules, struct bioxen_string name, struct run_module *out, FILE *why)
{
    char base[RUN_MODULE_NAME_MAX + 1], path[RUN_MODULE_NAME_MAX + sizeof "/init.lua"];
    if (modules->directory == NULL)
        return fputs("\n\tno directory to search (the script is not a file)", why), -1;
    if (run_module_path(name, base) < 0)
        return fputs(
                   "\n\tno file is looked for: the name must be letters, digits, '_' and '-', with single dots between",
                   why),
               -1;
    if (++modules->asked > ASKED_MAX)
        return fprintf(why, "\n\tno file is looked for: the script asked for more than %d modules",
                       ASKED_MAX),
               -1;
    if (modules->fd < 0)
        modules->fd =
            open(modules->directory[0] != '\0' ? modules->directory : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (modules->fd < 0)
        return fprintf(why, "\n\tcannot open directory '%s': %s", modules->directory, strerror(errno)), -1;
    snprintf(path, sizeof path, "%s.lua", base);
    if (try_candidate(modules, path, out, why) == 0)
        return 0;
    snprintf(path, sizeof path, "%s/init.lua", base);
    return try_candidate(modules, path, out, why) == 0 ? 0 : -1;
}

int run_modules_find(struct run_modules *modules, struct bioxen_string name, struct run_module *out,
                     char **why)
{
    size_t length = 0;
    *why = NULL;
    FILE *stream = open_memstream(why, &length);
    if (stream == NULL)
        return -1;
    int rc = find(modules, name, out, stream);
    if (fclose(stream) != 0 || rc == 0) {
        free(*why);
        *why = NULL;
    }
    return rc;
}
