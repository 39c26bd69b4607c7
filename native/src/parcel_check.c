/* parcel_check.c: see parcel_check.h. */
#include "parcel_check.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "paging.h"
#include "threads.h"

#define UMASK_MAX 0777
#define NICE_MAX 19
#define NEVER_USERS (0x3000UL | 1UL << 17) /* IOPL and VM in RFLAGS */
#define ACCESS_ALL (ACCESS_READ | ACCESS_WRITE | ACCESS_EXECUTE)

static int is_flag(int value)
{
    return value == 0 || value == 1;
}

static int is_text(const char *text, size_t size)
{
    return memchr(text, 0, size) != NULL;
}

/* Tells if (r), which may be empty, is pages of (whole). */
static int are_pages_of(struct region whole, struct region r)
{
    return (r.begin | r.end) % PAGE_SIZE == 0 && r.begin <= r.end &&
           region_holds(whole, r.begin, r.end - r.begin);
}

/* Where the sizes are right, so is all else: it follows from them. */
static int layout_is_sound(const struct skerry_snapshot *s)
{
    struct layout made;
    uint64_t max_memory = s->layout.program.end, shm = s->shm ? s->shm->size : 0;
    return layout_make(&made, max_memory, shm) == 0 &&
           memcmp(&made, &s->layout, sizeof(made)) == 0 &&
           s->facts.max_memory == max_memory;
}

/* It has all its bytes; and who has handed it over cannot change it any more, unless it
 * is storage, whose memory lives on. */
static int file_is_sound(const struct skerry_snapshot *s)
{
    const int needed = F_SEAL_SHRINK | F_SEAL_WRITE;
    struct stat is;
    if (fstat(s->fd, &is) < 0 || (uint64_t)is.st_size < s->layout.slot_size)
        return 0;
    int seals = fcntl(s->fd, F_GET_SEALS);
    return seals >= 0 && (s->facts.is_storage || (seals & needed) == needed);
}

static int facts_are_sound(const struct skerry_snapshot *s)
{
    const struct program_facts *f = &s->facts;
    return is_text(f->name, sizeof(f->name)) && is_text(f->arg, sizeof(f->arg)) &&
           is_text(f->arg_header, sizeof(f->arg_header)) &&
           f->allow_count <= ALLOW_MAX && is_flag(f->is_storage) && is_flag(f->debug) &&
           is_flag(f->ephemeral) && is_flag(f->control_ephemeral);
}

/* --- struct process --- */

static int arena_is_sound(const struct skerry_snapshot *s)
{
    const struct arena *a = &s->process.arena;
    uint64_t end = a->whole.begin;
    if (!are_pages_of(s->layout.program, a->whole) || a->count > ARENA_RANGES ||
        !are_pages_of(a->whole, (struct region){a->low, a->whole.end}) ||
        !are_pages_of(a->whole, (struct region){a->open, a->whole.end}))
        return 0;
    for (uint32_t i = 0; i < a->count; end = a->free[i++].end)
        if (a->free[i].begin < end || a->free[i].begin == a->free[i].end ||
            !are_pages_of(a->whole, a->free[i]))
            return 0;
    return 1;
}

static int heap_is_sound(const struct skerry_snapshot *s)
{
    const struct process *p = &s->process;
    return are_pages_of(s->layout.program, p->heap) &&
           p->heap.end <= p->arena.whole.begin && p->brk >= p->heap.begin &&
           p->brk <= p->brk_high && p->brk_high <= p->heap.end;
}

static int has_object(const struct skerry_snapshot *s, uint8_t number, int kind)
{
    return objects_find(&s->objects, number, kind) != NULL;
}

/* A socket that has been shut down has one pipe or none. */
static int leads_right(const struct skerry_snapshot *s, const struct open_file *f)
{
    switch (f->kind) {
    case OPEN_PIPE:
    case OPEN_EVENT:
    case OPEN_TIMER:
    case OPEN_EPOLL:
    case OPEN_INET:
    case OPEN_MEMORY:
        return has_object(s, f->object, f->kind) && !f->other;
    case OPEN_SOCKET:
        return (!f->object || has_object(s, f->object, OPEN_PIPE)) &&
               (!f->other || has_object(s, f->other, OPEN_PIPE));
    default:
        return f->kind < OPEN_STATE && !f->object && !f->other;
    }
}

static int descriptors_are_sound(const struct skerry_snapshot *s)
{
    const struct descriptors *d = &s->process.files;
    if (d->directory[0] != '/' || !is_text(d->directory, sizeof(d->directory)))
        return 0;
    for (int i = 0; i < DESCRIPTORS; i++) {
        const struct open_file *f = &d->open[i];
        if (d->file[i] > DESCRIPTORS ||
            (d->file[i] && d->open[d->file[i] - 1].kind == OPEN_NONE) ||
            f->offset > INT64_MAX || f->at_start != (f->kind != OPEN_NONE) ||
            !leads_right(s, f))
            return 0;
    }
    return 1;
}

static int pending_is_sound(const struct pending_signals *p)
{
    if (p->queued > SIGNALS_QUEUED)
        return 0;
    for (uint64_t i = 0; i < p->queued; i++)
        if (p->queue[i].signal < 1 || p->queue[i].signal >= SIGNAL_COUNT)
            return 0;
    return 1;
}

/* Time has stood still since the freeze: no alarm is on its way. */
static int signals_are_sound(const struct skerry_snapshot *s)
{
    const struct process *p = &s->process;
    return pending_is_sound(&p->signals.pending) && pending_is_sound(&p->shared) &&
           !p->alarm.due && !p->alarm.interval;
}

static int settings_are_sound(const struct skerry_snapshot *s)
{
    const struct process *p = &s->process;
    return p->umask <= UMASK_MAX && p->settings.nice <= NICE_MAX &&
           is_text(p->name, sizeof(p->name));
}

/* --- Far ranges, registers --- */

static int space_is_sound(const struct skerry_snapshot *s)
{
    const struct space *space = &s->space;
    uint64_t total = 0;
    const struct far_range *f = space_next(space, 0);
    for (; f; f = space_next(space, f->end)) {
        if (!are_pages_of(s->layout.far, (struct region){f->begin, f->end}) ||
            f->access & ~ACCESS_ALL)
            return 0;
        total += f->end - f->begin;
    }
    const struct region unused = {space->next_table, s->layout.far_tables.end};
    return total == space->total && total <= space->limit && !space->changed &&
           !space->exhausted && are_pages_of(s->layout.far_tables, unused);
}

/* What a processor refuses to have in a register for addresses. */
static int is_canonical(uint64_t addr)
{
    return addr + (1UL << 47) < 1UL << 48;
}

/* Of ring 3, which has no port but ours. */
static int are_users(const struct kvm_regs *r)
{
    return is_canonical(r->rip) && !(r->rflags & NEVER_USERS);
}

static int thread_is_sound(const struct thread *t)
{
    return are_users(&t->regs) && is_canonical(t->fs.base) &&
           is_canonical(t->gs.base) && pending_is_sound(&t->signals.pending) &&
           is_text(t->name, sizeof(t->name));
}

static int registers_are_sound(const struct skerry_snapshot *s)
{
    const struct program_facts *f = &s->facts;
    for (uint32_t i = 0; s->threads && i < THREADS; i++)
        if (s->threads->at[i].tid && !thread_is_sound(&s->threads->at[i]))
            return 0;
    return is_canonical(f->fs_base) && is_canonical(f->gs_base) &&
           are_users(&f->paused);
}

/* In this order: what comes later relies on what was before. */
static const struct {
    int (*is_sound)(const struct skerry_snapshot *s);
    const char *what;
} checks[] = {
    {layout_is_sound, "sizes"},     {facts_are_sound, "description"},
    {file_is_sound, "memory file"}, {arena_is_sound, "mappings"},
    {heap_is_sound, "heap"},        {descriptors_are_sound, "open files"},
    {signals_are_sound, "signals"}, {settings_are_sound, "settings"},
    {space_is_sound, "far ranges"}, {registers_are_sound, "registers"},
};

int parcel_check(const struct skerry_snapshot *s, struct skerry_error *err)
{
    for (size_t i = 0; i < sizeof(checks) / sizeof(*checks); i++)
        if (!checks[i].is_sound(s))
            return skerry_refuse(err, EINVAL, "frozen machine", "broken: its %s",
                                 checks[i].what);
    return 0;
}
