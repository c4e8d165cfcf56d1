/* upload.c - a list of bundles that grow. */
#include "upload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "bundle.h"
#include "check.h"
#include "manager.h"

struct upload {
    struct upload *prev, *next;
    struct client_request request;
    struct bundle *bundle;
};

static struct upload *find(const struct client *client, uint32_t id)
{
    struct upload *upload;
    DL_FOREACH(client->manager->fleets.uploads, upload)
        if (upload->request.client == client->number && upload->request.id == id)
            return upload;
    return NULL;
}

static void drop(struct manager *manager, struct upload *upload)
{
    DL_DELETE(manager->fleets.uploads, upload);
    bundle_leave(upload->bundle);
    free(upload);
}

void upload_forget(struct manager *manager, uint32_t client)
{
    struct upload *upload, *next;
    DL_FOREACH_SAFE(manager->fleets.uploads, upload, next)
        if (client == 0 || upload->request.client == client)
            drop(manager, upload);
}

void upload_drop(struct client *client, uint32_t id)
{
    struct upload *upload = find(client, id);
    if (upload != NULL)
        drop(client->manager, upload);
}

/* What works only from a later version on is refused, and not passed over in silence. */
static int check_keys(const struct topology *topology, struct bx_error *err)
{
    for (uint32_t i = 0; i < topology->vm_count; i++) {
        const struct topology_vm *vm = &topology->vms[i];
        const char *key = vm->health.program != TOPOLOGY_NONE ? "health"
                          : vm->watchdog_ms != 0              ? "watchdog"
                          : vm->publish_count > 0             ? "publish"
                          : vm->report != NULL                ? "report"
                                                              : NULL;
        if (key != NULL)
            return bx_fail(err, ENOTSUP, "line %u: vms.%s: this version of bioxen cannot do '%s' yet: leave it out",
                           vm->mark.line, vm->name, key);
    }
    if (topology->group_count > 0)
        return bx_fail(err, ENOTSUP, "line %u: this version of bioxen cannot do 'groups' yet: leave them out",
                       topology->groups[0].mark.line);
    return 0;
}

static int check_topology(const struct topology *topology, struct bx_error *err)
{
    if (topology->diags.errors > 0 && topology->diags.count > 0)
        return bx_fail(err, EINVAL, "the topology file has errors; the first is in line %u: %s",
                       topology->diags.list[0].mark.line, topology->diags.list[0].message);
    if (topology->diags.errors > 0)
        return bx_fail(err, EINVAL, "the topology file has errors");
    return check_keys(topology, err);
}

static uint32_t count_of(const struct client *client)
{
    uint32_t count = 0;
    const struct upload *upload;
    DL_FOREACH(client->manager->fleets.uploads, upload)
        count += upload->request.client == client->number;
    return count;
}

static int add(struct client *client, uint32_t id, struct topology *topology, struct bx_error *err)
{
    struct upload *upload = calloc(1, sizeof *upload);
    if (upload != NULL)
        upload->bundle = bundle_new(topology);
    else
        topology_free(topology);
    if (upload == NULL || upload->bundle == NULL) {
        free(upload);
        return bx_fail_errno(err, ENOMEM, "a topology");
    }
    upload->request = (struct client_request){client->number, id};
    DL_APPEND(client->manager->fleets.uploads, upload);
    return 0;
}

int upload_begin(struct client *client, uint32_t id, int fd, const struct ctl_note *note, struct bx_error *err)
{
    struct topology *topology = NULL;
    if (find(client, id) != NULL || count_of(client) >= UPLOADS_MAX)
        return bx_fail(err, EBUSY, "a client sends %u topologies at a time at most", UPLOADS_MAX);
    int rc = check_receive(fd, note, &topology, err);
    if (rc == 0)
        rc = check_topology(topology, err);
    if (rc == 0)
        return add(client, id, topology, err);
    topology_free(topology);
    return rc;
}

int upload_add(struct client *client, uint32_t id, const char *body, size_t length, int *fd, struct bx_error *err)
{
    struct ctl_part part;
    struct ctl_bytes text;
    struct upload *upload = find(client, id);
    if (ctl_decode_part(body, length, &part, &text) != 0)
        return -EBADMSG;
    if (upload == NULL)
        return 0;
    int rc = bundle_add(upload->bundle, &part, text.bytes, text.length, fd, err);
    if (rc != 0)
        drop(client->manager, upload);
    return rc;
}

struct bundle *upload_take(struct client *client, uint32_t id, struct bx_error *err)
{
    struct upload *upload = find(client, id);
    if (upload == NULL)
        return NULL;
    struct bundle *bundle = bundle_check(upload->bundle, err) == 0 ? upload->bundle : NULL;
    if (bundle != NULL)
        upload->bundle = NULL;
    drop(client->manager, upload);
    return bundle;
}
