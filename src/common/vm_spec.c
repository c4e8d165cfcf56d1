/* vm_spec.c - the create request's codec and its checks. */
#include "vm_spec.h"

#include <errno.h>
#include <string.h>

#include "codec.h"
#include "jail_wire.h"

#define CPUS_MILLI_MIN 10u /* the kernel's smallest CPU quota: 1 ms of a 100 ms period */
#define CPUS_MILLI_MAX 1000000u
#define PIDS_MAX 4194304u              /* the kernel's PID_MAX_LIMIT */
#define TIME_MAX_MS (366ull * 86400 * 1000) /* a year; far from overflow in ns */
#define BYTES_MAX (1ull << 50)         /* a pebibyte; far from overflow in sums */

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
};

static const struct bx_field mount_fields[] = {
    BX_FIELD(struct vm_spec_mount, target, BX_FIELD_CHARS, BX_MOUNT_TARGET_MAX),
    BX_FIELD(struct vm_spec_mount, writable, BX_FIELD_U32, 1),
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static int name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
}

int vm_name_valid(const char *name)
{
    size_t length = strnlen(name, BX_NAME_MAX + 1);
    if (length == 0 || length > BX_NAME_MAX || name[0] == '-' || name[0] == '.')
        return 0;
    for (size_t i = 0; i < length; i++)
        if (!name_byte(name[i]))
            return 0;
    return 1;
}

static int component_valid(const char *start, size_t length)
{
    return length > 0 && !(length == 1 && start[0] == '.') && !(length == 2 && start[0] == '.' && start[1] == '.');
}

int vm_mount_target_valid(const char *target)
{
    if (target[0] != '/' || strnlen(target, BX_MOUNT_TARGET_MAX) >= BX_MOUNT_TARGET_MAX)
        return 0;
    const char *start = target + 1;
    for (;;) {
        size_t length = strcspn(start, "/");
        if (!component_valid(start, length))
            return 0;
        if (start[length] == '\0')
            return 1;
        start += length + 1;
    }
}

static int check_range(struct bx_error *err, const char *what, uint64_t value, uint64_t min, uint64_t max)
{
    if (value >= min && value <= max)
        return 0;
    return bx_fail(err, EINVAL, "%s is %llu; it must be from %llu to %llu", what, (unsigned long long)value,
                   (unsigned long long)min, (unsigned long long)max);
}

static int check_mounts(const struct vm_spec *spec, struct bx_error *err)
{
    if (spec->mount_count > 0 && spec->profile != JW_FULL)
        return bx_fail(err, EINVAL, "a mount needs the profile full");
    if (spec->mount_count > BX_MOUNTS_MAX)
        return bx_fail(err, EINVAL, "%u mounts; a VM can have %d at most", spec->mount_count, BX_MOUNTS_MAX);
    for (uint32_t i = 0; i < spec->mount_count; i++) {
        const char *target = spec->mounts[i].target;
        if (!vm_mount_target_valid(target))
            return bx_fail(err, EINVAL, "mount target '%s' must be an absolute path without '.', '..' or '//'", target);
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(target, spec->mounts[j].target) == 0)
                return bx_fail(err, EINVAL, "two mounts have the target '%s'", target);
    }
    return 0;
}

int vm_spec_check(const struct vm_spec *spec, struct bx_error *err)
{
    if (!vm_name_valid(spec->name))
        return bx_fail(err, EINVAL, "VM name '%s' must be 1 to %d letters, digits, '_', '-' or '.', and begin with none of '-.'",
                       spec->name, BX_NAME_MAX);
    int rc = check_range(err, "memory (bytes)", spec->memory, BX_MEMORY_MIN, BYTES_MAX);
    if (rc == 0)
        rc = check_range(err, "cpus (thousandths)", spec->cpus_milli, CPUS_MILLI_MIN, CPUS_MILLI_MAX);
    if (rc == 0)
        rc = check_range(err, "pids", spec->pids, 1, PIDS_MAX);
    if (rc == 0)
        rc = check_range(err, "timeout (ms)", spec->timeout_ms, 0, TIME_MAX_MS);
    if (rc == 0)
        rc = check_range(err, "cpu_time (ms)", spec->cpu_time_ms, 0, TIME_MAX_MS);
    if (rc == 0)
        rc = check_range(err, "output_limit (bytes)", spec->output_limit, 0, BYTES_MAX);
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
