/* waits.h: system calls that have to wait. The host's thread does not: the machine
 * sleeps until the call can have an answer, and then the call is made again. */
#ifndef SKERRY_WAITS_H
#define SKERRY_WAITS_H

#include "syscall.h"

#define WAITS_FOR_EVER UINT64_MAX

/* When a call that waits for (ns) at most gives up, on clock_now(), however often it is
 * made again meanwhile. WAITS_FOR_EVER stays that. */
uint64_t waits_limit(struct machine *m, uint64_t ns);

/* Reads the struct timespec at (addr) as nanoseconds. 0, -EFAULT or -EINVAL. */
long waits_duration(struct call *c, uint64_t addr, uint64_t *ns);

/* The call has no answer before (wake), the next time at which something becomes ready
 * by itself or the call gives up. THE place where a program stands still for what
 * others do: with one thread and WAITS_FOR_EVER it would for ever, and fails; (what)
 * says for what. Where there are threads, others run, and the call is made again behind
 * each that they make. Returns what the handler returns, which has changed nothing. */
long wait_until_ready(struct call *c, uint64_t wake, const char *what);

/* The signal mask of (size) bytes at (addr) holds while the call waits, if (addr) is
 * not 0: 0, -EINVAL or -EFAULT. And not any more, if it has been answered, with (ret),
 * which is returned. */
long waits_mask(struct call *c, uint64_t addr, uint64_t size);
long waits_unmask(struct call *c, long ret);

#endif
