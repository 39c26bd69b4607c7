/* fake_host.h: a host inside the program, so that kvm_api.h can be tried natively.
 *
 * Linux refuses `out` to ring 3 with SIGSEGV. The handler here is the host: it notes
 * the call, sets the result registers and steps over the instruction. The exchange page
 * is mapped where a real host has it. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* g++ does so itself */
#endif
#include "kvm_api.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

struct host_call {
    uint32_t nr;
    uint64_t arg[6];
};

/* Shared with the signal handler: volatile, as the compiler does not see it called. */
static volatile struct host_call calls[64]; /* the calls made so far */
static volatile unsigned num_calls;
static volatile long host_rax, host_rdx; /* what calls return; rdx only if not 0 */
static volatile uint32_t noreturn_nr;    /* a call of this number goes to (noreturn) */
static sigjmp_buf noreturn;
static void (*volatile on_call)(int); /* runs in the middle of a call */
static volatile int text_arg = -1; /* the argument that is a text, before its length */
static volatile char text_seen[1 << 17]; /* a copy of that text */
static struct kvm_api_exchange *page;
static char method[] = "PATCH";

#define CHECK(what)                                                                    \
    do {                                                                               \
        if (!(what)) {                                                                 \
            printf("line %d: not so: %s\n", __LINE__, #what);                          \
            exit(1);                                                                   \
        }                                                                              \
    } while (0)

/* Copies the text that is argument (text_arg) of (*call), if that is one. */
static void note_text(const volatile struct host_call *call)
{
    const char *text = (const char *)call->arg[text_arg];
    const uint64_t len = call->arg[text_arg + 1];
    for (uint64_t i = 0; i < len && i < sizeof(text_seen); i++)
        text_seen[i] = text[i];
}

static void note_call(const greg_t *regs)
{
    static const int order[] = {REG_RDI, REG_RSI, REG_RDX, REG_RCX, REG_R8, REG_R9};
    volatile struct host_call *call = &calls[num_calls % 64];
    call->nr = (uint32_t)regs[REG_RAX];
    for (int i = 0; i < 6; i++)
        call->arg[i] = (uint64_t)regs[order[i]];
    if (text_arg >= 0)
        note_text(call);
    num_calls = num_calls + 1;
}

static void on_trap(int signal, siginfo_t *info, void *context)
{
    greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    const uint8_t *code = (const uint8_t *)regs[REG_RIP];
    (void)signal;
    (void)info;
    if (code[0] != 0xe7 || code[1] != 0) /* out %eax, $0: two bytes, port 0 */
        _Exit(3);
    note_call(regs);
    if (on_call != NULL)
        on_call(0);
    if (noreturn_nr != 0 && (uint32_t)regs[REG_RAX] == noreturn_nr)
        siglongjmp(noreturn, 1);
    regs[REG_RAX] = host_rax;
    if (host_rdx != 0)
        regs[REG_RDX] = host_rdx;
    regs[REG_RIP] += 2;
}

/* Starts to answer host calls, in the middle of a request. */
static void fake_host(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_sigaction = on_trap;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigaction(SIGSEGV, &action, NULL);
    page = (struct kvm_api_exchange *)mmap(
        (void *)KVM_API_EXCHANGE_ADDRESS, 4096, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    page->magic = KVM_API_EXCHANGE_MAGIC;
    page->method = method;
    page->method_len = 5;
}

/* Whether the text of the last call begins with (expected). */
static inline bool saw(const char *expected)
{
    for (size_t i = 0; expected[i] != '\0'; i++)
        if (text_seen[i] != expected[i])
            return false;
    return true;
}

/* The last call that was made. */
static inline const volatile struct host_call *last_call(void)
{
    return &calls[(num_calls - 1) % 64];
}
