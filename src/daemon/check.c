/*
 * check.c - reads a topology file that a client sent and answers with all that is to be said of it.
 *
 * The whole is done in one go: a file of 1 MiB takes less than a second, and nothing here can be made to wait. That
 * is why a descriptor is read only when it is a memfd that nobody can change any more: a pipe, or a file of a file
 * system that answers when it likes, would hold up every VM.
 */
#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "client.h"
#include "common/check_wire.h"
#include "common/memfd.h"

static int read_all(int fd, char *bytes, size_t length, struct bx_error *err)
{
    if (!bx_memfd_is_sealed(fd))
        return bx_fail(err, EINVAL, "a topology file comes in a sealed memfd");
    int rc = bx_memfd_read(fd, bytes, length);
    if (rc == -ENODATA)
        return bx_fail(err, EINVAL, "the topology file is shorter than was said");
    return rc == 0 ? 0 : bx_fail_errno(err, -rc, "reading the topology file");
}

/* Cuts each "NAME=value" in two, in place. */
static struct topology_variable *split_variables(char *at, uint32_t count)
{
    struct topology_variable *variables = calloc(count + 1, sizeof *variables);
    for (uint32_t i = 0; variables != NULL && i < count; i++) {
        char *equals = strchr(at, '=');
        *equals = '\0';
        variables[i] = (struct topology_variable){at, equals + 1};
        at = equals + 1 + strlen(equals + 1) + 1;
    }
    return variables;
}

static int answer(struct client *client, uint32_t id, struct topology *topology, struct bx_error *err)
{
    msgpack_sbuffer buffer;
    msgpack_sbuffer_init(&buffer);
    int rc = topology_pack(topology, &buffer, err);
    if (rc == 0)
        answer_send(client, id, (struct answer_types){CTL_CHECK_PART, CTL_CHECKED}, &buffer);
    msgpack_sbuffer_destroy(&buffer);
    return rc;
}

static int load(char *bytes, const struct ctl_note *note, struct topology **out, struct bx_error *err)
{
    struct check_source parts;
    char name[BX_NAME_MAX + 1] = "topology";
    if (check_decode(bytes, note->number, &parts) != 0)
        return bx_fail(err, EINVAL, "the topology file came damaged");
    if (note->length > 0 && note->length <= BX_NAME_MAX)
        snprintf(name, sizeof name, "%.*s", (int)note->length, note->text);
    struct topology_source source = {
        .text = parts.text, .length = parts.text_length, .name = name, .variable_count = parts.count};
    struct topology_variable *variables = split_variables(bytes + sizeof(struct check_header), parts.count);
    if (variables == NULL)
        return bx_fail_errno(err, ENOMEM, "topology");
    source.variables = variables;
    int rc = topology_load(&source, out, err);
    free(variables);
    return rc;
}

int check_receive(int fd, const struct ctl_note *note, struct topology **out, struct bx_error *err)
{
    if (note->number > CHECK_MAX)
        return bx_fail(err, E2BIG, "a topology file with its variables has %zu bytes at most", (size_t)CHECK_MAX);
    char *bytes = malloc(note->number + 1u);
    if (bytes == NULL)
        return bx_fail_errno(err, ENOMEM, "topology file");
    int rc = read_all(fd, bytes, note->number, err);
    if (rc == 0)
        rc = load(bytes, note, out, err);
    free(bytes);
    return rc;
}

int check_file(struct client *client, uint32_t id, int fd, const struct ctl_note *note, struct bx_error *err)
{
    struct topology *topology = NULL;
    int rc = check_receive(fd, note, &topology, err);
    if (rc == 0)
        rc = answer(client, id, topology, err);
    topology_free(topology);
    return rc;
}
