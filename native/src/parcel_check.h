/* parcel_check.h: is a frozen machine that another process has handed over one? That
 * process runs guests, and one of them may have broken it: what a worker takes as an
 * index, a count, a length or an address in host memory is checked here, once.
 *
 * What only the program itself is told, or jumps to, is its own affair, as ever. */
#ifndef SKERRY_PARCEL_CHECK_H
#define SKERRY_PARCEL_CHECK_H

#include "snapshot.h"

/* All of (s) but its memory, which need not be mapped: 0; or -EINVAL, and (err) says
 * what is broken. Behind it layout.slot_size bytes of s->fd can be mapped. */
int parcel_check(const struct skerry_snapshot *s, struct skerry_error *err);

/* The memory at (base): tables and code of ring 0, and page tables that give ring 3
 * nothing of them and lead nowhere else. 0, or -errno with (err). */
int parcel_check_memory(const struct skerry_snapshot *s, const struct kvm *kvm,
                        const uint8_t *base, struct skerry_error *err);

#endif
