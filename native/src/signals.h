/* signals.h: what a kernel would know of a program's signals: plain data, frozen and
 * put back with struct process. Nothing here knows a machine. */
#ifndef SKERRY_SIGNALS_H
#define SKERRY_SIGNALS_H

#include <signal.h>
#include <stdint.h>

#define SIGNAL_COUNT 65
#define SIGNALS_QUEUED 16 /* that carry more than their number */
#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1u << 31)
#endif
#define ALT_STACK_MIN 2048 /* the kernel's MINSIGSTKSZ */

/* What rt_sigaction stores: kernel layout. */
struct signal_action {
    uint64_t handler, flags, restorer, mask;
};

/* siginfo_t as far as a kernel keeps it. */
struct signal_info {
    int32_t signal, error, code, unused;
    uint64_t word[4]; /* what they mean depends on the code */
};

/* stack_t, kernel layout. */
struct alt_stack {
    uint64_t address;
    uint32_t flags, unused;
    uint64_t size;
};

/* What has been sent and not yet delivered. Bit n - 1 of a set is signal n. */
struct pending_signals {
    uint64_t set;
    uint64_t queued;
    struct signal_info queue[SIGNALS_QUEUED]; /* in the order they came */
};

/* What each thread has of its own. */
struct thread_signals {
    uint64_t mask;
    uint64_t saved_mask; /* to go back to after rt_sigsuspend, when ... */
    uint64_t has_saved;  /* ... this is not 0 */
    struct alt_stack stack;
    uint64_t vector, error, cr2; /* of the last exception that became a signal */
    struct pending_signals pending;
};

/* ITIMER_REAL: ns, by clock_now; 0 = it is not set, or it is not repeated. */
struct alarm {
    uint64_t due, interval;
};

/* What becomes of a program without a handler. */
enum signal_default { SIGNAL_ENDS, SIGNAL_IGNORED, SIGNAL_STOPS };
enum signal_default signal_default(int signal);

/* What it is called, without "SIG". */
const char *signal_name(int signal);

static inline uint64_t signal_bit(int signal)
{
    return 1UL << (signal - 1);
}

/* (mask) without the two signals that nobody can block. */
uint64_t signal_mask(uint64_t mask);

/* Tells if there is a function of the program's to call. */
int signal_handled(const struct signal_action *action);

/* Tells if nobody would notice (signal). */
int signal_ignored(const struct signal_action *action, int signal);

/* (info) is sent to whom (mask) blocks; (action) says what it is for. 0, or -EAGAIN
 * when a signal that must not lose its siginfo finds no room. */
int signals_send(struct pending_signals *p, uint64_t mask,
                 const struct signal_action *action, const struct signal_info *info);

/* Takes the next pending signal that is in (from): exceptions first, then by number.
 * Returns it with its (*info), or 0. */
int signals_take(struct pending_signals *p, uint64_t from, struct signal_info *info);

/* (signal) is not pending any more. */
void signals_forget(struct pending_signals *p, int signal);

/* Tells if stack pointer (sp) is on the alternate stack, as sigaltstack() answers. */
int signals_on_stack(const struct thread_signals *t, uint64_t sp);

/* sigaltstack() by a thread whose stack pointer is (sp). 0 or -errno. */
int signals_set_stack(struct thread_signals *t, const struct alt_stack *to,
                      uint64_t sp);

#endif
