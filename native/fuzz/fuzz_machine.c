/* fuzz_machine.c: programs from a stranger, as they are served: started, frozen,
 * cloned, run and put back, with a processor that does what the input says.
 *
 * What must hold, beside that no sanitizer speaks: a machine is entered only with
 * registers that ring 3 may have; the page tables give ring 3 nothing of ours; and a
 * clone that has been put back is as it was frozen, each page and all that the host
 * knows of it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "demand.h"
#include "input.h"
#include "paging.h"
#include "program.h"
#include "serve.h"
#include "threads.h"
#include "tiny.h"

#define EPOCH (1000UL * 1000000000) /* when an input begins */
#define SECOND 1000000000UL
#define START_STEPS 60
#define REQUEST_STEPS 60
#define REQUESTS 3
#define ROUNDS 80 /* that a request takes to its end: it fetches, it streams */
#define DESCRIPTORS_MAX 200 /* of this process: what is closed leaves none */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bits of an input's first two bytes. */
enum {
    FRESH = 1,   /* started anew; else a clone of one that has only its kit */
    STORAGE = 2, /* it has one */
    TRACED = 4,
    FILES = 8,
    PAUSES = 16,
    LOOKS = 32,
    SMALL = 64, /* may write little */
    STREAMS = 128,
    KIT = 256,     /* and 512 */
    PARCEL = 1024, /* goes to another process between */
    DYNAMIC = 2048 /* names a dynamic linker */
};

#define KITS 4

static struct skerry_shm *shm;
static struct skerry_console *console;
static struct skerry_snapshot *standing[KITS];
static struct skerry_vm *standing_vm[KITS];
static int opener;

/* --- A clone is as it was frozen --- */

/* Its own pages, those that the kernel has copied for it, have the frozen bytes. */
static void check_pages(const struct skerry_vm *vm)
{
    static uint64_t entries[1 << 15];
    const uint64_t present = 1UL << 63, swapped = 1UL << 62, of_file = 1UL << 61;
    const uint8_t *base = vm->machine.mem.base;
    uint64_t pages = vm->snapshot->layout.slot_size >> PAGE_SHIFT;
    static int map = -1;
    if (map < 0)
        map = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    demand(pages <= sizeof(entries) / 8);
    demand(pread(map, entries, pages * 8, (off_t)((uintptr_t)base >> PAGE_SHIFT) * 8) ==
           (ssize_t)(pages * 8));
    for (uint64_t i = 0; i < pages; i++)
        if (entries[i] & (present | swapped) && !(entries[i] & of_file))
            demand(memcmp(base + i * PAGE_SIZE, vm->snapshot->frozen + i * PAGE_SIZE,
                          PAGE_SIZE) == 0);
}

static void check_space(const struct space *is, const struct space *was)
{
    const struct far_range *a = space_next(is, 0), *b = space_next(was, 0);
    demand(is->total == was->total);
    demand(is->next_table == was->next_table && is->free_table == was->free_table);
    for (; a && b; a = space_next(is, a->end), b = space_next(was, b->end))
        demand(a->begin == b->begin && a->end == b->end && a->access == b->access);
    demand(!a && !b);
}

static void check_object(const struct object *is, const struct object *was)
{
    demand(!is == !was);
    if (!is)
        return;
    struct object a = *is, b = *was;
    a.data = b.data = NULL;
    a.changed = b.changed = 0;
    demand(memcmp(&a, &b, sizeof(a)) == 0);
    demand(!a.room || memcmp(is->data, was->data, a.room) == 0);
}

static void check_threads(const struct threads *is, const struct threads *was)
{
    demand(!is == !was);
    if (!is)
        return;
    demand(memcmp(is, was, offsetof(struct threads, fpu)) == 0);
    for (uint32_t i = 0; i < THREADS; i++)
        if (was->at[i].tid && i != was->current)
            demand(memcmp(is->fpu[i], was->fpu[i], PAGE_SIZE) == 0);
}

static void check_clone(const struct skerry_vm *vm)
{
    const struct machine *m = &vm->machine;
    const struct skerry_snapshot *s = vm->snapshot;
    demand(memcmp(m->process, &s->process, sizeof(s->process)) == 0);
    check_space(&m->space, &s->space);
    check_threads(m->threads, s->threads);
    for (int i = 0; i < DESCRIPTORS; i++)
        check_object(m->objects.at[i], s->objects.at[i]);
    demand(m->objects.bytes == s->objects.bytes &&
           m->objects.memory_bytes == s->objects.memory_bytes);
    demand(m->files.count == 0 && !m->regexes.changed);
    demand(!m->asleep && !m->waits && !m->again);
    demand(!m->wait_until);
    demand(!m->tick);
    demand(!m->bounce.first && !m->reason[0] && !m->is_kept && !m->has_next);
    check_pages(vm);
}

/* --- What is behind far addresses --- */

/* What has memory is mapped, and allows what its range does. */
static void check_far_table(const struct machine *m, uint64_t at, uint64_t addr,
                            int shift)
{
    const uint64_t *table = (const uint64_t *)(const void *)(m->mem.base + at);
    for (uint64_t i = 0; i < 512; i++) {
        uint64_t begin = addr + (i << shift);
        if (!table[i] || begin + (1UL << shift) <= m->mem.layout.far.begin)
            continue;
        if (shift > PAGE_SHIFT) {
            check_far_table(m, paging_target(table[i]), begin, shift - 9);
            continue;
        }
        const struct far_range *f = space_find(&m->space, begin);
        demand(f && paging_leaf_access(table[i]) == f->access);
    }
}

/* Of a machine that goes on: one that has no memory left fails in the middle. */
static void check_far(const struct machine *m)
{
    if (m->space.changed && !m->space.exhausted)
        check_far_table(m, m->mem.layout.tables, 0, 39);
}

/* --- A request --- */

static void take_fetched(struct skerry_vm *vm)
{
    static const char some[256];
    const struct skerry_wanted *w = skerry_wanted(vm);
    volatile uint8_t sum = 0;
    for (uint64_t i = 0; w && i < w->url_len + w->fields_len + w->body_len; i++)
        sum = (uint8_t)(sum + w->url[i]);
    const struct skerry_fetched got = {.result = choice(4) ? 0 : -5,
                                       .status = 200,
                                       .type = some,
                                       .headers = some,
                                       .content = some,
                                       .type_len = number(1),
                                       .headers_len = number(1),
                                       .content_len = number(1)};
    skerry_fetched(vm, &got);
    skerry_go_on(vm);
}

static void look_at_remains(struct skerry_vm *vm)
{
    struct skerry_remains *remains = NULL;
    struct skerry_error err;
    struct skerry_range range = {0};
    if (skerry_vm_remains(vm, &remains, &err) < 0)
        return;
    demand(skerry_remains_reason(remains)[0]);
    for (int i = 0; i < 8 && skerry_remains_next(remains, range.end, &range); i++)
        demand(range.begin < range.end);
    skerry_remains_close(remains);
}

/* Tells if more is to come. */
static int carry_on(struct skerry_vm *vm, const struct skerry_reply *r)
{
    if (r->flags & SKERRY_BUSY) {
        if (r->flags & SKERRY_FAILED)
            look_at_remains(vm);
        skerry_resume(vm);
    } else if (r->flags & SKERRY_WAITS && !skerry_wanted(vm)) {
        skerry_go_on(vm); /* nothing comes from outside */
    } else if (r->flags & SKERRY_WAITS) {
        take_fetched(vm);
    } else if (r->flags & SKERRY_MORE) {
        skerry_post(vm, "more", choice(2) ? 4 : 0);
    } else if (r->flags & SKERRY_STREAM && !(r->flags & SKERRY_FAILED)) {
        skerry_stream(vm, (int)choice(2));
    } else {
        return 0;
    }
    return 1;
}

static void check_reply(const struct skerry_reply *r)
{
    volatile uint8_t sum = 0;
    int is_piece = !r->status; /* of a body whose response has been given before */
    demand(r->flags & SKERRY_FAILED || is_piece ||
           (r->status >= 200 && r->status <= 599));
    demand(!is_piece || !r->head_len);
    for (uint64_t i = 0; i < r->body_len; i += PAGE_SIZE)
        sum = (uint8_t)(sum + r->body[i]);
}

/* Tells if the clone can be used again. */
static int serve(struct skerry_vm *vm, uint64_t how)
{
    const char *body = how & STREAMS && choice(2) ? "a body" : "";
    const struct skerry_reply *r = skerry_vm_replies(vm);
    program_begin(0, REQUEST_STEPS);
    demand(skerry_add(vm, "POST", "/", "Host: test\r\n", "text/plain", body,
                      strlen(body)) == 0);
    if (!body[0] && skerry_takes_pieces(vm->snapshot))
        skerry_post(vm, "a piece", 7);
    else
        demand(skerry_run(vm) == 1);
    for (int i = 0; i < ROUNDS && carry_on(vm, r); i++)
        ;
    if (vm->machine.space.changed)
        processor_check_tables(processor_last());
    if (r->flags & (SKERRY_DISCARD | SKERRY_FAILED | SKERRY_BUSY | SKERRY_WAITS))
        return 0;
    check_reply(r);
    check_far(&vm->machine);
    if (skerry_reset(vm) < 0)
        return 0;
    check_clone(vm);
    return 1;
}

static struct skerry_vm *clone(struct skerry_snapshot *s,
                               struct skerry_storage *storage, uint64_t how)
{
    const struct skerry_limits limits = {.request_ns = SECOND,
                                         .inline_ns = how & LOOKS ? SECOND / 100 : 0,
                                         .hold = 1,
                                         .look = !!(how & LOOKS),
                                         .trace = how & TRACED ? opener : 0};
    struct skerry_vm *vm = NULL;
    struct skerry_error err;
    demand(skerry_vm_open(s, storage, &limits, console, &vm, &err) == 0);
    return vm;
}

/* --- A start-up --- */

/* A program that names its dynamic linker, which is (path) of the opener's. */
struct dynamic {
    Elf64_Ehdr header;
    Elf64_Phdr segment[2];
    uint8_t code[512];
    char path[8];
};

static struct dynamic dynamic_program(const struct tiny *plain)
{
    struct dynamic d = {.header = plain->header, .path = "/ld"};
    d.header.e_phoff = offsetof(struct dynamic, segment);
    d.header.e_phnum = 2;
    d.header.e_entry = TINY_ADDR + offsetof(struct dynamic, code);
    d.segment[0] = plain->segment;
    d.segment[0].p_filesz = d.segment[0].p_memsz = sizeof(d);
    d.segment[1] = (Elf64_Phdr){
        .p_type = PT_INTERP, .p_offset = offsetof(struct dynamic, path), .p_filesz = 4};
    return d;
}

static uint64_t callbacks_of(uint64_t how)
{
    uint64_t on = 1 << ON_GET | 1 << ON_POST;
    if (how & PAUSES)
        return 0;
    return how & STREAMS ? on | 1 << ON_STREAM_POST | 1 << ON_ERROR : on;
}

static struct skerry_snapshot *boot(uint64_t how, int is_storage,
                                    struct skerry_storage *storage)
{
    static const uint8_t code[] = {0x0f, 0x0b};
    const struct tiny file = tiny_program(code, sizeof(code));
    const struct dynamic dynamic = dynamic_program(&file);
    struct skerry_boot_options options = {
        .name = "fuzz",
        .elf = how & DYNAMIC ? (const uint8_t *)&dynamic : (const uint8_t *)&file,
        .elf_len = how & DYNAMIC ? sizeof(dynamic) : sizeof(file),
        .is_storage = (uint32_t)is_storage,
        .debug = !!(how & LOOKS),
        .max_memory = MAX_MEMORY_MIN,
        .address_space = 1UL << 41,
        .max_request_memory = how & SMALL ? 256UL << 10 : MAX_MEMORY_MIN,
        .boot_ns = 4 * SECOND,
        .shm = shm,
        .storage = storage,
        .opener = how & FILES ? opener : -1,
        .directory = "/",
        .control_ephemeral = 1,
        .warmup_requests = how & LOOKS ? 2 : 0,
        .warmup_method = "GET",
        .warmup_url = "/",
        .warmup_headers = "",
        .trace = how & TRACED ? opener : 0};
    struct skerry_snapshot *s = NULL;
    struct skerry_error err = {0};
    program_callbacks = is_storage ? 1 : callbacks_of(how);
    program_kit = how / KIT % KITS;
    program_begin(1, START_STEPS);
    int ret = skerry_boot(&options, console, &s, &err);
    demand(ret == 0 ? s != NULL : err.code == -ret && err.text[0] != 0);
    return s;
}

/* --- One input --- */

static void prepare(void)
{
    const uint8_t *rest = input;
    const size_t rest_left = left;
    struct skerry_error err;
    demand(layout_make(&program_layout, MAX_MEMORY_MIN, LARGE_PAGE) == 0);
    demand(skerry_shm_open(LARGE_PAGE, &shm, &err) == 0);
    console = skerry_console_open();
    opener = open("/dev/null", O_RDWR | O_CLOEXEC);
    demand(console && opener >= 0);
    left = 0;
    for (uint64_t i = 0; i < KITS; i++) {
        standing[i] = boot(FILES | i * KIT, 0, NULL);
        demand(standing[i]);
    }
    input = rest;
    left = rest_left;
}

/* As it comes out of the process that has started it. */
static struct skerry_snapshot *pass_on(struct skerry_snapshot *s)
{
    struct skerry_snapshot *other = NULL;
    struct skerry_error err;
    int fds[SKERRY_FILES], count = skerry_snapshot_files(s, fds);
    size_t size = skerry_snapshot_size(s);
    uint8_t *bytes = malloc(size);
    demand(bytes);
    int fd = dup(skerry_snapshot_export(s, bytes));
    demand(skerry_snapshot_import(bytes, size, fd, shm, &other, &err) == 0);
    for (int i = 0; i < count; i++)
        fds[i] = dup(fds[i]);
    demand(skerry_snapshot_adopt(other, dup(opener), fds, count, &err) == 0);
    free(bytes);
    skerry_snapshot_close(s);
    return other;
}

static struct skerry_storage *open_storage(uint64_t how)
{
    static const int no_control[2] = {-1, -1};
    struct skerry_snapshot *s = boot(how, 1, NULL);
    struct skerry_storage *storage = NULL;
    struct skerry_error err = {0};
    if (!s)
        return NULL;
    int ret = skerry_storage_open(s, SECOND, NULL, no_control, console, &storage, &err);
    demand(ret == 0 ? storage != NULL : err.text[0] != 0);
    skerry_snapshot_close(s);
    return storage;
}

static void try_fresh(uint64_t how)
{
    struct skerry_storage *storage = how & STORAGE ? open_storage(how) : NULL;
    struct skerry_snapshot *s = boot(how, 0, storage);
    if (s && how & PARCEL)
        s = pass_on(s);
    struct skerry_vm *vm = s ? clone(s, storage, how) : NULL;
    for (int i = 0; i < REQUESTS && vm && left && serve(vm, how); i++)
        ;
    if (storage)
        skerry_storage_run_task(storage);
    skerry_vm_close(vm);
    skerry_snapshot_close(s);
    skerry_storage_close(storage);
}

static void try_standing(uint64_t how)
{
    uint64_t which = how / KIT % KITS;
    struct skerry_vm **vm = &standing_vm[which];
    if (!*vm)
        *vm = clone(standing[which], NULL, how);
    for (int i = 0; i < REQUESTS && *vm && left; i++)
        if (!serve(*vm, how)) {
            skerry_vm_close(*vm);
            *vm = NULL;
        }
}

static void drop_lines(void)
{
    char line[64];
    int kind;
    while (skerry_console_take(console, line, sizeof(line), &kind) >= 0)
        ;
}

/* Nothing of an input stays open. */
static void check_descriptors(void)
{
    int fd = dup(opener);
    demand(fd >= 0 && fd < DESCRIPTORS_MAX);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input = data;
    left = size;
    processor_now = EPOCH;
    processor_kick = UINT64_MAX;
    if (!console)
        prepare();
    uint64_t how = number(2);
    if (how & FRESH)
        try_fresh(how);
    else
        try_standing(how);
    drop_lines();
    memset(shm->at, 0, 2 * PAGE_SIZE);
    check_descriptors();
    processor_now = 0;
    return 0;
}
