/* The stack that a program starts with, read as its start-up code reads it:
 * psABI 3.4.1. */
#include <elf.h>
#include <errno.h>

#include "bare.h"
#include "check.h"
#include "stack.h"

static struct bare b;
static const struct image image = {
    .entry = 0x401234, .headers_addr = 0x400040, .header_count = 9, .header_size = 56};
static uint64_t at; /* what is read next */

static int64_t build(const char *const *argv, uint32_t argc, const char *const *envp,
                     uint32_t envc)
{
    struct skerry_boot_options o = {
        .argv = argv, .argc = argc, .envp = envp, .envc = envc};
    return stack_build(&b.machine.mem, &image, &o);
}

static uint64_t word(void)
{
    uint64_t value;
    CHECK_EQ(guest_read(&b.machine.mem, at, &value, 8), 0);
    at += 8;
    return value;
}

static void check_strings(const char *const *strings, uint32_t count)
{
    char text[64];
    for (uint32_t i = 0; i < count; i++) {
        CHECK(guest_string(&b.machine.mem, word(), text, sizeof(text)) >= 0);
        CHECK_TEXT(text, strings[i]);
    }
    CHECK_EQ(word(), 0);
}

static uint64_t auxiliary(uint64_t type)
{
    for (uint64_t from = at;; from += 16) {
        uint64_t pair[2];
        CHECK_EQ(guest_read(&b.machine.mem, from, pair, 16), 0);
        if (pair[0] == type)
            return pair[1];
        CHECK(pair[0] != AT_NULL);
    }
}

static const char *const strings[] = {"name", "", "a b", "KEY=VALUE", "five"};

TEST(a_program_finds_its_arguments_and_environment)
{
    bare_open(&b, MAX_MEMORY_MIN, 0);
    for (uint32_t argc = 0; argc <= 5; argc++)
        for (uint32_t envc = 0; envc <= 5; envc++) {
            int64_t rsp = build(strings, argc, strings, envc);
            CHECK(rsp > 0 && rsp % 16 == 0);
            at = (uint64_t)rsp;
            CHECK_EQ(word(), argc);
            check_strings(strings, argc);
            check_strings(strings, envc);
            CHECK_EQ(auxiliary(AT_PAGESZ), 4096);
        }
    bare_close(&b);
}

TEST(a_program_finds_its_auxiliary_vector)
{
    bare_open(&b, MAX_MEMORY_MIN, 0);
    char name[16];
    at = (uint64_t)build(strings, 1, NULL, 0) + 32;
    CHECK_EQ(auxiliary(AT_PHDR), image.headers_addr);
    CHECK_EQ(auxiliary(AT_PHNUM), image.header_count);
    CHECK_EQ(auxiliary(AT_PHENT), image.header_size);
    CHECK_EQ(auxiliary(AT_ENTRY), image.entry);
    CHECK_EQ(auxiliary(AT_SECURE) | auxiliary(AT_UID) | auxiliary(AT_BASE), 0);
    CHECK(guest_string(&b.machine.mem, auxiliary(AT_EXECFN), name, sizeof(name)) == 4);
    bare_close(&b);
}

TEST(two_programs_get_different_random_bytes)
{
    uint64_t random[2][2];
    for (int i = 0; i < 2; i++) {
        bare_open(&b, MAX_MEMORY_MIN, 0);
        at = (uint64_t)build(NULL, 0, NULL, 0) + 24;
        CHECK_EQ(guest_read(&b.machine.mem, auxiliary(AT_RANDOM), random[i], 16), 0);
        bare_close(&b);
    }
    CHECK(random[0][0] != random[1][0] && random[0][1] != random[1][1]);
}

TEST(what_is_on_the_stack_is_in_the_main_stack)
{
    bare_open(&b, MAX_MEMORY_MIN, 0);
    int64_t rsp = build(strings, 5, strings, 5);
    CHECK(region_holds(b.machine.mem.layout.main_stack, (uint64_t)rsp, 1));
    CHECK_EQ(bare_forgotten(&b), 0);
    bare_close(&b);
}

TEST(too_many_or_too_long_arguments_are_refused)
{
    static char large[5 << 20];
    static const char *many[1025];
    const char *one[] = {large};
    bare_open(&b, MAX_MEMORY_MIN, 0);
    memset(large, 'x', sizeof(large) - 1);
    for (int i = 0; i < 1025; i++)
        many[i] = "x";
    CHECK(build(many, 1024, NULL, 0) > 0);
    CHECK_EQ(build(many, 1025, NULL, 0), -E2BIG);
    CHECK_EQ(build(many, 1000, many, 25), -E2BIG);
    CHECK_EQ(build(many, UINT32_MAX, many, 1), -E2BIG);
    CHECK_EQ(build(many, 1, many, UINT32_MAX), -E2BIG);
    CHECK_EQ(build(one, 1, NULL, 0), -E2BIG);
    CHECK_EQ(build(strings, 1, one, 1), -E2BIG);
    bare_close(&b);
}
