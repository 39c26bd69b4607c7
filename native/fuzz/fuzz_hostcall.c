/* fuzz_hostcall.c: host calls and system calls, several in a row, with registers and
 * memory from a stranger.
 *
 * A wild 64-bit number is almost never an address, so arguments are mostly a place (the
 * edge of a region) and a small offset. What must hold: no sanitizer speaks; pages that
 * differ from the frozen image are on the dirty list, and on the list are only pages
 * that ring 3 may write; an answer is well-formed. */
#include <asm/unistd_64.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bare.h"
#include "demand.h"
#include "fetch.h"
#include "hostcall.h"
#include "input.h"
#include "paging.h"
#include "reply.h"
#include "storage.h"
#include "syscall.h"

#define MOST_OPS 48
#define COMPARE_EVERY 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct bare b;
static struct machine *m = &b.machine;

static uint64_t place(uint64_t index)
{
    const struct layout *l = &m->mem.layout;
    const uint64_t places[] = {
        0,
        GDT_ADDR,
        TRAMPOLINE_ADDR,
        XSAVE_ADDR,
        EXCEPTION_STACK_TOP,
        KVM_API_EXCHANGE_ADDRESS,
        KVM_API_EXCHANGE_ADDRESS + offsetof(struct kvm_api_exchange, data),
        KVM_API_EXCHANGE_ADDRESS + PAGE_SIZE,
        l->program.begin,
        l->program.begin + LARGE_PAGE,
        b.process.brk,
        b.process.heap.end,
        b.process.arena.whole.begin,
        b.process.arena.low,
        l->program.end,
        l->main_stack.begin,
        l->main_stack.end,
        l->call_stack.begin,
        l->call_stack.end,
        l->inbox.begin,
        l->inbox.end,
        l->tables,
        l->slot_size,
        l->shm.begin,
        l->shm.begin + PAGE_SIZE,
        l->shm.end,
        1UL << 31,
        1UL << 47,
        1UL << 63,
        UINT64_MAX - PAGE_SIZE + 1,
    };
    return places[index % (sizeof(places) / sizeof(*places))];
}

/* An address, a small number, or anything. */
static uint64_t argument(void)
{
    uint64_t how = number(1);
    if (how < 0xa0)
        return place(how) + (uint64_t)(int64_t)(int8_t)number(1);
    if (how < 0xc0)
        return place(how) + PAGE_SIZE * (uint64_t)(int64_t)(int8_t)number(1);
    return how < 0xf0 ? how - 0xc0 : number(how < 0xf4 ? 1 : how < 0xfa ? 2 : 8);
}

/* --- What a program does --- */

static void set_registers(uint64_t rax)
{
    struct kvm_regs *r = vcpu_regs(&m->vm);
    uint64_t fourth;
    r->rax = rax;
    r->rdi = argument();
    r->rsi = argument();
    r->rdx = argument();
    fourth = r->rcx = r->r10 = argument();
    r->r8 = argument();
    r->r9 = fourth ^ argument();
}

static void check_answer(void)
{
    static char bytes[SKERRY_OUT_SIZE];
    static struct text spill;
    struct text out = {.at = bytes, .capacity = 1 + number(2) % sizeof(bytes)};
    struct skerry_reply reply = {0};
    demand(reply_build(&m->exchange, &out, &spill, &reply) == 0);
    demand(reply.status >= 200 && reply.status <= 599 && reply.head_len >= 2);
    for (uint64_t i = 0; i < reply.head_len; i++) {
        demand(reply.head[i] != 0);
        demand(reply.head[i] != '\n' || (i > 0 && reply.head[i - 1] == '\r'));
        demand(reply.head[i] != '\r' || reply.head[i + 1] == '\n');
    }
    demand(memcmp(reply.head + reply.head_len - 2, "\r\n", 2) == 0);
    volatile uint8_t sum = 0;
    for (uint64_t i = 0; i < reply.body_len;
         i += i + PAGE_SIZE < reply.body_len ? 4096 : 1)
        sum = (uint8_t)(sum + reply.body[i]);
}

/* What it waited for comes, with lengths from anywhere. */
static int fetched(void)
{
    static const char bytes[256];
    const struct skerry_wanted *w = &m->fetch->wanted;
    volatile uint8_t sum = 0;
    for (uint32_t i = 0; i < w->url_len + w->fields_len + w->body_len; i++)
        sum = (uint8_t)(sum + w->url[i]);
    const struct skerry_fetched got = {.result = number(1) < 200 ? 0 : -EPROTO,
                                       .status = 200,
                                       .type = bytes,
                                       .headers = bytes,
                                       .content = bytes,
                                       .type_len = number(1),
                                       .headers_len = number(1),
                                       .content_len = number(1)};
    fetch_end(m, &got);
    demand(!m->fetch);
    return GO_ON;
}

static int host_call(void)
{
    static const uint32_t known[] = {KVM_API_REGISTER_FUNC,
                                     KVM_API_WAIT_FOR_REQUESTS,
                                     KVM_API_BACKEND_RESPONSE,
                                     KVM_API_STORAGE_RETURN,
                                     KVM_API_STORAGE_NORETURN,
                                     KVM_API_HTTP_APPEND,
                                     KVM_API_HTTP_SET,
                                     KVM_API_HTTP_FIND,
                                     KVM_API_HTTP_METHOD,
                                     KVM_API_IS_STORAGE,
                                     KVM_API_SHARED_MEMORY_AREA,
                                     KVM_API_STORAGE_ALLOW,
                                     KVM_API_STORAGE_CALLV,
                                     KVM_API_STORAGE_TASK,
                                     KVM_API_STOP_STORAGE_TASK,
                                     KVM_API_MEMINFO,
                                     KVM_API_LOG,
                                     KVM_API_FETCH,
                                     KVM_API_RETURNED,
                                     KVM_API_IS_DEBUG,
                                     KVM_API_BREAKPOINT,
                                     KVM_API_SET_CACHEABLE,
                                     KVM_API_REGEX_COMPILE,
                                     KVM_API_REGEX_FREE,
                                     KVM_API_REGEX_MATCH,
                                     KVM_API_REGEX_SUBST,
                                     KVM_API_REGEX_COPYTO};
    uint64_t which = number(1);
    set_registers(which < 0xf8 ? known[which % (sizeof(known) / sizeof(*known))]
                               : number(8));
    struct storage_call call = {0};
    int stop = hostcall(m);
    if (stop == STOP_ANSWERED)
        check_answer();
    if (stop == STOP_STORAGE)
        demand(storage_answer(NULL, &call, m, 0) == STOP_FAILED);
    return stop == STOP_FETCH ? fetched() : stop;
}

static int system_call(void)
{
    static const uint16_t known[] = {
        __NR_write,    __NR_writev, __NR_mmap,    __NR_munmap, __NR_brk,
        __NR_mprotect, __NR_mremap, __NR_madvise, __NR_poll,   __NR_openat,
        __NR_read,     __NR_readv,  __NR_pread64, __NR_lseek,  __NR_getdents64,
        __NR_dup,      __NR_dup3,   __NR_fcntl,   __NR_close,  __NR_fchdir,
        __NR_fstat,    __NR_statx};
    uint64_t which = number(2);
    if (which < 0x8000)
        set_registers(known[which % (sizeof(known) / sizeof(*known))]);
    else
        set_registers(which < 0xff00 ? which % 350 : number(8));
    return syscall_answer(m) < 0 ? STOP_FAILED : GO_ON;
}

/* The program writes to its memory, without the host's help. */
static int store(void)
{
    uint64_t addr = argument(), len = number(1);
    len = len < left ? len : left;
    uint8_t *dst = guest_window(&m->mem, addr, len);
    if (dst)
        memcpy(dst, input, len);
    input += len;
    left -= len;
    return GO_ON;
}

/* A struct of words that are addresses: a vector, a buffer, extra headers. */
static int store_words(void)
{
    uint64_t addr = argument(), count = number(1) % 16;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t word = argument();
        guest_write(&m->mem, addr + i * 8, &word, 8);
    }
    return GO_ON;
}

/* Header fields, good ones and bad ones; the input may change a byte. */
static uint64_t field(char text[64])
{
    static const char *const fields[] = {"Name: value",
                                         "name: other",
                                         "Name",
                                         "content-type: a/b",
                                         "Host: x",
                                         "A: b\r\nC: d",
                                         "Content-Length: 9",
                                         "Date: now",
                                         "a: b",
                                         "Host"};
    const char *chosen = fields[number(1) % (sizeof(fields) / sizeof(*fields))];
    uint64_t len = strlen(chosen), at = number(1);
    memcpy(text, chosen, len);
    if (at < len)
        text[at] = (char)number(1);
    return len;
}

static int store_field(void)
{
    char text[64];
    uint64_t len = field(text);
    guest_write(&m->mem, argument(), text, len);
    return GO_ON;
}

/* Gathers a header operation as kvm_api.h does, or nearly so. */
static int gather(void)
{
    struct kvm_api_exchange *page = machine_exchange(m);
    const uint32_t op = KVM_API_HTTP_APPEND + (uint32_t)number(1) % 3;
    char text[64];
    struct kvm_api_header_op head = {op, number(1) < 128, (uint16_t)field(text)};
    uint32_t at = page->data_len, size = (uint32_t)(sizeof(head) + head.len + 7) & ~7u;
    if (at > KVM_API_EXCHANGE_DATA || size > KVM_API_EXCHANGE_DATA - at)
        return GO_ON;
    head.len = (uint16_t)(head.len + (int8_t)number(1) / 64);
    guest_note(&m->mem, KVM_API_EXCHANGE_ADDRESS, PAGE_SIZE);
    memcpy(page->data + at, &head, sizeof(head));
    memcpy(page->data + at + sizeof(head), text, size - sizeof(head));
    page->data_len = at + size;
    return GO_ON;
}

/* What only a program that does not use kvm_api.h writes. */
static int spoil(void)
{
    struct kvm_api_exchange *page = machine_exchange(m);
    guest_note(&m->mem, KVM_API_EXCHANGE_ADDRESS, PAGE_SIZE);
    page->data_len = (uint32_t)number(2);
    page->result_ready = (uint32_t)number(1);
    return GO_ON;
}

/* A string from the input at (addr), of at most 63 bytes. Its length. */
static uint64_t string(uint64_t addr)
{
    char text[64] = "";
    uint64_t len = number(1) % sizeof(text);
    len = len < left ? len : left;
    memcpy(text, input, len);
    input += len;
    left -= len;
    guest_write(&m->mem, addr, text, len + 1);
    return len;
}

static int call(uint32_t nr, const uint64_t arg[6])
{
    struct kvm_regs *r = vcpu_regs(&m->vm);
    *r = (struct kvm_regs){.rax = nr,
                           .rdi = arg[0],
                           .rsi = arg[1],
                           .rdx = arg[2],
                           .rcx = arg[3],
                           .r8 = arg[4],
                           .r9 = arg[5]};
    return hostcall(m);
}

/* A pattern, and what it is to match: wild registers rarely meet both. */
static int regex(void)
{
    const uint64_t pattern = m->mem.layout.inbox.begin, text = pattern + 64,
                   with = pattern + 128, to = pattern + 256;
    uint64_t pattern_len = string(pattern), len = string(text), room = number(1);
    string(with);
    call(KVM_API_REGEX_COMPILE, (const uint64_t[6]){pattern, pattern_len});
    uint64_t h = vcpu_regs(&m->vm)->rax;
    if (room < 0x80)
        return call(KVM_API_REGEX_MATCH, (const uint64_t[6]){h, text, len});
    if (room < 0xf0)
        return call(KVM_API_REGEX_SUBST,
                    (const uint64_t[6]){h, text, with, to, room - 0x80, room & 1});
    return call(KVM_API_REGEX_COPYTO, (const uint64_t[6]){h, room & 1, !(room & 1)});
}

/* --- One input, one request --- */

static void add_file(int index, int kind, uint64_t size)
{
    struct descriptors *d = &b.frozen.process.files;
    int fd = memfd_create("file", 0);
    demand(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
    b.frozen.files.own[index] = fd;
    d->open[index] = (struct open_file){.kind = (uint8_t)kind, .at_start = 1};
    descriptors_set(d, index, (uint32_t)index, 0);
}

/* Start-up has opened a file and a directory with two names. */
static void open_files(void)
{
    struct {
        uint64_t inode, next;
        uint16_t size;
        uint8_t kind;
        char name[5];
    } entries[2] = {{1, 24, 24, 4, "."}, {2, 48, 24, 8, "file"}};
    add_file(3, OPEN_FILE, 3 * PAGE_SIZE + 100);
    add_file(4, OPEN_DIRECTORY, OPENER_ENTRIES_AT + sizeof(entries));
    demand(pwrite(b.frozen.files.own[4], "/there", 7, OPENER_PATH_AT) == 7);
    demand(pwrite(b.frozen.files.own[4], entries, sizeof(entries), OPENER_ENTRIES_AT) ==
           sizeof(entries));
    files_init(&m->files, -1, OPENER_REQUEST, &b.frozen.files);
    b.process = b.frozen.process;
}

static void begin(void)
{
    uint64_t kind = number(1);
    if (!m->mem.base) {
        bare_open(&b, MAX_MEMORY_MIN, LARGE_PAGE);
        open_files();
    }
    memset(&b.facts, 0, sizeof(b.facts));
    memset(&b.counters, 0, sizeof(b.counters));
    b.facts.max_memory = b.facts.max_request_memory = MAX_MEMORY_MIN;
    b.facts.is_storage = kind & 1;
    m->booting = !!(kind & 2);
    m->exchange.request = kind & 5 || m->booting ? NULL : &b.request;
    m->deadline = clock_now();
    memset(m->vm.run, 0, sizeof(*m->vm.run));
    m->vm.run->s.regs.sregs.cr3 = paging_root(&m->mem.layout);
}

static void check_process(void)
{
    const struct process *p = &b.process;
    demand(p->brk >= p->heap.begin && p->brk <= p->heap.end && p->brk <= p->brk_high);
    demand(p->arena.count <= ARENA_RANGES);
    for (uint32_t i = 0; i < p->arena.count; i++) {
        struct region r = p->arena.free[i];
        demand(r.begin < r.end &&
               region_holds(p->arena.whole, r.begin, r.end - r.begin));
        uint64_t before = i ? p->arena.free[i - 1].end : 0;
        demand(before < r.begin || (before == r.begin && before == p->arena.open));
    }
    for (uint32_t fd = 0; fd < DESCRIPTORS; fd++) {
        int index = descriptors_find(&p->files, fd);
        demand(index < DESCRIPTORS &&
               (index < 0 || p->files.open[index].kind != OPEN_NONE));
    }
    demand(memchr(p->files.directory, 0, DIRECTORY_MAX) != NULL);
    demand(strnlen(m->reason, REASON_SIZE) < REASON_SIZE);
}

/* The program may open all that is its own to writes; its calls change page tables. */
static int may_be_written(uint64_t addr)
{
    const struct layout *l = &m->mem.layout;
    return region_holds(l->program, addr, 1) || addr >= l->tables ||
           paging_access(b.frozen.frozen, l, addr) & ACCESS_WRITE;
}

static void check_memory(void)
{
    static int since;
    for (uint32_t i = 0; i < m->dirty.count; i++)
        demand(may_be_written(m->dirty.pages[i] * PAGE_SIZE));
    if (since++ % COMPARE_EVERY == 0)
        demand(bare_forgotten(&b) == 0);
}

/* Start-up may open code to writes, and changes page tables: all of it goes. */
static void forget_start_up(void)
{
    demand(madvise(m->mem.base, m->mem.layout.slot_size, MADV_DONTNEED) == 0);
    dirty_forget(&m->dirty);
}

static void end(void)
{
    char line[64];
    int kind;
    if (m->booting)
        forget_start_up();
    else
        check_memory();
    m->touched = 1;
    m->fetches = 0;
    machine_reset(m, &b.frozen);
    memset(m->mem.shm, 0, PAGE_SIZE);
    free(m->result.data);
    m->result = (struct storage_result){0};
    tasks_close(m->tasks);
    m->tasks = NULL;
    while (skerry_console_take(m->console, line, sizeof(line), &kind) >= 0)
        ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int (*const ops[])(void) = {host_call,   host_call, system_call,
                                       store,       gather,    store_words,
                                       store_field, spoil,     regex};
    input = data;
    left = size;
    begin();
    int stop = GO_ON;
    for (int i = 0; i < MOST_OPS && left && stop == GO_ON; i++)
        stop = ops[number(1) % (sizeof(ops) / sizeof(*ops))]();
    check_process();
    end();
    return 0;
}
