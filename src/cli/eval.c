/* eval.c - one call of a session: sends it, passes its output on, interrupts it, and takes its end. */
#include "eval.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "run.h"

/* A call that is interrupted has this long; then its VM is killed. */
#define GRACE_MS 2000

/*
 * An expression or statements, as lua(1) takes them. What is in the VM may have been changed by its script: then this
 * fails, and says so.
 */
static const char runner[] =
    "local source = ...\n"
    "local chunk, why = load('return ' .. source, '=stdin')\n"
    "if not chunk then chunk, why = load(source, '=stdin') end\n"
    "if not chunk then return why:sub(-5) == '<eof>' and 'more' or 'wrong', why end\n"
    "local function show(value, depth)\n"
    "    local meta = type(value) == 'table' and getmetatable(value)\n"
    "    if type(value) == 'string' and depth > 0 then return string.format('%q', value) end\n"
    "    if type(value) ~= 'table' or type(meta) == 'table' and meta.__tostring or depth == 4 then\n"
    "        return tostring(value)\n"
    "    end\n"
    "    local parts, n = {}, 0\n"
    "    for k, v in next, value do\n"
    "        if #parts == 100 then parts[101] = '...' break end\n"
    "        if k == n + 1 then n = k parts[#parts + 1] = show(v, depth + 1)\n"
    "        elseif type(k) == 'string' and k:find('^[%a_][%w_]*$') then\n"
    "            parts[#parts + 1] = k .. ' = ' .. show(v, depth + 1)\n"
    "        else parts[#parts + 1] = '[' .. show(k, depth + 1) .. '] = ' .. show(v, depth + 1) end\n"
    "    end\n"
    "    return '{' .. table.concat(parts, ', ') .. '}'\n"
    "end\n"
    "local function finish(...)\n"
    "    local texts = table.pack(...)\n"
    "    for i = 1, texts.n do texts[i] = show(texts[i], 0) end\n"
    "    if texts.n == 0 then return 'done' end\n"
    "    return 'done', table.concat(texts, '\\t')\n"
    "end\n"
    "return finish(chunk(select(2, ...)))\n";

int eval_open(struct eval *eval, struct remote *remote, const char *vm)
{
    struct bioxen_error err;
    *eval = (struct eval){.remote = remote, .name = vm, .wake_fd = -1};
    int status = remote_find_vm(remote, vm, &eval->vm);
    if (status != CLI_OK)
        return status;
    if (bioxen_attach(remote->manager, eval->vm, &eval->session, &err) != 0)
        return remote_fail(remote, NULL, &err);
    run_signals_install();
    eval->wake_fd = run_signals_arm();
    if (eval->wake_fd >= 0)
        return CLI_OK;
    cli_say("cannot watch for signals: %s", strerror(-eval->wake_fd));
    return CLI_HOST;
}

void eval_close(struct eval *eval)
{
    bioxen_detach(eval->session);
    eval->session = NULL;
}

/* ---- one call ---- */

static void set_text(struct eval_result *result, struct bioxen_string text)
{
    free(result->text);
    result->text = text.bytes != NULL ? strndup(text.bytes, text.length) : NULL;
    result->length = result->text != NULL ? strlen(result->text) : 0;
}

static void take_result(struct bioxen_string bytes, struct eval_result *result)
{
    struct bioxen_value list, end = {0}, text = {0};
    const char *at = bioxen_read(bytes.bytes, &list);
    if (list.integer > 0)
        at = bioxen_read(at, &end);
    if (list.integer > 1)
        bioxen_read(at, &text);
    result->end = end.type != BIOXEN_STRING || end.string.length < 4 ? EVAL_ERROR
                  : memcmp(end.string.bytes, "done", 4) == 0         ? EVAL_DONE
                  : memcmp(end.string.bytes, "more", 4) == 0         ? EVAL_MORE
                                                                     : EVAL_WRONG;
    if (text.type == BIOXEN_STRING) {
        result->text = malloc(text.string.length + 1);
        result->length = result->text != NULL ? text.string.length : 0;
        if (result->text != NULL)
            memcpy(result->text, text.string.bytes, text.string.length);
    }
}

static void take_error(const struct bioxen_reply *reply, struct eval_result *result)
{
    char *text;
    int length = asprintf(&text, "%.*s%s%.*s", (int)reply->message.length,
                          reply->message.bytes != NULL ? reply->message.bytes : "",
                          reply->traceback.length > 0 ? "\n" : "", (int)reply->traceback.length,
                          reply->traceback.bytes != NULL ? reply->traceback.bytes : "");
    result->end = reply->failure == BIOXEN_FAILED_TIMEOUT       ? EVAL_TIME
                  : reply->failure == BIOXEN_FAILED_INTERRUPTED ? EVAL_BROKEN
                                                                : EVAL_ERROR;
    if (length >= 0) {
        result->text = text;
        result->length = (size_t)length;
    }
}

static void print_output(int stream, struct bioxen_string bytes)
{
    int fd = stream == 2 ? STDERR_FILENO : STDOUT_FILENO;
    while (bytes.length > 0) {
        ssize_t put = write(fd, bytes.bytes, bytes.length);
        if (put < 0 && errno != EINTR)
            return;
        bytes.bytes += put > 0 ? put : 0;
        bytes.length -= put > 0 ? (size_t)put : 0;
    }
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Waits for the session or a signal, or until it is `due` (0: never). */
static void wait_for(const struct eval *eval, uint64_t due)
{
    bool unsent = bioxen_session_unsent(eval->session) > 0;
    struct pollfd ready[2] = {
        {.fd = bioxen_session_fd(eval->session), .events = (short)(POLLIN | (unsent ? POLLOUT : 0))},
        {.fd = eval->wake_fd, .events = POLLIN},
    };
    uint64_t now = now_ms();
    int timeout = due == 0 ? -1 : due <= now ? 0 : due - now > 3600000 ? 3600000 : (int)(due - now);
    (void)poll(ready, 2, timeout);
}

/* True when the call is over. */
static bool take_reply(struct eval *eval, uint64_t call, struct eval_result *result, bool *waits)
{
    struct bioxen_reply reply;
    struct bioxen_error err;
    int rc = bioxen_session_next(eval->session, &reply, 0, &err);
    *waits = rc == 0 || rc == -EINTR;
    if (*waits)
        return false;
    if (rc < 0) {
        result->end = EVAL_GONE;
        return true;
    }
    if (reply.call == call && reply.type == BIOXEN_REPLY_OUTPUT)
        print_output(reply.stream, reply.bytes);
    else if (reply.call == call && reply.type == BIOXEN_REPLY_RESULT)
        take_result(reply.bytes, result);
    else if (reply.call == call)
        take_error(&reply, result);
    return reply.call == call && reply.type != BIOXEN_REPLY_OUTPUT;
}

static void follow(struct eval *eval, uint64_t call, uint64_t due, struct eval_result *result)
{
    bool interrupted = false, waits;
    while (!take_reply(eval, call, result, &waits)) {
        bool late = due != 0 && now_ms() >= due;
        bool told = run_signals_caught() != 0;
        if (!interrupted && (late || told)) {
            interrupted = true;
            due = 0;
            (void)bioxen_interrupt(eval->remote->manager, eval->vm, eval->session, call,
                                   late ? BIOXEN_BY_TIMEOUT : BIOXEN_BY_CLIENT, GRACE_MS, NULL);
        }
        if (waits)
            wait_for(eval, due);
    }
}

static int send(struct eval *eval, const char *code, int count, char **arguments, uint64_t *call,
                struct bioxen_error *err)
{
    bioxen_values *values = bioxen_values_new();
    struct bioxen_string bytes;
    int rc = -ENOMEM;
    if (values != NULL) {
        bioxen_put_list(values, (uint32_t)count + 1);
        bioxen_put_string(values, code, strlen(code));
        for (int i = 0; i < count; i++)
            bioxen_put_string(values, arguments[i], strlen(arguments[i]));
        rc = bioxen_values_bytes(values, &bytes);
    }
    if (rc == 0)
        rc = bioxen_session_send(eval->session, BIOXEN_EXECUTE,
                                 (struct bioxen_string){runner, sizeof runner - 1}, bytes, 0, call, err);
    else
        snprintf(err->text, sizeof err->text, "out of memory");
    bioxen_values_free(values);
    return rc;
}

void eval_run(struct eval *eval, const char *code, int count, char **arguments, uint64_t timeout_ms,
              struct eval_result *result)
{
    struct bioxen_error err;
    uint64_t call;
    *result = (struct eval_result){.end = EVAL_GONE};
    int rc = send(eval, code, count, arguments, &call, &err);
    if (rc == 0)
        follow(eval, call, timeout_ms > 0 ? now_ms() + timeout_ms : 0, result);
    else if (rc != -EPIPE)
        set_text(result, (struct bioxen_string){err.text, strlen(err.text)});
}
