/*
 * log_print.h - what VMs print, on our standard output: whole lines, each with its VM's name before it where several
 * VMs may print, or one JSON object a line.
 */
#ifndef BX_CLI_LOG_PRINT_H
#define BX_CLI_LOG_PRINT_H

#include <stdbool.h>

#include "client/bioxen.h"

struct log_voice;

struct log_printer {
    bool json;
    bool names;       /* before each line */
    bool short_names; /* NAME instead of TOPOLOGY/NAME */
    bool colours;
    bool terminal; /* what could move the cursor is escaped: it could forge another VM's line */
    int width;     /* of the longest name so far */
    struct log_voice *voices;
};

void log_printer_init(struct log_printer *printer, bool names);

/* A LOG event. 0, or -1 when it cannot be written. */
int log_print(struct log_printer *printer, const struct bioxen_event *event);

/* Lines that have no end yet; frees all. 0 or -1. */
int log_printer_fini(struct log_printer *printer);

#endif
