/* fuzz_record.c - the death record and the create request, which cross the control socket as MessagePack maps. */
#include "fuzz.h"

#include "common/record.h"
#include "common/vm_spec.h"

/* What was accepted packs to bytes that are accepted and pack to the same bytes again. */
static void check_record(const struct record *record)
{
    msgpack_sbuffer first, second;
    msgpack_packer packer;
    msgpack_unpacked unpacked;
    struct record again = {0};
    msgpack_sbuffer_init(&first);
    msgpack_sbuffer_init(&second);
    msgpack_packer_init(&packer, &first, msgpack_sbuffer_write);
    record_pack(&packer, record);
    PROMISE(bx_unpack(&unpacked, first.data, first.size) == 0);
    PROMISE(record_unpack(&unpacked.data, &again) == 0);
    msgpack_packer_init(&packer, &second, msgpack_sbuffer_write);
    record_pack(&packer, &again);
    PROMISE(first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
    record_fini(&again);
    msgpack_unpacked_destroy(&unpacked);
    msgpack_sbuffer_destroy(&first);
    msgpack_sbuffer_destroy(&second);
}

static void check_spec(const struct vm_spec *spec)
{
    msgpack_sbuffer buffer;
    msgpack_packer packer;
    msgpack_unpacked unpacked;
    static struct vm_spec again;
    msgpack_sbuffer_init(&buffer);
    msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
    vm_spec_pack(&packer, spec);
    PROMISE(bx_unpack(&unpacked, buffer.data, buffer.size) == 0);
    PROMISE(vm_spec_unpack(&unpacked.data, &again) == 0);
    PROMISE(again.memory == spec->memory && again.mount_count == spec->mount_count);
    PROMISE(vm_spec_check(&again, NULL) == vm_spec_check(spec, NULL));
    msgpack_unpacked_destroy(&unpacked);
    msgpack_sbuffer_destroy(&buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct vm_spec spec;
    struct record record = {0};
    msgpack_unpacked unpacked;
    char *bytes = fuzz_exact(data, size);
    if (bx_unpack(&unpacked, bytes, size) == 0) {
        if (record_unpack(&unpacked.data, &record) == 0)
            check_record(&record);
        if (vm_spec_unpack(&unpacked.data, &spec) == 0)
            check_spec(&spec);
        record_fini(&record);
        msgpack_unpacked_destroy(&unpacked);
    }
    free(bytes);
    return 0;
}
