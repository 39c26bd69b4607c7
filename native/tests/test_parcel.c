/* What a worker takes over from the process that runs start-ups, which a guest may have
 * broken. */
#include <fcntl.h>

#include "bare.h"
#include "check.h"
#include "far.h"
#include "parcel.c"

#define FAR_PAGE (b.machine.mem.layout.far.begin + (5UL << 30))
#define PIPE_FILE 3 /* index of the open file, and its descriptor */
#define EPOLL_FILE 4
#define SIZE_MAX_HERE 0x20000
#define USES 16
#define ROUNDS 1500

static struct bare b;
static struct kvm before;
static struct skerry_error error;
static uint8_t parcel[SIZE_MAX_HERE];
static size_t size;

/* --- A frozen machine that has some of all --- */

static void open_object(int index, int kind)
{
    struct descriptors *d = &b.process.files;
    int number = objects_make(&b.machine.objects, d, kind);
    CHECK(number > 0);
    d->open[index] = (struct open_file){
        .kind = (uint8_t)kind, .at_start = 1, .object = (uint8_t)number};
    CHECK_EQ(descriptors_add(d, index, 0, 0), index);
}

static void watch_the_pipe(void)
{
    struct objects *o = &b.machine.objects;
    struct object *at =
        objects_change(o, b.process.files.open[EPOLL_FILE].object, OPEN_EPOLL);
    const struct watched w = {.fd = PIPE_FILE, .index = PIPE_FILE};
    CHECK_EQ(objects_grow(o, at, sizeof(w)), 0);
    memcpy(at->data, &w, sizeof(w));
    at->epoll.count = 1;
}

static void make_threads(void)
{
    CHECK_EQ(threads_make(&b.machine), 0);
    struct threads *t = b.frozen.threads = b.machine.threads;
    b.machine.threads = NULL;
    t->count = 2;
    t->at[1].tid = t->last_tid = 2;
}

/* The memory that the machine has now, in a file that is (seals). Word (at) of it is
 * changed by (bits). */
static int memory_of(uint64_t at, uint64_t bits, int seals)
{
    static const uint8_t zeros[PAGE_SIZE];
    uint64_t *word = (uint64_t *)(void *)(b.machine.mem.base + at);
    int fd = memory_create("parcel", b.frozen.layout.slot_size, &error);
    CHECK(fd >= 0);
    *word ^= bits;
    for (uint64_t page = 0; page < b.frozen.layout.slot_size; page += PAGE_SIZE)
        if (memcmp(b.machine.mem.base + page, zeros, PAGE_SIZE) != 0)
            CHECK_EQ(pwrite(fd, b.machine.mem.base + page, PAGE_SIZE, (off_t)page),
                     PAGE_SIZE);
    *word ^= bits;
    CHECK_EQ(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static void export(void)
{
    size = skerry_snapshot_size(&b.frozen);
    CHECK(size <= sizeof(parcel));
    skerry_snapshot_export(&b.frozen, parcel);
}

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static void begin(void)
{
    struct machine *m = &b.machine;
    struct kvm *kvm = kvm_get(&error);
    CHECK(kvm);
    before = *kvm;
    kvm->ring0_stub = 0;
    kvm->tss_type = SEG_TYPE_TSS_BUSY;
    bare_open(&b, MAX_MEMORY_MIN, 0);
    open_object(PIPE_FILE, OPEN_PIPE);
    open_object(EPOLL_FILE, OPEN_EPOLL);
    watch_the_pipe();
    make_threads();
    const struct region far = {FAR_PAGE, FAR_PAGE + PAGE_SIZE};
    CHECK_EQ(space_map(&m->space, far, ACCESS_READ | ACCESS_WRITE), 0);
    CHECK_EQ(far_back(&m->mem, FAR_PAGE, ACCESS_WRITE), 0);
    m->space.changed = 0;
    arena_freeze(&b.process.arena, b.process.arena.low);
    b.process.signals.pending = (struct pending_signals){
        .set = signal_bit(SIGUSR1), .queued = 1, .queue = {{.signal = SIGUSR1}}};
    b.frozen.process = b.process;
    b.frozen.facts = b.facts;
    CHECK_EQ(space_copy(&b.frozen.space, &m->space), 0);
    objects_freeze(&m->objects, &b.frozen.objects);
    close(b.frozen.fd);
    b.frozen.fd = memory_of(0, 0, SEALS);
    export();
}

static void end(void)
{
    objects_restore(&b.frozen.objects, NULL);
    space_close(&b.frozen.space);
    threads_close(b.frozen.threads);
    bare_close(&b);
    *kvm_get(&error) = before;
}

/* --- Taken over --- */

/* Takes (fd) over too. */
static struct skerry_snapshot *import(int fd)
{
    struct skerry_snapshot *s = NULL;
    uint8_t *exact = malloc(size); /* so that a byte too many is seen */
    CHECK(exact && fd >= 0);
    memcpy(exact, parcel, size);
    error = (struct skerry_error){0};
    int ret = skerry_snapshot_import(exact, size, fd, NULL, &s, &error);
    CHECK((ret == 0) == (s != NULL));
    free(exact);
    return s;
}

static void check_refused(const char *field, int fd, const char *text)
{
    struct skerry_snapshot *s = import(fd);
    if (s || strcmp(error.text, text) != 0)
        check_fail(__FILE__, __LINE__, "%s: %s", field, s ? "taken" : error.text);
}

TEST(a_frozen_machine_is_taken_over_as_it_is)
{
    begin();
    struct skerry_snapshot *s = import(dup(b.frozen.fd));
    CHECK_TEXT(error.text, "");
    CHECK(s && memcmp(&s->process, &b.frozen.process, sizeof(s->process)) == 0);
    skerry_snapshot_close(s);
    end();
}

/* --- Each field in its turn --- */

#define HUGE_VALUE 0x7fffffffffff0000UL
#define FIELD(field, value, text)                                                      \
    {#field, offsetof(struct snapshot_parcel, field),                                  \
     sizeof(((struct snapshot_parcel *)NULL)->field), value, "broken: its " text}

static const struct {
    const char *name;
    size_t at, len;
    uint64_t value;
    const char *text;
} fields[] = {
    FIELD(layout.program.end, HUGE_VALUE, "sizes"),
    FIELD(layout.program.end, MAX_MEMORY_MIN + LARGE_PAGE, "sizes"),
    FIELD(layout.main_stack.begin, 0, "sizes"),
    FIELD(layout.call_stack.end, HUGE_VALUE, "sizes"),
    FIELD(layout.inbox.begin, 0, "sizes"),
    FIELD(layout.shm.end, HUGE_VALUE, "sizes"),
    FIELD(layout.tables, 0, "sizes"),
    FIELD(layout.leaf_tables, HUGE_VALUE, "sizes"),
    FIELD(layout.mapped_end, HUGE_VALUE, "sizes"),
    FIELD(layout.slot_size, HUGE_VALUE, "sizes"),
    FIELD(layout.far_tables.end, HUGE_VALUE, "sizes"),
    FIELD(layout.far.begin, 0, "sizes"),
    FIELD(facts.max_memory, 1, "sizes"),
    FIELD(facts.allow_count, ALLOW_MAX + 1, "description"),
    FIELD(facts.is_storage, 2, "description"),
    FIELD(facts.debug, 2, "description"),
    FIELD(facts.ephemeral, 2, "description"),
    FIELD(facts.control_ephemeral, 2, "description"),
    FIELD(process.arena.count, ARENA_RANGES + 1, "mappings"),
    FIELD(process.arena.count, ARENA_RANGES, "mappings"),
    FIELD(process.arena.free[0].begin, 0, "mappings"),
    FIELD(process.arena.free[0].begin, HUGE_VALUE, "mappings"),
    FIELD(process.arena.free[0].end, HUGE_VALUE, "mappings"),
    FIELD(process.arena.free[0].end, 0, "mappings"),
    FIELD(process.arena.low, 0, "mappings"),
    FIELD(process.arena.low, HUGE_VALUE, "mappings"),
    FIELD(process.arena.open, 1, "mappings"),
    FIELD(process.arena.open, HUGE_VALUE, "mappings"),
    FIELD(process.arena.whole.begin, 0, "mappings"),
    FIELD(process.arena.whole.end, HUGE_VALUE, "mappings"),
    FIELD(process.heap.begin, 0, "heap"),
    FIELD(process.heap.end, HUGE_VALUE, "heap"),
    FIELD(process.heap.end, MAX_MEMORY_MIN, "heap"),
    FIELD(process.brk, 0, "heap"),
    FIELD(process.brk, HUGE_VALUE, "heap"),
    FIELD(process.brk_high, HUGE_VALUE, "heap"),
    FIELD(process.files.file[7], DESCRIPTORS + 1, "open files"),
    FIELD(process.files.file[7], DESCRIPTORS, "open files"),
    FIELD(process.files.open[0].kind, OPEN_NONE, "open files"),
    FIELD(process.files.open[0].kind, OPEN_STATE, "open files"),
    FIELD(process.files.open[0].kind, UINT8_MAX, "open files"),
    FIELD(process.files.open[0].at_start, 0, "open files"),
    FIELD(process.files.open[0].offset, UINT64_MAX, "open files"),
    FIELD(process.files.open[0].object, 1, "open files"),
    FIELD(process.files.open[PIPE_FILE].object, 0, "open files"),
    FIELD(process.files.open[PIPE_FILE].object, 2, "open files"),
    FIELD(process.files.open[PIPE_FILE].object, UINT8_MAX, "open files"),
    FIELD(process.files.open[PIPE_FILE].other, 1, "open files"),
    FIELD(process.files.open[PIPE_FILE].kind, OPEN_EVENT, "open files"),
    FIELD(process.files.directory[0], 0, "open files"),
    FIELD(process.signals.pending.queued, SIGNALS_QUEUED + 1, "signals"),
    FIELD(process.signals.pending.queue[0].signal, SIGNAL_COUNT, "signals"),
    FIELD(process.signals.pending.queue[0].signal, UINT32_MAX, "signals"),
    FIELD(process.shared.queued, SIGNALS_QUEUED + 1, "signals"),
    FIELD(process.alarm.due, 1, "signals"),
    FIELD(process.alarm.interval, 1, "signals"),
    FIELD(process.umask, 01000, "settings"),
    FIELD(process.settings.nice, 20, "settings"),
    FIELD(space.total, 0, "far ranges"),
    FIELD(space.limit, 0, "far ranges"),
    FIELD(space.changed, 1, "far ranges"),
    FIELD(space.exhausted, 1, "far ranges"),
    FIELD(space.next_table, 0, "far ranges"),
    FIELD(space.next_table, HUGE_VALUE, "far ranges"),
    FIELD(space.free_table, HUGE_VALUE, "page tables"),
    FIELD(space.free_table, PAGE_SIZE, "page tables"),
    FIELD(facts.fs_base, 1UL << 47, "registers"),
    FIELD(facts.gs_base, 1UL << 63, "registers"),
    FIELD(facts.paused.rip, 1UL << 47, "registers"),
    FIELD(facts.paused.rflags, 0x3000, "registers"),
};

TEST(each_field_of_a_frozen_machine_that_is_broken_is_refused)
{
    begin();
    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
        memcpy(parcel + fields[i].at, &fields[i].value, fields[i].len);
        check_refused(fields[i].name, dup(b.frozen.fd), fields[i].text);
        export();
    }
    end();
}

/* Texts have to end. */
TEST(texts_of_a_frozen_machine_that_do_not_end_are_refused)
{
    static const struct {
        size_t at, len;
        const char *text;
    } texts[] = {
#define TEXT(field, text)                                                              \
    {offsetof(struct snapshot_parcel, field),                                          \
     sizeof(((struct snapshot_parcel *)NULL)->field), "broken: its " text}
        TEXT(facts.name, "description"),
        TEXT(facts.arg, "description"),
        TEXT(facts.arg_header, "description"),
        TEXT(process.files.directory, "open files"),
        TEXT(process.name, "settings"),
    };
    begin();
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        memset(parcel + texts[i].at, '/', texts[i].len);
        check_refused("text", dup(b.frozen.fd), texts[i].text);
        export();
    }
    end();
}

TEST(registers_of_a_thread_that_ring_3_cannot_have_are_refused)
{
    begin();
    struct thread *t = &b.frozen.threads->at[1];
    uint64_t *const places[] = {(uint64_t *)&t->regs.rip, (uint64_t *)&t->regs.rflags,
                                (uint64_t *)&t->fs.base, (uint64_t *)&t->gs.base};
    for (int i = 0; i < 4; i++) {
        *places[i] = 1UL << 47 | 0x3000;
        export();
        check_refused("registers", dup(b.frozen.fd), "broken: its registers");
        *places[i] = 0;
    }
    t->tid = UINT32_MAX;
    export();
    check_refused("tid", dup(b.frozen.fd), "its threads are spoiled");
    end();
}

TEST(a_watch_of_something_that_cannot_be_open_is_refused)
{
    begin();
    int number = b.frozen.process.files.open[EPOLL_FILE].object;
    struct watched *w = (void *)b.frozen.objects.at[number - 1]->data;
    for (int i = 0; i < 2; i++) {
        *w = (struct watched){.fd = i ? DESCRIPTORS : 0, .index = i ? 0 : DESCRIPTORS};
        export();
        check_refused("watch", dup(b.frozen.fd), "its pipes or timers are broken");
    }
    end();
}

/* --- Memory --- */

TEST(memory_that_can_still_change_or_is_too_short_is_refused)
{
    begin();
    int less = memory_create("short", b.frozen.layout.slot_size - PAGE_SIZE, &error);
    CHECK_EQ(fcntl(less, F_ADD_SEALS, SEALS), 0);
    check_refused("short", less, "broken: its memory file");
    check_refused("write", memory_of(0, 0, F_SEAL_SHRINK), "broken: its memory file");
    check_refused("shrink", memory_of(0, 0, F_SEAL_WRITE), "broken: its memory file");
    check_refused("no memory", dup(0), "broken: its memory file");
    end();
}

/* Where the entry of far address (addr) in the table of (shift) is. */
static uint64_t far_entry(uint64_t addr, int shift)
{
    uint64_t at = b.frozen.layout.tables;
    for (int i = 39;; i -= 9) {
        at += (addr >> i & 511) * 8;
        if (i == shift)
            return at;
        at = paging_target(*(uint64_t *)(void *)(b.machine.mem.base + at));
    }
}

TEST(page_tables_that_lead_elsewhere_and_another_ring_0_are_refused)
{
    begin();
    const struct layout *l = &b.frozen.layout;
    const uint64_t far_away = 1UL << 45, next = PAGE_SIZE, as_user = PTE_USER;
    const struct {
        uint64_t at, bits;
        const char *text;
    } words[] = {
        {l->tables, next, "broken: its page tables"},
        {l->tables + PAGE_SIZE, far_away, "broken: its page tables"},
        {l->tables + 2 * PAGE_SIZE, next, "broken: its page tables"},
        {paging_entry(l, PROGRAM_LOW), next, "broken: its page tables"},
        {paging_entry(l, GDT_ADDR), as_user, "broken: its page tables"},
        {paging_entry(l, l->tables), paging_leaf(l->tables, ACCESS_READ),
         "broken: its page tables"},
        {paging_entry(l, TRAMPOLINE_ADDR), PTE_WRITE, "broken: its page tables"},
        {far_entry(FAR_PAGE, 39), far_away, "broken: its page tables"},
        {far_entry(FAR_PAGE, 30), far_away, "broken: its page tables"},
        {far_entry(FAR_PAGE, 21), far_away, "broken: its page tables"},
        {far_entry(FAR_PAGE, 12), far_away, "broken: its page tables"},
        {far_entry(FAR_PAGE, 12) ^ 8, l->tables | 7, "broken: its page tables"},
        {GDT_ADDR + 8, 1UL << 45, "broken: its ring 0"},
        {EXCEPTION_STUBS_ADDR, 1, "broken: its ring 0"},
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        check_refused("memory", memory_of(words[i].at, words[i].bits, SEALS),
                      words[i].text);
    end();
}

/* A ring of free tables would be walked for ever. */
TEST(a_list_of_free_tables_without_an_end_is_refused)
{
    begin();
    uint64_t at = b.frozen.space.next_table;
    b.frozen.space.next_table += PAGE_SIZE;
    b.frozen.space.free_table = at;
    export();
    check_refused("ring", memory_of(at, at, SEALS), "broken: its page tables");
    struct skerry_snapshot *s = import(memory_of(at, 0, SEALS));
    CHECK_TEXT(error.text, "");
    skerry_snapshot_close(s);
    end();
}

/* --- Anything --- */

/* What requests do with what has been taken over, without a processor. */
static void use_process(struct machine *m)
{
    struct process *p = m->process;
    struct signal_info info;
    for (uint64_t i = 0, stale; i < USES; i++) {
        uint64_t at = arena_take(&p->arena, PAGE_SIZE << i % 4, &stale);
        CHECK(!at || region_holds(m->mem.layout.program, at, PAGE_SIZE << i % 4));
        if (i % 2)
            arena_give(&p->arena, at, PAGE_SIZE);
        process_take_signal(p, UINT64_MAX, &info);
    }
    for (uint32_t fd = 0; fd < DESCRIPTORS; fd += 2) {
        int index = descriptors_find(&p->files, fd);
        if (index < 0 || descriptors_close(&p->files, fd) < 0)
            continue;
        struct open_file was = p->files.open[index];
        descriptors_forget(&p->files, index);
        objects_closed(&m->objects, &p->files, &was);
    }
}

static void use_far(struct machine *m)
{
    const struct far_range *f = space_next(&m->space, 0);
    for (; f; f = space_next(&m->space, f->end)) {
        far_back(&m->mem, f->begin, ACCESS_READ);
        far_clear(&m->mem, (struct region){f->begin, f->end});
        far_back(&m->mem, f->end - 1, ACCESS_READ);
    }
}

static void use(struct skerry_snapshot *s)
{
    struct process process = s->process;
    struct machine m = {.process = &process, .facts = &s->facts, .touched = 1};
    m.vm = (struct vm){.kvm = &b.kvm, .fd = -1, .vcpu_fd = -1};
    m.console = skerry_console_open();
    m.mem.layout = s->layout;
    m.mem.dirty = &m.dirty;
    machine_wire(&m);
    uint64_t bytes = s->layout.slot_size;
    files_init(&m.files, -1, OPENER_REQUEST, &s->files);
    CHECK_EQ(memory_map(s->fd, bytes, MAP_CLONE, &m.mem.base, &error), 0);
    CHECK_EQ(dirty_open(&m.dirty, (uint32_t)(bytes >> PAGE_SHIFT)), 0);
    CHECK_EQ(space_copy(&m.space, &s->space), 0);
    CHECK_EQ(threads_restore(&m.threads, s->threads), 0);
    CHECK_EQ(objects_restore(&m.objects, &s->objects), 0);
    use_process(&m);
    use_far(&m);
    CHECK(machine_reset(&m, s) >= 0);
    CHECK(memcmp(&process, &s->process, sizeof(process)) == 0);
    machine_close(&m);
}

/* Most bytes are texts and registers: half of the time it is a number of the table. */
static size_t some_place(uint64_t *random)
{
    size_t i = check_random(random) % (2 * sizeof(fields) / sizeof(*fields));
    if (i >= sizeof(fields) / sizeof(*fields))
        return check_random(random) % size;
    return fields[i].at + check_random(random) % fields[i].len;
}

TEST(a_frozen_machine_with_any_bytes_changed_is_refused_or_can_be_used)
{
    uint64_t random = 7, used = 0;
    begin();
    for (int round = 0; round < ROUNDS; round++) {
        for (uint64_t n = 1 + check_random(&random) % 3; n; n--)
            parcel[some_place(&random)] ^= (uint8_t)check_random(&random);
        struct skerry_snapshot *s = import(dup(b.frozen.fd));
        if (s && !s->facts.is_storage) {
            use(s);
            used++;
        }
        CHECK(s || error.text[0]);
        skerry_snapshot_close(s);
        export();
    }
    CHECK(used > 100 && used < ROUNDS - 100);
    end();
}
