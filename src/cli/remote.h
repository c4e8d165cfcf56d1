/*
 * remote.h - what verbs share that ask an orchestrator about VMs and topologies: finding the daemon, asking and
 * waiting, answers as JSON and as tables. What an answer means is bioxend's to say.
 */
#ifndef BX_CLI_REMOTE_H
#define BX_CLI_REMOTE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "client/bioxen.h"
#include "verb.h"

/* Options that several verbs have; their ids are above any verb's own. */
enum { REMOTE_SOCKET = 400, REMOTE_JSON };

#define REMOTE_OPTION_SOCKET                                                                                          \
    {.id = REMOTE_SOCKET, .name = "socket", .kind = CLI_FILE, .value = "PATH",                                        \
     .help = "of the daemon; else $BIOXEN_SOCKET, /run/bioxen.sock (root), $XDG_RUNTIME_DIR/bioxen.sock"}
#define REMOTE_OPTION_JSON(what) {.id = REMOTE_JSON, .name = "json", .kind = CLI_FLAG, .help = (what)}

struct remote {
    const char *socket; /* NULL: the default */
    bool json;
    bioxen_manager *manager;
};

/* Takes the options above; for a verb that has no others it is its cli_take_option, with a struct remote as context. */
int remote_take_option(const struct cli_option *option, const char *text, uint64_t number, void *context);

/*
 * As cli_parse_options, for verbs whose options may also stand behind their arguments; those are moved to the front of
 * argv, and *count of them are from argv[1] on. Too few (below min) or too many (above max) are refused.
 */
enum cli_parsed remote_parse(const struct cli_verb *verb, int argc, char **argv, cli_take_option *take, void *context,
                             int min, int max, int *count);

/* Joins the daemon. CLI_OK, or an exit status after a message. */
int remote_open(struct remote *remote);
void remote_close(struct remote *remote);

/* The exit status for an error, which is said. `vm` (may be NULL) is what was asked for: names like it are named. */
int remote_fail(struct remote *remote, const char *vm, const struct bioxen_error *err);

/* Waits for the answer to a request whose asking returned `rc`. CLI_OK, or an exit status after a message. */
int remote_wait(struct remote *remote, int rc, uint32_t request, const char *vm, bioxen_answer **out,
                struct bioxen_error *err);

/* The number of a VM that runs. CLI_OK, or an exit status after a message. */
int remote_find_vm(struct remote *remote, const char *vm, uint32_t *number);

/* ---- showing (remote_show.c) ---- */

/* NULL without memory. */
json_t *remote_json(const bioxen_node *node);

/* One line of JSON on stdout. 0 or -1. */
int remote_print_json(const bioxen_node *node);

/* A text of a map, or "" ; what a terminal must not see is escaped. To be freed. */
char *remote_text(const bioxen_node *map, const char *key);
uint64_t remote_number(const bioxen_node *map, const char *key);

/* Columns as wide as what is in them: cells are taken (freed by table_print). */
#define TABLE_COLUMNS_MAX 12
struct table {
    const char *const *titles;
    size_t columns, rows, room;
    char **cells;
};
void table_init(struct table *table, const char *const *titles, size_t columns);
/* A cell in reading order; NULL stands for no memory and shows as nothing. */
void table_add(struct table *table, char *cell);
void table_print(struct table *table, FILE *out);

/* "3s", "12m", "5h", "2d"; malloc'd, as all the rest. */
char *show_age(uint64_t us);
char *show_bytes(uint64_t bytes);
char *show_number(uint64_t number);

/* "2026-11-23 04:05:06.123" in local time. */
#define SHOW_TIME_MAX 40
void show_time(uint64_t realtime_us, char out[SHOW_TIME_MAX]);

/* Colour: only on a terminal, and never with NO_COLOR. `fd` is what is written to. */
bool show_colours(int fd);

#endif
