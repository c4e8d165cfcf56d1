/*
 * run.h - the parts of `bioxen run`: what was asked for (request), the script (source), what is mounted,
 * the modules it may require, its output, its end (message, report).
 */
#ifndef BX_CLI_RUN_H
#define BX_CLI_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/bioxen.h"
#include "verb.h"

/* The largest script or module that is read: far above any program, far below what would hurt the host. */
#define RUN_SCRIPT_MAX (64u * 1024u * 1024u)
#define RUN_NAME_MAX   63
#define RUN_TARGET_MAX 127

/* Why a run failed before or beside its script: the exit status, and one line for people. */
struct run_failure {
    int status;
    char text[1024];
};

/* Fills the failure and returns -1. */
int run_fail(struct run_failure *failure, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- request (run_options.c) ---- */

enum run_kind { RUN_FILE, RUN_STDIN, RUN_CODE };

struct run_mount {
    char *host; /* as given; owned */
    char target[RUN_TARGET_MAX + 1];
    bool writable;
};

struct run_request {
    struct bioxen_config config; /* but for its text and its mounts */
    enum run_kind kind;
    const char *script; /* arg[0]: the path as given, "-" or "-e" */
    const char *code;   /* of -e, else NULL */
    const char *title;  /* how messages call the script */
    const char *report; /* NULL when none was asked */
    char name[RUN_NAME_MAX + 1];
    char *chunk; /* owned, as are the arrays */
    struct bioxen_string *args;
    struct bioxen_string *env;
    struct run_mount mounts[BIOXEN_MOUNTS_MAX];
    size_t mount_count;
};

#define RUN_OPTION_COUNT 14
extern const struct cli_option run_options[RUN_OPTION_COUNT];

/* What the handler of options needs besides the request. */
struct run_parsing {
    struct run_request *request;
    const char *name;
    size_t env_room; /* pairs */
};

/* Takes one option of run_table.h. 0, or -1 after a message. */
int run_take_option(const struct cli_option *option, const char *text, uint64_t number, struct run_parsing *parsing);

/* A script for a request whose options are known; its `chunk` and `args` are new. 0, or -1 after a message. */
int run_request_set_script(struct run_request *request, const char *path);

/* Reads the whole command line. A request is to be ended by run_request_fini whatever is returned. */
enum cli_parsed run_request_parse(struct run_request *request, int argc, char **argv);
void run_request_fini(struct run_request *request);

/* Takes HOST:VM[:ro|rw] apart. 0, or -1 after a message. */
int run_mount_parse(const char *text, struct run_mount *out);

bool run_name_is_legal(const char *name);

/* A legal name from a script's path: its base name without ".lua", other characters as "-". */
void run_name_from_path(const char *path, char out[RUN_NAME_MAX + 1]);

/* ---- source (run_source.c) ---- */

struct run_source {
    int fd; /* -1: nothing to read or to close */
    uint64_t size;
    char *memory;
    struct bioxen_string text;
};

/* Opens the script and looks at what it is; reads nothing. */
int run_source_open(struct run_source *source, const struct run_request *request,
                    struct run_failure *failure);
int run_source_read(struct run_source *source, const struct run_request *request,
                    struct run_failure *failure);
void run_source_fini(struct run_source *source);

/*
 * Reads to the end of the file. Returns 0, -EFBIG above RUN_SCRIPT_MAX, or another -errno. *out is
 * malloc'd, never NULL on success.
 */
int run_read_all(int fd, uint64_t size, char **out, size_t *length);

/* ---- mounts (run_mount.c) ---- */

struct run_mounts {
    struct bioxen_mount list[BIOXEN_MOUNTS_MAX];
    size_t count;
};

/* Opens what is to be mounted as the caller: --mount, and the script's directory at /app for profile full. */
int run_mounts_open(struct run_mounts *mounts, const struct run_request *request,
                    struct run_failure *failure);
void run_mounts_fini(struct run_mounts *mounts);

/* ---- modules (run_module.c) ---- */

/* Where a restricted script's modules are: the library finds them there. */
struct run_modules {
    char *directory; /* as the user sees it; NULL: nowhere */
    int fd;          /* of the directory, O_PATH; -1: there is none, or it cannot be opened */
    int error;       /* errno of that */
};

/*
 * The directory part of a path as given: "." for "a.lua", "x" for "x/a.lua", "" for "/a.lua". NULL when out
 * of memory.
 */
char *run_directory_of(const char *path);

int run_modules_init(struct run_modules *modules, const struct run_request *request);
void run_modules_fini(struct run_modules *modules);

/* Writes why there are no modules. */
void run_modules_why_none(const struct run_modules *modules, char *out, size_t size);

/* ---- signals (run_signals.c) ---- */

/* From now on SIGINT, SIGTERM and SIGHUP end the process with 128 and their number ... */
void run_signals_install(void);

/*
 * From now on a reader that went away, and a file that may not grow, are errors of write. Not before the
 * daemons were started: they would inherit it.
 */
void run_signals_ignore_pipe(void);

/*
 * ... and from now on SIGINT, SIGTERM and SIGHUP only make the returned descriptor readable. -errno on
 * failure.
 */
int run_signals_arm(void);

/* The first signal that came, 0 when none did. Empties the descriptor. */
int run_signals_caught(void);

/* What came is dealt with: from now on it is as if none had come. */
void run_signals_forget(void);

/* ---- loop (run_loop.c, run_output.c) ---- */

/*
 * Writes as much as goes without waiting in vain. Returns 0 when all was written, -EINTR when wake_fd
 * became readable or a signal came, -ETIME when the time (ms, -1: for ever) was up, or another -errno;
 * *bytes and *length move on.
 */
int run_output_write(int fd, const char **bytes, size_t *length, int wake_fd, int timeout_ms);

struct run_loop {
    bioxen_manager *manager;
    uint32_t vm;
    const struct run_request *request;
    struct run_modules *modules;
    int wake_fd;       /* of run_signals_arm */
    int signal;        /* that was passed on to the VM, 0 when none was */
    uint64_t give_up;  /* CLOCK_MONOTONIC ms: a VM that was asked to end is waited for until then; 0: for ever */
    bool stalled;      /* we are to end and nobody reads: what still comes is dropped */
    int output_error;  /* errno of the first write that failed */
    int output_stream; /* 1 or 2: where that was */
    struct bioxen_string given_up; /* at the end: why it is not started again; valid as the record */
};

/*
 * Follows the VM to its end. Returns 0 with the record, whose pointers are valid until the next call on the
 * manager, or -1 with the failure when the orchestrator was lost.
 */
int run_loop_follow(struct run_loop *loop, struct bioxen_record *record, struct run_failure *failure);

/* ---- the end (run_message.c, run_report.c) ---- */

/* Says on stderr how the VM ended, if that needs words. */
void run_say_death(const struct run_request *request, const struct bioxen_record *record);

/* Says that it is started again, and how it ended before. */
void run_say_again(const struct run_request *request, const struct bioxen_record *record, uint64_t wait_us);

/* Says why it is not started again, if there is something to say. */
void run_say_given_up(const struct run_request *request, struct bioxen_string why);

/* The same as text: malloc'd, NULL when there is nothing to say. */
char *run_death_text(const struct run_request *request, const struct bioxen_record *record, size_t *length);

/* The record of a run whose VM never was, or was lost. */
void run_record_of_failure(const struct run_request *request, const struct run_failure *failure,
                           struct bioxen_record *record);

/*
 * Corrects a record where not the VM's end decides the exit status but what became of its output. `text` is
 * for the error.
 */
void run_record_correct(struct bioxen_record *record, const struct run_loop *loop, char *text, size_t size);

enum run_report_way {
    RUN_REPORT_NONE,
    RUN_REPORT_REPLACE, /* write a temporary file beside it, then rename */
    RUN_REPORT_OPEN,    /* open and write: a FIFO, a device, a file in a directory that we may not write to */
    RUN_REPORT_FD,      /* one of our own descriptors */
};

struct run_report {
    enum run_report_way way;
    char *path;      /* owned */
    char *temporary; /* RUN_REPORT_REPLACE: the path to rename from; owned */
    int fd; /* RUN_REPORT_FD: borrowed. RUN_REPORT_REPLACE: a file without a name, owned, or -1: none to be had */
};

/* Finds out how FILE is to be written and whether that will work; leaves nothing. */
int run_report_prepare(struct run_report *report, const char *path, struct run_failure *failure);
int run_report_write(const struct run_report *report, const struct bioxen_record *record,
                     struct run_failure *failure);
/* Any text in its place. */
int run_report_put(const struct run_report *report, const char *text, struct run_failure *failure);
void run_report_fini(struct run_report *report);

/* The record as JSON with a newline: malloc'd, NULL when out of memory. */
char *run_report_json(const struct bioxen_record *record);

#endif
