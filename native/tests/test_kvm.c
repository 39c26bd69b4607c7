/* Real machines on this machine's KVM: the probe, and programs of a few instructions.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "abi.h"
#include "check.h"
#include "kvm.h"
#include "layout.h"
#include "probe_clock.h"
#include "skerry.h"
#include "tiny.h"
#include "watchdog.h"

#define SECOND 1000000000UL
#define LIMIT (100 * SECOND) /* nothing here takes so long on any machine */
#define VALUE_(x) #x
#define VALUE(x) VALUE_(x)
#define OUT(number) "mov $" VALUE(number) ", %eax; out %eax, $0;"
#define CODE(name, text)                                                               \
    __asm__(".pushsection .rodata;" #name "_begin:" text #name "_end: .popsection");   \
    extern const uint8_t name##_begin[], name##_end[]

/* Registers on_get and on_error and waits; on_get follows, on_error is at 9. */
#define START                                                                                 \
    "lea 1f(%rip), %rsi; mov $1, %edi;" OUT(                                                  \
        KVM_API_REGISTER_FUNC) "lea 9f(%rip), %rsi; mov $5, %edi;" OUT(KVM_API_REGISTER_FUNC) \
        OUT(KVM_API_WAIT_FOR_REQUESTS) "ud2; 1:"
/* Answers 200 and the byte at 8. */
#define ANSWER                                                                         \
    "mov $200, %edi; xor %esi, %esi; xor %edx, %edx; xor %r9d, %r9d;"                  \
    "lea 8f(%rip), %rcx; mov $1, %r8d;" OUT(KVM_API_BACKEND_RESPONSE) "ud2;"
#define ON_ERROR "9: movb $'E', 8f(%rip);" ANSWER "8: .byte 'A' - 1;"

/* clang-format off */
/* "/" counts and answers; anything else loops. */
CODE(answer, START "cmpb $0, 1(%rdi); jne .; incb 8f(%rip);" ANSWER ON_ERROR);
/* "/" reads a port, anything else reads it into memory, again and again. */
CODE(input, START "mov $1, %edx; cmpb $0, 1(%rdi); jne 2f; in $0, %eax; hlt;"
            "2: mov $-1, %rcx; lea -4096(%rsp), %rdi; rep insb; hlt;" ON_ERROR);
/* Sleeps for 0.3 s, or for an hour when the path is not "/". */
CODE(sleeps, START "lea 2f(%rip), %rax; cmpb $0, 1(%rdi); lea 3f(%rip), %rdi;"
             "cmove %rax, %rdi; xor %esi, %esi; mov $35, %eax; syscall;"
             "movb $'S', 8f(%rip);" ANSWER "2: .quad 0, 300000000; 3: .quad 3600, 0;"
             ON_ERROR);
CODE(loop, "jmp .;");
CODE(crash, "xor %eax, %eax; mov (%rax), %rax;");
CODE(leave, "mov $60, %eax; mov $7, %edi; syscall; ud2;");
/* clang-format on */

static struct skerry_console *console;
static struct skerry_snapshot *snapshot;
static struct skerry_vm *vm;
static struct skerry_error error;
static const struct skerry_reply *reply;

static void probe(void)
{
    struct skerry_kvm_facts facts;
    CHECK_EQ(skerry_probe(&facts, &error), 0);
    console = skerry_console_open();
}

static int boot(const uint8_t *begin, const uint8_t *end, uint64_t boot_ns)
{
    struct tiny t = tiny_program(begin, (size_t)(end - begin));
    const char *argv[] = {"tiny"};
    const struct skerry_boot_options options = {.name = "tiny",
                                                .elf = (const uint8_t *)&t,
                                                .elf_len = sizeof(t),
                                                .argv = argv,
                                                .argc = 1,
                                                .max_memory = MAX_MEMORY_MIN,
                                                .max_request_memory = MAX_MEMORY_MIN,
                                                .boot_ns = boot_ns,
                                                .opener = -1,
                                                .directory = "/"};
    return skerry_boot(&options, console, &snapshot, &error);
}

static void open_vm(uint64_t request_ns, uint64_t inline_ns)
{
    const struct skerry_limits limits = {.request_ns = request_ns,
                                         .inline_ns = inline_ns};
    CHECK_EQ(skerry_vm_open(snapshot, NULL, &limits, console, &vm, &error), 0);
    reply = skerry_vm_replies(vm);
}

static void close_all(void)
{
    skerry_vm_close(vm);
    skerry_snapshot_close(snapshot);
    skerry_console_close(console);
}

static void serve(const char *url)
{
    CHECK_EQ(skerry_add(vm, "GET", url, "", "", "", 0), 0);
    CHECK_EQ(skerry_run(vm), 1);
}

static void check_body(char byte)
{
    CHECK_TEXT(reply->reason[0] && byte != 'E' ? reply->reason : "", "");
    CHECK(reply->status == 200 && reply->body_len == 1);
    CHECK_EQ(skerry_vm_out(vm)[reply->out_at + reply->head_len], byte);
}

TEST(this_kvm_does_what_skerry_needs)
{
    struct skerry_kvm_facts facts, again;
    CHECK_EQ(skerry_probe(&facts, &error), 0);
    CHECK(facts.api_version == 12 && facts.reset_holds && facts.exit_ns > 0);
    CHECK_TEXT(facts.missing, "");
    CHECK_EQ(skerry_probe(&again, NULL), 0);
    CHECK(memcmp(&facts, &again, sizeof(facts)) == 0);
}

TEST(a_clone_answers_and_forgets)
{
    probe();
    CHECK_EQ(boot(answer_begin, answer_end, LIMIT), 0);
    open_vm(LIMIT, 0);
    for (int i = 0; i < 20; i++) {
        serve("/");
        check_body('A');
        CHECK_EQ(reply->exits, 1);
        CHECK_EQ(skerry_differing_pages(vm), 0);
    }
    close_all();
}

TEST(a_batch_is_served_each_from_the_frozen_state)
{
    probe();
    CHECK_EQ(boot(answer_begin, answer_end, LIMIT), 0);
    open_vm(LIMIT, 0);
    for (int i = 0; i < SKERRY_BATCH; i++)
        CHECK_EQ(skerry_add(vm, "GET", "/", "", "", "", 0), 0);
    CHECK_EQ(skerry_add(vm, "GET", "/", "", "", "", 0), -ENOSPC);
    CHECK_EQ(skerry_run(vm), SKERRY_BATCH);
    for (int i = 0; i < SKERRY_BATCH; i++, reply++)
        check_body('A');
    close_all();
}

TEST(a_clone_outlives_what_it_was_made_from)
{
    probe();
    CHECK_EQ(boot(answer_begin, answer_end, LIMIT), 0);
    open_vm(LIMIT, 0);
    skerry_snapshot_close(snapshot);
    skerry_console_close(console);
    serve("/");
    check_body('A');
    skerry_vm_close(vm);
}

TEST(a_callback_that_loops_is_stopped)
{
    probe();
    CHECK_EQ(boot(answer_begin, answer_end, LIMIT), 0);
    open_vm(SECOND / 20, 0);
    serve("/loop");
    check_body('E');
    CHECK_EQ(reply->flags & (SKERRY_FAILED | SKERRY_DISCARD),
             SKERRY_FAILED | SKERRY_DISCARD);
    CHECK_TEXT(reply->reason, "time limit reached");
    close_all();
}

TEST(a_callback_that_takes_long_is_handed_back)
{
    probe();
    CHECK_EQ(boot(answer_begin, answer_end, LIMIT), 0);
    open_vm(LIMIT, SECOND / 1000);
    serve("/loop");
    CHECK_EQ(reply->flags, SKERRY_BUSY);
    close_all();
}

TEST(a_callback_that_sleeps_goes_on_when_its_time_has_come)
{
    probe();
    CHECK_EQ(boot(sleeps_begin, sleeps_end, LIMIT), 0);
    open_vm(LIMIT, 0);
    uint64_t before = clock_now();
    serve("/");
    CHECK(clock_now() - before >= 3 * SECOND / 10);
    check_body('S');
    close_all();
}

TEST(a_callback_that_sleeps_long_is_handed_back)
{
    probe();
    CHECK_EQ(boot(sleeps_begin, sleeps_end, LIMIT), 0);
    open_vm(LIMIT, SECOND / 1000);
    serve("/long");
    CHECK_EQ(reply->flags, SKERRY_BUSY);
    close_all();
}

static void check_stopped(const uint8_t *begin, const uint8_t *end, uint64_t inline_ns)
{
    CHECK_EQ(boot(begin, end, LIMIT), 0);
    open_vm(SECOND / 10, inline_ns);
    serve("/long");
    if (reply->flags == SKERRY_BUSY)
        skerry_resume(vm);
    check_body('E');
    CHECK_TEXT(reply->reason, "time limit reached");
    skerry_vm_close(vm);
    skerry_snapshot_close(snapshot);
}

TEST(a_callback_that_loops_or_sleeps_is_stopped_at_its_limit_whoever_runs_it)
{
    probe();
    for (uint64_t inline_ns = 0; inline_ns <= SECOND / 1000;
         inline_ns += SECOND / 1000) {
        check_stopped(answer_begin, answer_end, inline_ns);
        check_stopped(sleeps_begin, sleeps_end, inline_ns);
    }
    skerry_console_close(console);
}

/* KVM puts registers back when it is entered after an `in`. */
TEST(on_error_answers_also_after_a_port_was_read)
{
    probe();
    CHECK_EQ(boot(input_begin, input_end, LIMIT), 0);
    for (int i = 0; i < 2; i++) {
        open_vm(LIMIT, 0);
        serve(i ? "/string" : "/");
        CHECK_TEXT(reply->reason, i ? "used port 0x1" : "used port 0x0");
        check_body('E');
        skerry_vm_close(vm);
    }
    skerry_snapshot_close(snapshot);
    skerry_console_close(console);
}

static int open_files(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static void check_fails(const uint8_t *begin, const uint8_t *end, uint64_t boot_ns,
                        int code, const char *reason)
{
    int files = open_files();
    CHECK_EQ(boot(begin, end, boot_ns), -code);
    CHECK_TEXT(error.step, "start-up");
    if (!strstr(error.text, reason))
        check_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", error.text,
                   reason);
    CHECK_EQ(open_files(), files);
}

TEST(a_program_that_does_not_start_says_why_and_leaves_nothing)
{
    probe();
    check_fails(loop_begin, loop_end, SECOND / 20, ETIMEDOUT, "within 0.05 s");
    check_fails(crash_begin, crash_end, LIMIT, EPROTO, "page fault reading 0x0");
    check_fails(leave_begin, leave_end, LIMIT, EPROTO, "exited with status 7");
    skerry_console_close(console);
}

TEST(guests_read_the_clock_where_that_is_right)
{
    struct skerry_kvm_facts facts;
    struct kvm tried;
    CHECK_EQ(skerry_probe(&facts, &error), 0);
    tried = *kvm_get(&error);
    CHECK_EQ(facts.has_clock, 1);
    CHECK_EQ(tried.has_clock, 1);
    tried.has_clock = 0;
    probe_clock(&tried);
    CHECK_EQ(tried.has_clock, 1);
    tried.vdso = (struct hostvdso){0};
    probe_clock(&tried);
    CHECK_EQ(tried.has_clock, 0);
}

/* Pages that no kernel keeps: with zeros the code asks for the time by a system call,
 * and with all bits set it waits for its writer for ever. */
TEST(a_clock_that_is_wrong_or_never_ready_is_not_used)
{
    struct skerry_kvm_facts facts;
    CHECK_EQ(skerry_probe(&facts, &error), 0);
    for (int byte = 0; byte <= 0xff; byte += 0xff) {
        struct kvm tried = *kvm_get(&error);
        uint8_t *pages = aligned_alloc(PAGE_SIZE, tried.vdso.data_size);
        memset(pages, byte, tried.vdso.data_size);
        tried.vdso.data = pages;
        probe_clock(&tried);
        CHECK_EQ(tried.has_clock, 0);
        free(pages);
    }
}

TEST(a_machine_that_was_frozen_under_another_kernel_is_refused)
{
    probe();
    CHECK_EQ(boot(answer_begin, answer_end, LIMIT), 0);
    struct skerry_snapshot *copy;
    size_t size = skerry_snapshot_size(snapshot);
    uint8_t *parcel = malloc(size);
    int fd = skerry_snapshot_export(snapshot, parcel);
    CHECK_EQ(skerry_snapshot_import(parcel, size, dup(fd), NULL, &copy, &error), 0);
    skerry_snapshot_close(copy);
    const uint64_t *id = &kvm_get(&error)->vdso.id;
    uint8_t *at = memmem(parcel, size, id, sizeof(*id));
    CHECK(at);
    at[0] ^= 1;
    CHECK_EQ(skerry_snapshot_import(parcel, size, dup(fd), NULL, &copy, &error),
             -EINVAL);
    CHECK_TEXT(error.text, "it was made under another kernel");
    free(parcel);
    skerry_snapshot_close(snapshot);
    skerry_console_close(console);
}
