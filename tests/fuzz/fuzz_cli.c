/*
 * fuzz_cli.c - what the command line makes of strangers' bytes: quantities, module names, messages for a
 * terminal, the report.
 */
#include "fuzz.h"

#include <jansson.h>

#include "cli/run.h"
#include "client/modules.h"
#include "common/text.h"
#include "common/units.h"

/* What is read is written in a form that reads back to the same. */
static void check_units(const char *text)
{
    char again[UNITS_TEXT_MAX];
    uint64_t value, back;
    if (units_size(text, &value) == 0) {
        units_format_size(value, again);
        PROMISE(units_size(again, &back) == 0 && back == value);
    }
    if (units_time(text, &value) == 0) {
        units_format_time(value, again);
        PROMISE(units_time(again, &back) == 0 && back == value);
    }
    if (units_cpus(text, &value) == 0) {
        units_format_cpus(value, again);
        PROMISE(units_cpus(again, &back) == 0 && back == value);
    }
}

/* A module's path stays beneath the directory that it is opened in. */
static void check_module(const char *bytes, size_t size)
{
    char path[MODULE_NAME_MAX + 1];
    if (module_path((struct bioxen_string){bytes, size}, path) < 0)
        return;
    PROMISE(path[0] != '/' && path[0] != '\0' && strchr(path, '.') == NULL && strstr(path, "//") == NULL);
    PROMISE(path[strlen(path) - 1] != '/');
}

/* Nothing that drives a terminal, and no second line, gets through. */
static void check_escapes(const char *bytes, size_t size)
{
    size_t length;
    char *line = text_escape(bytes, size, 0, &length);
    PROMISE(line != NULL && strlen(line) == length);
    for (size_t at = 0, step; at < length; at += step) {
        step = text_utf8_length(line + at, length - at);
        PROMISE(step > 0 && (unsigned char)line[at] >= 0x20 && line[at] != 0x7f);
        PROMISE(!(step == 2 && (unsigned char)line[at] == 0xc2 && (unsigned char)line[at + 1] < 0xa0));
    }
    free(line);
}

static void check_report(const char *bytes, size_t size)
{
    struct bioxen_record record = {.name = "x", .error = {bytes, size}, .traceback = {bytes, size / 2}};
    char *text = run_report_json(&record);
    PROMISE(text != NULL);
    json_t *report = json_loads(text, JSON_ALLOW_NUL, NULL);
    PROMISE(report != NULL && json_is_string(json_object_get(report, "error")));
    json_decref(report);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *bytes = fuzz_exact(data, size), *text = strndup((const char *)data, size);
    check_units(text);
    check_module(bytes, size);
    check_escapes(bytes, size);
    check_report(bytes, size);
    free(text);
    free(bytes);
    return 0;
}
