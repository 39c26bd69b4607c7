/* The death of a process in any instruction of a storage call.
 *
 * A process that does a call is stepped through it by the instruction. What others
 * could ever see of it is the memory that they share, the file, and whether it is
 * alive: so each time one of these has changed, a copy of them all is what a death
 * there leaves. The copy must be exactly the state before the call or the one after it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "ledger.h"
#include "memory.h"

#define FILE_MOST 131072
#define BREAKPOINT() __asm__ volatile("int3")

enum { BEFORE = 2, AFTER = 3 }; /* the commits that there are */

/* All that a death leaves. */
struct world {
    struct store store;
    char path[64];
    uint8_t *file; /* what is mapped of it */
};
static struct world real, copy; /* of the processes that die; to look at */
static char third[64];          /* a copy of the copy's file */
static struct dirty dirty;
static struct skerry_error err;
static int has_file, has_tasks, repairs;

/* What the child does with the lock held. */
static void (*body)(struct store *s);

static void open_world(struct world *w, const char *name)
{
    snprintf(w->path, sizeof(w->path), "/dev/shm/skerry-death-%s-%d", name, getpid());
    unlink(w->path);
    CHECK_EQ(ledger_create(&w->store, has_file ? w->path : NULL, 0, &err), 0);
    if (!has_file)
        return;
    w->file = mmap(NULL, FILE_MOST, PROT_READ, MAP_SHARED, w->store.file, 0);
    CHECK(w->file != MAP_FAILED);
}

static void close_world(struct world *w)
{
    if (has_file)
        munmap(w->file, FILE_MOST);
    store_close(&w->store);
    unlink(w->path);
}

static int take(struct store *s)
{
    struct lock_ticket ticket = {0};
    return store_take(s, &ticket, NEVER);
}

static void begin(int with_file)
{
    ledger_disk = (struct ledger_disk){0};
    has_file = with_file;
    has_tasks = 0;
    repairs = 0;
    open_world(&real, "real");
    open_world(&copy, "copy");
    snprintf(third, sizeof(third), "/dev/shm/skerry-death-third-%d", getpid());
    dirty = ledger_dirty(&real.store);
    for (int n = 1; n <= BEFORE; n++) {
        CHECK_EQ(take(&real.store), 0);
        CHECK_EQ(ledger_commit(&real.store, &dirty), 0);
        store_give(&real.store);
    }
}

static void end(void)
{
    dirty_close(&dirty);
    close_world(&real);
    close_world(&copy);
    unlink(third);
}

/* --- Copies of the world --- */

static size_t file_size(const struct world *w)
{
    struct stat st = {0};
    if (has_file)
        CHECK_EQ(fstat(w->store.file, &st), 0);
    CHECK(st.st_size <= FILE_MOST);
    return (size_t)st.st_size;
}

static void copy_pages(uint8_t *dst, const uint8_t *src)
{
    for (int i = 0; i < LEDGER_PAGES; i++) {
        uint64_t at = ledger_page(i) << PAGE_SHIFT;
        memcpy(dst + at, src + at, PAGE_SIZE);
    }
}

static void write_file(int fd, const struct world *w)
{
    size_t size = file_size(w);
    CHECK_EQ(pwrite(fd, w->file, size, 0), size);
    CHECK_EQ(ftruncate(fd, (off_t)size), 0);
}

/* Brings (shadow) up to date. Tells if it was not. */
static int follow(void *shadow, const void *now, size_t len)
{
    if (!len || memcmp(shadow, now, len) == 0)
        return 0;
    memcpy(shadow, now, len);
    return 1;
}

/* Tells if (real) is not as it was when this was last asked. */
static int has_changed(void)
{
    static struct control control;
    static struct tasks tasks;
    static uint8_t live[LEDGER_PAGES][PAGE_SIZE], committed[LEDGER_PAGES][PAGE_SIZE];
    static uint8_t file[FILE_MOST];
    static size_t last;
    const struct store *s = &real.store;
    const size_t size = file_size(&real);
    int changed = follow(&control, s->control, sizeof(control));
    changed |= follow(&tasks, s->tasks, sizeof(tasks));
    for (int i = 0; i < LEDGER_PAGES; i++) {
        uint64_t at = ledger_page(i) << PAGE_SHIFT;
        changed |= follow(live[i], s->live + at, PAGE_SIZE);
        changed |= follow(committed[i], s->committed + at, PAGE_SIZE);
    }
    changed |= follow(file, real.file, size) || size != last;
    last = size;
    return changed;
}

/* Nobody sits at the child's place in the copy: there it is dead. */
static void copy_world(void)
{
    memcpy(copy.store.control, real.store.control, sizeof(struct control));
    memcpy(copy.store.tasks, real.store.tasks, sizeof(struct tasks));
    copy_pages(copy.store.live, real.store.live);
    copy_pages(copy.store.committed, real.store.committed);
    if (has_file)
        write_file(copy.store.file, &real);
}

/* --- What is there --- */

/* The state that a host finds which opens the copy's file as it is now. */
static int64_t state_of_file(void)
{
    struct store s;
    int fd = open(third, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    write_file(fd, &copy);
    close(fd);
    CHECK_EQ(ledger_create(&s, third, 0, &err), 0);
    int64_t state = ledger_state(&s);
    store_close(&s);
    return state;
}

/* Where tasks are part of the world: one does the call, and orders another. Each waits
 * or not as the state says. */
static void check_tasks(int64_t state)
{
    const struct tasks *t = copy.store.tasks;
    int waits[3] = {0};
    if (!has_tasks)
        return;
    CHECK(!tasks_are_noted(t) && t->next_due <= clock_now());
    for (int i = 0; i < TASK_SLOTS; i++)
        if (t->slots[i].state != TASK_NONE) {
            CHECK_EQ(t->slots[i].state, TASK_WAITING);
            waits[t->slots[i].function]++;
        }
    CHECK_EQ(waits[1], state == BEFORE);
    CHECK_EQ(waits[2], state == AFTER);
}

/* Takes the lock after the death, and goes on. Returns the state that it finds. */
static int64_t look(void)
{
    struct store *s = &copy.store;
    const int dead = (s->control->lock.owner & 255) != 0;
    const uint64_t repaired = s->control->counts.repaired;
    if (has_file) {
        int64_t in_file = state_of_file();
        CHECK(in_file == BEFORE || in_file == AFTER);
    }
    CHECK_EQ(take(s), 0);
    CHECK_EQ(s->control->counts.repaired, repaired + (uint64_t)dead);
    int64_t state = ledger_state(s);
    CHECK(state == BEFORE || state == AFTER);
    check_tasks(state);
    if (has_file)
        CHECK_EQ(state_of_file(), state);
    CHECK_EQ(ledger_commit(s, NULL), 0);
    CHECK_EQ(ledger_state(s), state + 1);
    if (has_file)
        CHECK_EQ(state_of_file(), state + 1);
    store_give(s);
    CHECK_EQ(take(s), 0);
    store_give(s);
    return state;
}

/* --- The process that dies --- */

static void do_call(void)
{
    struct store s;
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    if (repairs)
        BREAKPOINT(); /* who joins at a dead one's place repairs */
    if (ledger_join(&s, &real.store, &err) < 0)
        _exit(1);
    if (!repairs)
        BREAKPOINT();
    take(&s);
    body(&s);
    store_give(&s);
    BREAKPOINT();
    _exit(0);
}

static pid_t start(void)
{
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(real.store.seat.fd); /* his place is our parent's */
        do_call();
    }
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
    return child;
}

/* Executes one instruction. Tells if the call goes on. */
static int step(pid_t child)
{
    siginfo_t info;
    int status;
    CHECK_EQ(ptrace(PTRACE_SINGLESTEP, child, 0, 0), 0);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(WIFSTOPPED(status) ? WSTOPSIG(status) : 0, SIGTRAP);
    CHECK_EQ(ptrace(PTRACE_GETSIGINFO, child, 0, &info), 0);
    return info.si_code != SI_KERNEL; /* int3 */
}

static void end_by_kill(pid_t child)
{
    kill(child, SIGKILL);
    CHECK_EQ(waitpid(child, NULL, 0), child);
}

/* Has a process do the call and looks at what its death would leave, wherever it were.
 * The state is the one after from some instruction on, and BEFORE until then. Returns
 * the state at the end. */
static int64_t die_everywhere(void)
{
    int64_t state = BEFORE;
    uint32_t steps = 0, looked = 0;
    pid_t child = start();
    do {
        steps++;
        if (!has_changed())
            continue;
        copy_world();
        int64_t now = look();
        CHECK(now >= state);
        state = now;
        looked++;
    } while (step(child));
    end_by_kill(child);
    if (getenv("SKERRY_DEATHS"))
        printf("%u instructions, %u ways to leave it\n", steps, looked);
    CHECK(looked > 10);
    return state;
}

static void commit_listed(struct store *s)
{
    ledger_commit(s, &dirty);
}

static void commit_unlisted(struct store *s)
{
    ledger_commit(s, NULL);
}

static void roll_back(struct store *s)
{
    ledger_write(s, &dirty, AFTER);
    store_roll_back(s, &dirty);
}

static void order(struct store *s, uint64_t function, enum task_state state)
{
    const struct task_order order = {.function = function};
    CHECK_EQ(tasks_add(s->tasks, &order, (const uint8_t *)"", state), 0);
}

static void run_task(struct store *s)
{
    struct task *task = tasks_due(s->tasks, clock_now());
    ledger_write(s, &dirty, store_sequence(s) + 1);
    tasks_claim(s->tasks, task, clock_now());
    order(s, 2, TASK_PLANNED);
    store_commit(s, &dirty);
}

static void begin_with_tasks(void)
{
    begin(0);
    has_tasks = 1;
    order(&real.store, 1, TASK_WAITING);
}

TEST(a_task_may_die_in_any_instruction_and_is_run_exactly_once)
{
    begin_with_tasks();
    body = run_task;
    CHECK_EQ(die_everywhere(), AFTER);
    end();
}

TEST(a_storage_call_may_die_in_any_instruction)
{
    begin(0);
    body = commit_listed;
    CHECK_EQ(die_everywhere(), AFTER);
    end();
}

TEST(a_storage_call_that_looks_for_its_pages_may_die_in_any_instruction)
{
    begin(0);
    body = commit_unlisted;
    CHECK_EQ(die_everywhere(), AFTER);
    end();
}

TEST(a_roll_back_may_die_in_any_instruction)
{
    begin(1);
    body = roll_back;
    CHECK_EQ(die_everywhere(), BEFORE);
    end();
}

TEST(a_storage_call_with_a_file_may_die_in_any_instruction)
{
    begin(1);
    body = commit_listed;
    CHECK_EQ(die_everywhere(), AFTER);
    end();
}

TEST(a_storage_call_that_begins_a_new_log_may_die_in_any_instruction)
{
    begin(1);
    body = commit_listed;
    ledger_disk.is_long = 1;
    CHECK_EQ(die_everywhere(), AFTER);
    end();
}

/* --- The one that repairs may die as well --- */

static void nothing(struct store *s)
{
    (void)s;
}

/* Leaves what a death leaves that comes so many changes after (phase) has begun. */
static void die_in(enum phase phase, uint32_t changes)
{
    pid_t child = start();
    while (changes && step(child))
        changes -= (real.store.control->state & 255) == phase && has_changed();
    CHECK_EQ(changes, 0);
    CHECK_EQ(real.store.control->state & 255, phase);
    end_by_kill(child);
}

static void check_repair(enum phase phase, uint32_t changes, int64_t state)
{
    begin(1);
    body = commit_listed;
    ledger_disk.is_long = phase == PHASE_CHECKPOINT;
    die_in(phase, changes);
    body = nothing;
    repairs = 1;
    CHECK_EQ(die_everywhere(), state);
    end();
}

static void check_repair_of_task(enum phase phase, uint32_t changes, int64_t state)
{
    begin_with_tasks();
    body = run_task;
    die_in(phase, changes);
    body = nothing;
    repairs = 1;
    CHECK_EQ(die_everywhere(), state);
    end();
}

TEST(a_repair_of_a_task_may_die_in_any_instruction)
{
    check_repair_of_task(PHASE_RUNNING, 30, BEFORE);
    for (uint32_t changes = 2; changes < 40; changes += 6)
        check_repair_of_task(PHASE_COMMITTING, changes, AFTER);
}

TEST(a_repair_may_die_in_any_instruction)
{
    check_repair(PHASE_RUNNING, 20, BEFORE);
    check_repair(PHASE_COMMITTING, 20, AFTER);
    for (uint32_t changes = 1; changes < 4; changes++)
        check_repair(PHASE_CHECKPOINT, changes, AFTER);
}

/* --- Many that die at any time --- */

static void commit_for_ever(void)
{
    struct store s;
    struct dirty d = ledger_dirty(&real.store);
    if (ledger_join(&s, &real.store, &err) < 0)
        _exit(1);
    for (;;) {
        ledger_disk.is_long = store_sequence(&s) % 16 == 0;
        take(&s);
        ledger_commit(&s, &d);
        store_give(&s);
    }
}

static pid_t start_for_ever(void)
{
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(real.store.seat.fd);
        commit_for_ever();
    }
    return child;
}

/* Waits until there have been a few commits more, and some instructions. */
static void wait_for_some(uint64_t *random)
{
    const uint64_t until = store_sequence(&real.store) + check_random(random) % 4;
    while (store_sequence(&real.store) < until)
        usleep(50);
    for (uint64_t spin = check_random(random) % 16384; spin; spin--)
        __asm__ volatile("");
}

static int64_t check_whole(void)
{
    CHECK_EQ(take(&real.store), 0);
    int64_t state = ledger_state(&real.store);
    CHECK(state >= BEFORE);
    store_give(&real.store);
    return state;
}

TEST(processes_that_are_killed_one_by_one_leave_whole_commits)
{
    uint64_t random = 7;
    pid_t child[3];
    begin(1);
    for (int i = 0; i < 3; i++)
        child[i] = start_for_ever();
    for (int i = 0; i < 200; i++) {
        wait_for_some(&random);
        end_by_kill(child[i % 3]);
        check_whole();
        child[i % 3] = start_for_ever();
    }
    for (int i = 0; i < 3; i++)
        end_by_kill(child[i]);
    int64_t state = check_whole();
    munmap(real.file, FILE_MOST);
    store_close(&real.store);
    CHECK_EQ(ledger_create(&real.store, real.path, 0, &err), 0);
    CHECK_EQ(ledger_state(&real.store), state);
    has_file = 0;
    end();
}
