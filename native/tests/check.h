/* check.h: a test framework that fits on a screen.
 *
 *     TEST(a_promise_in_words) { CHECK(1 + 1 == 2); CHECK_EQ(f(), 3); }
 *
 * Tests add themselves; `check` runs all, or those whose names contain its argument. */
#ifndef CHECK_H
#define CHECK_H

#include <stdint.h>
#include <string.h>

struct check_test {
    const char *name;
    void (*run)(void);
    struct check_test *next;
};
void check_add(struct check_test *test);

/* Ends the test that runs, as failed. From its own thread. */
__attribute__((noreturn, format(printf, 3, 4))) void
check_fail(const char *file, int line, const char *fmt, ...);

#define TEST(promise)                                                                  \
    static void promise(void);                                                         \
    __attribute__((constructor)) static void add_##promise(void)                       \
    {                                                                                  \
        static struct check_test test = {#promise, promise, NULL};                     \
        check_add(&test);                                                              \
    }                                                                                  \
    static void promise(void)

#define CHECK(what)                                                                    \
    do {                                                                               \
        if (!(what))                                                                   \
            check_fail(__FILE__, __LINE__, "not so: %s", #what);                       \
    } while (0)

#define CHECK_EQ(have, want)                                                           \
    do {                                                                               \
        long long have_ = (long long)(have), want_ = (long long)(want);                \
        if (have_ != want_)                                                            \
            check_fail(__FILE__, __LINE__, "%s is %lld (0x%llx), not %lld", #have,     \
                       have_, (unsigned long long)have_, want_);                       \
    } while (0)

#define CHECK_TEXT(have, want)                                                         \
    do {                                                                               \
        const char *have_ = (have), *want_ = (want);                                   \
        if (strcmp(have_, want_) != 0)                                                 \
            check_fail(__FILE__, __LINE__, "%s is \"%s\", not \"%s\"", #have, have_,   \
                       want_);                                                         \
    } while (0)

/* Pseudo-random numbers, the same in every run. */
static inline uint64_t check_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#endif
