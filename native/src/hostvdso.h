/* hostvdso.h: the kernel's own vDSO, as it is mapped into this process: code that reads
 * the clocks without a system call, and in front of it the pages that the kernel keeps
 * for that code (vdso(7)). */
#ifndef SKERRY_HOSTVDSO_H
#define SKERRY_HOSTVDSO_H

#include <stdint.h>

struct hostvdso {
    const uint8_t *code; /* an ELF image; NULL: this kernel has none that we know */
    uint64_t code_size;
    const uint8_t *data; /* what the code reads; ends where it begins. Some of these
                            pages may be missing: only KVM may look at them */
    uint64_t data_size;
    uint64_t id; /* differs where code or data may */
};

/* Finds it in this process, which takes /proc. Nothing is to be freed. */
void hostvdso_find(struct hostvdso *v);

/* Where in the code function (name) begins, or 0. */
uint64_t hostvdso_function(const struct hostvdso *v, const char *name);

#endif
