/* Calls of a program that tries the host: bounds, overlaps, permissions. Between two
 * KVM_RUNs a call is registers, memory, and an answer in rax. */
#include <asm/unistd_64.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>

#include "bare.h"
#include "check.h"
#include "hostcall.h"
#include "near.h"
#include "paging.h"
#include "syscall.h"

#define RW (PROT_READ | PROT_WRITE)
#define ANYWHERE (MAP_PRIVATE | MAP_ANONYMOUS)
#define FIXED (ANYWHERE | MAP_FIXED)

static struct bare b;
static struct machine *m = &b.machine;
static int stop; /* of the last host call */

static void begin(void)
{
    bare_open(&b, 12UL << 20, LARGE_PAGE);
}

static void end(void)
{
    CHECK_EQ(m->booting ? 0 : bare_forgotten(&b), 0);
    bare_close(&b);
}

static void registers(uint64_t rax, const uint64_t arg[6])
{
    *vcpu_regs(&m->vm) = (struct kvm_regs){.rax = rax,
                                           .rdi = arg[0],
                                           .rsi = arg[1],
                                           .rdx = arg[2],
                                           .rcx = arg[3],
                                           .r10 = arg[3],
                                           .r8 = arg[4],
                                           .r9 = arg[5]};
}

static long result(void)
{
    return (long)vcpu_regs(&m->vm)->rax;
}

static long linux_call(uint64_t number, const uint64_t arg[6])
{
    registers(number, arg);
    CHECK_EQ(syscall_answer(m), 0);
    return result();
}

static long host_call(uint64_t number, const uint64_t arg[6])
{
    registers(number, arg);
    stop = hostcall(m);
    return stop == GO_ON ? result() : 0;
}

#define LINUX(name, ...) linux_call(__NR_##name, (const uint64_t[6]){__VA_ARGS__})
#define HOST(name, ...) host_call(KVM_API_##name, (const uint64_t[6]){__VA_ARGS__})

static uint64_t map(uint64_t addr, uint64_t len, int prot, int flags)
{
    return (uint64_t)LINUX(mmap, addr, len, (uint64_t)prot, (uint64_t)flags, UINT64_MAX,
                           0);
}

static uint8_t *at(uint64_t addr)
{
    return m->mem.base + addr;
}

static long drained(void)
{
    char line[CONSOLE_LINE];
    long bytes = 0;
    int kind, len;
    while ((len = skerry_console_take(m->console, line, sizeof(line), &kind)) >= 0)
        bytes += len;
    return bytes;
}

/* --- Output --- */

TEST(one_write_is_bounded_whatever_its_length)
{
    begin();
    const struct region r = m->mem.layout.main_stack;
    CHECK_EQ(LINUX(write, 1, r.begin, r.end - r.begin), 65536);
    CHECK_EQ(drained(), 65536);
    CHECK_EQ(LINUX(write, 1, r.end - 3, 3), 3);
    CHECK_EQ(LINUX(write, 1, r.end - 3, 4), -EFAULT);
    CHECK_EQ(LINUX(write, 2, r.end - 3, UINT64_MAX), -EFAULT);
    CHECK_EQ(LINUX(write, 1, 0, 0), 0);
    end();
}

static void put_vector(const struct iovec *iov, size_t count)
{
    CHECK_EQ(guest_write(&m->mem, m->mem.layout.inbox.begin, iov, count * sizeof(*iov)),
             0);
}

TEST(one_vector_is_bounded_whatever_its_lengths)
{
    static struct iovec iov[1024];
    begin();
    const struct region r = m->mem.layout.main_stack;
    for (int i = 0; i < 1024; i++)
        iov[i] = (struct iovec){(void *)r.begin, i % 2 ? r.end - r.begin : 10};
    put_vector(iov, 1024);
    CHECK_EQ(LINUX(writev, 1, m->mem.layout.inbox.begin, 1024), 10 + 65536);
    for (int i = 0; i < 1024; i++)
        iov[i].iov_len = 1000;
    put_vector(iov, 1024);
    CHECK_EQ(LINUX(writev, 1, m->mem.layout.inbox.begin, 1024), 66000);
    CHECK_EQ(LINUX(writev, 1, m->mem.layout.inbox.begin, 1025), -EINVAL);
    end();
}

TEST(a_vector_ends_at_what_cannot_be_read)
{
    begin();
    const uint64_t good = m->mem.layout.main_stack.begin;
    const struct iovec iov[] = {{(void *)good, 5}, {NULL, 5}, {(void *)good, 5}};
    put_vector(iov, 3);
    CHECK_EQ(LINUX(writev, 1, m->mem.layout.inbox.begin, 3), 5);
    CHECK_EQ(LINUX(writev, 1, m->mem.layout.inbox.begin + 16, 2), -EFAULT);
    end();
}

/* --- Memory --- */

TEST(a_call_for_which_there_is_no_memory_is_the_only_one_that_fails)
{
    begin();
    const uint64_t len = 1UL << 30, far = map(1UL << 45, len, RW, FIXED);
    CHECK(!guest_writable(&m->mem, far, len));
    registers(__NR_gettid, (const uint64_t[6]){0});
    CHECK_EQ(syscall_answer(m), -EPROTO);
    CHECK(strstr(m->reason, "out of memory: all of max_memory (12 MB)") != NULL);
    CHECK_EQ(LINUX(gettid), 1);
    end();
}

TEST(mapped_memory_is_zero_also_when_it_is_used_again)
{
    begin();
    for (int i = 0; i < 3; i++) {
        uint64_t addr = map(0, 5 * PAGE_SIZE, RW, ANYWHERE);
        for (uint64_t k = 0; k < 5 * PAGE_SIZE; k++)
            CHECK_EQ(at(addr)[k], 0);
        guest_note(&m->mem, addr, 5 * PAGE_SIZE);
        memset(at(addr), 0xee, 5 * PAGE_SIZE);
        CHECK_EQ(LINUX(munmap, addr, 5 * PAGE_SIZE), 0);
    }
    end();
}

TEST(pages_that_storage_has_closed_at_its_freeze_are_not_mapped_again)
{
    begin();
    b.facts.is_storage = 1;
    const struct region whole = b.process.arena.whole;
    const uint64_t top = whole.end - PAGE_SIZE;
    m->booting = 1;
    CHECK_EQ(map(top, PAGE_SIZE, PROT_NONE, FIXED), top);
    near_freeze(m);
    m->booting = 0;
    CHECK_EQ(LINUX(munmap, top, PAGE_SIZE), 0);
    CHECK_EQ(map(0, PAGE_SIZE, RW, ANYWHERE), top - PAGE_SIZE);
    bare_close(&b);
}

TEST(pages_closed_and_unmapped_at_start_up_are_open_again)
{
    begin();
    const uint64_t top = b.process.arena.whole.end - PAGE_SIZE;
    m->booting = 1;
    CHECK_EQ(map(top - PAGE_SIZE, 2 * PAGE_SIZE, PROT_READ, FIXED), top - PAGE_SIZE);
    CHECK_EQ(LINUX(mremap, top - PAGE_SIZE, 2 * PAGE_SIZE, PAGE_SIZE, 0),
             top - PAGE_SIZE);
    CHECK_EQ(map(0, PAGE_SIZE, RW, ANYWHERE), top);
    CHECK_EQ(paging_access(m->mem.base, &m->mem.layout, top),
             ACCESS_READ | ACCESS_WRITE);
    end();
}

TEST(storage_cannot_gain_access_after_its_freeze)
{
    begin();
    b.facts.is_storage = 1;
    const uint64_t code = PROGRAM_LOW, data = m->process->arena.whole.begin;
    CHECK_EQ(map(data, PAGE_SIZE, RW, FIXED), data);
    CHECK_EQ(LINUX(mprotect, code, PAGE_SIZE, RW), -EACCES);
    CHECK_EQ(LINUX(mprotect, data, PAGE_SIZE, PROT_READ | PROT_EXEC), -EACCES);
    CHECK_EQ(map(0, PAGE_SIZE, RW | PROT_EXEC, ANYWHERE), -EACCES);
    CHECK_EQ(LINUX(mprotect, data, PAGE_SIZE, PROT_NONE), 0);
    CHECK_EQ(paging_access(m->mem.base, &m->mem.layout, data),
             ACCESS_READ | ACCESS_WRITE);
    end();
}

TEST(only_a_programs_own_memory_can_be_protected)
{
    begin();
    m->booting = 1;
    const struct layout *l = &m->mem.layout;
    const uint64_t wrong[] = {0,         GDT_ADDR,     TRAMPOLINE_ADDR, 0x100000,
                              l->tables, l->shm.begin, l->inbox.begin,  l->program.end};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        CHECK_EQ(LINUX(mprotect, wrong[i], PAGE_SIZE, RW), -ENOMEM);
    CHECK_EQ(LINUX(mprotect, l->program.end - PAGE_SIZE, 2 * PAGE_SIZE, RW), -ENOMEM);
    CHECK_EQ(LINUX(mprotect, l->program.begin, UINT64_MAX - PAGE_SIZE, RW), -ENOMEM);
    CHECK_EQ(LINUX(mprotect, l->program.begin + 1, 1, RW), -EINVAL);
    end();
}

TEST(growing_a_mapping_moves_its_bytes)
{
    begin();
    uint64_t addr = map(0, PAGE_SIZE, RW, ANYWHERE),
             wall = map(0, PAGE_SIZE, RW, ANYWHERE);
    memset(at(addr), 'a', PAGE_SIZE);
    guest_note(&m->mem, addr, 1);
    uint64_t moved =
        (uint64_t)LINUX(mremap, addr, PAGE_SIZE, 3 * PAGE_SIZE, MREMAP_MAYMOVE);
    CHECK(moved != addr && moved + 3 * PAGE_SIZE <= wall);
    CHECK(at(moved)[0] == 'a' && at(moved)[PAGE_SIZE - 1] == 'a');
    CHECK(at(moved)[PAGE_SIZE] == 0 && at(moved)[3 * PAGE_SIZE - 1] == 0);
    end();
}

TEST(what_is_not_mapped_does_not_grow)
{
    begin();
    const struct region whole = b.process.arena.whole;
    const uint64_t wrong[] = {whole.end - 12 * PAGE_SIZE, whole.end, 0};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        CHECK_EQ(LINUX(mremap, wrong[i], PAGE_SIZE, 2 * PAGE_SIZE, MREMAP_MAYMOVE),
                 -EFAULT);
    CHECK_EQ(LINUX(mremap, whole.begin, UINT64_MAX, PAGE_SIZE, 0), -EFAULT);
    end();
}

/* Machines of a storage share its page tables: they have to be open where it maps. */
TEST(storage_is_frozen_with_its_free_memory_open)
{
    begin();
    b.facts.is_storage = m->booting = 1;
    uint64_t addr = map(0, 2 * PAGE_SIZE, RW, ANYWHERE);
    CHECK_EQ(LINUX(munmap, addr, 2 * PAGE_SIZE), 0);
    CHECK_EQ(paging_access(m->mem.base, &m->mem.layout, addr), ACCESS_NONE);
    near_freeze(m);
    m->booting = 0;
    CHECK_EQ(map(0, 2 * PAGE_SIZE, RW, ANYWHERE), addr);
    CHECK(guest_writable(&m->mem, addr, 2 * PAGE_SIZE));
    bare_close(&b);
}

/* What is closed is not opened for a request that maps: it would have to be closed
 * again, at a cost. */
TEST(a_request_maps_what_no_entry_has_to_change_for)
{
    begin();
    m->booting = 1;
    uint64_t hole = map(0, 4 * PAGE_SIZE, RW, ANYWHERE);
    uint64_t kept = map(0, PAGE_SIZE, RW, ANYWHERE);
    CHECK_EQ(LINUX(munmap, hole, 4 * PAGE_SIZE), 0);
    near_freeze(m);
    m->booting = m->space.changed = m->stale_tables = 0;
    uint64_t addr = map(0, 2 * PAGE_SIZE, RW, ANYWHERE);
    CHECK_EQ(addr, kept - 2 * PAGE_SIZE);
    CHECK_EQ(LINUX(munmap, addr, 2 * PAGE_SIZE), 0);
    CHECK_EQ(map(0, 3 * PAGE_SIZE, RW, ANYWHERE), kept - 3 * PAGE_SIZE);
    CHECK(!m->space.changed && !m->stale_tables);
    CHECK_EQ(paging_access(m->mem.base, &m->mem.layout, hole), ACCESS_NONE);
    bare_close(&b);
}

TEST(the_break_stays_in_the_heap_and_grows_by_zeros)
{
    begin();
    const struct region heap = b.process.heap;
    CHECK_EQ(LINUX(brk, 0), heap.begin);
    CHECK_EQ(LINUX(brk, heap.begin + 100), heap.begin + 100);
    memset(at(heap.begin), 'x', 100);
    guest_note(&m->mem, heap.begin, 100);
    CHECK_EQ(LINUX(brk, heap.begin), heap.begin);
    CHECK_EQ(LINUX(brk, heap.end), heap.end);
    CHECK(at(heap.begin)[0] == 0 && at(heap.begin)[99] == 0);
    CHECK_EQ(LINUX(brk, heap.end + 1), heap.end);
    CHECK_EQ(LINUX(brk, UINT64_MAX), heap.end);
    end();
}

/* --- Time --- */

TEST(a_program_that_sleeps_does_not_hold_up_the_host)
{
    begin();
    const struct timespec times[] = {
        {3600, 5}, {INT64_MAX, 999999999}, {0, 0}, {0, -1}};
    const uint64_t addr = m->mem.layout.inbox.begin, hour = 3600000000000UL;
    CHECK_EQ(guest_write(&m->mem, addr, times, sizeof(times)), 0);
    uint64_t before = clock_now();
    CHECK_EQ(LINUX(nanosleep, addr, 0), 0);
    CHECK(m->asleep >= before + hour && m->asleep <= clock_now() + hour + 5);
    CHECK_EQ(LINUX(nanosleep, addr + 16, 0), 0);
    CHECK(m->asleep > before + hour);
    m->asleep = 0;
    CHECK_EQ(LINUX(nanosleep, addr + 32, 0), 0);
    CHECK_EQ(LINUX(clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, addr), 0);
    CHECK_EQ(LINUX(nanosleep, addr + 48, 0), -EINVAL);
    CHECK_EQ(LINUX(nanosleep, 0, 0), -EFAULT);
    CHECK_EQ(m->asleep, 0);
    end();
}

static uint64_t wall_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000UL + (uint64_t)t.tv_nsec;
}

TEST(sleeping_until_a_time_sleeps_the_rest_of_it)
{
    begin();
    const uint64_t addr = m->mem.layout.inbox.begin, slack = 1000000;
    for (uint64_t i = 0; i < 50; i++) {
        uint64_t before = clock_now(), wall = wall_clock();
        const struct timespec t = {(time_t)(wall / 1000000000UL + 1000),
                                   (long)(i * 20000000)};
        uint64_t left = (uint64_t)t.tv_sec * 1000000000UL + (uint64_t)t.tv_nsec - wall;
        guest_write(&m->mem, addr, &t, sizeof(t));
        CHECK_EQ(LINUX(clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, addr), 0);
        CHECK(m->asleep + slack >= before + left);
        CHECK(m->asleep <= clock_now() + left + slack);
    }
    end();
}

/* --- Host calls --- */

TEST(an_answer_may_lie_anywhere_that_can_be_read)
{
    begin();
    const struct layout *l = &m->mem.layout;
    const uint64_t bodies[][2] = {{0, 0},
                                  {PROGRAM_LOW, LARGE_PAGE},
                                  {l->shm.begin, LARGE_PAGE},
                                  {l->call_stack.end - 1, 1},
                                  {l->mapped_end, 0}};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
        HOST(BACKEND_RESPONSE, 200, 0, 0, bodies[i][0], bodies[i][1], 0);
        CHECK_EQ(stop, STOP_ANSWERED);
        CHECK_EQ(m->exchange.body_len, bodies[i][1]);
    }
    end();
}

TEST(an_answer_that_cannot_be_read_fails_the_request)
{
    const uint64_t wrong[][5] = {
        {200, 0, 0, 0, 1},
        {200, 0, 0, UINT64_MAX, 2},
        {200, 0, 0, 0x1000, 8},
        {199, 0, 0, 0, 0},
        {600, 0, 0, 0, 0},
        {200, 0, 1, 0, 0},
        {200, 0x200000, 4096, 0, 0},
        {200, 0x200000, UINT64_MAX},
        {0x100C8},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong) - 1; i++) {
        begin();
        host_call(KVM_API_BACKEND_RESPONSE,
                  (const uint64_t[6]){wrong[i][0], wrong[i][1], wrong[i][2],
                                      wrong[i][3], wrong[i][4], 0});
        CHECK_EQ(stop, STOP_FAILED);
        CHECK(strstr(m->reason, "response: ") == m->reason && m->exchange.status == 0);
        end();
    }
}

TEST(a_stream_that_cannot_begin_fails_the_request)
{
    const uint64_t wrong[][5] = {
        {199, 0, 0, 9, PROGRAM_LOW}, {600, 0, 0, 9, PROGRAM_LOW},
        {200, 0, 1, 9, PROGRAM_LOW}, {200, 0x200000, 4096, 9, PROGRAM_LOW},
        {200, 0, 0, 9, 0},           {200, 0, 0, 9, TRAMPOLINE_ADDR},
        {200, 0, 0, 9, UINT64_MAX},  {200, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        begin();
        host_call(KVM_API_STREAMING_RESPONSE,
                  (const uint64_t[6]){wrong[i][0], wrong[i][1], wrong[i][2],
                                      wrong[i][3], wrong[i][4], 0});
        CHECK_EQ(stop, STOP_FAILED);
        CHECK(m->exchange.status == 0 && m->exchange.stream.function == 0);
        end();
    }
}

TEST(an_answer_of_on_error_is_not_the_stream_that_failed)
{
    begin();
    host_call(KVM_API_STREAMING_RESPONSE,
              (const uint64_t[6]){200, 0, 0, 9, PROGRAM_LOW, 7});
    CHECK_EQ(stop, STOP_ANSWERED);
    CHECK(m->exchange.stream.function == PROGRAM_LOW && m->exchange.stream.arg == 7);
    host_call(KVM_API_BACKEND_RESPONSE, (const uint64_t[6]){500, 0, 0, 0, 0, 0});
    CHECK(stop == STOP_ANSWERED && m->exchange.stream.function == 0);
    end();
}

/* The program's own writes: KVM notes them, the host only its own. */
static void gather(uint32_t op, uint16_t where, uint16_t len, uint32_t data_len)
{
    struct kvm_api_exchange *page = machine_exchange(m);
    const struct kvm_api_header_op head = {op, where, len};
    memcpy(page->data, &head, sizeof(head));
    memcpy(page->data + sizeof(head), "Name: v", 7);
    page->data_len = data_len;
}

TEST(gathered_headers_are_taken_before_the_call_that_brings_them)
{
    begin();
    gather(KVM_API_HTTP_APPEND, 1, 7, 16);
    HOST(BACKEND_RESPONSE, 200, 0, 0, 0, 0, 0);
    CHECK(stop == STOP_ANSWERED && m->exchange.answered.count == 1);
    CHECK_EQ(machine_exchange(m)->data_len, 0);
    end();
}

TEST(gathered_headers_that_lie_fail_the_request)
{
    const struct {
        uint32_t op;
        uint16_t where, len;
        uint32_t data_len;
        const char *reason;
    } wrong[] = {
        {KVM_API_HTTP_APPEND, 1, 7, 3969, "too long"},
        {KVM_API_HTTP_APPEND, 1, 7, UINT32_MAX, "too long"},
        {KVM_API_HTTP_APPEND, 1, 7, 14, "cut off"},
        {KVM_API_HTTP_APPEND, 1, 7, 7, "cut off"},
        {KVM_API_HTTP_APPEND, 1, 7, 17, "cut off"},
        {KVM_API_HTTP_APPEND, 1, UINT16_MAX, 16, "cut off"},
        {KVM_API_HTTP_APPEND, 1, 0, 8, "malformed header"},
        {KVM_API_HTTP_APPEND, 2, 7, 16, "headers of side 2"},
        {KVM_API_HTTP_FIND, 1, 7, 16, "operation 0x10022"},
        {0, 1, 7, 16, "operation 0x0"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        begin();
        gather(wrong[i].op, wrong[i].where, wrong[i].len, wrong[i].data_len);
        HOST(BACKEND_RESPONSE, 200, 0, 0, 0, 0, 0);
        CHECK(stop == STOP_FAILED && m->exchange.status == 0);
        if (!strstr(m->reason, wrong[i].reason))
            CHECK_TEXT(m->reason, wrong[i].reason);
        bare_close(&b);
    }
}

TEST(http_calls_outside_of_a_request_fail)
{
    static const uint32_t calls[] = {KVM_API_BACKEND_RESPONSE, KVM_API_HTTP_APPEND,
                                     KVM_API_HTTP_SET, KVM_API_HTTP_FIND,
                                     KVM_API_HTTP_METHOD};
    for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
        begin();
        m->exchange.request = NULL;
        host_call(calls[i], (const uint64_t[6]){200, 0, 0, 0, 0, 0});
        CHECK_EQ(stop, STOP_FAILED);
        CHECK(strstr(m->reason, "outside of a request") != NULL);
        end();
    }
}

TEST(unknown_calls_are_ENOSYS_and_told_a_bounded_number_of_times)
{
    begin();
    for (uint64_t i = 0; i < 1000; i++)
        CHECK_EQ(host_call(0x50000 + i, (const uint64_t[6]){0}), -ENOSYS);
    for (uint64_t i = 500; i < 2000; i++)
        CHECK_EQ(linux_call(i, (const uint64_t[6]){0}), -ENOSYS);
    CHECK_EQ(linux_call(UINT64_MAX, (const uint64_t[6]){0}), -ENOSYS);
    CHECK_EQ(b.counters.unknown_syscalls, 1501);
    CHECK(drained() < 4096);
    end();
}

TEST(start_up_calls_are_for_start_up)
{
    begin();
    HOST(REGISTER_FUNC, 1, PROGRAM_LOW);
    CHECK(stop == STOP_FAILED && b.facts.callback[1] == 0);
    m->reason[0] = 0;
    HOST(WAIT_FOR_REQUESTS, 0);
    CHECK_EQ(stop, STOP_FAILED);
    m->reason[0] = 0;
    b.facts.is_storage = 1;
    HOST(STORAGE_ALLOW, PROGRAM_LOW);
    CHECK(stop == STOP_FAILED && b.facts.allow_count == 0);
    end();
}

TEST(a_callback_is_one_of_a_few_and_the_programs_own_code)
{
    static const uint64_t wrong[][2] = {{0, PROGRAM_LOW}, {8, PROGRAM_LOW},
                                        {1, 0},           {1, TRAMPOLINE_ADDR},
                                        {1, 0x100000},    {1, UINT64_MAX},
                                        {UINT64_MAX, 0},  {1UL << 32 | 8, PROGRAM_LOW}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        begin();
        m->booting = 1;
        HOST(REGISTER_FUNC, wrong[i][0], wrong[i][1]);
        CHECK_EQ(stop, STOP_FAILED);
        end();
    }
}

TEST(the_allow_list_has_a_bound)
{
    begin();
    m->booting = b.facts.is_storage = 1;
    for (int i = 0; i < ALLOW_MAX; i++)
        CHECK_EQ(HOST(STORAGE_ALLOW, PROGRAM_LOW), 0);
    HOST(STORAGE_ALLOW, PROGRAM_LOW);
    CHECK_EQ(stop, STOP_FAILED);
    end();
}

/* --- Reset --- */

TEST(a_wait_that_a_request_has_left_is_over_for_the_next_one)
{
    begin();
    const uint64_t time = m->mem.layout.inbox.begin;
    m->process->alarm.due = UINT64_MAX; /* something may still happen */
    CHECK_EQ(guest_write(&m->mem, time, (uint64_t[2]){1, 0}, 16), 0);
    LINUX(ppoll, 0, 0, time, 0, 8);
    CHECK(m->waits && m->asleep && m->wait_until);
    CHECK(machine_reset(m, &b.frozen) >= 0);
    CHECK(!m->waits && !m->asleep && !m->wait_until && !m->sleep.restart);
    end();
}
