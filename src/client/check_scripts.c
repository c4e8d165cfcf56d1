/*
 * check_scripts.c - do the scripts of a topology compile? Whether they do is decided where they will run: in a jailed
 * VM.
 *
 * The VM runs a program of ours that requires one numbered module after another. What it is given for a number is the
 * script's text behind "do return end", so that it is compiled as a whole and nothing of it is run. The scripts are
 * opened here, as the caller; what the VM says of them is a stranger's word.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checked.h"
#include "check_source.h"
#include "common/codec.h"
#include "common/limits.h"
#include "common/record.h"
#include "common/text.h"
#include "manager.h"
#include "node.h"
#include "public.h"

/* One VM compiles them all, one after the other; a script that takes longer is refused. */
#define COMPILE_TIMEOUT_MS 30000
#define COMPILE_MEMORY     (256ull * 1024 * 1024)

/* Bytes that the VM may say: a message for each script. */
#define REPORT_MAX (4u * 1024u * 1024u)

/* A message of the compiler: it may quote the script, in any length. */
#define MESSAGE_MAX 300

/* "7" compiles number 7; "c7" compiles it as an expression, or else as a chunk. */
static const char compiler[] =
    "local function compile(name, last)\n"
    "  local ok, why = pcall(require, name)\n"
    "  if ok then return true end\n"
    "  if not last then return false end\n"
    "  why = tostring(why)\n"
    "  local line, message = why:match(\"^error loading module '[^']*' from file '[^']*':\\n\\t[^:]*:(%d+): (.*)$\")\n"
    "  message = message or why\n"
    "  print((\"%s %d %d\\n%s\"):format(name, line or 0, #message, message))\n"
    "end\n"
    "for _, name in ipairs {...} do\n"
    "  local number = name:match(\"%d+\")\n"
    "  if number ~= name and compile(name, false) or compile(number, true) then\n"
    "    print(number .. \" 0 0\\n\")\n"
    "  end\n"
    "end\n";

/*
 * A program with the same text as one before it waits for that one: when it compiles, both do; when not, each is told
 * of at its own place.
 */
enum state { PENDING, ASKED, DONE, WAITS };

struct job {
    bioxen_manager *manager;
    struct bioxen_checked *checked;
    const char *directory;
    struct bioxen_string text; /* the topology file */
    const bioxen_node *programs;
    unsigned char *states; /* enum state, of each program */
    unsigned char *faulty; /* 1: something was told of it */
    size_t *first;         /* of each: the one with the same text that is compiled for it */
    size_t count;
    size_t asked; /* the program that was asked for last, from 1 */
    char *report; /* what the VM says */
    size_t length;
};

/* ---- diagnostics ---- */

static unsigned number_of(const bioxen_node *map, const char *key)
{
    uint64_t number = bioxen_node_number(bioxen_node_find(map, key));
    return number < UINT32_MAX ? (unsigned)number : 0;
}

static const char *text_of(const bioxen_node *map, const char *key, size_t *length)
{
    struct bioxen_string text = bioxen_node_text(bioxen_node_find(map, key));
    *length = text.length;
    return text.bytes != NULL ? text.bytes : "";
}

static bool is_kind(const bioxen_node *program, const char *kind)
{
    size_t length;
    const char *text = text_of(program, "kind", &length);
    return length == strlen(kind) && memcmp(text, kind, length) == 0;
}

static int add_at(struct job *job, const bioxen_node *program, struct bioxen_diagnostic diagnostic, const char *message)
{
    diagnostic.is_error = 1;
    diagnostic.message = message;
    if (diagnostic.line == 0) {
        diagnostic.line = number_of(program, "line");
        diagnostic.column = number_of(program, "column");
        diagnostic.width = number_of(program, "width");
    }
    job->checked->errors++;
    return checked_add(job->checked, &diagnostic);
}

/* "vms.echo: script 'echo.lua'", malloc'd; NULL without memory. */
static char *title_of(const bioxen_node *program)
{
    size_t vm_length, length;
    const char *vm = text_of(program, "vm", &vm_length), *text = text_of(program, "text", &length);
    char *title = NULL;
    int rc = is_kind(program, "file")
                 ? asprintf(&title, "vms.%.*s: script '%.*s'", (int)vm_length, vm, (int)length, text)
                 : asprintf(&title, "vms.%.*s: %s", (int)vm_length, vm,
                            is_kind(program, "check") ? "the health check" : "the code");
    return rc >= 0 ? title : NULL;
}

/* A fault of the script as a whole. */
static int tell(struct job *job, size_t index, const char *what)
{
    const bioxen_node *program = bioxen_node_item(job->programs, index);
    char *title = title_of(program), *message = NULL;
    int rc = -ENOMEM;
    job->states[index] = DONE;
    job->faulty[index] = 1;
    if (title != NULL && asprintf(&message, "%s %s", title, what) >= 0)
        rc = add_at(job, program, (struct bioxen_diagnostic){0}, message);
    free(message);
    free(title);
    return rc;
}

/* A fault in a line of a script in a file of its own, which is shown. */
static int tell_file(struct job *job, const bioxen_node *program, unsigned line, const char *message)
{
    size_t vm_length, length;
    const char *vm = text_of(program, "vm", &vm_length), *text = text_of(program, "text", &length);
    char *path = strndup(text, length), *full = NULL;
    char *shown = path != NULL ? check_source_line(job->directory, path, line) : NULL;
    int rc = -ENOMEM;
    if (path != NULL && asprintf(&full, "vms.%.*s: %s:%u: %s", (int)vm_length, vm, path, line, message) >= 0)
        rc = add_at(job, program, (struct bioxen_diagnostic){.script = path, .script_line = line, .script_text = shown},
                    full);
    free(full);
    free(shown);
    free(path);
    return rc;
}

/* A line of the topology file from its first character that is no blank. */
static void mark_line(const struct job *job, unsigned line, struct bioxen_diagnostic *out)
{
    const char *at = job->text.bytes, *end = at + job->text.length;
    for (unsigned i = 1; i < line && at < end; i++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        at = newline != NULL ? newline + 1 : end;
    }
    out->line = line;
    out->column = 1;
    out->width = 0;
    for (; at < end && (*at == ' ' || *at == '\t'); at++)
        out->column++;
    for (; at < end && *at != '\n' && *at != '\r'; at++)
        out->width += ((unsigned char)*at & 0xc0) != 0x80;
    out->width += out->width == 0;
}

/* Lua finds what is missing at the end behind the last line: that is where it is told. */
static unsigned last_line(const bioxen_node *program)
{
    size_t length;
    const char *text = text_of(program, "text", &length);
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == ' '))
        length--;
    unsigned line = 1;
    for (size_t i = 0; i < length; i++)
        line += text[i] == '\n';
    return line;
}

/* A fault in Lua that stands in the topology file itself. */
static int tell_inline(struct job *job, const bioxen_node *program, unsigned line, const char *message)
{
    char *title = title_of(program), *full = NULL;
    unsigned first = number_of(program, "first_line"), last = last_line(program);
    line = line < last ? line : last;
    struct bioxen_diagnostic diagnostic = {0};
    int rc = -ENOMEM;
    if (first > 0)
        mark_line(job, first + line - 1, &diagnostic);
    if (title != NULL && asprintf(&full, "%s: line %u: %s", title, line, message) >= 0)
        rc = add_at(job, program, diagnostic, full);
    free(full);
    free(title);
    return rc;
}

/* ---- what the VM says ---- */

static int tell_syntax(struct job *job, size_t index, unsigned line, const char *bytes, size_t length)
{
    const bioxen_node *program = bioxen_node_item(job->programs, index);
    size_t safe_length;
    char *safe = text_escape(bytes, length < MESSAGE_MAX ? length : MESSAGE_MAX, 0, &safe_length);
    int rc = -ENOMEM;
    if (safe != NULL && line == 0)
        rc = tell(job, index, safe);
    else if (safe != NULL)
        rc = is_kind(program, "file") ? tell_file(job, program, line, safe) : tell_inline(job, program, line, safe);
    job->states[index] = DONE;
    job->faulty[index] = 1;
    free(safe);
    return rc;
}

/* Reads "number line length\nmessage\n" again and again. What does not look like that is the end. */
static int read_report(struct job *job)
{
    const char *at = job->report, *end = at + job->length;
    int rc = 0;
    while (rc == 0 && at < end) {
        unsigned number, line;
        size_t length;
        int head = 0;
        if (sscanf(at, "%9u %9u %9zu%n", &number, &line, &length, &head) != 3 || at[head] != '\n')
            break;
        at += head + 1;
        if (number < 1 || number > job->count || length >= (size_t)(end - at))
            break;
        if (job->states[number - 1] == ASKED && length > 0)
            rc = tell_syntax(job, number - 1, line, at, length);
        else if (job->states[number - 1] == ASKED)
            job->states[number - 1] = DONE;
        at += length + 1;
    }
    return rc;
}

static int keep_output(struct job *job, const char *body, size_t length)
{
    length -= sizeof(struct ctl_output);
    if (job->length + length > REPORT_MAX)
        return 0;
    char *larger = realloc(job->report, job->length + length + 1);
    if (larger == NULL)
        return -ENOMEM;
    memcpy(larger + job->length, body + sizeof(struct ctl_output), length);
    job->report = larger;
    job->length += length;
    larger[job->length] = '\0';
    return 0;
}

/* ---- what it needs ---- */

/* "7", "c7": the number, or 0 for what is none of ours. */
static size_t number_of_need(const struct job *job, const struct ctl_note *note, bool *as_expression)
{
    char name[16] = "";
    if (note->length == 0 || note->length >= sizeof name)
        return 0;
    memcpy(name, note->text, note->length);
    *as_expression = name[0] == 'c';
    char *end;
    unsigned long number = strtoul(name + *as_expression, &end, 10);
    return *end == '\0' && number >= 1 && number <= job->count ? number : 0;
}

static int refuse_need(struct job *job, uint32_t vm, struct bx_error *err)
{
    struct bioxen_error public_err;
    int rc = bioxen_answer_no_module(job->manager, vm, "no such script", &public_err);
    return rc == 0 ? 0 : bx_fail(err, -rc, "%s", public_err.text);
}

static int answer_need(struct job *job, uint32_t vm, const struct ctl_note *note, struct bx_error *err)
{
    bool as_expression = false;
    size_t number = number_of_need(job, note, &as_expression);
    struct check_source_text text = {0};
    char chunk[24];
    if (number == 0 || job->states[number - 1] == DONE)
        return refuse_need(job, vm, err);
    const bioxen_node *program = bioxen_node_item(job->programs, number - 1);
    struct bioxen_string given = bioxen_node_text(bioxen_node_find(program, "text"));
    const char *wrong = check_source_compilable(job->directory, is_kind(program, "file"), given, as_expression, &text);
    job->states[number - 1] = ASKED;
    job->asked = number;
    if (wrong != NULL)
        return tell(job, number - 1, wrong) == 0 ? refuse_need(job, vm, err) : bx_fail_errno(err, ENOMEM, "scripts");
    snprintf(chunk, sizeof chunk, "@%zu", number);
    struct bioxen_error public_err;
    int rc =
        bioxen_answer_module(job->manager, vm, chunk, (struct bioxen_string){text.bytes, text.length}, &public_err);
    free(text.bytes);
    return rc == 0 ? 0 : bx_fail(err, -rc, "%s", public_err.text);
}

/* ---- one VM ---- */

static bool is_of_vm(const struct ctl_head *head, const char *body, void *context)
{
    uint32_t vm = *(const uint32_t *)context;
    struct ctl_note note;
    struct ctl_output output;
    msgpack_unpacked unpacked;
    if (head->type == CTL_NEED)
        return ctl_decode_note(body, head->length, &note) == 0 && note.vm == vm;
    if (head->type == CTL_OUTPUT && head->length >= sizeof output) {
        memcpy(&output, body, sizeof output);
        return output.vm == vm;
    }
    if (head->type != CTL_DEATH || bx_unpack(&unpacked, body, head->length) != 0)
        return false;
    const msgpack_object *number = bx_map_find(&unpacked.data, "vm");
    bool mine = number != NULL && number->type == MSGPACK_OBJECT_POSITIVE_INTEGER && number->via.u64 == vm;
    msgpack_unpacked_destroy(&unpacked);
    return mine;
}

static int follow(struct job *job, uint32_t vm, enum record_outcome *outcome, struct bx_error *err)
{
    struct ctl_head head;
    const char *body;
    struct ctl_note note;
    for (;;) {
        int rc = manager_wait(job->manager, is_of_vm, &vm, &head, &body, err);
        if (rc == 0 && head.type == CTL_NEED) {
            ctl_decode_note(body, head.length, &note);
            rc = answer_need(job, vm, &note, err);
        } else if (rc == 0 && head.type == CTL_OUTPUT) {
            rc = keep_output(job, body, head.length) == 0 ? 0 : bx_fail_errno(err, ENOMEM, "scripts");
        }
        if (rc != 0)
            return rc;
        if (head.type == CTL_DEATH)
            return check_source_outcome(body, head.length, outcome) == 0
                       ? 0
                       : bx_fail(err, EBADMSG, "scripts: a damaged answer");
    }
}

/* The arguments: the numbers of all that wait. Each is written into `names`. */
static size_t list_pending(const struct job *job, struct bioxen_string *args, char (*names)[24])
{
    size_t count = 0;
    args[count++] = (struct bioxen_string){"check", 5};
    for (size_t i = 0; i < job->count; i++) {
        if (job->states[i] != PENDING)
            continue;
        const char *prefix = is_kind(bioxen_node_item(job->programs, i), "check") ? "c" : "";
        int length = snprintf(names[i], sizeof names[i], "%s%zu", prefix, i + 1);
        args[count++] = (struct bioxen_string){names[i], (size_t)length};
    }
    return count;
}

static int run_vm(struct job *job, struct bioxen_string *args, size_t arg_count, struct bx_error *err)
{
    struct bioxen_config config;
    struct bioxen_error public_err;
    enum record_outcome outcome = RECORD_INTERNAL;
    uint32_t vm;
    bioxen_config_init(&config);
    config.name = "check";
    config.memory = COMPILE_MEMORY;
    config.timeout_ms = COMPILE_TIMEOUT_MS;
    config.chunk_name = "=check";
    config.args = args;
    config.arg_count = arg_count;
    config.text = (struct bioxen_string){compiler, sizeof compiler - 1};
    if (bioxen_create(job->manager, &config, &vm, &public_err) != 0)
        return bx_fail(err, public_err.code, "the scripts cannot be compiled: %s", public_err.text);
    job->length = job->asked = 0;
    int rc = follow(job, vm, &outcome, err);
    if (rc != 0)
        return rc;
    if (read_report(job) != 0)
        return bx_fail_errno(err, ENOMEM, "scripts");
    if (outcome == RECORD_OK)
        return 0;
    if (job->asked == 0)
        return bx_fail(err, EIO, "the scripts cannot be compiled: the VM for it ended at once (%s)",
                       bioxen_outcome_name((enum bioxen_outcome)outcome));
    if (job->states[job->asked - 1] == ASKED &&
        tell(job, job->asked - 1, "cannot be compiled: it takes too much time or memory") != 0)
        return bx_fail_errno(err, ENOMEM, "scripts");
    return 0;
}

/* ---- all of them ---- */

/* What can be said before anything is compiled: files that are not there. */
static int look_at_files(struct job *job)
{
    int rc = 0;
    for (size_t i = 0; i < job->count && rc == 0; i++) {
        const bioxen_node *program = bioxen_node_item(job->programs, i);
        struct bioxen_string path = bioxen_node_text(bioxen_node_find(program, "text"));
        const char *wrong = is_kind(program, "file") ? check_source_look(job->directory, path) : NULL;
        if (wrong != NULL)
            rc = tell(job, i, wrong);
    }
    return rc;
}

static size_t count_pending(const struct job *job)
{
    size_t count = 0;
    for (size_t i = 0; i < job->count; i++)
        count += job->states[i] == PENDING;
    return count;
}

/* A VM that dies has one script to blame for it; the next VM goes on behind that. */
static int compile_pending(struct job *job, struct bioxen_string *args, char (*names)[24], struct bx_error *err)
{
    size_t before = SIZE_MAX, left;
    while ((left = count_pending(job)) > 0) {
        if (left >= before)
            return bx_fail(err, EIO, "the scripts cannot be compiled: the VM for it does not ask for them");
        before = left;
        int rc = run_vm(job, args, list_pending(job, args, names), err);
        if (rc != 0)
            return rc;
        for (size_t i = 0; i < job->count; i++)
            if (job->states[i] == ASKED)
                job->states[i] = DONE;
    }
    return 0;
}

static int compile_all(struct job *job, struct bx_error *err)
{
    struct bioxen_string *args = calloc(job->count + 1, sizeof *args);
    char(*names)[24] = calloc(job->count + 1, sizeof *names);
    int rc = -ENOMEM;
    if (args != NULL && names != NULL)
        rc = compile_pending(job, args, names, err);
    else
        bx_fail_errno(err, ENOMEM, "scripts");
    free(names);
    free(args);
    return rc;
}

/* ---- the same text, often ---- */

struct entry {
    struct bioxen_string text;
    size_t index;
    bool is_check; /* compiled in another way */
};

static int compare_entries(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    size_t shorter = a->text.length < b->text.length ? a->text.length : b->text.length;
    int order = a->is_check != b->is_check ? (a->is_check ? 1 : -1) : memcmp(a->text.bytes, b->text.bytes, shorter);
    if (order == 0)
        order = (a->text.length > b->text.length) - (a->text.length < b->text.length);
    return order != 0 ? order : (a->index > b->index) - (a->index < b->index);
}

static bool is_same(const struct entry *a, const struct entry *b)
{
    return a->is_check == b->is_check && a->text.length == b->text.length &&
           memcmp(a->text.bytes, b->text.bytes, a->text.length) == 0;
}

/* Of texts that are in the file more than once the first is compiled. Files are told apart by bioxend. */
static int find_repeated(struct job *job)
{
    struct entry *entries = calloc(job->count + 1, sizeof *entries);
    size_t count = 0;
    if (entries == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < job->count; i++) {
        const bioxen_node *program = bioxen_node_item(job->programs, i);
        struct bioxen_string text = bioxen_node_text(bioxen_node_find(program, "text"));
        if (!is_kind(program, "file") && text.bytes != NULL)
            entries[count++] = (struct entry){text, i, is_kind(program, "check")};
    }
    qsort(entries, count, sizeof *entries, compare_entries);
    for (size_t i = 1, first = 0; i < count; i++) {
        if (is_same(&entries[first], &entries[i])) {
            job->states[entries[i].index] = WAITS;
            job->first[entries[i].index] = entries[first].index;
        } else {
            first = i;
        }
    }
    free(entries);
    return 0;
}

static int compile_repeated(struct job *job, struct bx_error *err)
{
    for (size_t i = 0; i < job->count; i++)
        if (job->states[i] == WAITS)
            job->states[i] = job->faulty[job->first[i]] ? PENDING : DONE;
    return compile_all(job, err);
}

static int check_all(struct job *job, struct bx_error *err)
{
    if (job->states == NULL || job->faulty == NULL || job->first == NULL || look_at_files(job) != 0 ||
        find_repeated(job) != 0)
        return bx_fail_errno(err, ENOMEM, "scripts");
    int rc = compile_all(job, err);
    return rc == 0 ? compile_repeated(job, err) : rc;
}

int check_scripts(bioxen_manager *manager, struct bioxen_checked *checked, const struct bioxen_topology_file *file,
                  struct bx_error *err)
{
    struct job job = {.manager = manager, .checked = checked, .directory = file->directory, .text = file->text};
    size_t before = checked->errors;
    job.programs = bioxen_node_find(node_of(&checked->answer.data), "programs");
    job.count = bioxen_node_count(job.programs);
    if (job.count == 0)
        return 0;
    job.states = calloc(job.count, sizeof *job.states);
    job.faulty = calloc(job.count, sizeof *job.faulty);
    job.first = calloc(job.count, sizeof *job.first);
    int rc = check_all(&job, err);
    free(job.report);
    free(job.first);
    free(job.faulty);
    free(job.states);
    /* Where no VM can be started, the faults that are known come first. */
    return rc != 0 && rc != -EPIPE && before > 0 ? 0 : rc;
}
