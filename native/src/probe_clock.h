/* probe_clock.h: whether guests can read the clock by themselves. */
#ifndef SKERRY_PROBE_CLOCK_H
#define SKERRY_PROBE_CLOCK_H

#include "kvm.h"

/* Sets kvm->has_clock by running a guest that reads it; the rest of (kvm) is known. */
void probe_clock(struct kvm *kvm);

#endif
