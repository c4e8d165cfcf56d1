/* record.c - the death record's codec. */
#include "record.h"

#include <errno.h>

#define SIGNAL_MAX 64
#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct bx_field record_fields[] = {
    BX_FIELD(struct record, name, BX_FIELD_CHARS, BX_NAME_MAX + 1),
    BX_FIELD(struct record, outcome, BX_FIELD_U32, RECORD_OUTCOME_COUNT - 1),
    BX_FIELD(struct record, exit_code, BX_FIELD_U32, 255),
    BX_FIELD(struct record, signal, BX_FIELD_U32, SIGNAL_MAX),
    BX_FIELD(struct record, syscall, BX_FIELD_CHARS, RECORD_SYSCALL_MAX),
    BX_FIELD(struct record, error, BX_FIELD_TEXT, BX_MESSAGE_MAX),
    BX_FIELD(struct record, traceback, BX_FIELD_TEXT, BX_MESSAGE_MAX),
    BX_FIELD(struct record, wall_us, BX_FIELD_U64, UINT64_MAX),
    BX_FIELD(struct record, cpu_us, BX_FIELD_U64, UINT64_MAX),
    BX_FIELD(struct record, memory_peak, BX_FIELD_U64, UINT64_MAX),
    BX_FIELD(struct record, output_bytes, BX_FIELD_U64, UINT64_MAX),
    BX_FIELD(struct record, restarts, BX_FIELD_U32, UINT32_MAX),
};

static const struct bx_field limit_fields[] = {
    BX_FIELD(struct record_limit_entry, asked, BX_FIELD_U64, UINT64_MAX),
    BX_FIELD(struct record_limit_entry, enforced_by, BX_FIELD_CHARS, RECORD_ENFORCER_MAX),
};

const char *record_outcome_name(uint32_t outcome)
{
    static const char *const names[RECORD_OUTCOME_COUNT] = {
        [RECORD_OK] = "ok",         [RECORD_ERROR] = "error",   [RECORD_SYNTAX] = "syntax",
        [RECORD_EXIT] = "exit",     [RECORD_TIMEOUT] = "timeout", [RECORD_CPU] = "cpu",
        [RECORD_MEMORY] = "memory", [RECORD_OUTPUT] = "output", [RECORD_POLICY] = "policy",
        [RECORD_CRASH] = "crash",   [RECORD_KILLED] = "killed", [RECORD_INTERNAL] = "internal",
        [RECORD_STOPPED] = "stopped",
    };
    return outcome < RECORD_OUTCOME_COUNT ? names[outcome] : "internal";
}

const char *record_limit_name(uint32_t limit)
{
    static const char *const names[RECORD_LIMIT_COUNT] = {
        [RECORD_LIMIT_MEMORY] = "memory",     [RECORD_LIMIT_CPUS] = "cpus", [RECORD_LIMIT_TIMEOUT] = "timeout",
        [RECORD_LIMIT_CPU_TIME] = "cpu_time", [RECORD_LIMIT_PIDS] = "pids", [RECORD_LIMIT_OUTPUT] = "output_limit",
    };
    return limit < RECORD_LIMIT_COUNT ? names[limit] : "?";
}

void record_fini(struct record *record)
{
    bx_text_fini(&record->error);
    bx_text_fini(&record->traceback);
}

void record_pack(msgpack_packer *packer, const struct record *record)
{
    msgpack_pack_map(packer, COUNT(record_fields) + 1);
    bx_fields_pack(packer, record_fields, COUNT(record_fields), record);
    msgpack_pack_str(packer, 6);
    msgpack_pack_str_body(packer, "limits", 6);
    msgpack_pack_array(packer, RECORD_LIMIT_COUNT);
    for (unsigned i = 0; i < RECORD_LIMIT_COUNT; i++) {
        msgpack_pack_map(packer, COUNT(limit_fields));
        bx_fields_pack(packer, limit_fields, COUNT(limit_fields), &record->limits[i]);
    }
}

static int unpack_limits(const msgpack_object *list, struct record *out)
{
    if (list == NULL || list->type != MSGPACK_OBJECT_ARRAY || list->via.array.size != RECORD_LIMIT_COUNT)
        return -EBADMSG;
    for (unsigned i = 0; i < RECORD_LIMIT_COUNT; i++) {
        int rc = bx_fields_unpack(&list->via.array.ptr[i], limit_fields, COUNT(limit_fields), &out->limits[i], NULL);
        if (rc != 0)
            return rc;
    }
    return 0;
}

int record_unpack(const msgpack_object *map, struct record *out)
{
    static const char *const extra[] = {"limits", NULL};
    int rc = bx_fields_unpack(map, record_fields, COUNT(record_fields), out, extra);
    return rc == 0 ? unpack_limits(bx_map_find(map, "limits"), out) : rc;
}

/* ---- a death as it is told ---- */

static const struct bx_field frame_fields[] = {
    BX_FIELD(struct death_frame, vm, BX_FIELD_U32, UINT32_MAX),
    BX_FIELD(struct death_frame, wait_us, BX_FIELD_U64, UINT64_MAX),
    BX_FIELD(struct death_frame, why, BX_FIELD_TEXT, BX_MESSAGE_MAX),
};

void death_frame_pack(msgpack_packer *packer, const struct death_frame *frame, const struct record *record)
{
    msgpack_pack_map(packer, COUNT(frame_fields) + 1);
    bx_fields_pack(packer, frame_fields, COUNT(frame_fields), frame);
    msgpack_pack_str(packer, 6);
    msgpack_pack_str_body(packer, "record", 6);
    record_pack(packer, record);
}

int death_frame_unpack(const msgpack_object *map, struct death_frame *frame, struct record *record)
{
    static const char *const extra[] = {"record", NULL};
    const msgpack_object *packed = bx_map_find(map, "record");
    if (packed == NULL)
        return -EBADMSG;
    int rc = bx_fields_unpack(map, frame_fields, COUNT(frame_fields), frame, extra);
    return rc == 0 ? record_unpack(packed, record) : rc;
}
