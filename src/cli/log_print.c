/* log_print.c - one line at a time, so that VMs that print at once do not mix within one. */
#include "log_print.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/text.h"
#include "remote.h"

/* A longer line is shown in pieces. */
#define LINE_MAX_BYTES (64u * 1024u)

struct log_voice {
    struct log_voice *next;
    char *name;
    int colour;
    size_t used[2]; /* of a line of stdout and of stderr that has no end yet */
    char *line[2];
};

void log_printer_init(struct log_printer *printer, bool names)
{
    *printer = (struct log_printer){.names = names,
                                    .colours = names && show_colours(STDOUT_FILENO),
                                    .terminal = isatty(STDOUT_FILENO) == 1};
}

static struct log_voice *find(struct log_printer *printer, struct bioxen_string name)
{
    static const int colours[] = {36, 33, 32, 35, 34, 96, 93, 92, 95, 94};
    int count = 0;
    for (struct log_voice *voice = printer->voices; voice != NULL; voice = voice->next, count++)
        if (strlen(voice->name) == name.length && memcmp(voice->name, name.bytes, name.length) == 0)
            return voice;
    struct log_voice *voice = calloc(1, sizeof *voice);
    if (voice == NULL || (voice->name = strndup(name.bytes, name.length)) == NULL) {
        free(voice);
        return NULL;
    }
    voice->colour = colours[(size_t)count % (sizeof colours / sizeof *colours)];
    voice->next = printer->voices;
    printer->voices = voice;
    return voice;
}

static void print_name(struct log_printer *printer, const struct log_voice *voice)
{
    const char *slash = strchr(voice->name, '/');
    const char *name = printer->short_names && slash != NULL ? slash + 1 : voice->name;
    if (!printer->names)
        return;
    if ((int)strlen(name) > printer->width)
        printer->width = (int)strlen(name);
    if (printer->colours)
        printf("\033[%dm%-*s |\033[0m ", voice->colour, printer->width, name);
    else
        printf("%-*s | ", printer->width, name);
}

static void print_line(struct log_printer *printer, const struct log_voice *voice, const char *bytes,
                       size_t length)
{
    print_name(printer, voice);
    char *safe =
        printer->terminal && printer->names ? text_escape(bytes, length, TEXT_KEEP_LINES, &length) : NULL;
    fwrite(safe != NULL ? safe : bytes, 1, length, stdout);
    putchar('\n');
    free(safe);
}

static void keep(struct log_voice *voice, unsigned stream, const char *bytes, size_t length)
{
    if (voice->line[stream] == NULL)
        voice->line[stream] = malloc(LINE_MAX_BYTES);
    if (voice->line[stream] == NULL)
        return;
    memcpy(voice->line[stream] + voice->used[stream], bytes, length);
    voice->used[stream] += length;
}

static void print_kept(struct log_printer *printer, struct log_voice *voice, unsigned stream)
{
    print_line(printer, voice, voice->line[stream], voice->used[stream]);
    voice->used[stream] = 0;
}

static void print_lines(struct log_printer *printer, struct log_voice *voice, unsigned stream,
                        struct bioxen_string text)
{
    while (text.length > 0) {
        const char *end = memchr(text.bytes, '\n', text.length);
        size_t length = end != NULL ? (size_t)(end - text.bytes) : text.length;
        size_t room = LINE_MAX_BYTES - voice->used[stream];
        size_t part = length < room ? length : room;
        keep(voice, stream, text.bytes, part);
        bool whole = end != NULL && part == length;
        if (whole || voice->used[stream] == LINE_MAX_BYTES)
            print_kept(printer, voice, stream);
        text.bytes += part + whole;
        text.length -= part + whole;
    }
}

static void print_skipped(struct log_printer *printer, const struct log_voice *voice, uint64_t skipped)
{
    char text[80];
    int length = snprintf(text, sizeof text, "... %llu bytes are lost: nobody read them in time",
                          (unsigned long long)skipped);
    print_line(printer, voice, text, (size_t)length);
}

static void print_json(const struct bioxen_event *event)
{
    char time[SHOW_TIME_MAX];
    size_t length, name_length;
    show_time(event->time_us, time);
    char *text =
        text_valid_utf8(event->bytes.bytes != NULL ? event->bytes.bytes : "", event->bytes.length, &length);
    char *name = text_valid_utf8(event->name.bytes, event->name.length, &name_length);
    json_t *json = json_pack("{s:s%, s:s, s:I, s:s%, s:I}", "vm", name, name_length, "stream",
                             event->stream == 2 ? "stderr" : "stdout", "time_us", (json_int_t)event->time_us,
                             "text", text, length, "skipped", (json_int_t)event->skipped);
    if (json != NULL)
        json_dumpf(json, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(json);
    free(text);
    free(name);
}

int log_print(struct log_printer *printer, const struct bioxen_event *event)
{
    errno = 0;
    struct log_voice *voice = printer->json ? NULL : find(printer, event->name);
    if (printer->json)
        print_json(event);
    else if (voice != NULL && event->skipped > 0)
        print_skipped(printer, voice, event->skipped);
    else if (voice != NULL)
        print_lines(printer, voice, event->stream == 2, event->bytes);
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : -1;
}

int log_printer_fini(struct log_printer *printer)
{
    errno = 0;
    while (printer->voices != NULL) {
        struct log_voice *voice = printer->voices;
        printer->voices = voice->next;
        for (unsigned stream = 0; stream < 2; stream++) {
            if (voice->used[stream] > 0)
                print_kept(printer, voice, stream);
            free(voice->line[stream]);
        }
        free(voice->name);
        free(voice);
    }
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : -1;
}
