/* vm_spec.c - the create request's codec and its checks. */
#include "vm_spec.h"

#include <errno.h>
#include <string.h>

#include "codec.h"
#include "jail_wire.h"
#include "lifeline.h"
#include "names.h"

static const struct bx_field spec_fields[] = {
    BX_FIELD(struct vm_spec, name, BX_FIELD_CHARS, BX_NAME_MAX + 1),
    BX_FIELD(struct vm_spec, profile, BX_FIELD_U32, JW_FULL),
    BX_FIELD(struct vm_spec, memory, BX_FIELD_U64, UINT64_MAX),
    BX_FIELD(struct vm_spec, cpus_milli, BX_FIELD_U32, UINT32_MAX),
    BX_FIELD(struct vm_spec, pids, BX_FIELD_U32, UINT32_MAX),
    BX_FIELD(struct vm_spec, timeout_ms, BX_FIELD_U64, UINT64_MAX),
    BX_FIELD(struct vm_spec, cpu_time_ms, BX_FIELD_U64, UINT64_MAX),
    BX_FIELD(struct vm_spec, output_limit, BX_FIELD_U64, UINT64_MAX),
    BX_FIELD(struct vm_spec, required, BX_FIELD_U32, UINT32_MAX),
    BX_FIELD(struct vm_spec, network, BX_FIELD_U32, VM_NETWORK_LATE),
    BX_FIELD(struct vm_spec, serve, BX_FIELD_U32, LW_RUN),
    BX_FIELD(struct vm_spec, only, BX_FIELD_U32, 1),
    BX_FIELD(struct vm_spec, restart.policy, BX_FIELD_U32, VM_RESTART_ALWAYS),
    BX_FIELD(struct vm_spec, restart.delay_ms, BX_FIELD_U64, UINT64_MAX),
    BX_FIELD(struct vm_spec, restart.factor_milli, BX_FIELD_U32, UINT32_MAX),
    BX_FIELD(struct vm_spec, restart.max_delay_ms, BX_FIELD_U64, UINT64_MAX),
    BX_FIELD(struct vm_spec, restart.jitter_ppm, BX_FIELD_U32, UINT32_MAX),
    BX_FIELD(struct vm_spec, restart.max, BX_FIELD_U32, UINT32_MAX),
    BX_FIELD(struct vm_spec, restart.within_ms, BX_FIELD_U64, UINT64_MAX),
    BX_FIELD(struct vm_spec, restart.reset_after_ms, BX_FIELD_U64, UINT64_MAX),
};

static const struct bx_field mount_fields[] = {
    BX_FIELD(struct vm_spec_mount, target, BX_FIELD_CHARS, BX_MOUNT_TARGET_MAX),
    BX_FIELD(struct vm_spec_mount, writable, BX_FIELD_U32, 1),
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static int check_range(struct bx_error *err, const char *what, uint64_t value, uint64_t min, uint64_t max)
{
    if (value >= min && value <= max)
        return 0;
    return bx_fail(err, EINVAL, "%s is %llu; it must be from %llu to %llu", what, (unsigned long long)value,
                   (unsigned long long)min, (unsigned long long)max);
}

static int check_mount(const struct vm_spec *spec, uint32_t index, struct bx_error *err)
{
    const char *target = spec->mounts[index].target;
    if (!bx_target_sound(target))
        return bx_fail(err, EINVAL, "mount target '%s' must be an absolute path without '.', '..' or '//'", target);
    if (bx_targets_overlap(target, "/tmp"))
        return bx_fail(err, EINVAL, "mount target '%s': /tmp is the VM's own scratch space", target);
    for (uint32_t i = 0; i < index; i++)
        if (bx_targets_overlap(target, spec->mounts[i].target))
            return bx_fail(err, EINVAL,
                           "mount target '%s' and mount target '%s': one may not be inside the other", target,
                           spec->mounts[i].target);
    return 0;
}

static int check_mounts(const struct vm_spec *spec, struct bx_error *err)
{
    if (spec->mount_count > 0 && spec->profile != JW_FULL)
        return bx_fail(err, EINVAL, "a mount needs the profile full");
    if (spec->mount_count > BX_MOUNTS_MAX)
        return bx_fail(err, EINVAL, "%u mounts; a VM can have %d at most", spec->mount_count, BX_MOUNTS_MAX);
    int rc = 0;
    for (uint32_t i = 0; i < spec->mount_count && rc == 0; i++)
        rc = check_mount(spec, i, err);
    return rc;
}

static int check_restart(const struct vm_restart *restart, struct bx_error *err)
{
    if (restart->policy == VM_RESTART_NEVER)
        return 0;
    int rc = check_range(err, "restart: delay (ms)", restart->delay_ms, 0, BX_RESTART_DELAY_MAX_MS);
    if (rc == 0)
        rc = check_range(err, "restart: factor (thousandths)", restart->factor_milli, 1000, BX_RESTART_FACTOR_MAX);
    if (rc == 0)
        rc = check_range(err, "restart: max_delay (ms)", restart->max_delay_ms, 0, BX_RESTART_DELAY_MAX_MS);
    if (rc == 0)
        rc = check_range(err, "restart: jitter (millionths)", restart->jitter_ppm, 0, 1000000);
    if (rc == 0)
        rc = check_range(err, "restart: max", restart->max, 0, BX_RESTARTS_MAX);
    if (rc == 0)
        rc = check_range(err, "restart: within (ms)", restart->within_ms, 1, BX_TIME_MAX_MS);
    if (rc == 0)
        rc = check_range(err, "restart: reset_after (ms)", restart->reset_after_ms, 0, BX_TIME_MAX_MS);
    return rc;
}

int vm_spec_check(const struct vm_spec *spec, struct bx_error *err)
{
    if (!bx_name_sound(spec->name))
        return bx_fail(
            err, EINVAL,
            "VM name '%s' must be 1 to %d letters, digits, '_', '-' or '.', and begin with none of '-.'",
            spec->name, BX_NAME_MAX);
    int rc = check_range(err, "memory (bytes)", spec->memory, BX_MEMORY_MIN, BX_BYTES_MAX);
    if (rc == 0)
        rc = check_range(err, "cpus (thousandths)", spec->cpus_milli, BX_CPUS_MILLI_MIN, BX_CPUS_MILLI_MAX);
    if (rc == 0)
        rc = check_range(err, "pids", spec->pids, 1, BX_PIDS_MAX);
    if (rc == 0)
        rc = check_range(err, "timeout (ms)", spec->timeout_ms, 0, BX_TIME_MAX_MS);
    if (rc == 0)
        rc = check_range(err, "cpu_time (ms)", spec->cpu_time_ms, 0, BX_TIME_MAX_MS);
    if (rc == 0)
        rc = check_range(err, "output_limit (bytes)", spec->output_limit, 0, BX_BYTES_MAX);
    if (rc == 0)
        rc = check_range(err, "network", spec->network, VM_NETWORK_NONE, VM_NETWORK_LATE);
    if (rc == 0)
        rc = check_range(err, "serve", spec->serve, LW_RUN_ONCE, LW_RUN);
    if (rc == 0)
        rc = check_restart(&spec->restart, err);
    return rc == 0 ? check_mounts(spec, err) : rc;
}

void vm_spec_pack(msgpack_packer *packer, const struct vm_spec *spec)
{
    msgpack_pack_map(packer, COUNT(spec_fields) + 1);
    bx_fields_pack(packer, spec_fields, COUNT(spec_fields), spec);
    msgpack_pack_str(packer, 6);
    msgpack_pack_str_body(packer, "mounts", 6);
    msgpack_pack_array(packer, spec->mount_count);
    for (uint32_t i = 0; i < spec->mount_count; i++) {
        msgpack_pack_map(packer, COUNT(mount_fields));
        bx_fields_pack(packer, mount_fields, COUNT(mount_fields), &spec->mounts[i]);
    }
}

static int unpack_mounts(const msgpack_object *list, struct vm_spec *out)
{
    if (list == NULL || list->type != MSGPACK_OBJECT_ARRAY || list->via.array.size > BX_MOUNTS_MAX)
        return -EBADMSG;
    for (uint32_t i = 0; i < list->via.array.size; i++) {
        int rc = bx_fields_unpack(&list->via.array.ptr[i], mount_fields, COUNT(mount_fields), &out->mounts[i], NULL);
        if (rc != 0)
            return rc;
    }
    out->mount_count = list->via.array.size;
    return 0;
}

int vm_spec_unpack(const msgpack_object *map, struct vm_spec *out)
{
    static const char *const extra[] = {"mounts", NULL};
    *out = (struct vm_spec){0};
    int rc = bx_fields_unpack(map, spec_fields, COUNT(spec_fields), out, extra);
    return rc == 0 ? unpack_mounts(bx_map_find(map, "mounts"), out) : rc;
}
