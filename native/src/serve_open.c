/* serve_open.c: how a clone that serves is made, closed and looked at. */
#include <stdlib.h>
#include <string.h>

#include "serve.h"

int skerry_vm_open(struct skerry_snapshot *snapshot, struct skerry_storage *storage,
                   const struct skerry_limits *limits, struct skerry_console *console,
                   struct skerry_vm **out, struct skerry_error *err)
{
    struct skerry_vm *vm = calloc(1, sizeof(*vm));
    if (!vm)
        return skerry_fail(err, "clone");
    vm->machine.vm.fd = vm->machine.vm.vcpu_fd = -1;
    vm->snapshot = snapshot_share(snapshot);
    vm->storage = storage_share(storage);
    vm->limits = *limits;
    vm->process = snapshot->process;
    vm->out = malloc(SKERRY_OUT_SIZE);
    int ret = vm->out ? 0 : skerry_fail(err, "clone");
    if (ret == 0)
        ret = machine_open(&vm->machine, snapshot, 0, &vm->process, console, err);
    vm->machine.reaches = limits->reaches;
    if (ret == 0)
        ret = trace_open(limits->trace, 0, &vm->machine.trace, err);
    if (ret < 0) {
        skerry_vm_close(vm);
        return ret;
    }
    *out = vm;
    return 0;
}

void skerry_vm_close(struct skerry_vm *vm)
{
    if (!vm)
        return;
    storage_abandon(vm->storage, &vm->call);
    machine_close(&vm->machine);
    skerry_storage_close(vm->storage);
    skerry_snapshot_close(vm->snapshot);
    free(vm->spill.at);
    free(vm->out);
    free(vm);
}

uint64_t skerry_differing_pages(const struct skerry_vm *vm)
{
    uint64_t differing = 0, size = vm->snapshot->layout.slot_size;
    const uint8_t *ours = vm->machine.mem.base, *frozen = vm->snapshot->frozen;
    for (uint64_t at = 0; at < size; at += PAGE_SIZE)
        differing += memcmp(ours + at, frozen + at, PAGE_SIZE) != 0;
    return differing;
}
