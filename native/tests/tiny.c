/* tiny.c: see tiny.h. */
#include "tiny.h"

#include <string.h>

struct tiny tiny_program(const void *code, size_t len)
{
    struct tiny t;
    memset(&t, 0, sizeof(t));
    t.header = (Elf64_Ehdr){.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
                                        ELFDATA2LSB, EV_CURRENT},
                            .e_type = ET_EXEC,
                            .e_machine = EM_X86_64,
                            .e_version = EV_CURRENT,
                            .e_entry = TINY_ENTRY,
                            .e_phoff = offsetof(struct tiny, segment),
                            .e_ehsize = sizeof(Elf64_Ehdr),
                            .e_phentsize = sizeof(Elf64_Phdr),
                            .e_phnum = 1};
    t.segment = (Elf64_Phdr){.p_type = PT_LOAD,
                             .p_flags = PF_R | PF_W | PF_X,
                             .p_vaddr = TINY_ADDR,
                             .p_filesz = sizeof(t),
                             .p_memsz = sizeof(t)};
    memcpy(t.code, code, len < sizeof(t.code) ? len : sizeof(t.code));
    return t;
}
