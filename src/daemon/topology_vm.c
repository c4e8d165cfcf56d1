/* topology_vm.c - the entries of vms: what each says of itself. Whom it names is looked at later. */
#include <string.h>

#include "common/jail_wire.h"
#include "common/names.h"
#include "restart.h"
#include "topology_parts.h"

static struct diags *diags_of(struct builder *builder)
{
    return &builder->topology->diags;
}

static struct arena *arena_of(struct builder *builder)
{
    return &builder->topology->arena;
}

/* The map that says a key for a VM: its own, or the defaults when it does not have the key, be it sound or not. */
static const struct tree_node *map_with(const struct builder *builder, const struct tree_node *own, const char *key)
{
    return tree_find(own, key) != NULL ? own : builder->defaults;
}

static const struct tree_node *get(const struct builder *builder, const struct tree_node *own, const char *key)
{
    return builder_get(map_with(builder, own, key), key);
}

static uint64_t number(const struct builder *builder, const struct tree_node *own, const char *key)
{
    return builder_number(map_with(builder, own, key), SCHEMA_VM, key);
}

/* ---- the program ---- */

static uint32_t add_program(struct builder *builder, enum topology_program_kind kind, const struct tree_node *node,
                            uint32_t vm)
{
    struct topology *topology = builder->topology;
    topology->programs =
        arena_room(arena_of(builder), topology->programs, topology->program_count, sizeof *topology->programs);
    topology->programs[topology->program_count] = (struct topology_program){
        .kind = kind,
        .text = node->text,
        .mark = node->mark,
        .first_line = kind == TOPOLOGY_FILE ? 0
                      : node->literal       ? node->mark.line + 1
                                            : 0,
        .vm = vm,
    };
    return topology->program_count++;
}

/* Whichever of script and code is nearer: the VM's own before the defaults'. */
static void build_program(struct builder *builder, struct topology_vm *vm, const struct tree_node *own)
{
    uint32_t index = (uint32_t)(vm - builder->topology->vms);
    bool says = tree_find(own, "script") != NULL || tree_find(own, "code") != NULL;
    const struct tree_node *map = says ? own : builder->defaults;
    const struct tree_node *script = tree_find(map, "script"), *code = tree_find(map, "code");
    vm->program = TOPOLOGY_NONE;
    if (script == NULL && code == NULL)
        diag_error(diags_of(builder), vm->mark, "add 'script: FILE.lua' or 'code: |'",
                   "vms.%s has neither script nor code", vm->name);
    else if (script != NULL && code != NULL && says)
        diag_error(diags_of(builder), code->mark, "remove one of the two", "vms.%s has both script and code", vm->name);
    else if (script != NULL && script->sound)
        vm->program = add_program(builder, TOPOLOGY_FILE, script, index);
    else if (code != NULL && code->sound)
        vm->program = add_program(builder, TOPOLOGY_CODE, code, index);
}

static void build_args(struct builder *builder, struct topology_vm *vm, const struct tree_node *own)
{
    const struct tree_node *args = get(builder, own, "args");
    uint32_t count = builder_count(args);
    vm->args = arena_array(arena_of(builder), count, sizeof *vm->args);
    for (uint32_t i = 0; i < count; i++) {
        const struct tree_node *item = builder_item(args, i);
        if (item->sound)
            vm->args[vm->arg_count++] = (struct topology_text){item->text, item->mark};
    }
}

static void add_variables(struct topology_vm *vm, const struct tree_node *map, const struct lookup *but)
{
    uint32_t index;
    for (uint32_t i = 0; i < map->count; i++) {
        const struct tree_pair *pair = &map->pairs[i];
        if (pair->value->sound && pair->key->sound && !lookup_find(but, pair->key->text, &index))
            vm->env[vm->env_count++] = (struct topology_variable){pair->key->text, pair->value->text};
    }
}

static void index_variables(struct builder *builder, const struct tree_node *map, struct lookup *out)
{
    struct lookup_entry *entries = arena_array(arena_of(builder), map->count, sizeof *entries);
    for (uint32_t i = 0; i < map->count; i++)
        entries[i] = (struct lookup_entry){map->pairs[i].key->text, i};
    lookup_init(out, arena_of(builder), entries, map->count);
}

/* The defaults' variables but for those that the VM has itself, then its own. */
static void build_env(struct builder *builder, struct topology_vm *vm, const struct tree_node *own)
{
    const struct tree_node *shared = builder_get(builder->defaults, "env"), *env = builder_get(own, "env");
    const struct topology_vm *first = &builder->topology->vms[0];
    const struct lookup none = {NULL, 0};
    struct lookup names;
    if (env == NULL && vm != first && tree_find(builder->vm_nodes[0], "env") == NULL && builder->vm_nodes[0] != NULL) {
        vm->env = first->env; /* the same list: a thousand VMs need not have a thousand */
        vm->env_count = first->env_count;
        return;
    }
    uint32_t room = (shared != NULL ? shared->count : 0) + (env != NULL ? env->count : 0);
    vm->env = arena_array(arena_of(builder), room, sizeof *vm->env);
    if (env != NULL)
        index_variables(builder, env, &names);
    if (shared != NULL)
        add_variables(vm, shared, env != NULL ? &names : &none);
    if (env != NULL)
        add_variables(vm, env, &none);
}

/* ---- limits and mounts ---- */

static void add_mount(struct builder *builder, struct topology_vm *vm, const struct tree_node *item, bool app)
{
    struct vm_spec *spec = &vm->spec;
    struct schema_mount mount;
    struct bx_error err = {0};
    schema_parse_mount(arena_of(builder), item->text, &mount);
    if (spec->mount_count + app >= BX_MOUNTS_MAX) {
        diag_error(diags_of(builder), item->mark, NULL,
                   "vms.%s: too many mounts; a VM can have %d, its script's directory included", vm->name,
                   BX_MOUNTS_MAX);
        return;
    }
    if (strlen(mount.target) >= BX_MOUNT_TARGET_MAX) {
        diag_error(diags_of(builder), item->mark, NULL, "vms.%s: a mount's path inside the VM has %d bytes at most",
                   vm->name, BX_MOUNT_TARGET_MAX - 1);
        return;
    }
    strcpy(spec->mounts[spec->mount_count].target, mount.target);
    spec->mounts[spec->mount_count].writable = mount.writable;
    vm->mount_hosts[spec->mount_count++] = mount.host;
    if (vm_spec_check(spec, &err) == 0)
        return;
    spec->mount_count--;
    diag_error(diags_of(builder), item->mark, NULL, "vms.%s: %s", vm->name,
               arena_copy(arena_of(builder), err.text, strlen(err.text)));
}

static void build_mounts(struct builder *builder, struct topology_vm *vm, const struct tree_node *own)
{
    const struct tree_node *list = get(builder, own, "mount");
    bool app = vm->program != TOPOLOGY_NONE && builder->topology->programs[vm->program].kind == TOPOLOGY_FILE;
    for (uint32_t i = 0; i < builder_count(list); i++) {
        const struct tree_node *item = builder_item(list, i);
        struct schema_mount mount;
        if (item->sound && schema_parse_mount(arena_of(builder), item->text, &mount) == NULL &&
            strcmp(mount.target, "/app") == 0)
            app = false; /* it comes in place of the script's directory */
    }
    for (uint32_t i = 0; i < builder_count(list); i++)
        if (builder_item(list, i)->sound)
            add_mount(builder, vm, builder_item(list, i), app);
}

/* Limits that the file names: the host must be able to enforce them. */
static uint32_t required_limits(const struct builder *builder, const struct tree_node *own)
{
    static const struct {
        const char *key;
        uint32_t bit;
    } limits[] = {
        {"memory", JW_LIMIT_MEMORY}, {"cpus", JW_LIMIT_CPUS}, {"pids", JW_LIMIT_PIDS}, {"cpu_time", JW_LIMIT_CPU_TIME}};
    uint32_t required = 0;
    for (unsigned i = 0; i < sizeof limits / sizeof *limits; i++)
        if (get(builder, own, limits[i].key) != NULL && number(builder, own, limits[i].key) != 0)
            required |= limits[i].bit;
    return required;
}

static void build_spec(struct builder *builder, struct topology_vm *vm, const struct tree_node *own)
{
    struct bx_error err = {0};
    vm->spec = (struct vm_spec){
        .profile = (uint32_t)number(builder, own, "profile"),
        .memory = number(builder, own, "memory"),
        .cpus_milli = (uint32_t)number(builder, own, "cpus"),
        .pids = (uint32_t)number(builder, own, "pids"),
        .timeout_ms = number(builder, own, "timeout"),
        .cpu_time_ms = number(builder, own, "cpu_time"),
        .output_limit = number(builder, own, "output_limit"),
        .required = required_limits(builder, own),
    };
    memcpy(vm->spec.name, vm->name, strlen(vm->name)); /* sound, so that it fits */
    if (vm_spec_check(&vm->spec, &err) != 0)
        diag_error(diags_of(builder), vm->mark, NULL, "vms.%s: %s", vm->name,
                   arena_copy(arena_of(builder), err.text, strlen(err.text)));
    else
        build_mounts(builder, vm, own);
}

/* ---- supervision ---- */

static uint64_t restart_number(const struct tree_node *map, const char *key)
{
    return builder_number(map, SCHEMA_RESTART, key);
}

/* A limit of `max` restarts `within` a time that the waits alone use up does not stop what it is there for. */
static void check_restart(struct builder *builder, const struct topology_vm *vm, const struct tree_node *node)
{
    const struct vm_restart *restart = &vm->restart;
    char needs[SCHEMA_VALUE_MAX], within[SCHEMA_VALUE_MAX];
    uint64_t time_ms = (restart_shortest_us(restart) + 999) / 1000;
    if (restart->policy == VM_RESTART_NEVER || time_ms <= restart->within_ms)
        return;
    const struct tree_node *max = builder_get(node, "max"), *window = builder_get(node, "within");
    schema_format(SCHEMA_TIME, time_ms, needs);
    schema_format(SCHEMA_TIME, restart->within_ms, within);
    diag_warning(
        diags_of(builder),
        max != NULL      ? max->mark
        : window != NULL ? window->mark
                         : node->mark,
        arena_format(arena_of(builder), "make 'within' longer than %s, or 'max' or 'max_delay' smaller", needs),
        "vms.%s: the limit of %u restarts within %s is never met by a VM that dies at once: the waits between them "
        "take %s", vm->name, restart->max, within, needs);
}

static void build_restart(struct builder *builder, struct topology_vm *vm, const struct tree_node *own)
{
    const struct tree_node *node = get(builder, own, "restart");
    const struct tree_node *map = node != NULL && node->kind == TREE_MAP ? node : NULL;
    vm->restart = (struct vm_restart){
        .policy = (uint32_t)(map != NULL ? restart_number(map, "policy") : number(builder, own, "restart")),
        .delay_ms = restart_number(map, "delay"),
        .factor_milli = (uint32_t)restart_number(map, "factor"),
        .max_delay_ms = restart_number(map, "max_delay"),
        .jitter_ppm = (uint32_t)restart_number(map, "jitter"),
        .max = (uint32_t)restart_number(map, "max"),
        .within_ms = restart_number(map, "within"),
        .reset_after_ms = restart_number(map, "reset_after"),
    };
    const struct tree_node *delay = builder_get(map, "delay");
    if (delay != NULL && vm->restart.delay_ms > vm->restart.max_delay_ms)
        diag_error(diags_of(builder), delay->mark, "make 'max_delay' longer",
                   "vms.%s: the delay is longer than max_delay", vm->name);
    else if (map != NULL)
        check_restart(builder, vm, map);
}

static void build_health(struct builder *builder, struct topology_vm *vm, const struct tree_node *own)
{
    const struct tree_node *map = get(builder, own, "health"), *check = builder_get(map, "check");
    vm->health = (struct topology_health){
        .program = TOPOLOGY_NONE,
        .every_ms = builder_number(map, SCHEMA_HEALTH, "every"),
        .timeout_ms = builder_number(map, SCHEMA_HEALTH, "timeout"),
        .start_period_ms = builder_number(map, SCHEMA_HEALTH, "start_period"),
        .retries = (uint32_t)builder_number(map, SCHEMA_HEALTH, "retries"),
    };
    if (check != NULL)
        vm->health.program = add_program(builder, TOPOLOGY_CHECK, check, (uint32_t)(vm - builder->topology->vms));
    vm->watchdog_ms = number(builder, own, "watchdog");
}

/* ---- ports ---- */

static void add_port(struct builder *builder, struct topology_vm *vm, const struct tree_node *node)
{
    const struct topology_port port = {schema_port(node->number), schema_port_is_udp(node->number), node->mark};
    for (uint32_t i = 0; i < vm->port_count; i++)
        if (vm->ports[i].port == port.port && vm->ports[i].udp == port.udp) {
            diag_error(diags_of(builder), node->mark, "a port is served once",
                       "vms.%s: port %u is here twice; the first is in line %u", vm->name, port.port,
                       vm->ports[i].mark.line);
            return;
        }
    vm->ports = arena_room(arena_of(builder), vm->ports, vm->port_count, sizeof *vm->ports);
    vm->ports[vm->port_count++] = port;
}

static void build_ports(struct builder *builder, struct topology_vm *vm, const struct tree_node *own)
{
    const struct tree_node *server = builder_get(own, "server"), *p2p = builder_get(builder_get(own, "p2p"), "port");
    for (uint32_t i = 0; i < builder_count(server); i++)
        if (builder_item(server, i)->sound)
            add_port(builder, vm, builder_item(server, i));
    vm->server_count = vm->port_count;
    if (p2p != NULL)
        add_port(builder, vm, p2p);
}

static bool serves(const struct topology_vm *vm, uint16_t port)
{
    for (uint32_t i = 0; i < vm->port_count; i++)
        if (vm->ports[i].port == port && !vm->ports[i].udp)
            return true;
    return false;
}

static void add_publish(struct builder *builder, struct topology_vm *vm, const struct tree_node *item)
{
    struct schema_publish parsed;
    schema_parse_publish(arena_of(builder), item->text, &parsed);
    if (vm->replicas > 1)
        diag_error(diags_of(builder), item->mark, "publish a VM of its own that leads to them",
                   "vms.%s: %u replicas cannot have the same port of the host", vm->name, vm->replicas);
    if (vm->port_count > 0 && !serves(vm, parsed.vm_port))
        diag_warning(diags_of(builder), item->mark,
                     arena_format(arena_of(builder), "add %u to 'server'", parsed.vm_port),
                     "vms.%s publishes port %u, on which it does not say to listen", vm->name, parsed.vm_port);
    vm->publish[vm->publish_count++] =
        (struct topology_publish){parsed.host, parsed.host_port, parsed.vm_port, item->mark};
}

static void build_publish(struct builder *builder, struct topology_vm *vm, const struct tree_node *own)
{
    const struct tree_node *list = builder_get(own, "publish");
    vm->publish = arena_array(arena_of(builder), builder_count(list), sizeof *vm->publish);
    for (uint32_t i = 0; i < builder_count(list); i++)
        if (builder_item(list, i)->sound)
            add_publish(builder, vm, builder_item(list, i));
}

/* ---- one VM ---- */

static void build_report(struct builder *builder, struct topology_vm *vm, const struct tree_node *own)
{
    const struct tree_node *report = builder_get(own, "report");
    if (report == NULL)
        return;
    vm->report = report->text;
    if (vm->replicas > 1)
        diag_error(diags_of(builder), report->mark, "leave 'report' out", "vms.%s: %u replicas cannot write one report",
                   vm->name, vm->replicas);
}

/* A name is also a host's name inside VMs, where "10.0.0.1", "1" and "localhost" mean something else. */
static void check_name(struct builder *builder, const struct topology_vm *vm)
{
    if (strcmp(vm->name, "localhost") == 0 || vm->name[strspn(vm->name, "0123456789.")] == '\0')
        diag_error(diags_of(builder), vm->mark, "begin it with a letter",
                   "vms.%s: VMs reach each other by their names, and this one is an address", vm->name);
}

static void build_vm(struct builder *builder, struct topology_vm *vm, const struct tree_pair *pair)
{
    const struct tree_node *own = pair->value->kind == TREE_MAP && pair->value->sound ? pair->value : NULL;
    *vm = (struct topology_vm){.name = pair->key->text, .mark = pair->key->mark, .group = TOPOLOGY_NONE};
    vm->program = vm->health.program = TOPOLOGY_NONE;
    builder->vm_nodes[vm - builder->topology->vms] = own;
    check_name(builder, vm);
    if (own == NULL)
        return;
    vm->replicas = (uint32_t)builder_number(own, SCHEMA_VM, "replicas");
    build_program(builder, vm, own);
    build_args(builder, vm, own);
    build_env(builder, vm, own);
    build_spec(builder, vm, own);
    build_restart(builder, vm, own);
    build_health(builder, vm, own);
    build_ports(builder, vm, own);
    build_publish(builder, vm, own);
    build_report(builder, vm, own);
}

/* ---- programs that are the same ---- */

/* The same file, or the same place in the topology file (of the defaults), is one program. */
static const char *identity(struct builder *builder, const struct topology_program *program)
{
    if (program->kind == TOPOLOGY_FILE)
        return arena_format(arena_of(builder), "f%s", program->text);
    return arena_format(arena_of(builder), "%d:%u:%u", (int)program->kind, program->mark.line, program->mark.column);
}

static void renumber(uint32_t *program, const uint32_t *numbers)
{
    if (*program != TOPOLOGY_NONE)
        *program = numbers[*program];
}

static void merge_programs(struct builder *builder)
{
    struct topology *topology = builder->topology;
    uint32_t count = topology->program_count;
    struct lookup_entry *entries = arena_array(arena_of(builder), count, sizeof *entries);
    uint32_t *numbers = arena_array(arena_of(builder), count, sizeof *numbers);
    const char **names = arena_array(arena_of(builder), count, sizeof *names);
    struct lookup lookup;
    for (uint32_t i = 0; i < count; i++) {
        names[i] = identity(builder, &topology->programs[i]);
        entries[i] = (struct lookup_entry){names[i], i};
    }
    lookup_init(&lookup, arena_of(builder), entries, count);
    topology->program_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t first = i;
        lookup_find(&lookup, names[i], &first);
        numbers[i] = first < i ? numbers[first] : topology->program_count;
        if (first == i)
            topology->programs[topology->program_count++] = topology->programs[i];
    }
    for (uint32_t i = 0; i < topology->vm_count; i++) {
        renumber(&topology->vms[i].program, numbers);
        renumber(&topology->vms[i].health.program, numbers);
    }
}

void build_vms(struct builder *builder)
{
    struct topology *topology = builder->topology;
    const struct tree_node *vms = builder_get(builder->root, "vms");
    uint32_t count = vms != NULL ? vms->count : 0;
    if (vms != NULL && count == 0)
        diag_error(diags_of(builder), vms->mark, NULL, "vms is empty: a topology has one VM at least");
    if (count > TOPOLOGY_INSTANCES_MAX) {
        diag_error(diags_of(builder), vms->mark, NULL, "%u VMs; a topology has %d at most", count,
                   TOPOLOGY_INSTANCES_MAX);
        count = TOPOLOGY_INSTANCES_MAX;
    }
    topology->vms = arena_array(arena_of(builder), count, sizeof *topology->vms);
    builder->vm_nodes = arena_array(arena_of(builder), count, sizeof(struct tree_node *));
    for (uint32_t i = 0; i < count; i++)
        if (vms->pairs[i].key->sound)
            build_vm(builder, &topology->vms[topology->vm_count++], &vms->pairs[i]);
    merge_programs(builder);
}
