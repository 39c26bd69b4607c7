/* host.c: what else a machine asks of its host, answered without it: the clock, sleep,
 * the watchdog, and files. So nothing waits, and time is the same each time. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "demand.h"
#include "input.h"
#include "kvm.h"
#include "opener.h"
#include "processor.h"
#include "tiny.h"
#include "watchdog.h"
#include "x86.h"

#define CLOCK_STEP 100 /* ns that a look at the clock takes */
#define SLEEP_STEP                                                                     \
    50000 /* the same of a sleep: it is never as short as it is meant                  \
           */

uint64_t processor_now, processor_kick;

/* --- KVM is there, and has AVX --- */

struct kvm *__wrap_kvm_get(struct skerry_error *err);

struct kvm *__wrap_kvm_get(struct skerry_error *err)
{
    static struct kvm kvm = {.fd = 0,
                             .run_size = 3 * 4096,
                             .xcr0 = 7,
                             .xsave_size = 832,
                             .ring0_stub = 1,
                             .tss_type = SEG_TYPE_TSS_BUSY};
    (void)err;
    return &kvm;
}

/* --- Time --- */

int __real_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_nanosleep(clockid_t clock, int flags, const struct timespec *until,
                           struct timespec *rest);
int __wrap_watch_add(struct watch *w, struct kvm_run *run);
void __wrap_watch_begin(struct watch *w, uint64_t deadline);

/* The fuzzer itself looks at the other one. */
int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
    if (!processor_now || clock == CLOCK_REALTIME)
        return __real_clock_gettime(clock, t);
    processor_now += CLOCK_STEP;
    t->tv_sec = (time_t)(processor_now / 1000000000);
    t->tv_nsec = (long)(processor_now % 1000000000);
    return clock > CLOCK_TAI ? -1 : 0;
}

/* A sleep is over at once, at its end or at the watchdog's next kick. */
int __wrap_clock_nanosleep(clockid_t clock, int flags, const struct timespec *until,
                           struct timespec *rest)
{
    demand(clock == CLOCK_MONOTONIC && flags == TIMER_ABSTIME && !rest);
    demand(until->tv_nsec >= 0 && until->tv_nsec < 1000000000);
    uint64_t end = (uint64_t)until->tv_sec * 1000000000UL + (uint64_t)until->tv_nsec;
    uint64_t first = end < processor_kick ? end : processor_kick;
    processor_now += SLEEP_STEP;
    processor_now = first > processor_now ? first : processor_now;
    return end < processor_kick ? 0 : EINTR;
}

int __wrap_watch_add(struct watch *w, struct kvm_run *run)
{
    *w = (struct watch){.run = run};
    return 0;
}

void __wrap_watch_begin(struct watch *w, uint64_t deadline)
{
    w->deadline = processor_kick = deadline;
}

/* --- Files --- */

static int new_file(const void *content, size_t len)
{
    int fd = memfd_create("file", MFD_CLOEXEC);
    demand(fd >= 0 && ftruncate(fd, (off_t)len) == 0);
    demand(!len || pwrite(fd, content, len, 0) == (ssize_t)len);
    return fd;
}

/* As opener.py makes one: what stat() says, the path, and two names. */
static int new_directory(const struct opener_answer *a)
{
    static const struct {
        uint64_t inode, next;
        uint16_t size;
        uint8_t kind;
        char name[5];
    } entries[2] = {{1, 24, 24, 4, "."}, {2, 48, 24, 8, "file"}};
    int fd = new_file(&a->stat, sizeof(a->stat));
    demand(pwrite(fd, a->text, a->text_len, OPENER_PATH_AT) == (ssize_t)a->text_len);
    demand(pwrite(fd, entries, sizeof(entries), OPENER_ENTRIES_AT) == sizeof(entries));
    return fd;
}

/* Some file may be a dynamic linker, but for a few bytes. */
static int open_linker(struct opener_answer *a)
{
    struct tiny linker = tiny_program("", 1);
    linker.header.e_type = ET_DYN;
    linker.segment.p_vaddr = 0;
    linker.header.e_entry = offsetof(struct tiny, code);
    for (uint64_t i = choice(4); i > 0; i--)
        ((uint8_t *)&linker)[number(1)] = (uint8_t)number(1);
    int fd = new_file(&linker, sizeof(linker));
    demand(fstat(fd, &a->stat) == 0);
    return fd;
}

static int open_answer(struct opener_answer *a)
{
    uint8_t content[256];
    if (S_ISDIR(a->stat.st_mode))
        return new_directory(a);
    int fd = new_file(content, bytes(content, number(1)));
    demand(fstat(fd, &a->stat) == 0);
    a->is_state = choice(8) == 0;
    return fd;
}

int __wrap_opener_ask(int opener, const struct opener_ask *ask, const char *path,
                      int given, uint64_t until, struct opener_answer *answer);

int __wrap_opener_ask(int opener, const struct opener_ask *ask, const char *path,
                      int given, uint64_t until, struct opener_answer *answer)
{
    uint64_t kind = number(1);
    demand(fcntl(opener, F_GETFD) >= 0 && path[0] == '/');
    demand(strlen(path) < OPENER_PATH_MAX);
    demand((ask->what == OPENER_KEEP) == (given >= 0));
    (void)until;
    memset(answer, 0, sizeof(*answer));
    if (kind >= 0xe0)
        return kind & 1 ? -ENOENT : -EACCES;
    answer->may = (uint32_t)kind & 7;
    int is_directory = kind & 8 || strcmp(path, "/there") == 0;
    answer->stat.st_mode = is_directory ? S_IFDIR | 0755 : S_IFREG | 0644;
    answer->text_len = kind & 16 ? (uint32_t)number(2) % OPENER_PATH_MAX : 6;
    memset(answer->text, 'x', answer->text_len);
    memcpy(answer->text, "/there", answer->text_len < 6 ? answer->text_len : 6);
    if (ask->what == OPENER_OPEN && strcmp(path, "/ld") == 0)
        return open_linker(answer);
    return ask->what == OPENER_OPEN ? open_answer(answer) : 0;
}

/* --- Who listens to a trace --- */

ssize_t __wrap_send(int socket, const void *packet, size_t len, int flags);

ssize_t __wrap_send(int socket, const void *packet, size_t len, int flags)
{
    const struct skerry_call *c = packet;
    (void)socket;
    (void)flags;
    demand(len == sizeof(*c));
    for (int i = 0; i < 6; i++)
        demand(c->before_len[i] <= SKERRY_CALL_BYTES &&
               c->after_len[i] <= SKERRY_CALL_BYTES);
    return (ssize_t)len;
}
