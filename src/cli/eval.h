/*
 * eval.h - Lua code that is evaluated in a running VM: what exec and attach share. Code and arguments travel as values,
 * and are never put together to Lua source.
 */
#ifndef BX_CLI_EVAL_H
#define BX_CLI_EVAL_H

#include "remote.h"

struct eval {
    struct remote *remote;
    const char *name; /* of the VM, as it was given */
    uint32_t vm;
    bioxen_session *session;
    int wake_fd;
};

enum eval_end {
    EVAL_DONE,   /* `text` is to be shown, if there is any */
    EVAL_MORE,   /* the code is not complete */
    EVAL_WRONG,  /* it does not compile; `text` says why */
    EVAL_ERROR,  /* a Lua error; `text` has message and traceback */
    EVAL_TIME,   /* its time was up */
    EVAL_BROKEN, /* interrupted by a signal, whose number run_signals_caught tells */
    EVAL_GONE,   /* the VM has ended, or the orchestrator */
};

struct eval_result {
    enum eval_end end;
    char *text; /* to be freed; NULL: none */
    size_t length;
};

/* CLI_OK, or an exit status after a message. */
int eval_open(struct eval *eval, struct remote *remote, const char *vm);
void eval_close(struct eval *eval);

/* `arguments` are what the code sees as "...". What it prints goes out at once. timeout_ms 0: none. */
void eval_run(struct eval *eval, const char *code, int count, char **arguments, uint64_t timeout_ms,
              struct eval_result *result);

#endif
