/* seccomp_calls.h: the system calls that a worker in its jail may make, as a table. */
#ifndef SKERRY_SECCOMP_CALLS_H
#define SKERRY_SECCOMP_CALLS_H

#include <stddef.h>
#include <stdint.h>

/* Holds when ((arg & mask) == value); (mask) 0 is no test. The kernel takes many
 * arguments as 32 bits: then their upper halves are not in the mask. */
struct seccomp_test {
    uint32_t arg;
    int own_pid; /* (value) is this process's id */
    uint64_t mask, value;
};

/* What a call gets whose tests all hold; the first row that fits decides. */
enum seccomp_verdict {
    ALLOW,
    QUIET, /* fails with (error), and no line about it: a healthy worker may try */
    READS  /* QUIET, but allowed where Landlock keeps directories readable */
};

#define SECCOMP_TESTS 2

struct seccomp_call {
    uint32_t number;
    enum seccomp_verdict verdict;
    int error; /* errno of QUIET and READS */
    struct seccomp_test test[SECCOMP_TESTS];
};

extern const struct seccomp_call seccomp_calls[];
extern const size_t seccomp_call_count;

#endif
