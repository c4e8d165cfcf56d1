/* remote_show.c - answers as JSON and as tables. Names and texts of VMs are strangers': they are escaped. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/text.h"
#include "common/units.h"
#include "remote.h"

/* ---- JSON ---- */

static json_t *text_json(struct bioxen_string text)
{
    size_t length;
    char *valid = text_valid_utf8(text.bytes, text.length, &length);
    json_t *json = valid != NULL ? json_stringn(valid, length) : NULL;
    free(valid);
    return json;
}

static json_t *list_json(const bioxen_node *node)
{
    json_t *json = json_array();
    for (size_t i = 0; json != NULL && i < bioxen_node_count(node); i++)
        if (json_array_append_new(json, remote_json(bioxen_node_item(node, i))) != 0) {
            json_decref(json);
            return NULL;
        }
    return json;
}

static json_t *map_json(const bioxen_node *node)
{
    json_t *json = json_object();
    for (size_t i = 0; json != NULL && i < bioxen_node_count(node); i++) {
        struct bioxen_string key;
        const bioxen_node *value = bioxen_node_pair(node, i, &key);
        if (json_object_setn_new(json, key.bytes, key.length, remote_json(value)) != 0) {
            json_decref(json);
            return NULL;
        }
    }
    return json;
}

json_t *remote_json(const bioxen_node *node)
{
    switch (bioxen_node_kind(node)) {
    case BIOXEN_NODE_TEXT:
        return text_json(bioxen_node_text(node));
    case BIOXEN_NODE_NUMBER:
        return json_integer((json_int_t)bioxen_node_number(node));
    case BIOXEN_NODE_BOOLEAN:
        return json_boolean(bioxen_node_number(node) != 0);
    case BIOXEN_NODE_LIST:
        return list_json(node);
    case BIOXEN_NODE_MAP:
        return map_json(node);
    default:
        return json_null();
    }
}

int remote_print_json(const bioxen_node *node)
{
    json_t *json = remote_json(node);
    int rc = json != NULL ? json_dumpf(json, stdout, JSON_COMPACT | JSON_ENCODE_ANY) : -1;
    json_decref(json);
    putchar('\n');
    return rc;
}

/* ---- parts ---- */

char *remote_text(const bioxen_node *map, const char *key)
{
    size_t length;
    struct bioxen_string text = bioxen_node_text(bioxen_node_find(map, key));
    return text_escape(text.bytes != NULL ? text.bytes : "", text.length, 0, &length);
}

uint64_t remote_number(const bioxen_node *map, const char *key)
{
    return bioxen_node_number(bioxen_node_find(map, key));
}

static char *print_text(const char *format, unsigned long long number)
{
    char *text;
    return asprintf(&text, format, number) >= 0 ? text : NULL;
}

char *show_number(uint64_t number)
{
    return print_text("%llu", number);
}

char *show_age(uint64_t us)
{
    uint64_t seconds = us / 1000000;
    if (seconds < 120)
        return print_text("%llus", seconds);
    if (seconds < 120 * 60)
        return print_text("%llum", seconds / 60);
    return seconds < 48 * 3600 ? print_text("%lluh", seconds / 3600) : print_text("%llud", seconds / 86400);
}

char *show_bytes(uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    unsigned unit = 0;
    double value = (double)bytes;
    char *text;
    for (; value >= 1024 && unit < 4; unit++)
        value /= 1024;
    return asprintf(&text, unit == 0 ? "%.0f%s" : "%.1f%s", value, units[unit]) >= 0 ? text : NULL;
}

void show_time(uint64_t realtime_us, char out[SHOW_TIME_MAX])
{
    time_t seconds = (time_t)(realtime_us / 1000000);
    struct tm parts;
    size_t length = 0;
    if (localtime_r(&seconds, &parts) != NULL)
        length = strftime(out, SHOW_TIME_MAX, "%Y-%m-%d %H:%M:%S", &parts);
    snprintf(out + length, SHOW_TIME_MAX - length, ".%03u", (unsigned)(realtime_us / 1000 % 1000));
}

bool show_colours(int fd)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(fd) && (no == NULL || no[0] == '\0') && (term == NULL || strcmp(term, "dumb") != 0);
}

/* ---- tables ---- */

void table_init(struct table *table, const char *const *titles, size_t columns)
{
    *table = (struct table){.titles = titles, .columns = columns};
}

void table_add(struct table *table, char *cell)
{
    if (table->rows == table->room) { /* rows counts cells until it is printed */
        size_t room = 2 * table->room + 64;
        char **cells = reallocarray(table->cells, room, sizeof *cells);
        if (cells == NULL) {
            free(cell);
            return;
        }
        table->cells = cells;
        table->room = room;
    }
    table->cells[table->rows++] = cell;
}

static const char *cell_at(const struct table *table, size_t row, size_t column)
{
    const char *cell = row == 0 ? table->titles[column] : table->cells[(row - 1) * table->columns + column];
    return cell == NULL || cell[0] == '\0' ? "-" : cell;
}

void table_print(struct table *table, FILE *out)
{
    size_t rows = table->rows / table->columns + 1;
    int widths[TABLE_COLUMNS_MAX] = {0};
    for (size_t row = 0; row < rows; row++)
        for (size_t column = 0; column < table->columns; column++) {
            int width = (int)strlen(cell_at(table, row, column));
            widths[column] = width > widths[column] ? width : widths[column];
        }
    for (size_t row = 0; row < rows; row++)
        for (size_t column = 0; column < table->columns; column++) {
            bool last = column + 1 == table->columns;
            fprintf(out, "%-*s%s", last ? 0 : widths[column], cell_at(table, row, column),
                    last ? "\n" : "  ");
        }
    for (size_t i = 0; i < table->rows; i++)
        free(table->cells[i]);
    free(table->cells);
    *table = (struct table){0};
}
