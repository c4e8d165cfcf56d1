/* public.c - translates; decides nothing. */
#include "public.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/jail_wire.h"

_Static_assert(BIOXEN_FULL == (int)JW_FULL && BIOXEN_MOUNTS_MAX == BX_MOUNTS_MAX, "public values are the wire's");
_Static_assert(BIOXEN_REQUIRE_MEMORY == (int)JW_LIMIT_MEMORY && BIOXEN_REQUIRE_CPUS == (int)JW_LIMIT_CPUS &&
               BIOXEN_REQUIRE_PIDS == (int)JW_LIMIT_PIDS && BIOXEN_REQUIRE_CPU_TIME == (int)JW_LIMIT_CPU_TIME,
               "public values are the wire's");
_Static_assert(BIOXEN_OUTCOME_STOPPED == (int)RECORD_STOPPED && BIOXEN_OUTCOME_POLICY == (int)RECORD_POLICY &&
               BIOXEN_OUTCOME_CPU == (int)RECORD_CPU && BIOXEN_LIMIT_COUNT == (int)RECORD_LIMIT_COUNT,
               "public values are the record's");

int public_fail(struct bioxen_error *out, const struct bx_error *err)
{
    if (out != NULL) {
        out->code = err->code;
        memcpy(out->text, err->text, sizeof out->text);
    }
    return -err->code;
}

void bioxen_config_init(struct bioxen_config *config)
{
    *config = (struct bioxen_config){
        .name = "vm",
        .memory = BX_DEFAULT_MEMORY,
        .cpus_milli = BX_DEFAULT_CPUS_MILLI,
        .pids = BX_DEFAULT_PIDS,
        .output_limit = BX_DEFAULT_OUTPUT,
        .chunk_name = "=?",
        .module_dir = -1,
        .restart = {
            .delay_ms = BX_DEFAULT_RESTART_DELAY_MS,
            .factor_milli = BX_DEFAULT_RESTART_FACTOR,
            .max_delay_ms = BX_DEFAULT_RESTART_MAX_DELAY_MS,
            .jitter_ppm = BX_DEFAULT_RESTART_JITTER_PPM,
            .max = BX_DEFAULT_RESTART_MAX,
            .within_ms = BX_DEFAULT_RESTART_WITHIN_MS,
            .reset_after_ms = BX_DEFAULT_RESTART_RESET_MS,
        },
    };
}

static int copy_name(char *out, size_t size, const char *from, const char *what, struct bx_error *err)
{
    if (strlen(from) >= size)
        return bx_fail(err, EINVAL, "%s '%s' is longer than %zu bytes", what, from, size - 1);
    strcpy(out, from);
    return 0;
}

static int copy_mounts(const struct bioxen_config *config, struct vm_spec *spec, int *fds, struct bx_error *err)
{
    if (config->mount_count > BX_MOUNTS_MAX)
        return bx_fail(err, EINVAL, "%zu mounts; a VM can have %d at most", config->mount_count, BX_MOUNTS_MAX);
    for (size_t i = 0; i < config->mount_count; i++) {
        const struct bioxen_mount *mount = &config->mounts[i];
        int rc = copy_name(spec->mounts[i].target, BX_MOUNT_TARGET_MAX, mount->target, "mount target", err);
        if (rc != 0)
            return rc;
        spec->mounts[i].writable = mount->writable != 0;
        fds[i] = mount->fd;
    }
    spec->mount_count = (uint32_t)config->mount_count;
    return 0;
}

int public_spec(const struct bioxen_config *config, struct vm_spec *spec, int *fds, struct bx_error *err)
{
    *spec = (struct vm_spec){
        .profile = (uint32_t)config->profile,
        .memory = config->memory,
        .cpus_milli = config->cpus_milli,
        .pids = config->pids,
        .timeout_ms = config->timeout_ms,
        .cpu_time_ms = config->cpu_time_ms,
        .output_limit = config->output_limit,
        .required = config->required,
        .network = (uint32_t)config->network,
        .serve = (uint32_t)config->serve,
        .only = config->only != 0,
        .restart = {
            .policy = (uint32_t)config->restart.policy,
            .delay_ms = config->restart.delay_ms,
            .factor_milli = config->restart.factor_milli,
            .max_delay_ms = config->restart.max_delay_ms,
            .jitter_ppm = config->restart.jitter_ppm,
            .max = config->restart.max,
            .within_ms = config->restart.within_ms,
            .reset_after_ms = config->restart.reset_after_ms,
        },
    };
    int rc = copy_name(spec->name, sizeof spec->name, config->name, "VM name", err);
    return rc == 0 ? copy_mounts(config, spec, fds, err) : rc;
}

const char *bioxen_outcome_name(enum bioxen_outcome outcome)
{
    return record_outcome_name((uint32_t)outcome);
}

static struct bioxen_string public_text(const struct bx_text *text)
{
    return (struct bioxen_string){text->bytes, text->length};
}

static void public_limits(const struct record *record, struct bioxen_limit *out)
{
    for (unsigned i = 0; i < RECORD_LIMIT_COUNT; i++)
        out[i] = (struct bioxen_limit){record_limit_name(i), record->limits[i].asked, record->limits[i].enforced_by};
}

void public_record(const struct record *record, struct bioxen_record *out)
{
    *out = (struct bioxen_record){
        .name = record->name,
        .outcome = (enum bioxen_outcome)record->outcome,
        .exit_code = (int)record->exit_code,
        .signal = (int)record->signal,
        .syscall = record->syscall[0] != '\0' ? record->syscall : NULL,
        .error = public_text(&record->error),
        .traceback = public_text(&record->traceback),
        .wall_us = record->wall_us,
        .cpu_us = record->cpu_us,
        .memory_peak = record->memory_peak,
        .output_bytes = record->output_bytes,
        .restarts = record->restarts,
    };
    public_limits(record, out->limits);
}
