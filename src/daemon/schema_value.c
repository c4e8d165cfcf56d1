/* schema_value.c - single values: reads them, and says what they should have been. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/limits.h"
#include "common/names.h"
#include "common/suggest.h"
#include "common/units.h"
#include "schema.h"

#define PORT_MAX 65535u

/* ---- words ---- */

int schema_word(const char *words, const char *text)
{
    size_t length = strlen(text);
    for (int index = 0;; index++) {
        size_t word = strcspn(words, "|");
        if (word == length && memcmp(words, text, length) == 0)
            return index;
        if (words[word] == '\0')
            return -1;
        words += word + 1;
    }
}

const char *schema_near_word(struct arena *arena, const char *words, const char *text)
{
    struct suggestion near;
    suggest_init(&near, text, strlen(text));
    for (const char *rest = words; *rest != '\0';) {
        size_t length = strcspn(rest, "|");
        suggest_offer(&near, arena_copy(arena, rest, length));
        rest += length + (rest[length] == '|');
    }
    return near.best;
}

/* "a|b|c" as "a, b or c". */
static const char *list_words(struct arena *arena, const char *words)
{
    char *out = arena_take(arena, 3 * strlen(words) + 1), *at = out;
    for (; *words != '\0'; words++) {
        if (*words != '|')
            *at++ = *words;
        else
            at = stpcpy(at, strchr(words + 1, '|') != NULL ? ", " : " or ");
    }
    return out;
}

/* ---- quantities ---- */

static int read_factor(const char *text, uint64_t *out)
{
    return units_cpus(text, out); /* thousandths, too */
}

static int read_port(const char *text, uint64_t *out)
{
    char digits[8];
    uint64_t port;
    size_t length = strcspn(text, "/");
    if (length == 0 || length >= sizeof digits)
        return length == 0 ? -EINVAL : -ERANGE;
    memcpy(digits, text, length);
    digits[length] = '\0';
    int rc = units_count(digits, &port);
    if (rc != 0)
        return rc;
    bool udp = strcmp(text + length, "/udp") == 0;
    if (text[length] != '\0' && !udp && strcmp(text + length, "/tcp") != 0)
        return -EINVAL;
    if (port < 1 || port > PORT_MAX)
        return -ERANGE;
    *out = port | (udp ? 1u << 16 : 0);
    return 0;
}

struct quantity {
    int (*read)(const char *text, uint64_t *out);
    void (*format)(uint64_t value, char out[UNITS_TEXT_MAX]);
    const char *words;
};

static void format_count(uint64_t value, char out[UNITS_TEXT_MAX])
{
    snprintf(out, UNITS_TEXT_MAX, "%llu", (unsigned long long)value);
}

static const struct quantity quantities[] = {
    [SCHEMA_SIZE] = {units_size, units_format_size, "a size: bytes, or a number with K, M, G or T, like 64MiB"},
    [SCHEMA_TIME] = {units_time, units_format_time, "a time: a number with ms, s, m or h, like 250ms or 5s"},
    [SCHEMA_DELAY] = {units_delay, units_format_delay, "a time: a number with us, ms or s, like 20ms"},
    [SCHEMA_CPUS] = {units_cpus, units_format_cpus, "a number of processors, like 0.5 or 2"},
    [SCHEMA_FACTOR] = {read_factor, units_format_cpus, "a number, like 2 or 1.5"},
    [SCHEMA_COUNT] = {units_count, format_count, "a whole number"},
    [SCHEMA_PERCENT] = {units_percent, units_format_percent, "a share, like 1% or 0.5%"},
    [SCHEMA_RATE] = {units_rate, units_format_rate, "a rate: a number with bit, kbit, mbit or gbit, like 10mbit"},
    [SCHEMA_PUBLISH] = {0}, /* the last one: sets the size */
};

static const struct quantity *quantity_of(enum schema_kind kind)
{
    return quantities[kind].read != NULL ? &quantities[kind] : NULL;
}

void schema_format(enum schema_kind kind, uint64_t value, char out[SCHEMA_VALUE_MAX])
{
    char text[UNITS_TEXT_MAX] = "";
    const struct quantity *quantity = quantity_of(kind);
    if (quantity != NULL)
        quantity->format(value, text);
    snprintf(out, SCHEMA_VALUE_MAX, "%s", text);
}

const char *schema_kind_words(enum schema_kind kind)
{
    static const char *const words[] = {
        [SCHEMA_TEXT] = "a text",
        [SCHEMA_LUA] = "Lua code",
        [SCHEMA_PATH] = "a file's name",
        [SCHEMA_NAME] = "a name",
        [SCHEMA_PEER] = "the name of a VM",
        [SCHEMA_TARGET] = "the name of a VM, or name:port",
        [SCHEMA_PORT] = "a port from 1 to 65535, like 8080 or 8080/udp",
        [SCHEMA_WORD] = "a word",
        [SCHEMA_MOUNT] = "HOST:VM, HOST:VM:ro or HOST:VM:rw",
        [SCHEMA_PUBLISH] = "a port of the host and one of the VM, like 8080:80 or 127.0.0.1:8080:80",
    };
    const struct quantity *quantity = quantity_of(kind);
    if (quantity != NULL)
        return quantity->words;
    return words[kind] != NULL ? words[kind] : "nothing";
}

/* ---- compound texts ---- */

static const char *parse_port_part(const char *text, size_t length, uint64_t *port)
{
    char digits[8] = "";
    if (length == 0 || length >= sizeof digits)
        return "is not a port";
    memcpy(digits, text, length);
    if (units_count(digits, port) != 0)
        return "is not a port";
    return *port >= 1 && *port <= PORT_MAX ? NULL : "is out of range: a port is from 1 to 65535";
}

/* Is it an IPv4 address in the usual form, or an IPv6 address in brackets (as to its characters)? */
static bool is_address(const char *text, size_t length)
{
    if (length > 2 && text[0] == '[' && text[length - 1] == ']')
        return strspn(text + 1, "0123456789abcdefABCDEF:.") == length - 2;
    unsigned parts[4], used = 0;
    char copy[16] = "";
    if (length >= sizeof copy)
        return false;
    memcpy(copy, text, length);
    return sscanf(copy, "%3u.%3u.%3u.%3u%n", &parts[0], &parts[1], &parts[2], &parts[3], (int *)&used) == 4 &&
           used == length && strspn(copy, "0123456789.") == length && parts[0] < 256 && parts[1] < 256 &&
           parts[2] < 256 && parts[3] < 256;
}

const char *schema_parse_publish(struct arena *arena, const char *text, struct schema_publish *out)
{
    const char *last = strrchr(text, ':');
    if (last == NULL)
        return "has no port of the VM";
    const char *middle = last;
    while (middle > text && middle[-1] != ':')
        middle--;
    uint64_t host_port, vm_port;
    const char *wrong = parse_port_part(middle, (size_t)(last - middle), &host_port);
    if (wrong == NULL)
        wrong = parse_port_part(last + 1, strlen(last + 1), &vm_port);
    if (wrong != NULL)
        return wrong;
    size_t host_length = middle > text ? (size_t)(middle - text) - 1 : 0;
    if (middle > text && !is_address(text, host_length))
        return "has no address of the host before its first port";
    const char *host = host_length > 0 ? arena_copy(arena, text, host_length) : "127.0.0.1";
    *out = (struct schema_publish){host, (uint16_t)host_port, (uint16_t)vm_port};
    return NULL;
}

const char *schema_parse_mount(struct arena *arena, const char *text, struct schema_mount *out)
{
    const char *separator = NULL; /* the last one that a slash follows, so that HOST may have colons */
    for (const char *at = text; (at = strstr(at, ":/")) != NULL; at++)
        separator = at;
    if (separator == NULL)
        return "has no absolute path inside the VM";
    if (separator == text)
        return "has no path of the host";
    const char *mode = strchr(separator + 1, ':');
    if (mode != NULL && strcmp(mode, ":ro") != 0 && strcmp(mode, ":rw") != 0)
        return "ends in an unknown mode";
    size_t length = mode != NULL ? (size_t)(mode - separator - 1) : strlen(separator + 1);
    if (length > 1 && separator[length] == '/')
        length--; /* one slash at the end */
    *out = (struct schema_mount){
        .host = arena_copy(arena, text, (size_t)(separator - text)),
        .target = arena_copy(arena, separator + 1, length),
        .writable = mode != NULL && strcmp(mode, ":rw") == 0,
    };
    return NULL;
}

const char *schema_parse_target(struct arena *arena, const char *text, const char **peer, uint64_t *port)
{
    size_t length = strcspn(text, ":");
    *port = 0;
    *peer = arena_copy(arena, text, length);
    if (length == 0)
        return "names no VM";
    if (text[length] == '\0')
        return NULL;
    int rc = read_port(text + length + 1, port);
    return rc == 0 ? NULL : rc == -ERANGE ? "is out of range: a port is from 1 to 65535" : "does not end in a port";
}

/* ---- checking one value ---- */

static bool refuse_form(struct schema_walk *walk, const struct tree_node *node, const char *what, const char *form)
{
    diag_error(walk->diags, node->mark, NULL, "%s: %s is not %s", what, tree_describe(walk->arena, node), form);
    return false;
}

static bool check_word(struct schema_walk *walk, struct tree_node *node, const struct schema_key *key, const char *what)
{
    int index = schema_word(key->words, node->text);
    if (index >= 0) {
        node->number = (uint64_t)index;
        return true;
    }
    const char *near = schema_near_word(walk->arena, key->words, node->text);
    if (strcmp(node->text, "false") == 0 && schema_word(key->words, "no") == 0)
        near = "no";
    diag_error(walk->diags, node->mark, near != NULL ? arena_format(walk->arena, "did you mean '%s'?", near) : NULL,
               "%s: %s is not %s", what, tree_describe(walk->arena, node), list_words(walk->arena, key->words));
    return false;
}

static const char *range_hint(const struct schema_key *key, uint64_t value)
{
    return (key->flags & SCHEMA_NONE) != 0 && value == 0 ? "for no limit: none" : NULL;
}

static bool check_quantity(struct schema_walk *walk, struct tree_node *node, const struct schema_key *key,
                           enum schema_kind kind, const char *what)
{
    uint64_t value = 0;
    if ((key->flags & SCHEMA_NONE) != 0 && strcmp(node->text, "none") == 0) {
        node->is_null = true;
        return true;
    }
    int rc = quantity_of(kind)->read(node->text, &value);
    if (rc == -EINVAL)
        return refuse_form(walk, node, what, schema_kind_words(kind));
    if (rc == 0 && value >= key->min && value <= key->max) {
        node->number = value;
        return true;
    }
    char low[SCHEMA_VALUE_MAX], high[SCHEMA_VALUE_MAX];
    schema_format(kind, key->min, low);
    schema_format(kind, key->max, high);
    diag_error(walk->diags, node->mark, rc == 0 ? range_hint(key, value) : NULL,
               "%s: %s is out of range: allowed is %s to %s", what, tree_describe(walk->arena, node), low, high);
    return false;
}

static bool check_port(struct schema_walk *walk, struct tree_node *node, const char *what)
{
    int rc = read_port(node->text, &node->number);
    if (rc == -ERANGE) {
        diag_error(walk->diags, node->mark, NULL, "%s: %s is out of range: a port is from 1 to 65535", what,
                   tree_describe(walk->arena, node));
        return false;
    }
    return rc == 0 || refuse_form(walk, node, what, schema_kind_words(SCHEMA_PORT));
}

/* The texts that are taken apart: only their form is of interest here. */
static bool check_compound(struct schema_walk *walk, struct tree_node *node, enum schema_kind kind, const char *what)
{
    struct schema_publish publish;
    struct schema_mount mount;
    const char *peer;
    const char *wrong = kind == SCHEMA_PUBLISH ? schema_parse_publish(walk->arena, node->text, &publish)
                        : kind == SCHEMA_MOUNT ? schema_parse_mount(walk->arena, node->text, &mount)
                                               : schema_parse_target(walk->arena, node->text, &peer, &node->number);
    if (wrong == NULL)
        return true;
    diag_error(walk->diags, node->mark, arena_format(walk->arena, "it is %s", schema_kind_words(kind)), "%s: %s %s",
               what, tree_describe(walk->arena, node), wrong);
    return false;
}

static bool check_name(struct schema_walk *walk, const struct tree_node *node, const char *what)
{
    if (bx_name_sound(node->text))
        return true;
    diag_error(walk->diags, node->mark, NULL,
               "%s: %s must be 1 to %d letters, digits, '_', '-' or '.', and begin with none of '-.'", what,
               tree_describe(walk->arena, node), BX_NAME_MAX);
    return false;
}

bool schema_check_scalar(struct schema_walk *walk, struct tree_node *node, const struct schema_key *key,
                         enum schema_kind kind, const char *what)
{
    if (quantity_of(kind) != NULL)
        return check_quantity(walk, node, key, kind, what);
    switch (kind) {
    case SCHEMA_WORD: return check_word(walk, node, key, what);
    case SCHEMA_PORT: return check_port(walk, node, what);
    case SCHEMA_NAME: return check_name(walk, node, what);
    case SCHEMA_TARGET:
    case SCHEMA_MOUNT:
    case SCHEMA_PUBLISH: return check_compound(walk, node, kind, what);
    case SCHEMA_PATH:
    case SCHEMA_PEER: return node->text[0] != '\0' || refuse_form(walk, node, what, schema_kind_words(kind));
    default: return true;
    }
}

int schema_read(const struct schema_key *key, enum schema_kind kind, const char *text, uint64_t *out)
{
    *out = 0;
    if (kind == SCHEMA_WORD) {
        int index = schema_word(key->words, text);
        *out = index > 0 ? (uint64_t)index : 0;
        return index >= 0 ? 0 : -EINVAL;
    }
    if ((key->flags & SCHEMA_NONE) != 0 && strcmp(text, "none") == 0)
        return 0;
    const struct quantity *quantity = quantity_of(kind);
    return quantity != NULL ? quantity->read(text, out) : -EINVAL;
}
