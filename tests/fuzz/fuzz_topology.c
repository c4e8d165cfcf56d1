/*
 * fuzz_topology.c - the source of a topology file, from the client's bytes to the answer: parsed, checked, packed,
 * and read again. What is accepted keeps its promises.
 */
#include "fuzz.h"

#include "common/check_wire.h"
#include "common/codec.h"
#include "daemon/check.h"

static void check_promises(const struct topology *topology)
{
    PROMISE(topology->instance_count <= TOPOLOGY_INSTANCES_MAX && topology->link_count <= TOPOLOGY_LINKS_MAX);
    for (uint32_t i = 0; i < topology->vm_count; i++) {
        const struct topology_vm *vm = &topology->vms[i];
        PROMISE(vm->program < topology->program_count && vm_spec_check(&vm->spec, NULL) == 0);
        PROMISE(vm->first < topology->instance_count && topology->order[i] < topology->vm_count);
        PROMISE(vm->group == TOPOLOGY_NONE || vm->group < topology->group_count);
        for (uint32_t j = 0; j < vm->depend_count; j++)
            PROMISE(vm->depends[j].vm < topology->vm_count);
    }
    for (uint32_t i = 0; i < topology->link_count; i++) {
        const struct topology_link *link = &topology->links[i];
        PROMISE(link->from < topology->instance_count && link->to < topology->instance_count && link->from != link->to);
        PROMISE(link->wire < topology->wire_count && link->port > 0);
    }
}

static void check_answer(struct topology *topology)
{
    msgpack_sbuffer buffer;
    msgpack_unpacked answer;
    msgpack_sbuffer_init(&buffer);
    if (topology_pack(topology, &buffer, NULL) == 0) {
        PROMISE(bx_unpack(&answer, buffer.data, buffer.size) == 0);
        const msgpack_object *packed = bx_map_find(&answer.data, "topology");
        PROMISE(packed != NULL && (packed->type == MSGPACK_OBJECT_NIL) == (topology->diags.errors > 0));
        msgpack_unpacked_destroy(&answer);
    }
    msgpack_sbuffer_destroy(&buffer);
}

static void try_text(const char *text, size_t length)
{
    static const struct topology_variable variables[] = {{"A", "1"}, {"B", "8MiB"}};
    struct topology_source source = {text, length, "fuzz", variables, 2};
    struct topology *topology = NULL;
    if (topology_load(&source, &topology, NULL) != 0)
        return;
    PROMISE(topology->diags.errors > 0 || topology->vm_count > 0);
    for (uint32_t i = 0; i < topology->diags.count; i++)
        PROMISE(topology->diags.list[i].mark.line >= 1 && topology->diags.list[i].mark.column >= 1);
    if (topology->diags.errors == 0)
        check_promises(topology);
    check_answer(topology);
    topology_free(topology);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *bytes = fuzz_exact(data, size);
    struct check_source source;
    if (check_decode(bytes, size, &source) == 0) {
        PROMISE(source.text + source.text_length == bytes + size);
        try_text(source.text, source.text_length);
    }
    try_text(bytes, size);
    free(bytes);
    return 0;
}
