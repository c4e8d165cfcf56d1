/* topo_file.c - a topology file is read as the caller, without waiting for what is no regular file. */
#include "topo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run.h"
#include "verb.h"

static int refuse(const char *path, const char *why)
{
    cli_say("%s: %s", path, why);
    return CLI_USAGE;
}

/* The file's name without its ending, with what a name may not have as "-". */
static void name_from_path(const char *path, char out[64])
{
    char base[256];
    const char *slash = strrchr(path, '/');
    snprintf(base, sizeof base, "%s", slash != NULL ? slash + 1 : path);
    char *dot = strrchr(base, '.');
    if (dot != NULL && dot != base)
        *dot = '\0';
    run_name_from_path(base, out);
}

static int open_regular(const char *path, int *fd)
{
    struct stat st;
    *fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (*fd < 0)
        return refuse(path, errno == ENOENT ? "there is no such file" : strerror(errno));
    const char *wrong = fstat(*fd, &st) != 0   ? strerror(errno)
                        : S_ISDIR(st.st_mode)  ? "is a directory, not a topology file"
                        : !S_ISREG(st.st_mode) ? "is not a regular file; use - to read from standard input"
                                               : NULL;
    if (wrong == NULL)
        return CLI_OK;
    close(*fd);
    return refuse(path, wrong);
}

/* One byte more than is allowed says that it is too large. */
static int read_bounded(struct topo_file *file, int fd)
{
    size_t room = BIOXEN_TOPOLOGY_MAX + 1;
    file->text = malloc(room);
    if (file->text == NULL) {
        cli_say("out of memory");
        return CLI_HOST;
    }
    while (file->length < room) {
        ssize_t got = read(fd, file->text + file->length, room - file->length);
        if (got == 0)
            break;
        if (got < 0 && errno != EINTR)
            return refuse(file->path, strerror(errno));
        file->length += got > 0 ? (size_t)got : 0;
    }
    return CLI_OK;
}

int topo_read(struct topo_file *file, const char *path)
{
    int fd = STDIN_FILENO;
    *file = (struct topo_file){.path = path};
    bool is_stdin = strcmp(path, "-") == 0;
    if (is_stdin)
        file->path = "stdin";
    name_from_path(file->path, file->name);
    file->directory = run_directory_of(file->path);
    if (file->directory != NULL && file->directory[0] == '\0') {
        free(file->directory);
        file->directory = strdup("/");
    }
    if (file->directory == NULL) {
        cli_say("out of memory");
        return CLI_HOST;
    }
    int status = is_stdin ? CLI_OK : open_regular(path, &fd);
    if (status != CLI_OK)
        return status;
    status = read_bounded(file, fd);
    if (!is_stdin)
        close(fd);
    return status;
}

void topo_fini(struct topo_file *file)
{
    free(file->directory);
    free(file->text);
}

/* ---- the command line ---- */

enum cli_parsed topo_parse(const struct cli_verb *verb, int argc, char **argv, cli_take_option *take, void *context,
                           const char **path)
{
    int next, rest = 1;
    enum cli_parsed parsed = cli_parse_options(verb, argc, argv, take, context, &next);
    if (parsed != CLI_PARSED)
        return parsed;
    if (next == argc) {
        cli_say("%s: which file?", verb->name);
        return CLI_PARSED_WRONG;
    }
    *path = argv[next];
    parsed =
        cli_parse_options(verb, argc - next, argv + next, take, context, &rest); /* the file is in the verb's place */
    if (parsed != CLI_PARSED || next + rest == argc)
        return parsed;
    cli_say("%s: one file at a time ('%s')", verb->name, argv[next + rest]);
    return CLI_PARSED_WRONG;
}

/* ---- checking ---- */

static size_t count_environment(void)
{
    size_t count = 0;
    while (environ != NULL && environ[count] != NULL)
        count++;
    return count;
}

/* Our own environment, in pairs; the library sends what the file names. NULL without memory. */
static struct bioxen_string *environment(size_t *count)
{
    size_t room = count_environment();
    struct bioxen_string *pairs = calloc(room + 1, 2 * sizeof *pairs);
    *count = 0;
    for (size_t i = 0; pairs != NULL && i < room; i++) {
        size_t length = strcspn(environ[i], "=");
        if (environ[i][length] != '=')
            continue;
        const char *value = environ[i] + length + 1;
        pairs[2 * *count] = (struct bioxen_string){environ[i], length};
        pairs[2 * (*count)++ + 1] = (struct bioxen_string){value, strlen(value)};
    }
    return pairs;
}

int topo_source_init(struct topo_source *source, const struct topo_file *file, bool with_scripts)
{
    *source = (struct topo_source){.file = {
        .text = {file->text, file->length},
        .name = file->name,
        .directory = with_scripts ? file->directory : NULL,
    }};
    source->env = environment(&source->file.env_count);
    source->file.env = source->env;
    if (source->env != NULL)
        return CLI_OK;
    cli_say("%s: out of memory", file->path);
    return CLI_HOST;
}

void topo_source_fini(struct topo_source *source)
{
    free(source->env);
}

int topo_check_by(bioxen_manager *manager, const struct topo_file *file, const struct topo_source *source,
                  bioxen_checked **out)
{
    struct bioxen_error err;
    if (bioxen_check(manager, &source->file, out, &err) == 0)
        return CLI_OK;
    cli_say("%s: %s", file->path, err.text);
    return CLI_HOST;
}

int topo_check(const struct topo_file *file, bool with_scripts, bioxen_checked **out)
{
    struct bioxen_error err;
    struct topo_source source;
    bioxen_manager *manager = NULL;
    int status = topo_source_init(&source, file, with_scripts);
    if (status == CLI_OK && bioxen_open(&manager, &err) != 0) {
        cli_say("%s: %s", file->path, err.text);
        status = CLI_HOST;
    }
    if (status == CLI_OK)
        status = topo_check_by(manager, file, &source, out);
    bioxen_close(manager);
    topo_source_fini(&source);
    return status;
}
