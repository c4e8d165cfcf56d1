/*
 * schema.c - writes what follows from the table of keys of topology files (src/daemon/schema_table.c): `make schema` runs it.
 *
 *   schema json       the JSON schema for editors: config/bioxen.schema.json
 *   schema markdown   the tables of docs/topology.md
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "daemon/schema.h"

static const struct {
    enum schema_map map;
    const char *name, *title;
} maps[] = {
    {SCHEMA_TOP, "topology", "The top level"},
    {SCHEMA_VM, "vm", "A VM: `vms.<name>`"},
    {SCHEMA_DEFAULTS, "defaults", "`defaults`"},
    {SCHEMA_P2P, "p2p", "`vms.<name>.p2p`"},
    {SCHEMA_RESTART, "restart", "`vms.<name>.restart`, the long form"},
    {SCHEMA_HEALTH, "health", "`vms.<name>.health`"},
    {SCHEMA_WIRE, "wire", "An item of `wires`"},
    {SCHEMA_GROUP, "group", "`groups.<name>`"},
};
#define MAP_COUNT (sizeof maps / sizeof *maps)

static const char *name_of(enum schema_map map)
{
    for (size_t i = 0; i < MAP_COUNT; i++)
        if (maps[i].map == map)
            return maps[i].name;
    return "";
}

/* ---- JSON ---- */

#define NAME_PATTERN "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$"

static json_t *pattern(const char *text)
{
    return json_pack("{s:s, s:s}", "type", "string", "pattern", text);
}

static json_t *any_of(json_t *first, json_t *second)
{
    return json_pack("{s:[o, o]}", "anyOf", first, second);
}

/* Words that look like numbers are numbers to a parser of YAML. */
static json_t *words_schema(const char *words)
{
    json_t *list = json_array();
    char copy[128], *rest = copy;
    snprintf(copy, sizeof copy, "%s", words);
    for (char *word; (word = strsep(&rest, "|")) != NULL;) {
        if (strspn(word, "0123456789") == strlen(word))
            json_array_append_new(list, json_integer(word[0] - '0'));
        json_array_append_new(list, json_string(word));
    }
    return json_pack("{s:o}", "enum", list);
}

static json_t *number_schema(const char *type, double low, double high)
{
    return json_pack("{s:s, s:f, s:f}", "type", type, "minimum", low, "maximum", high);
}

static json_t *whole_schema(uint64_t low, uint64_t high)
{
    return json_pack("{s:s, s:I, s:I}", "type", "integer", "minimum", (json_int_t)low, "maximum", (json_int_t)high);
}

static json_t *kind_schema(const struct schema_key *key, enum schema_kind kind)
{
    switch (kind) {
    case SCHEMA_TEXT: return json_pack("{s:[s, s, s]}", "type", "string", "number", "boolean");
    case SCHEMA_LUA: return json_pack("{s:s}", "type", "string");
    case SCHEMA_PATH: return json_pack("{s:s, s:i}", "type", "string", "minLength", 1);
    case SCHEMA_NAME:
    case SCHEMA_PEER: return pattern(NAME_PATTERN);
    case SCHEMA_TARGET: return pattern("^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}(:[0-9]{1,5}(/(tcp|udp))?)?$");
    case SCHEMA_SIZE:
        return any_of(whole_schema(key->min, key->max),
                      pattern("^([0-9]+|([0-9]+\\.?[0-9]*|\\.[0-9]+)[KMGTkmgt]([Ii][Bb])?)$"));
    case SCHEMA_TIME: return pattern("^(([0-9]+\\.?[0-9]*|\\.[0-9]+)(ms|s|m|h))+$");
    case SCHEMA_DELAY: return pattern("^(([0-9]+\\.?[0-9]*|\\.[0-9]+)([Uu][Ss]|[Mm]?[Ss]))+$");
    case SCHEMA_CPUS:
    case SCHEMA_FACTOR:
        return any_of(number_schema("number", (double)key->min / 1000, (double)key->max / 1000),
                      pattern("^([0-9]+\\.?[0-9]*|\\.[0-9]+)$"));
    case SCHEMA_COUNT: return any_of(whole_schema(key->min, key->max), pattern("^[0-9]+$"));
    case SCHEMA_PORT: return any_of(whole_schema(1, 65535), pattern("^[0-9]{1,5}(/(tcp|udp))?$"));
    case SCHEMA_PERCENT: return pattern("^([0-9]+\\.?[0-9]*|\\.[0-9]+)%$");
    case SCHEMA_RATE: return pattern("^([0-9]+\\.?[0-9]*|\\.[0-9]+)[KMGkmg]?[Bb][Ii][Tt]$");
    case SCHEMA_WORD: return words_schema(key->words);
    case SCHEMA_MOUNT: return pattern("^.+:/.+$");
    case SCHEMA_PUBLISH: return pattern("^(([0-9.]+|\\[[0-9a-fA-F:.]+\\]):)?[0-9]{1,5}:[0-9]{1,5}$");
    case SCHEMA_NOTHING: break;
    }
    return json_false();
}

/* One scalar: as its kind wants it, or with a variable in it, or none where that is allowed. */
static json_t *scalar_schema(const struct schema_key *key, enum schema_kind kind)
{
    json_t *list = json_array(), *own = kind_schema(key, kind);
    json_array_append_new(list, own);
    if ((key->flags & SCHEMA_NONE) != 0)
        json_array_append_new(list, json_pack("{s:s}", "const", "none"));
    if (kind != SCHEMA_TEXT && kind != SCHEMA_LUA)
        json_array_append_new(list, json_pack("{s:s}", "$ref", "#/definitions/variable"));
    return json_pack("{s:o}", "anyOf", list);
}

static json_t *reference(enum schema_map map)
{
    return json_pack("{s:o}", "$ref", json_sprintf("#/definitions/%s", name_of(map)));
}

static json_t *form_schema(const struct schema_key *key, enum schema_form form)
{
    switch (form) {
    case SCHEMA_SCALAR: return scalar_schema(key, key->kind);
    case SCHEMA_LIST: return json_pack("{s:s, s:o}", "type", "array", "items", scalar_schema(key, key->kind));
    case SCHEMA_PAIRS:
        return json_pack("{s:s, s:o}", "type", "object", "additionalProperties", scalar_schema(key, key->value_kind));
    case SCHEMA_OBJECT: return reference(key->map);
    case SCHEMA_OBJECTS: return json_pack("{s:s, s:o}", "type", "array", "items", reference(key->map));
    case SCHEMA_NAMED:
        return json_pack("{s:s, s:o, s:o}", "type", "object", "propertyNames", pattern(NAME_PATTERN),
                         "additionalProperties", reference(key->map));
    }
    return json_false();
}

static json_t *property(const struct schema_key *key)
{
    json_t *forms = json_array();
    for (unsigned form = SCHEMA_SCALAR; form <= SCHEMA_NAMED; form <<= 1)
        if ((key->forms & form) != 0)
            json_array_append_new(forms, form_schema(key, (enum schema_form)form));
    json_t *schema = json_pack("{s:s, s:o}", "description", key->help, "anyOf", forms);
    if (key->fallback != NULL)
        json_object_set_new(schema, "default", json_string(key->fallback));
    return schema;
}

static json_t *map_schema(enum schema_map map)
{
    json_t *properties = json_object(), *required = json_array();
    for (unsigned i = 0; i < schema_key_count; i++) {
        const struct schema_key *key = &schema_keys[i];
        if ((key->in & map) == 0)
            continue;
        json_object_set_new(properties, key->key, property(key));
        if (key->alias != NULL)
            json_object_set_new(properties, key->alias, property(key));
        if ((key->flags & SCHEMA_REQUIRED) != 0)
            json_array_append_new(required, json_string(key->key));
    }
    return json_pack("{s:s, s:o, s:o, s:{s:o}, s:b}", "type", "object", "properties", properties, "required", required,
                     "patternProperties", "^x-", json_object(), "additionalProperties", 0);
}

static int write_json(void)
{
    json_t *definitions = json_object();
    for (size_t i = 0; i < MAP_COUNT; i++)
        json_object_set_new(definitions, maps[i].name, map_schema(maps[i].map));
    json_object_set_new(definitions, "variable",
                        json_pack("{s:s, s:s, s:s}", "description",
                                  "a text with a variable: ${NAME} or ${NAME:-default}", "type", "string", "pattern",
                                  "\\$\\{[A-Za-z_]"));
    json_t *root =
        json_pack("{s:s, s:s, s:s, s:s, s:o}", "$schema", "http://json-schema.org/draft-07/schema#", "title",
                  "bioxen topology", "$comment", "Made by `make schema` from src/daemon/schema_table.c: do not edit.",
                  "$ref", "#/definitions/topology", "definitions", definitions);
    int rc = root != NULL ? json_dumpf(root, stdout, JSON_INDENT(1)) : -1;
    putchar('\n');
    json_decref(root);
    return rc == 0 ? 0 : 1;
}

/* ---- Markdown ---- */

static void put_cell(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|')
            putchar('\\');
        putchar(*text);
    }
}

static void put_words(const char *words)
{
    for (const char *at = words; *at != '\0';) {
        int length = (int)strcspn(at, "|");
        printf("%s`%.*s`", at > words ? ", " : "", length, at);
        at += length + (at[length] == '|');
    }
}

static void put_kind(const struct schema_key *key, enum schema_kind kind)
{
    char low[SCHEMA_VALUE_MAX], high[SCHEMA_VALUE_MAX];
    if (kind == SCHEMA_WORD) {
        put_words(key->words);
        return;
    }
    const char *words = schema_kind_words(kind), *colon = strchr(words, ':');
    if (kind == SCHEMA_MOUNT || kind == SCHEMA_PUBLISH || kind == SCHEMA_TARGET)
        colon = NULL;
    char text[128];
    snprintf(text, sizeof text, "%.*s", colon != NULL ? (int)(colon - words) : (int)strlen(words), words);
    put_cell(text);
    schema_format(kind, key->min, low);
    schema_format(kind, key->max, high);
    if (low[0] != '\0')
        printf(", %s to %s", low, high);
    if ((key->flags & SCHEMA_NONE) != 0)
        printf(", or `none`");
}

static void put_forms(const struct schema_key *key)
{
    const char *separator = "";
    for (unsigned form = SCHEMA_SCALAR; form <= SCHEMA_NAMED; form <<= 1) {
        if ((key->forms & form) == 0)
            continue;
        fputs(separator, stdout);
        separator = "; or ";
        switch (form) {
        case SCHEMA_SCALAR: put_kind(key, key->kind); break;
        case SCHEMA_LIST: fputs("a list of such", stdout); break;
        case SCHEMA_PAIRS:
            fputs("a map of names, each with ", stdout);
            put_kind(key, key->value_kind);
            break;
        case SCHEMA_OBJECT: printf("a map: see `%s`", schema_map_name(key->map)); break;
        case SCHEMA_OBJECTS: printf("a list of maps: see `%s`", schema_map_name(key->map)); break;
        default: printf("a map of names: see `%s`", schema_map_name(key->map)); break;
        }
    }
}

static void put_table(enum schema_map map)
{
    puts("| key | value | default | meaning |\n|---|---|---|---|");
    for (unsigned i = 0; i < schema_key_count; i++) {
        const struct schema_key *key = &schema_keys[i];
        if ((key->in & map) == 0)
            continue;
        printf("| `%s`%s | ", key->key, (key->flags & SCHEMA_REQUIRED) != 0 ? " (required)" : "");
        put_forms(key);
        printf(" | %s%s%s | ", key->fallback != NULL ? "`" : "", key->fallback != NULL ? key->fallback : "",
               key->fallback != NULL ? "`" : "");
        put_cell(key->help);
        puts(" |");
    }
}

static int write_markdown(void)
{
    for (size_t i = 0; i < MAP_COUNT; i++) {
        printf("### %s\n\n", maps[i].title);
        if (maps[i].map == SCHEMA_DEFAULTS) {
            fputs("As for a VM, but for ", stdout);
            const char *separator = "";
            for (unsigned k = 0; k < schema_key_count; k++)
                if ((schema_keys[k].in & SCHEMA_VM) != 0 && (schema_keys[k].in & SCHEMA_DEFAULTS) == 0) {
                    printf("%s`%s`", separator, schema_keys[k].key);
                    separator = ", ";
                }
            puts(", which are each VM's own.\n");
            continue;
        }
        put_table(maps[i].map);
        putchar('\n');
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "json") == 0)
        return write_json();
    if (argc == 2 && strcmp(argv[1], "markdown") == 0)
        return write_markdown();
    fprintf(stderr, "usage: schema json|markdown\n");
    return 2;
}
