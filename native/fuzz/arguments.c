/* arguments.c: see arguments.h. A wild 64-bit number is almost never an address, a
 * descriptor or a flag, so each kind of argument has numbers that mean something to it,
 * and sometimes any. */
#include "arguments.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "abi.h"
#include "input.h"
#include "program.h"
#include "tiny.h"

#define WORDS 8 /* futexes and the like */
#define SA_RESTORER 0x04000000
#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define ONE_OF(...)                                                                    \
    one_of((const uint64_t[]){__VA_ARGS__}, COUNT(((const uint64_t[]){__VA_ARGS__})))

static uint64_t one_of(const uint64_t *from, size_t count)
{
    return from[choice(count)];
}

/* --- Addresses --- */

static uint64_t edge(void)
{
    const struct layout *l = &program_layout;
    return ONE_OF(0, GDT_ADDR, TRAMPOLINE_ADDR, XSAVE_ADDR, EXCEPTION_STACK_TOP,
                  VDSO_ADDR, KVM_API_EXCHANGE_ADDRESS,
                  KVM_API_EXCHANGE_ADDRESS + offsetof(struct kvm_api_exchange, data),
                  KVM_API_EXCHANGE_ADDRESS + PAGE_SIZE, l->program.begin, TINY_ADDR,
                  TINY_ENTRY, l->program.end, l->main_stack.begin, l->main_stack.end,
                  l->call_stack.begin, l->call_stack.end, l->inbox.begin, l->inbox.end,
                  l->tables, l->slot_size, l->shm.begin, l->shm.begin + PAGE_SIZE,
                  l->shm.end, l->mapped_end, l->far.begin, l->far.end, 1UL << 31,
                  PROGRAM_FAR, 1UL << 47, 1UL << 63, UINT64_MAX - PAGE_SIZE + 1);
}

/* Pages that it maps, unmaps and uses: few, so that it meets them again. */
static uint64_t page(void)
{
    const struct layout *l = &program_layout;
    uint64_t how = number(1), n = how % 16 * PAGE_SIZE;
    if (how < 0x60)
        return PROGRAM_FAR + n;
    if (how < 0x80)
        return PROGRAM_FAR + LARGE_PAGE + n;
    if (how < 0xc0)
        return l->program.end - LARGE_PAGE + n;
    if (how < 0xe0)
        return l->program.begin + 2 * LARGE_PAGE + n;
    return how < 0xf8 ? edge() & ~(PAGE_SIZE - 1) : l->main_stack.end - n;
}

/* Memory that is the program's, most of the time. */
static uint64_t own(void)
{
    const struct layout *l = &program_layout;
    const uint64_t base = l->main_stack.begin + LARGE_PAGE;
    uint64_t how = number(1);
    if (how < 0x80)
        return base + how * 32;
    if (how < 0xa0)
        return base + 3 * PAGE_SIZE - 24 + how % 32; /* across pages */
    return page() + (how < 0xd0 ? 0 : PAGE_SIZE - 8);
}

uint64_t argument_address(void)
{
    uint64_t how = number(1);
    if (how < 0x90)
        return own();
    if (how < 0xe0)
        return edge() + (uint64_t)(int64_t)(int8_t)number(1);
    return how < 0xf0 ? how - 0xe0 : number(8);
}

uint64_t argument_put(struct processor *p, const void *src, size_t len)
{
    uint64_t at = own();
    processor_store(p, at, src, len);
    return at;
}

static uint64_t put_words(struct processor *p, const uint64_t *words, size_t count)
{
    return argument_put(p, words, count * sizeof(*words));
}

static uint64_t put_bytes(struct processor *p, size_t most)
{
    uint8_t some[256];
    return argument_put(p, some, bytes(some, number(1) % (most + 1)));
}

/* One of a few words that threads meet at. */
static uint64_t word_address(void)
{
    uint64_t how = number(1);
    if (how >= 0xf0)
        return argument_address();
    return program_layout.main_stack.begin + LARGE_PAGE + how % WORDS * 4 +
           (how & 0x80 ? program_layout.shm.begin - program_layout.main_stack.begin -
                             LARGE_PAGE
                       : 0);
}

/* --- Numbers --- */

static uint64_t size_of(void)
{
    uint64_t how = number(1);
    if (how < 0x40)
        return how;
    if (how < 0x80)
        return number(2);
    return ONE_OF(4095, 4096, 4097, 65535, 65536, 65537, 1UL << 20, 16UL << 20,
                  (16UL << 20) + 1, 1UL << 31, 1UL << 32, INT64_MAX, UINT64_MAX);
}

static uint64_t length(void)
{
    uint64_t how = number(1);
    if (how < 0xa0)
        return how % 20 * PAGE_SIZE;
    return ONE_OF(1, 4095, 64UL << 10, LARGE_PAGE, LARGE_PAGE + PAGE_SIZE,
                  2 * LARGE_PAGE, 8UL << 20, 1UL << 30, 1UL << 40, 1UL << 47,
                  UINT64_MAX - PAGE_SIZE, UINT64_MAX);
}

static uint64_t descriptor(void)
{
    uint64_t how = number(1);
    if (how < 0xc0)
        return how % 16;
    return how < 0xf8 ? how % 70 : ONE_OF((uint64_t)AT_FDCWD, UINT64_MAX, 1UL << 32);
}

static uint64_t flag_bits(void)
{
    uint64_t flags = 0;
    for (uint64_t i = choice(4); i > 0; i--)
        flags |= 1UL << choice(32);
    return flags;
}

static uint64_t map_flags(void)
{
    static const uint64_t kinds[] = {MAP_PRIVATE | MAP_ANONYMOUS,
                                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                                     MAP_SHARED | MAP_ANONYMOUS,
                                     MAP_PRIVATE,
                                     MAP_SHARED,
                                     MAP_PRIVATE | MAP_FIXED};
    uint64_t flags = one_of(kinds, COUNT(kinds));
    return choice(8) ? flags : flags ^ flag_bits();
}

static uint64_t clone_flags(void)
{
    const uint64_t usual = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
                           CLONE_THREAD | CLONE_SYSVSEM;
    uint64_t more = choice(16);
    return usual | (more & 1 ? CLONE_SETTLS : 0) |
           (more & 2 ? CLONE_PARENT_SETTID : 0) |
           (more & 4 ? CLONE_CHILD_CLEARTID : 0) | (more == 15 ? flag_bits() : 0);
}

static uint64_t futex_op(void)
{
    uint64_t how = number(1);
    return how % 14 | (how & 0x20 ? 0 : FUTEX_PRIVATE_FLAG) |
           (how > 0xf0 ? FUTEX_CLOCK_REALTIME : 0);
}

/* --- What is pointed at --- */

static uint64_t seconds(void)
{
    return ONE_OF(0, 0, 0, 1, 3, 1000000, 1UL << 40, INT64_MAX, UINT64_MAX);
}

static uint64_t put_times(struct processor *p)
{
    const uint64_t nanoseconds = ONE_OF(0, 1, 1000, 999999, 999999999, 1000000000);
    return put_words(p, (uint64_t[]){seconds(), nanoseconds, seconds(), nanoseconds},
                     4);
}

static uint64_t put_vector(struct processor *p)
{
    uint64_t words[16];
    for (size_t i = 0; i < COUNT(words); i += 2) {
        words[i] = argument_address();
        words[i + 1] = size_of();
    }
    return put_words(p, words, COUNT(words));
}

static uint64_t put_path(struct processor *p)
{
    static const char *const paths[] = {
        "/", ".", "", "file", "/there/file", "../x", "/lib/libm.so.6", "/state"};
    const char *path = paths[choice(COUNT(paths))];
    return choice(8) ? argument_put(p, path, strlen(path) + 1) : put_bytes(p, 200);
}

static uint64_t put_set(struct processor *p)
{
    uint64_t set = choice(4) ? 0 : number(8);
    for (uint64_t i = choice(4); i > 0; i--)
        set |= 1UL << choice(64);
    return put_words(p, &set, 1);
}

static uint64_t put_action(struct processor *p)
{
    static const uint64_t flags[] = {0,          SA_SIGINFO, SA_ONSTACK,
                                     SA_RESTART, SA_NODEFER, SA_RESETHAND};
    uint64_t handler = ONE_OF(0, 1, TINY_ENTRY, TINY_ENTRY, TINY_ENTRY, 1UL << 47);
    uint64_t all = one_of(flags, COUNT(flags)) | one_of(flags, COUNT(flags));
    all |= choice(16) ? SA_RESTORER : 0;
    return put_words(
        p, (uint64_t[]){handler, all, TINY_ENTRY, choice(4) ? 0 : number(8)}, 4);
}

static uint64_t put_stack(struct processor *p)
{
    uint64_t mode = ONE_OF(0, 0, 0, SS_DISABLE, SS_ONSTACK, 1UL << 31, 1UL << 5);
    return put_words(p, (uint64_t[]){page(), mode, length()}, 3);
}

static uint64_t put_event(struct processor *p)
{
    uint32_t events =
        (uint32_t)ONE_OF(EPOLLIN, EPOLLOUT, EPOLLIN | EPOLLOUT, EPOLLIN | EPOLLET,
                         EPOLLIN | EPOLLONESHOT, EPOLLIN | EPOLLEXCLUSIVE, 0);
    const struct epoll_event e = {.events =
                                      events ^ (choice(8) ? 0 : (uint32_t)flag_bits()),
                                  .data.u64 = number(1)};
    return argument_put(p, &e, sizeof(e));
}

static uint64_t put_polls(struct processor *p)
{
    struct pollfd fds[8];
    for (size_t i = 0; i < COUNT(fds); i++)
        fds[i] = (struct pollfd){.fd = (int)descriptor(), .events = (short)number(1)};
    return argument_put(p, fds, sizeof(fds));
}

/* Each entry leads to the next one, the last to the head, or somewhere. */
static uint64_t put_robust_list(struct processor *p)
{
    const uint64_t offset = ONE_OF(8, 8, 8, 0, (uint64_t)-8, 1UL << 63);
    uint64_t next = choice(8) ? 0 : argument_address(), at = next;
    for (uint64_t i = choice(4); i > 0; i--) {
        const uint64_t entry[2] = {at, ONE_OF(1, 2, 0x80000001, 0x80000002, 0)};
        next = at = put_words(p, entry, 2);
    }
    uint64_t head = put_words(p, (uint64_t[]){next, offset, choice(2) ? 0 : own()}, 3);
    if (choice(4))
        processor_store(p, head, next ? &next : &head, 8);
    return head;
}

static uint64_t put_info(struct processor *p)
{
    uint64_t words[6];
    for (size_t i = 0; i < COUNT(words); i++)
        words[i] = number(2);
    return put_words(p, words, COUNT(words));
}

/* pselect6 takes a mask and its size so. */
static uint64_t put_mask_pair(struct processor *p)
{
    uint64_t set = put_set(p);
    return put_words(p, (uint64_t[]){choice(4) ? set : 0, choice(8) ? 8 : 7}, 2);
}

static uint64_t put_word(struct processor *p)
{
    const uint32_t value = (uint32_t)choice(4);
    uint64_t at = word_address();
    if (choice(2))
        processor_store(p, at, &value, sizeof(value));
    return at;
}

static uint64_t put_address(struct processor *p)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = (uint16_t)number(2),
                                   .sin_addr = {(uint32_t)number(4)}};
    return argument_put(p, &to, sizeof(to));
}

static uint64_t put_message(struct processor *p)
{
    uint64_t name = choice(4) ? 0 : put_address(p), vector = put_vector(p);
    return put_words(
        p, (uint64_t[]){name, name ? 16 : 0, vector, choice(8), 0, 0, number(1)}, 7);
}

/* --- The kinds --- */

static uint64_t pointed(struct processor *p, char kind)
{
    switch (kind) {
    case 'w':
        return put_times(p);
    case 'v':
        return put_vector(p);
    case 't':
        return put_path(p);
    case 'm':
    case 'd':
        return put_set(p);
    case 'A':
        return put_action(p);
    case 'k':
        return put_stack(p);
    case 'e':
        return put_event(p);
    case 'q':
        return put_polls(p);
    case 'R':
        return put_robust_list(p);
    case 'S':
        return put_info(p);
    case 'X':
        return put_mask_pair(p);
    case 'a':
        return put_address(p);
    case 'h':
        return put_message(p);
    default: /* 'p': bytes */
        return put_bytes(p, 64);
    }
}

static uint64_t plain(struct processor *p, char kind)
{
    switch (kind) {
    case 'f':
        return descriptor();
    case 'n':
        return size_of();
    case 'o':
        return page();
    case 'l':
        return length();
    case 'b':
        return flag_bits();
    case 'g':
        return choice(66);
    case 'z': /* of a set of signals */
        return choice(16) ? 8 : number(1);
    case 'y': /* of the head of a robust list */
        return choice(16) ? 24 : number(1);
    case 'u':
        return put_word(p);
    case 'U':
        return futex_op();
    case 'T': /* thread, process, clock, whence */
        return choice(8);
    case 'c':
        return choice(16) ? choice(10) : size_of();
    case 'C':
        return clone_flags();
    case 'P':
        return choice(8);
    case 'M':
        return map_flags();
    case 'F':
        return ONE_OF(F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC,
                      F_SETPIPE_SZ, F_GETPIPE_SZ, F_GETOWN, F_GETLK, F_SETLK, F_SETLKW);
    case 'I':
        return ONE_OF(FIOCLEX, FIONCLEX, FIONBIO, FIONREAD, TCGETS);
    case 'H':
        return SOCK_STREAM | ONE_OF(0, SOCK_NONBLOCK, SOCK_CLOEXEC, 1);
    case 'D':
        return ONE_OF(AF_UNIX, AF_UNIX, AF_INET, AF_INET6);
    case 'E': /* flags of messages */
        return ONE_OF(0, 0, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_PEEK);
    case 'N':
        return ONE_OF(0, O_NONBLOCK, O_NONBLOCK, O_CLOEXEC, 1, 2);
    case 'O':
        return ONE_OF(0, O_RDWR, O_WRONLY | O_CREAT, O_APPEND | O_WRONLY, O_DIRECTORY,
                      O_CLOEXEC, O_TRUNC | O_RDWR);
    case 'B': /* of arch_prctl */
        return 0x1000 + choice(6);
    case '!': /* a function */
        return choice(16) ? TINY_ENTRY : edge();
    case 'G': /* of prctl, of which there are 80 */
        return choice(8) ? choice(80) : number(4);
    case 'Z': /* of a response */
        return choice(16) ? 200 + choice(200) : number(2);
    case 'x':
        return number(8);
    case '0':
        return choice(16) ? 0 : number(1);
    default: /* 's': a small number */
        return (uint64_t)(int64_t)(int8_t)number(1);
    }
}

uint64_t argument(struct processor *p, char kind)
{
    uint64_t how = number(1);
    if (how >= 0xfc)
        return argument_address();
    if (strchr("wvtmdAkeqRSXahp", kind))
        return how < 0x18 ? 0 : how < 0x30 ? argument_address() : pointed(p, kind);
    return plain(p, kind);
}
