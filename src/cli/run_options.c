/*
 * run_options.c - the options of `bioxen run`: their one table, and the request that they make.
 *
 * The parser, the help text and the test of man page and completions read the table. Nothing is opened here.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"
#include "run_table.h"

const struct cli_option run_options[RUN_OPTION_COUNT] = {
    {.id = OPT_CODE, .kind = CLI_TEXT, .value = "CODE", .help = "run CODE instead of a script"},
    RUN_VM_OPTIONS("none"),
    {.id = OPT_REPORT,
     .name = "report",
     .kind = CLI_FILE,
     .value = "FILE",
     .help = "write how it ended, as JSON"},
    {.id = OPT_NAME,
     .name = "name",
     .kind = CLI_TEXT,
     .value = "NAME",
     .fallback = "from the script's",
     .help = "the VM's name: letters, digits, _ - .; at most 63"},
    {.id = OPT_RESTART,
     .name = "restart",
     .kind = CLI_WORD,
     .value = "WHEN",
     .words = "no|on-failure|always",
     .fallback = "no",
     .help = "run it again when it has ended: no, on-failure or always"},
};

int run_fail(struct run_failure *failure, int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    failure->status = status;
    vsnprintf(failure->text, sizeof failure->text, format, args);
    va_end(args);
    return -1;
}

static struct bioxen_string string_of(const char *bytes, size_t length)
{
    return (struct bioxen_string){.bytes = bytes, .length = length};
}

static bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
}

/* A first "-" would be an option and a first "." a hidden file, wherever the name is used. */
static bool may_begin_name(char c)
{
    return is_name_character(c) && c != '-' && c != '.';
}

bool run_name_is_legal(const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < length; i++)
        if (!is_name_character(name[i]))
            return false;
    return length >= 1 && length <= RUN_NAME_MAX && may_begin_name(name[0]);
}

void run_name_from_path(const char *path, char out[RUN_NAME_MAX + 1])
{
    const char *slash = strrchr(path, '/');
    const char *base = slash != NULL ? slash + 1 : path;
    size_t length = strlen(base), used = 0;
    if (length > 4 && strcmp(base + length - 4, ".lua") == 0)
        length -= 4;
    for (size_t i = 0; i < length && used < RUN_NAME_MAX; i++)
        if (used > 0 || may_begin_name(base[i]))
            out[used++] = is_name_character(base[i]) ? base[i] : '-';
    out[used] = '\0';
    if (used == 0)
        strcpy(out, "script");
}

/* Sets or replaces a variable: the last one wins. */
static int put_env(struct run_parsing *parsing, struct bioxen_string name, const char *value)
{
    struct bioxen_config *config = &parsing->request->config;
    struct bioxen_string *env = parsing->request->env;
    size_t at = 0;
    while (at < config->env_count &&
           (env[2 * at].length != name.length || memcmp(env[2 * at].bytes, name.bytes, name.length) != 0))
        at++;
    if (at == parsing->env_room) {
        size_t room = 2 * parsing->env_room + 16;
        env = reallocarray(env, room, 2 * sizeof *env);
        if (env == NULL) {
            cli_say("out of memory");
            return -1;
        }
        parsing->request->env = env;
        parsing->env_room = room;
    }
    env[2 * at] = name;
    env[2 * at + 1] = string_of(value, strlen(value));
    if (at == config->env_count)
        config->env_count++;
    return 0;
}

static int take_env(struct run_parsing *parsing, const char *text)
{
    size_t length = strcspn(text, "=");
    if (length == 0) {
        cli_say("--env: '%s' has no name; allowed is NAME=VALUE, or NAME for the caller's own value", text);
        return -1;
    }
    const char *value = text[length] == '=' ? text + length + 1 : getenv(text);
    if (value == NULL) {
        cli_say(
            "--env: '%s' is not set here; allowed is NAME=VALUE, or NAME for the caller's own value",
            text);
        return -1;
    }
    return put_env(parsing, string_of(text, length), value);
}

static int take_mount(struct run_request *request, const char *text)
{
    struct run_mount mount;
    if (run_mount_parse(text, &mount) < 0)
        return -1;
    for (size_t i = 0; i < request->mount_count; i++)
        if (strcmp(request->mounts[i].target, mount.target) == 0) {
            cli_say("--mount: '%s': something is mounted at %s already", text, mount.target);
            free(mount.host);
            return -1;
        }
    if (request->mount_count == BIOXEN_MOUNTS_MAX) {
        cli_say("--mount: '%s' is one too many; %d are allowed", text, BIOXEN_MOUNTS_MAX);
        free(mount.host);
        return -1;
    }
    request->mounts[request->mount_count++] = mount;
    return 0;
}

static int take_code(struct run_request *request, const char *text)
{
    if (request->code != NULL) {
        cli_say("run: -e was given twice; separate statements with newlines or ';'");
        return -1;
    }
    request->code = text;
    return 0;
}

static int take_name(struct run_parsing *parsing, const char *text)
{
    if (!run_name_is_legal(text)) {
        cli_say("--name: '%s' is no name; allowed are 1 to %d letters, digits, '_', '-' and '.', not '-' or '.' first",
                text, RUN_NAME_MAX);
        return -1;
    }
    parsing->name = text;
    return 0;
}

static void take_limit(struct bioxen_config *config, int id, uint64_t number)
{
    switch (id) {
    case OPT_MEMORY:
        config->memory = number;
        break;
    case OPT_CPUS:
        config->cpus_milli = (uint32_t)number;
        break;
    case OPT_TIMEOUT:
        config->timeout_ms = number;
        break;
    case OPT_CPU_TIME:
        config->cpu_time_ms = number;
        break;
    case OPT_PIDS:
        config->pids = (uint32_t)number;
        break;
    default:
        config->output_limit = number;
    }
}

/* What was asked for by name must be enforced; the rest may fall back to something weaker. */
static unsigned required_bit(int id)
{
    switch (id) {
    case OPT_MEMORY:
        return BIOXEN_REQUIRE_MEMORY;
    case OPT_CPUS:
        return BIOXEN_REQUIRE_CPUS;
    case OPT_CPU_TIME:
        return BIOXEN_REQUIRE_CPU_TIME;
    case OPT_PIDS:
        return BIOXEN_REQUIRE_PIDS;
    default:
        return 0;
    }
}

int run_take_option(const struct cli_option *option, const char *text, uint64_t number, struct run_parsing *parsing)
{
    struct run_request *request = parsing->request;
    switch (option->id) {
    case OPT_CODE:
        return take_code(request, text);
    case OPT_PROFILE:
        request->config.profile = strcmp(text, "full") == 0 ? BIOXEN_FULL : BIOXEN_RESTRICTED;
        return 0;
    case OPT_ENV:
        return take_env(parsing, text);
    case OPT_MOUNT:
        return take_mount(request, text);
    case OPT_NETWORK:
        request->config.network = strcmp(text, "fabric") == 0 ? BIOXEN_NETWORK_FABRIC : BIOXEN_NETWORK_NONE;
        return 0;
    case OPT_REPORT:
        request->report = text;
        return 0;
    case OPT_NAME:
        return take_name(parsing, text);
    case OPT_RESTART:
        request->config.restart.policy = strcmp(text, "always") == 0 ? BIOXEN_RESTART_ALWAYS
                                         : strcmp(text, "no") == 0   ? BIOXEN_RESTART_NEVER
                                                                     : BIOXEN_RESTART_ON_FAILURE;
        return 0;
    default:
        take_limit(&request->config, option->id, number);
        request->config.required |= required_bit(option->id);
        return 0;
    }
}

static int take_option(const struct cli_option *option, const char *text, uint64_t number, void *context)
{
    return run_take_option(option, text, number, context);
}

/*
 * The first argument after the options is the script, unless -e gave one. Returns the index of the script's
 * arguments, or -1.
 */
static int choose_source(struct run_request *request, int argc, char **argv, int next)
{
    if (request->code != NULL) {
        request->kind = RUN_CODE;
        request->script = "-e";
        request->title = "(command line)";
        return next;
    }
    if (next == argc) {
        cli_say("run: no script given (see 'bioxen run --help')");
        return -1;
    }
    request->script = argv[next];
    request->kind = strcmp(request->script, "-") == 0 ? RUN_STDIN : RUN_FILE;
    request->title = request->kind == RUN_STDIN ? "stdin" : request->script;
    return next + 1;
}

static int set_args(struct run_request *request, int argc, char **argv, int next)
{
    size_t count = (size_t)(argc - next) + 1;
    request->args = calloc(count, sizeof *request->args);
    if (request->args == NULL ||
        asprintf(&request->chunk, "%c%s", request->kind == RUN_FILE ? '@' : '=', request->title) < 0) {
        request->chunk = NULL;
        cli_say("out of memory");
        return -1;
    }
    request->args[0] = string_of(request->script, strlen(request->script));
    for (size_t i = 1; i < count; i++)
        request->args[i] = string_of(argv[next + (int)i - 1], strlen(argv[next + (int)i - 1]));
    request->config.args = request->args;
    request->config.arg_count = count;
    request->config.chunk_name = request->chunk;
    request->config.env = request->env;
    return 0;
}

static void set_name(struct run_request *request, const char *given)
{
    if (given != NULL)
        snprintf(request->name, sizeof request->name, "%s", given);
    else if (request->kind == RUN_FILE)
        run_name_from_path(request->script, request->name);
    else
        strcpy(request->name, request->kind == RUN_STDIN ? "stdin" : "command");
    request->config.name = request->name;
}

enum cli_parsed run_request_parse(struct run_request *request, int argc, char **argv)
{
    struct run_parsing parsing = {.request = request};
    int next;
    memset(request, 0, sizeof *request);
    bioxen_config_init(&request->config);
    enum cli_parsed parsed = cli_parse_options(&verb_run, argc, argv, take_option, &parsing, &next);
    if (parsed != CLI_PARSED)
        return parsed;
    if (request->mount_count > 0 && request->config.profile != BIOXEN_FULL) {
        cli_say("--mount: needs --profile full; a restricted VM has no files");
        return CLI_PARSED_WRONG;
    }
    next = choose_source(request, argc, argv, next);
    if (next < 0 || set_args(request, argc, argv, next) < 0)
        return CLI_PARSED_WRONG;
    set_name(request, parsing.name);
    return CLI_PARSED;
}

int run_request_set_script(struct run_request *request, const char *path)
{
    request->kind = RUN_FILE;
    request->script = request->title = path;
    if (set_args(request, 0, NULL, 0) < 0)
        return -1;
    set_name(request, NULL);
    return 0;
}

void run_request_fini(struct run_request *request)
{
    for (size_t i = 0; i < request->mount_count; i++)
        free(request->mounts[i].host);
    free(request->chunk);
    free(request->args);
    free(request->env);
}
