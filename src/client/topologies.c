/*
 * topologies.c - requests about topologies that are up, and their answers. What an `up` sends is bring.c's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/codec.h"
#include "manager.h"
#include "node.h"
#include "public.h"

/* What bioxend may answer: far above what it has to say of the largest topology. */
#define ANSWER_MAX (256u * 1024u * 1024u)

struct bioxen_answer {
    char *bytes; /* decoded texts point into it */
    size_t length, room;
    msgpack_unpacked value;
    bool is_decoded;
};

/* ---- answers ---- */

void bioxen_answer_free(bioxen_answer *answer)
{
    if (answer == NULL)
        return;
    if (answer->is_decoded)
        msgpack_unpacked_destroy(&answer->value);
    free(answer->bytes);
    free(answer);
}

const bioxen_node *bioxen_answer_node(const bioxen_answer *answer)
{
    return answer != NULL && answer->is_decoded ? node_of(&answer->value.data) : NULL;
}

static int grow(struct bioxen_answer *answer, size_t more)
{
    if (answer->length + more <= answer->room)
        return 0;
    size_t room = 2 * (answer->length + more);
    char *larger = room <= 2 * (size_t)ANSWER_MAX ? realloc(answer->bytes, room) : NULL;
    if (larger == NULL)
        return -ENOMEM;
    answer->bytes = larger;
    answer->room = room;
    return 0;
}

int answer_add(struct bioxen_answer **place, const char *bytes, size_t length, bool last, struct bx_error *err)
{
    if (*place == NULL)
        *place = calloc(1, sizeof **place);
    struct bioxen_answer *answer = *place;
    if (answer == NULL || grow(answer, length + 1) != 0)
        return bx_fail_errno(err, ENOMEM, "an answer of the orchestrator");
    memcpy(answer->bytes + answer->length, bytes, length);
    answer->length += length;
    if (!last)
        return 0;
    if (bx_unpack(&answer->value, answer->bytes, answer->length) != 0)
        return bx_fail(err, EBADMSG, "the orchestrator sent what this client does not understand");
    answer->is_decoded = true;
    return 1;
}

static bool is_answer(const struct ctl_head *head, const char *body, void *context)
{
    (void)body;
    return head->id == *(const uint32_t *)context &&
           (head->type == CTL_ANSWER_PART || head->type == CTL_ANSWER || head->type == CTL_ERROR);
}

static int read_error(const struct ctl_head *head, const char *body, struct bx_error *err)
{
    struct ctl_note note;
    if (ctl_decode_note(body, head->length, &note) != 0)
        return bx_fail(err, EBADMSG, "the orchestrator sent what this client does not understand");
    return bx_fail(err, note.number > 0 && note.number < 4096 ? (int)note.number : EPROTO, "%.*s", (int)note.length,
                   note.text);
}

int bioxen_answer_wait(bioxen_manager *manager, uint32_t request, bioxen_answer **out, struct bioxen_error *public_err)
{
    struct bx_error err = {0};
    struct bioxen_answer *answer = NULL;
    struct ctl_head head;
    const char *body;
    int rc = 0;
    while (rc == 0) {
        rc = manager_wait_kept(manager, is_answer, &request, &head, &body, &err);
        if (rc == 0 && head.type == CTL_ERROR)
            rc = read_error(&head, body, &err);
        else if (rc == 0)
            rc = answer_add(&answer, body, head.length, head.type == CTL_ANSWER, &err);
    }
    if (rc == 1) {
        *out = answer;
        return 0;
    }
    bioxen_answer_free(answer);
    return public_fail(public_err, &err);
}

/* ---- requests ---- */

/* One that is a note with a name (NULL: none). */
static int start(bioxen_manager *manager, uint32_t type, struct ctl_note note, const char *name, uint32_t *request,
                 struct bioxen_error *public_err)
{
    struct bx_error err = {0};
    uint32_t id = manager_next_id(manager);
    note.text = name != NULL ? name : "";
    note.length = (uint32_t)strlen(note.text);
    if (note.length > 2 * BX_NAME_MAX + 1)
        bx_fail(&err, ENOENT, "no name is as long as '%.100s...'", name);
    else if (name != NULL && name[0] == '\0')
        bx_fail(&err, EINVAL, "an empty name names nothing");
    else
        request_note(manager, type, id, &note, -1, &err);
    if (err.code != 0)
        return public_fail(public_err, &err);
    *request = id;
    return 0;
}

int bioxen_down_start(bioxen_manager *manager, const char *topology, uint32_t *request, struct bioxen_error *err)
{
    return start(manager, CTL_DOWN, (struct ctl_note){0}, topology, request, err);
}

int bioxen_list_start(bioxen_manager *manager, enum bioxen_list what, const char *topology, uint32_t *request,
                      struct bioxen_error *err)
{
    _Static_assert(BIOXEN_LIST_VMS == (int)CTL_LIST_VMS && BIOXEN_LIST_TOPOLOGIES == (int)CTL_LIST_TOPOLOGIES &&
                       BIOXEN_LIST_DEATHS == (int)CTL_LIST_DEATHS,
                   "public values are the wire's");
    return start(manager, CTL_LIST, (struct ctl_note){.number = (uint32_t)what}, topology, request, err);
}

int bioxen_stats_all_start(bioxen_manager *manager, const char *topology, uint32_t *request, struct bioxen_error *err)
{
    return start(manager, CTL_LIST, (struct ctl_note){.number = CTL_LIST_STATS}, topology, request, err);
}

int bioxen_inspect_start(bioxen_manager *manager, const char *vm, uint32_t *request, struct bioxen_error *err)
{
    return start(manager, CTL_INSPECT, (struct ctl_note){0}, vm, request, err);
}

int bioxen_vm_start(bioxen_manager *manager, enum bioxen_vm_verb verb, const char *vm, unsigned grace_ms,
                    uint32_t *request, struct bioxen_error *err)
{
    _Static_assert(BIOXEN_VM_START == (int)CTL_VERB_START && BIOXEN_VM_STOP == (int)CTL_VERB_STOP &&
                       BIOXEN_VM_RESTART == (int)CTL_VERB_RESTART && BIOXEN_VM_KILL == (int)CTL_VERB_KILL,
                   "public values are the wire's");
    return start(manager, CTL_VERB, (struct ctl_note){.vm = (uint32_t)verb, .number = grace_ms}, vm, request, err);
}

int bioxen_events_start(bioxen_manager *manager, const char *topology, uint32_t *request, struct bioxen_error *err)
{
    return start(manager, CTL_EVENTS, (struct ctl_note){0}, topology, request, err);
}

int bioxen_unsubscribe(bioxen_manager *manager, uint32_t request, struct bioxen_error *err)
{
    uint32_t own;
    return start(manager, CTL_ENOUGH, (struct ctl_note){.number = request}, NULL, &own, err);
}

int bioxen_logs_start(bioxen_manager *manager, const char *vm, int follow, uint64_t since_us, uint32_t *request,
                      struct bioxen_error *public_err)
{
    struct bx_error err = {0};
    uint32_t id = manager_next_id(manager);
    size_t length = strlen(vm);
    struct ctl_logs logs = {.since_us = since_us, .follow = follow != 0};
    struct ctl_head head = {CTL_MAGIC, CTL_LOGS, id, (uint32_t)(sizeof logs + length)};
    const struct iovec parts[] = {{&head, sizeof head}, {&logs, sizeof logs}, {(void *)vm, length}};
    if (length > 2 * BX_NAME_MAX + 1)
        bx_fail(&err, ENOENT, "no name is as long as '%.100s...'", vm);
    else
        request_send(manager, parts, 3, NULL, 0, &err);
    if (err.code != 0)
        return public_fail(public_err, &err);
    *request = id;
    return 0;
}
