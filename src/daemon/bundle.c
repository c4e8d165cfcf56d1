/* bundle.c - takes what a client sends piece by piece, each with its place in the topology, which is checked. */
#include "bundle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/jail_wire.h"
#include "common/memfd.h"
#include "common/program.h"
#include "common/socket.h"

#define APP_DIRECTORY "/app"

struct bundle *bundle_new(struct topology *topology)
{
    struct bundle *bundle = calloc(1, sizeof *bundle);
    if (bundle == NULL) {
        topology_free(topology);
        return NULL;
    }
    bundle->users = 1;
    bundle->topology = topology;
    bundle->programs = calloc(topology->program_count + 1u, sizeof *bundle->programs);
    bundle->mounts = malloc((topology->vm_count + 1u) * sizeof *bundle->mounts);
    if (bundle->programs == NULL || bundle->mounts == NULL) {
        bundle_leave(bundle);
        return NULL;
    }
    for (uint32_t i = 0; i < topology->program_count; i++)
        bundle->programs[i].app = -1;
    memset(bundle->mounts, 0xff, (topology->vm_count + 1u) * sizeof *bundle->mounts); /* all -1 */
    return bundle;
}

void bundle_use(struct bundle *bundle)
{
    bundle->users++;
}

static void free_program(struct bundle_program *program)
{
    for (uint32_t i = 0; i < program->module_count; i++) {
        free(program->modules[i].name);
        free(program->modules[i].chunk);
        free(program->modules[i].text);
    }
    free(program->modules);
    free(program->chunk);
    free(program->text);
    bx_close_all(&program->app, 1);
}

void bundle_leave(struct bundle *bundle)
{
    if (bundle == NULL || --bundle->users > 0)
        return;
    for (uint32_t i = 0; bundle->programs != NULL && i < bundle->topology->program_count; i++)
        free_program(&bundle->programs[i]);
    for (uint32_t i = 0; bundle->mounts != NULL && i < bundle->topology->vm_count; i++)
        bx_close_all(bundle->mounts[i], BX_MOUNTS_MAX);
    free(bundle->programs);
    free(bundle->mounts);
    topology_free(bundle->topology);
    free(bundle);
}

/* ---- what comes ---- */

static int read_text(struct bundle *bundle, int fd, uint32_t bytes, char **out, struct bx_error *err)
{
    if (bytes > BX_SCRIPT_MAX)
        return bx_fail(err, E2BIG, "a script of %u bytes: at most 64 MiB are taken", bytes);
    if (bundle->bytes + bytes > BUNDLE_BYTES_MAX)
        return bx_fail(err, E2BIG, "the scripts of the topology '%s' have more than %u MiB together",
                       bundle->topology->name, BUNDLE_BYTES_MAX >> 20);
    if (!bx_memfd_is_sealed(fd))
        return bx_fail(err, EINVAL, "a script comes in a sealed memfd");
    char *text = malloc(bytes + 1u);
    int rc = text != NULL ? bx_memfd_read(fd, text, bytes) : -ENOMEM;
    if (rc != 0) {
        free(text);
        return bx_fail_errno(err, -rc, "reading a script of the topology '%s'", bundle->topology->name);
    }
    text[bytes] = '\0';
    bundle->bytes += bytes;
    *out = text;
    return 0;
}

static int add_program(struct bundle *bundle, const struct ctl_part *part, const char *chunk, size_t length, int fd,
                       struct bx_error *err)
{
    struct bundle_program *program = &bundle->programs[part->index];
    if (program->text != NULL || length == 0)
        return -EBADMSG;
    program->chunk = strndup(chunk, length);
    if (program->chunk == NULL)
        return bx_fail_errno(err, ENOMEM, "a script");
    program->length = part->bytes;
    return read_text(bundle, fd, part->bytes, &program->text, err);
}

/* `text` is the module's name, a NUL, and the chunk's name. */
static int add_module(struct bundle *bundle, const struct ctl_part *part, const char *text, size_t length, int fd,
                      struct bx_error *err)
{
    struct bundle_program *program = &bundle->programs[part->index];
    const char *end = memchr(text, '\0', length);
    if (end == NULL)
        return -EBADMSG;
    if (program->module_count == BUNDLE_MODULES_MAX)
        return bx_fail(err, E2BIG, "a script that requires more than %u modules", BUNDLE_MODULES_MAX);
    struct bundle_module *larger = realloc(program->modules, (program->module_count + 1) * sizeof *larger);
    if (larger == NULL)
        return bx_fail_errno(err, ENOMEM, "a module");
    program->modules = larger;
    struct bundle_module *module = &larger[program->module_count++];
    *module = (struct bundle_module){
        .name = strdup(text), .chunk = strndup(end + 1, (size_t)(text + length - end - 1)), .length = part->bytes};
    if (module->name == NULL || module->chunk == NULL)
        return bx_fail_errno(err, ENOMEM, "a module");
    return read_text(bundle, fd, part->bytes, &module->text, err);
}

static int keep(int *place, int *fd)
{
    if (*place >= 0)
        return -EBADMSG;
    *place = *fd;
    *fd = -1;
    return 0;
}

int bundle_add(struct bundle *bundle, const struct ctl_part *part, const char *text, size_t length, int *fd,
               struct bx_error *err)
{
    const struct topology *topology = bundle->topology;
    if (part->kind == CTL_PART_MOUNT) {
        if (part->index >= topology->vm_count || part->sub >= topology->vms[part->index].spec.mount_count)
            return -EBADMSG;
        return keep(&bundle->mounts[part->index][part->sub], fd);
    }
    if (part->index >= topology->program_count)
        return -EBADMSG;
    switch (part->kind) {
    case CTL_PART_PROGRAM: return add_program(bundle, part, text, length, *fd, err);
    case CTL_PART_MODULE: return add_module(bundle, part, text, length, *fd, err);
    case CTL_PART_APP: return keep(&bundle->programs[part->index].app, fd);
    default: return -EBADMSG;
    }
}

int bundle_check(const struct bundle *bundle, struct bx_error *err)
{
    const struct topology *topology = bundle->topology;
    for (uint32_t i = 0; i < topology->program_count; i++)
        if (topology->programs[i].kind == TOPOLOGY_FILE && bundle->programs[i].text == NULL)
            return bx_fail(err, EINVAL, "the script '%s' was not sent", topology->programs[i].text);
    for (uint32_t i = 0; i < topology->vm_count; i++)
        for (uint32_t j = 0; j < topology->vms[i].spec.mount_count; j++)
            if (bundle->mounts[i][j] < 0)
                return bx_fail(err, EINVAL, "the mount %s of '%s' was not sent", topology->vms[i].spec.mounts[j].target,
                               topology->vms[i].name);
    return 0;
}

/* ---- what is used ---- */

/* Code stands in the topology itself. */
static struct program_string text_of(const struct bundle *bundle, uint32_t program)
{
    const struct topology_program *known = &bundle->topology->programs[program];
    if (known->kind == TOPOLOGY_FILE)
        return (struct program_string){bundle->programs[program].text, (uint32_t)bundle->programs[program].length};
    return (struct program_string){known->text, (uint32_t)strlen(known->text)};
}

static bool same_module(const struct bundle_module *a, const struct bundle_module *b)
{
    return a->length == b->length && strcmp(a->name, b->name) == 0 && memcmp(a->text, b->text, a->length) == 0;
}

bool bundle_same_program(const struct bundle *a, uint32_t program_a, const struct bundle *b, uint32_t program_b)
{
    struct program_string text_a = text_of(a, program_a), text_b = text_of(b, program_b);
    const struct bundle_program *more_a = &a->programs[program_a], *more_b = &b->programs[program_b];
    if (text_a.length != text_b.length || memcmp(text_a.bytes, text_b.bytes, text_a.length) != 0 ||
        more_a->module_count != more_b->module_count)
        return false;
    for (uint32_t i = 0; i < more_a->module_count; i++) /* found in the same order, where the texts are the same */
        if (!same_module(&more_a->modules[i], &more_b->modules[i]))
            return false;
    return true;
}

static struct program_string string_of(const char *text)
{
    return (struct program_string){text, (uint32_t)strlen(text)};
}

static void fill_strings(const struct topology_vm *vm, const char *name, struct program_string *to)
{
    *to++ = string_of(name);
    for (uint32_t i = 0; i < vm->arg_count; i++)
        *to++ = string_of(vm->args[i].text);
    for (uint32_t i = 0; i < vm->env_count; i++) {
        *to++ = string_of(vm->env[i].name);
        *to++ = string_of(vm->env[i].value);
    }
}

static int make_program(const struct bundle *bundle, const struct topology_vm *vm, struct program_string *strings,
                        struct bx_error *err)
{
    const struct topology_program *known = &bundle->topology->programs[vm->program];
    struct program_string text = text_of(bundle, vm->program);
    char code[BX_NAME_MAX + sizeof "=code of "];
    snprintf(code, sizeof code, "=code of %s", vm->name);
    fill_strings(vm, known->kind == TOPOLOGY_FILE ? known->text : vm->name, strings);
    struct program program = {
        .chunk = string_of(known->kind == TOPOLOGY_FILE ? bundle->programs[vm->program].chunk : code),
        .args = strings,
        .arg_count = vm->arg_count + 1,
        .env = strings + vm->arg_count + 1,
        .env_count = vm->env_count,
    };
    char *head = NULL;
    size_t length = 0;
    int rc = program_encode(&program, text.length, &head, &length, err);
    if (rc != 0)
        return rc;
    int fd = bx_memfd(head, length, text.bytes, text.length);
    free(head);
    return fd >= 0 ? fd : bx_fail_errno(err, -fd, "cannot hold the script of '%s' in memory", vm->name);
}

int bundle_open_program(const struct bundle *bundle, uint32_t index, struct bx_error *err)
{
    const struct topology_vm *vm = &bundle->topology->vms[index];
    struct program_string *strings = calloc(1u + vm->arg_count + 2u * vm->env_count, sizeof *strings);
    if (strings == NULL)
        return bx_fail_errno(err, ENOMEM, "the script of '%s'", vm->name);
    int fd = make_program(bundle, vm, strings, err);
    free(strings);
    return fd;
}

const struct bundle_module *bundle_find_module(const struct bundle *bundle, uint32_t vm, const char *name,
                                               size_t length)
{
    const struct bundle_program *program = &bundle->programs[bundle->topology->vms[vm].program];
    for (uint32_t i = 0; i < program->module_count; i++)
        if (strlen(program->modules[i].name) == length && memcmp(program->modules[i].name, name, length) == 0)
            return &program->modules[i];
    return NULL;
}

static bool has_target(const struct vm_spec *spec, const char *target)
{
    for (uint32_t i = 0; i < spec->mount_count; i++)
        if (strcmp(spec->mounts[i].target, target) == 0)
            return true;
    return false;
}

void bundle_spec(const struct bundle *bundle, uint32_t index, struct vm_spec *spec, int fds[BX_MOUNTS_MAX])
{
    const struct topology_vm *vm = &bundle->topology->vms[index];
    int app = bundle->programs[vm->program].app;
    *spec = vm->spec;
    memcpy(fds, bundle->mounts[index], sizeof bundle->mounts[index]);
    if (spec->profile != JW_FULL || app < 0 || spec->mount_count == BX_MOUNTS_MAX || has_target(spec, APP_DIRECTORY))
        return;
    spec->mounts[spec->mount_count] = (struct vm_spec_mount){.target = APP_DIRECTORY};
    fds[spec->mount_count++] = app;
}
