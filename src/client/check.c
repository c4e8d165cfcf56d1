/*
 * check.c - a topology file, on its way to bioxend and back. Nothing of it is parsed here but for the names of its
 * variables, so that no more of the caller's environment is told than the file asks for.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checked.h"
#include "common/check_wire.h"
#include "common/codec.h"
#include "manager.h"
#include "node.h"
#include "program.h"
#include "public.h"

/* What bioxend may answer: far above what the largest file makes of it. */
#define ANSWER_MAX (64u * 1024u * 1024u)

/* ---- the source ---- */

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c >= '0' && c <= '9');
}

/* Does the text name a variable: "${NAME"? */
static bool names(struct bioxen_string text, struct bioxen_string name)
{
    const char *at = text.bytes, *end = text.bytes + text.length;
    while ((at = memchr(at, '$', (size_t)(end - at))) != NULL) {
        size_t left = (size_t)(end - at);
        if (left > name.length + 2 && at[1] == '{' && memcmp(at + 2, name.bytes, name.length) == 0 &&
            !is_name_byte(at[2 + name.length]))
            return true;
        at++;
    }
    return false;
}

static bool is_wanted(const struct bioxen_topology_file *file, size_t index)
{
    struct bioxen_string name = file->env[2 * index], value = file->env[2 * index + 1];
    return name.length > 0 && memchr(name.bytes, '=', name.length) == NULL &&
           memchr(name.bytes, '\0', name.length) == NULL && memchr(value.bytes, '\0', value.length) == NULL &&
           names(file->text, name);
}

/* Header and variables, malloc'd. */
static int make_head(const struct bioxen_topology_file *file, char **out, size_t *length, struct bx_error *err)
{
    struct check_header header = {.magic = CHECK_MAGIC, .text = (uint32_t)file->text.length};
    FILE *stream = open_memstream(out, length);
    if (stream == NULL)
        return bx_fail_errno(err, ENOMEM, "topology file");
    size_t size = 0;
    fwrite(&header, sizeof header, 1, stream);
    for (size_t i = 0; i < file->env_count && size <= CHECK_VARIABLES_MAX; i++) {
        if (!is_wanted(file, i))
            continue;
        struct bioxen_string name = file->env[2 * i], value = file->env[2 * i + 1];
        fwrite(name.bytes, 1, name.length, stream);
        putc('=', stream);
        fwrite(value.bytes, 1, value.length, stream);
        putc('\0', stream);
        size += name.length + value.length + 2;
        header.count++;
    }
    if (fclose(stream) != 0)
        return bx_fail_errno(err, ENOMEM, "topology file");
    header.variables = (uint32_t)(*length - sizeof header);
    memcpy(*out, &header, sizeof header);
    return size <= CHECK_VARIABLES_MAX ? 0
                                       : bx_fail(err, E2BIG, "the variables that the file names have more than 2 MiB");
}

/* ---- asking ---- */

int check_send(bioxen_manager *manager, uint32_t type, const struct bioxen_topology_file *file, uint32_t id,
               struct bx_error *err)
{
    char *head = NULL;
    size_t length = 0;
    int rc = make_head(file, &head, &length, err);
    int fd = rc == 0 ? program_memfd(head, length, file->text, err) : rc;
    free(head);
    if (fd < 0)
        return fd;
    const char *name = file->name != NULL ? file->name : "topology";
    struct ctl_note note = {
        .number = (uint32_t)(length + file->text.length), .text = name, .length = (uint32_t)strlen(name)};
    rc = request_note(manager, type, id, &note, fd, err);
    close(fd);
    return rc;
}

static bool is_answer(const struct ctl_head *head, const char *body, void *context)
{
    (void)body;
    return head->id == *(const uint32_t *)context;
}

static int add_piece(struct bioxen_checked *checked, const char *body, size_t length, struct bx_error *err)
{
    if (checked->length + length > ANSWER_MAX)
        return bx_fail(err, E2BIG, "what the orchestrator says of the topology file is too long");
    char *larger = realloc(checked->bytes, checked->length + length + 1);
    if (larger == NULL)
        return bx_fail_errno(err, ENOMEM, "topology file");
    memcpy(larger + checked->length, body, length);
    checked->bytes = larger;
    checked->length += length;
    return 0;
}

static int receive_answer(bioxen_manager *manager, uint32_t id, struct bioxen_checked *checked, struct bx_error *err)
{
    struct ctl_head head;
    const char *body;
    struct ctl_note note;
    for (;;) {
        int rc = manager_wait(manager, is_answer, &id, &head, &body, err);
        if (rc != 0)
            return rc;
        if (head.type == CTL_ERROR && ctl_decode_note(body, head.length, &note) == 0)
            return bx_fail(err, note.number > 0 && note.number < 4096 ? (int)note.number : EPROTO, "%.*s",
                           (int)note.length, note.text);
        if (head.type != CTL_CHECK_PART && head.type != CTL_CHECKED)
            return bx_fail(err, EBADMSG, "the orchestrator sent what this client does not understand");
        rc = add_piece(checked, body, head.length, err);
        if (rc != 0 || head.type == CTL_CHECKED)
            return rc;
    }
}

/* ---- the answer ---- */

static char *copy_text(const bioxen_node *node)
{
    struct bioxen_string text = bioxen_node_text(node);
    return text.bytes != NULL ? strndup(text.bytes, text.length) : NULL;
}

static char *copy(const char *text)
{
    return text != NULL ? strdup(text) : NULL;
}

static bool is_before(const struct bioxen_diagnostic *a, const struct bioxen_diagnostic *b)
{
    return a->line != b->line ? a->line < b->line : a->column < b->column;
}

static void free_diagnostic(struct bioxen_diagnostic *diagnostic)
{
    free((char *)diagnostic->message);
    free((char *)diagnostic->suggestion);
    free((char *)diagnostic->script);
    free((char *)diagnostic->script_text);
}

int checked_add(struct bioxen_checked *checked, const struct bioxen_diagnostic *from)
{
    if (checked->count == checked->room) {
        size_t room = 2 * checked->room + 16;
        struct bioxen_diagnostic *larger = realloc(checked->list, room * sizeof *larger);
        if (larger == NULL)
            return -ENOMEM;
        checked->list = larger;
        checked->room = room;
    }
    struct bioxen_diagnostic new = *from;
    new.message = copy(from->message != NULL ? from->message : "");
    new.suggestion = copy(from->suggestion);
    new.script = copy(from->script);
    new.script_text = copy(from->script_text);
    if (new.message == NULL) {
        free_diagnostic(&new);
        return -ENOMEM;
    }
    size_t at = checked->count++;
    for (; at > 0 && is_before(&new, &checked->list[at - 1]); at--)
        checked->list[at] = checked->list[at - 1];
    checked->list[at] = new;
    return 0;
}

static unsigned number_of(const bioxen_node *map, const char *key)
{
    uint64_t number = bioxen_node_number(bioxen_node_find(map, key));
    return number < UINT32_MAX ? (unsigned)number : 0;
}

static int read_diagnostic(struct bioxen_checked *checked, const bioxen_node *node)
{
    struct bioxen_string severity = bioxen_node_text(bioxen_node_find(node, "severity"));
    char *message = copy_text(bioxen_node_find(node, "message")),
         *suggestion = copy_text(bioxen_node_find(node, "suggestion"));
    struct bioxen_diagnostic diagnostic = {
        .is_error = !(severity.length == 7 && memcmp(severity.bytes, "warning", 7) == 0),
        .line = number_of(node, "line"),
        .column = number_of(node, "column"),
        .width = number_of(node, "width"),
        .message = message,
        .suggestion = suggestion,
    };
    int rc = checked_add(checked, &diagnostic);
    free(message);
    free(suggestion);
    return rc;
}

static int read_answer(struct bioxen_checked *checked, struct bx_error *err)
{
    if (bx_unpack(&checked->answer, checked->bytes, checked->length) != 0)
        return bx_fail(err, EBADMSG, "the orchestrator sent what this client does not understand");
    checked->is_decoded = 1;
    const bioxen_node *root = node_of(&checked->answer.data), *list = bioxen_node_find(root, "diagnostics");
    checked->errors = number_of(root, "errors");
    checked->omitted = number_of(root, "omitted");
    for (size_t i = 0; i < bioxen_node_count(list); i++)
        if (read_diagnostic(checked, bioxen_node_item(list, i)) != 0)
            return bx_fail_errno(err, ENOMEM, "topology file");
    return 0;
}

int bioxen_check(bioxen_manager *manager, const struct bioxen_topology_file *file, bioxen_checked **out,
                 struct bioxen_error *public_err)
{
    struct bx_error err = {0};
    struct bioxen_topology_file cut = *file; /* that one byte more says that it is too large */
    if (cut.text.length > CHECK_TEXT_MAX)
        cut.text.length = CHECK_TEXT_MAX;
    uint32_t id = manager_next_id(manager);
    bioxen_checked *checked = calloc(1, sizeof *checked);
    if (checked == NULL) {
        bx_fail_errno(&err, ENOMEM, "topology file");
        return public_fail(public_err, &err);
    }
    int rc = check_send(manager, CTL_CHECK, &cut, id, &err);
    if (rc == 0)
        rc = receive_answer(manager, id, checked, &err);
    if (rc == 0)
        rc = read_answer(checked, &err);
    if (rc == 0 && file->directory != NULL)
        rc = check_scripts(manager, checked, &cut, &err);
    if (rc == 0) {
        *out = checked;
        return 0;
    }
    bioxen_checked_free(checked);
    return public_fail(public_err, &err);
}

void bioxen_checked_free(bioxen_checked *checked)
{
    if (checked == NULL)
        return;
    for (size_t i = 0; i < checked->count; i++)
        free_diagnostic(&checked->list[i]);
    free(checked->list);
    if (checked->is_decoded)
        msgpack_unpacked_destroy(&checked->answer);
    free(checked->bytes);
    free(checked);
}

size_t bioxen_checked_errors(const bioxen_checked *checked)
{
    return checked->errors;
}

size_t bioxen_checked_omitted(const bioxen_checked *checked)
{
    return checked->omitted;
}

size_t bioxen_checked_count(const bioxen_checked *checked)
{
    return checked->count;
}

const struct bioxen_diagnostic *bioxen_checked_diagnostic(const bioxen_checked *checked, size_t index)
{
    return index < checked->count ? &checked->list[index] : NULL;
}

const bioxen_node *bioxen_checked_topology(const bioxen_checked *checked)
{
    return checked->errors == 0 ? bioxen_node_find(node_of(&checked->answer.data), "topology") : NULL;
}
