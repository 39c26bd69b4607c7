/* seccomp.c: see seccomp.h. The table becomes a program of classic BPF that the kernel
 * runs before every system call:
 *
 *     is it not x86-64? kill
 *     for each row: load the number; another one? next row
 *                   for each test: load, mask, compare; does not hold? next row
 *                   return the row's verdict
 *     return refused
 *
 * An x32 call has a bit in its number that no row has. */
#include "seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "seccomp_calls.h"
#include "syscall.h"

#define PROGRAM_MOST 2048
#define LINES_MOST 100 /* of refused calls: hostile code must not fill a log */
#define FIELD(name) ((uint32_t)offsetof(struct seccomp_data, name))
#define LOW(arg) (FIELD(args) + 8 * (arg)) /* little-endian */
#define HIGH(arg) (LOW(arg) + 4)

struct program {
    uint32_t length;
    struct sock_filter code[PROGRAM_MOST];
};

static void add(struct program *p, uint32_t code, uint32_t k)
{
    if (p->length < PROGRAM_MOST)
        p->code[p->length] = (struct sock_filter){.code = (uint16_t)code, .k = k};
    p->length++;
}

/* Goes on if the accumulator is (k), and else where land() says. */
static void expect(struct program *p, uint32_t k)
{
    add(p, BPF_JMP | BPF_JEQ | BPF_K, k);
}

/* All jumps of the code from (from) on lead to here, when they do not hold. */
static void land(struct program *p, uint32_t from)
{
    for (uint32_t i = from; i < p->length && i < PROGRAM_MOST; i++)
        if (BPF_CLASS(p->code[i].code) == BPF_JMP)
            p->code[i].jf = (uint8_t)(p->length - i - 1);
}

/* (k) is compared under (mask), which is one half of a test's. */
static void add_half(struct program *p, uint32_t at, uint32_t mask, uint32_t k)
{
    if (!mask)
        return;
    add(p, BPF_LD | BPF_W | BPF_ABS, at);
    if (mask != UINT32_MAX)
        add(p, BPF_ALU | BPF_AND | BPF_K, mask);
    expect(p, k);
}

static void add_test(struct program *p, const struct seccomp_test *test)
{
    uint64_t value = test->own_pid ? (uint64_t)getpid() : test->value;
    add_half(p, LOW(test->arg), (uint32_t)test->mask, (uint32_t)value);
    add_half(p, HIGH(test->arg), (uint32_t)(test->mask >> 32), (uint32_t)(value >> 32));
}

static uint32_t verdict(const struct seccomp_call *call, int reads)
{
    if (call->verdict == ALLOW || (call->verdict == READS && reads))
        return SECCOMP_RET_ALLOW;
    return SECCOMP_RET_ERRNO | (uint32_t)call->error;
}

static void add_call(struct program *p, const struct seccomp_call *call, int reads)
{
    uint32_t from = p->length;
    add(p, BPF_LD | BPF_W | BPF_ABS, FIELD(nr));
    expect(p, call->number);
    for (int i = 0; i < SECCOMP_TESTS; i++)
        if (call->test[i].mask)
            add_test(p, &call->test[i]);
    add(p, BPF_RET | BPF_K, verdict(call, reads));
    land(p, from);
}

static void add_begin(struct program *p)
{
    add(p, BPF_LD | BPF_W | BPF_ABS, FIELD(arch));
    add(p, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64);
    p->code[1].jt = 1;
    add(p, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
}

static int install(const struct program *p, struct skerry_error *err)
{
    struct sock_fprog filter = {(unsigned short)p->length, (void *)p->code};
    if (p->length > PROGRAM_MOST)
        return skerry_refuse(err, E2BIG, "seccomp", "the table of calls is too long");
    long ret = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC,
                       &filter);
    if (ret > 0)
        return skerry_refuse(err, EBUSY, "seccomp", "thread %ld has other filters",
                             ret);
    return ret < 0 ? skerry_fail(err, "seccomp") : 0;
}

int seccomp_refuse_rings(struct skerry_error *err)
{
    const struct seccomp_call rings = {
        .number = SYS_io_uring_setup, .verdict = QUIET, .error = ENOSYS};
    struct program p = {0};
    add_begin(&p);
    add_call(&p, &rings, 0);
    add(&p, BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    return install(&p, err);
}

/* --- A call was refused: this runs in place of it, on its thread, which may hold any
 * lock --- */

static size_t put(char *line, size_t at, const char *text)
{
    size_t len = strlen(text);
    memcpy(line + at, text, len);
    return at + len;
}

static size_t put_number(char *line, size_t at, uint32_t number)
{
    if (number >= 10)
        at = put_number(line, at, number / 10);
    line[at] = (char)('0' + number % 10);
    return at + 1;
}

static void say(uint32_t number)
{
    static int lines;
    char line[128];
    if (__atomic_fetch_add(&lines, 1, __ATOMIC_RELAXED) >= LINES_MOST)
        return;
    size_t at = put(line, 0, "skerry: system call ");
    at = put(line, at, syscall_name(number));
    at = put(line, at, " (");
    at = put_number(line, at, number);
    at = put(line, at, ") refused\n");
    if (write(STDERR_FILENO, line, at) < 0)
        return; /* nobody listens: nothing can be said about it either */
}

static void on_refused(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    ucontext_t *caller = context;
    int saved = errno;
    say((uint32_t)info->si_syscall);
    errno = saved;
    caller->uc_mcontext.gregs[REG_RAX] = -EPERM;
}

static int listen_to_refusals(struct skerry_error *err)
{
    struct sigaction action = {.sa_sigaction = on_refused,
                               .sa_flags = SA_SIGINFO | SA_NODEFER};
    return sigaction(SIGSYS, &action, NULL) < 0 ? skerry_fail(err, "sigaction") : 0;
}

int seccomp_enter(int kill, int reads, struct skerry_error *err)
{
    struct program p = {0};
    int ret = kill ? 0 : listen_to_refusals(err);
    if (ret < 0)
        return ret;
    add_begin(&p);
    for (size_t i = 0; i < seccomp_call_count; i++)
        add_call(&p, &seccomp_calls[i], reads);
    add(&p, BPF_RET | BPF_K, kill ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_TRAP);
    return install(&p, err);
}
