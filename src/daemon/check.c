/*
 * check.c - reads a topology file that a client sent and answers with all that is to be said of it.
 *
 * The whole is done in one go: a file of 1 MiB takes less than a second, and nothing here can be made to wait. That
 * is why a descriptor is read only when it is a memfd that nobody can change any more: a pipe, or a file of a file
 * system that answers when it likes, would hold up every VM.
 */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/check_wire.h"
#include "client.h"

#define SEALS (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW)

static int read_all(int fd, char *bytes, size_t length, struct bx_error *err)
{
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & SEALS) != SEALS)
        return bx_fail(err, EINVAL, "a topology file comes in a sealed memfd");
    for (size_t have = 0; have < length;) {
        ssize_t got = read(fd, bytes + have, length - have);
        if (got == 0)
            return bx_fail(err, EINVAL, "the topology file is shorter than was said");
        if (got < 0 && errno != EINTR)
            return bx_fail_errno(err, errno, "reading the topology file");
        have += got > 0 ? (size_t)got : 0;
    }
    return 0;
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

static void send_answer(struct client *client, uint32_t id, const msgpack_sbuffer *answer)
{
    static char frame[sizeof(struct ctl_head) + CHECK_PART];
    size_t done = 0;
    do {
        size_t part = answer->size - done < CHECK_PART ? answer->size - done : CHECK_PART;
        bool last = done + part == answer->size;
        struct ctl_head head = {CTL_MAGIC, last ? CTL_CHECKED : CTL_CHECK_PART, id, (uint32_t)part};
        memcpy(frame, &head, sizeof head);
        memcpy(frame + sizeof head, answer->data + done, part);
        client_send(client, frame, sizeof head + part);
        done += part;
    } while (done < answer->size);
}

static int answer(struct client *client, uint32_t id, struct topology *topology, struct bx_error *err)
{
    msgpack_sbuffer buffer;
    msgpack_sbuffer_init(&buffer);
    int rc = topology_pack(topology, &buffer, err);
    if (rc == 0)
        send_answer(client, id, &buffer);
    msgpack_sbuffer_destroy(&buffer);
    return rc;
}

static int check(struct client *client, uint32_t id, char *bytes, const struct ctl_note *note, struct bx_error *err)
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
    struct topology *topology = NULL;
    int rc = topology_load(&source, &topology, err);
    if (rc == 0)
        rc = answer(client, id, topology, err);
    topology_free(topology);
    free(variables);
    return rc;
}

int check_file(struct client *client, uint32_t id, int fd, const struct ctl_note *note, struct bx_error *err)
{
    if (note->number > CHECK_MAX)
        return bx_fail(err, E2BIG, "a topology file with its variables has %zu bytes at most", (size_t)CHECK_MAX);
    char *bytes = malloc(note->number + 1u);
    if (bytes == NULL)
        return bx_fail_errno(err, ENOMEM, "topology file");
    int rc = read_all(fd, bytes, note->number, err);
    if (rc == 0)
        rc = check(client, id, bytes, note, err);
    free(bytes);
    return rc;
}
