/* watchdog.h: one thread that stops guests whose time is over.
 *
 * Nothing is armed per request: a run leaves its deadline where the thread looks every
 * few milliseconds, and the thread sleeps when nothing has run for a while. A late kick
 * that hits the next run is harmless, because a run that is kicked looks at the clock.
 */
#ifndef SKERRY_WATCHDOG_H
#define SKERRY_WATCHDOG_H

#include <linux/kvm.h>
#include <stdint.h>
#include <sys/types.h>

struct watch {
    uint64_t deadline; /* CLOCK_MONOTONIC, ns; 0 = nothing runs */
    pid_t thread;
    struct kvm_run *run;
    struct watch *next;
};

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t clock_now(void);

/* Adds a vCPU to those that are watched, from its first run on. 0, or -errno when there
 * is no thread to watch: then nothing may run. watch_remove takes what was never added.
 */
int watch_add(struct watch *w, struct kvm_run *run);
void watch_remove(struct watch *w);

/* Between these two the calling thread is kicked out of KVM_RUN soon after (deadline),
 * again and again. */
void watch_begin(struct watch *w, uint64_t deadline);
void watch_end(struct watch *w);

#endif
