/* vdso.h: how a program reads the clock without leaving its guest.
 *
 * A program finds a vDSO, as Linux gives it one (AT_SYSINFO_EHDR): an ELF image with
 * the functions that C libraries and Go look for. It is ours and always at the same
 * place, with its functions at the same addresses, because their addresses end up in
 * memory that outlives this kernel: storage files. Each function goes on to the
 * kernel's own code (hostvdso.h), of which a guest has a copy, and which reads the
 * kernel's own pages: those are a memory slot. So a guest's clock is the host's, to the
 * nanosecond, through steps and leaps, in all clones, and system calls agree with it.
 *
 * Where the kernel's code cannot be used, the same functions make system calls. */
#ifndef SKERRY_VDSO_H
#define SKERRY_VDSO_H

#include "hostvdso.h"
#include "layout.h"

/* Functions follow each other at this distance; the first one is clock_gettime. */
#define VDSO_FUNCTION_SIZE 32
#define VDSO_CODE_ADDR (VDSO_ADDR + 0x800)
#define VDSO_CLOCK_GETTIME VDSO_CODE_ADDR

/* Puts the vDSO into slot 0 at (base), whose tables are built. With (host) its VMs have
 * the memory slot of the clock, or else it is NULL. */
void vdso_install(uint8_t *base, const struct layout *l, const struct hostvdso *host);

#endif
