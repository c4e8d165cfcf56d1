/*
 * topo.h - topology files on the command line: reads one, has it checked, and shows what was found. What a file means
 * is bioxend's to say; nothing is parsed here.
 */
#ifndef BX_CLI_TOPO_H
#define BX_CLI_TOPO_H

#include <stdbool.h>
#include <stdio.h>

#include "client/bioxen.h"
#include "verb.h"

struct topo_file {
    const char *path; /* as given */
    char *directory;  /* where its scripts are looked for; owned, as is the text */
    char *text;
    size_t length;
    char name[64]; /* of a topology that does not say its own */
};

/* Reads a file, or stdin for "-". Returns CLI_OK, or an exit status after a message. */
int topo_read(struct topo_file *file, const char *path);
void topo_fini(struct topo_file *file);

/* As cli_parse_options, for a verb of one file: options may also stand behind it. CLI_PARSED: *path is the file. */
enum cli_parsed topo_parse(const struct cli_verb *verb, int argc, char **argv, cli_take_option *take, void *context,
                           const char **path);

/* A file as the library wants it, with our environment. CLI_OK, or an exit status after a message. */
struct topo_source {
    struct bioxen_topology_file file;
    struct bioxen_string *env;
};
int topo_source_init(struct topo_source *source, const struct topo_file *file, bool with_scripts);
void topo_source_fini(struct topo_source *source);

/* Asks an orchestrator. CLI_OK with *out, or an exit status after a message. */
int topo_check_by(bioxen_manager *manager, const struct topo_file *file, const struct topo_source *source,
                  bioxen_checked **out);

/* Starts an orchestrator and asks it. Returns CLI_OK with *out, or an exit status after a message. */
int topo_check(const struct topo_file *file, bool with_scripts, bioxen_checked **out);

/* Says every diagnostic with its line on stderr, and how many there are. */
void topo_say(const struct topo_file *file, const bioxen_checked *checked);

/* The same as JSON, one object a line, on `out`. Returns 0, or -1 when out of memory or it cannot be written. */
int topo_say_json(const struct topo_file *file, const bioxen_checked *checked, FILE *out);

#endif
