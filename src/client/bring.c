/*
 * bring.c - what an `up` sends: the file, and everything that its VMs need of the caller's files. All of it is opened
 * here, as the caller; bioxend is handed texts and descriptors and never a path.
 *
 * Of modules those are sent that a script requires by a literal name, and what they require in turn: nobody is there to
 * be asked when the caller is gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check_source.h"
#include "checked.h"
#include "manager.h"
#include "module_dir.h"
#include "node.h"
#include "program.h"
#include "public.h"

/* Modules of one script: more are a directory of something else. */
#define MODULES_MAX 1000u

struct bring {
    bioxen_manager *manager;
    const struct bioxen_topology_file *file;
    const bioxen_node *programs;
    uint32_t id;
};

struct seen {
    char **names;
    size_t count;
};

/* ---- sending ---- */

static int send_part(const struct bring *bring, struct ctl_part part, const char *text, size_t length, int fd,
                     struct bx_error *err)
{
    struct ctl_head head = {CTL_MAGIC, CTL_UP_PART, bring->id, (uint32_t)(sizeof part + length)};
    const struct iovec parts[] = {{&head, sizeof head}, {&part, sizeof part}, {(void *)text, length}};
    return request_send(bring->manager, parts, 3, &fd, 1, err);
}

static int send_text(const struct bring *bring, struct ctl_part part, const char *name, size_t length,
                     struct bioxen_string text, struct bx_error *err)
{
    int fd = program_memfd(NULL, 0, text, err);
    if (fd < 0)
        return fd;
    part.bytes = (uint32_t)text.length;
    int rc = send_part(bring, part, name, length, fd, err);
    close(fd);
    return rc;
}

/* ---- modules ---- */

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static const char *skip_blanks(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    return at;
}

/* The name behind `require` at *at, as a literal text; its bytes are NULL when there is none. */
static struct bioxen_string literal_behind(const char *at, const char *end)
{
    const struct bioxen_string none = {NULL, 0};
    at = skip_blanks(at, end);
    if (at < end && *at == '(')
        at = skip_blanks(at + 1, end);
    if (end - at < 2)
        return none;
    const char *first = *at == '"' || *at == '\'' ? at + 1 : at[0] == '[' && at[1] == '[' ? at + 2 : NULL;
    if (first == NULL)
        return none;
    const char *last = memchr(first, *at == '[' ? ']' : *at, (size_t)(end - first));
    return last != NULL ? (struct bioxen_string){first, (size_t)(last - first)} : none;
}

/* The next literal name from *at on; *at moves behind it. */
static struct bioxen_string next_required(const char **at, const char *text, const char *end)
{
    static const char word[] = "require";
    const size_t length = sizeof word - 1;
    while (*at < end && (*at = memchr(*at, 'r', (size_t)(end - *at))) != NULL) {
        const char *here = (*at)++;
        if ((size_t)(end - here) <= length || memcmp(here, word, length) != 0 || (here > text && is_word(here[-1])) ||
            is_word(here[length]))
            continue;
        struct bioxen_string name = literal_behind(here + length, end);
        if (name.bytes != NULL)
            return name;
    }
    *at = end;
    return (struct bioxen_string){NULL, 0};
}

/* Was it looked for already? If not, it is from now on. Returns 1, 0, or -ENOMEM. */
static int see(struct seen *seen, struct bioxen_string name)
{
    for (size_t i = 0; i < seen->count; i++)
        if (strlen(seen->names[i]) == name.length && memcmp(seen->names[i], name.bytes, name.length) == 0)
            return 1;
    char **larger = realloc(seen->names, (seen->count + 1) * sizeof *larger);
    if (larger == NULL)
        return -ENOMEM;
    seen->names = larger;
    larger[seen->count] = strndup(name.bytes, name.length);
    return larger[seen->count++] != NULL ? 0 : -ENOMEM;
}

static int send_module(const struct bring *bring, uint32_t program, struct bioxen_string name,
                       const struct module *module, struct bx_error *err)
{
    size_t chunk = strlen(module->chunk);
    char *text = malloc(name.length + 1 + chunk);
    if (text == NULL)
        return bx_fail_errno(err, ENOMEM, "a module");
    memcpy(text, name.bytes, name.length);
    text[name.length] = '\0';
    memcpy(text + name.length + 1, module->chunk, chunk);
    int rc = send_text(bring, (struct ctl_part){.kind = CTL_PART_MODULE, .index = program}, text,
                       name.length + 1 + chunk, (struct bioxen_string){module->text, module->length}, err);
    free(text);
    return rc;
}

/* A name that leads to no file is none of ours: it may be one of bioxen's own, or stand in a comment. */
static int send_modules_of(const struct bring *bring, uint32_t program, struct module_dir *dir, struct seen *seen,
                           struct bioxen_string text, struct bx_error *err)
{
    const char *at = text.bytes, *end = text.bytes + text.length;
    while (at < end) {
        struct module module;
        char *why;
        struct bioxen_string name = next_required(&at, text.bytes, end);
        int known = name.bytes != NULL ? see(seen, name) : 1;
        if (known < 0)
            return bx_fail_errno(err, ENOMEM, "the modules of a script");
        if (known == 1 || seen->count > MODULES_MAX)
            continue;
        if (module_find(dir, name, &module, &why) != 0) {
            free(why);
            continue;
        }
        int rc = send_module(bring, program, name, &module, err);
        if (rc == 0) /* as deep as the chain of modules, each of which is looked at once */
            rc = send_modules_of(bring, program, dir, seen, (struct bioxen_string){module.text, module.length}, err);
        free(module.chunk);
        free(module.text);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int send_modules(const struct bring *bring, uint32_t program, struct module_dir *dir, struct bioxen_string text,
                        struct bx_error *err)
{
    struct seen seen = {0};
    int rc = send_modules_of(bring, program, dir, &seen, text, err);
    for (size_t i = 0; i < seen.count; i++)
        free(seen.names[i]);
    free(seen.names);
    return rc;
}

/* ---- programs ---- */

/* "a/b" of "a/b/c.lua", "." of "c.lua", "/" of "/c.lua"; malloc'd. */
static char *directory_of(struct bioxen_string path)
{
    size_t length = path.length;
    while (length > 0 && path.bytes[length - 1] != '/')
        length--;
    while (length > 1 && path.bytes[length - 1] == '/')
        length--;
    return length > 0 ? strndup(path.bytes, length) : strdup(".");
}

static int open_directory(const struct bring *bring, struct bioxen_string path, struct module_dir *out,
                          struct bx_error *err)
{
    char *name = directory_of(path);
    char *full = name != NULL ? check_source_path(bring->file->directory, (struct bioxen_string){name, strlen(name)})
                              : NULL;
    *out = (struct module_dir){.fd = full != NULL ? open(full, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1, .name = name};
    int code = full == NULL ? ENOMEM : errno;
    free(full);
    if (out->fd >= 0)
        return 0;
    free(name);
    out->name = NULL;
    return bx_fail_errno(err, code, "cannot open the directory of '%.*s'", (int)path.length, path.bytes);
}

static int send_file(const struct bring *bring, uint32_t program, struct bioxen_string path, struct bioxen_string text,
                     struct bx_error *err)
{
    char *chunk = malloc(path.length + 1);
    if (chunk == NULL)
        return bx_fail_errno(err, ENOMEM, "a script");
    chunk[0] = '@';
    memcpy(chunk + 1, path.bytes, path.length);
    int rc = send_text(bring, (struct ctl_part){.kind = CTL_PART_PROGRAM, .index = program}, chunk, path.length + 1,
                       text, err);
    free(chunk);
    return rc;
}

/* Code is in the topology itself; its modules are beside the topology file. */
static int send_program(const struct bring *bring, uint32_t program, struct bx_error *err)
{
    const bioxen_node *node = bioxen_node_item(bring->programs, program);
    struct bioxen_string kind = bioxen_node_text(bioxen_node_find(node, "kind"));
    struct bioxen_string given = bioxen_node_text(bioxen_node_find(node, "text"));
    struct check_source_text text = {0};
    struct module_dir dir;
    bool is_file = kind.length == 4 && memcmp(kind.bytes, "file", 4) == 0;
    const char *wrong = is_file ? check_source_read(bring->file->directory, given, &text) : NULL;
    if (wrong != NULL)
        return bx_fail(err, EIO, "script '%.*s' %s", (int)given.length, given.bytes, wrong);
    int rc = open_directory(bring, is_file ? given : (struct bioxen_string){"", 0}, &dir, err);
    if (rc == 0) {
        struct bioxen_string bytes = is_file ? (struct bioxen_string){text.bytes, text.length} : given;
        rc = is_file ? send_file(bring, program, given, bytes, err) : 0;
        if (rc == 0)
            rc = send_modules(bring, program, &dir, bytes, err);
        if (rc == 0 && is_file)
            rc = send_part(bring, (struct ctl_part){.kind = CTL_PART_APP, .index = program}, "", 0, dir.fd, err);
        close(dir.fd);
        free(dir.name);
    }
    free(text.bytes);
    return rc;
}

/* ---- mounts ---- */

static int send_mount(const struct bring *bring, uint32_t vm, uint32_t number, const bioxen_node *mount,
                      struct bx_error *err)
{
    struct bioxen_error wrong;
    int fd;
    char *path = check_source_path(bring->file->directory, bioxen_node_text(bioxen_node_find(mount, "host")));
    if (path == NULL)
        return bx_fail_errno(err, ENOMEM, "a mount");
    int rc = bioxen_mount_open(path, bioxen_node_number(bioxen_node_find(mount, "writable")) != 0, &fd, &wrong);
    free(path);
    if (rc != 0)
        return bx_fail(err, wrong.code, "%s", wrong.text);
    rc = send_part(bring, (struct ctl_part){.kind = CTL_PART_MOUNT, .index = vm, .sub = number}, "", 0, fd, err);
    close(fd);
    return rc;
}

static int send_mounts(const struct bring *bring, uint32_t vm, const bioxen_node *node, struct bx_error *err)
{
    const bioxen_node *mounts = bioxen_node_find(node, "mounts");
    int rc = 0;
    for (size_t i = 0; i < bioxen_node_count(mounts) && rc == 0; i++)
        rc = send_mount(bring, vm, (uint32_t)i, bioxen_node_item(mounts, i), err);
    return rc;
}

/* ---- all of it ---- */

static int send_all_parts(const struct bring *bring, const bioxen_checked *checked, struct bx_error *err)
{
    const bioxen_node *vms = bioxen_node_find(bioxen_checked_topology(checked), "vms");
    int rc = 0;
    for (size_t i = 0; i < bioxen_node_count(bring->programs) && rc == 0; i++)
        rc = send_program(bring, (uint32_t)i, err);
    for (size_t i = 0; i < bioxen_node_count(vms) && rc == 0; i++)
        rc = send_mounts(bring, (uint32_t)i, bioxen_node_item(vms, i), err);
    return rc;
}

int bioxen_up_start(bioxen_manager *manager, const struct bioxen_topology_file *file, const bioxen_checked *checked,
                    unsigned flags, uint32_t *request, struct bioxen_error *public_err)
{
    _Static_assert(BIOXEN_UP_DRY_RUN == (int)CTL_UP_DRY_RUN && BIOXEN_UP_WAIT == (int)CTL_UP_WAIT,
                   "public values are the wire's");
    struct bx_error err = {0};
    struct bring bring = {manager, file, bioxen_node_find(node_of(&checked->answer.data), "programs"),
                          manager_next_id(manager)};
    struct ctl_note go = {.number = flags & (BIOXEN_UP_DRY_RUN | BIOXEN_UP_WAIT), .text = ""};
    if (bioxen_checked_errors(checked) > 0)
        bx_fail(&err, EINVAL, "the topology file has errors: nothing is brought up");
    else if (file->directory == NULL)
        bx_fail(&err, EINVAL, "a topology is brought up from a directory, in which its scripts are");
    else if (check_send(manager, CTL_UP, file, bring.id, &err) == 0 && send_all_parts(&bring, checked, &err) == 0)
        request_note(manager, CTL_UP_GO, bring.id, &go, -1, &err);
    if (err.code == 0) {
        *request = bring.id;
        return 0;
    }
    (void)bioxen_unsubscribe(manager, bring.id, NULL); /* what was sent is not kept */
    return public_fail(public_err, &err);
}
