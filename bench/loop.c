/* loop.c: calls the product's functions in a loop as tight as the floor's, so that what
 * is compared is C with C. The functions come as addresses from the product's module. */

#include <stdint.h>
#include <sys/mman.h>
#include <time.h>

typedef int add_function(void *vm, const char *method, const char *url,
                           const char *headers, const char *type, const char *body,
                           uintptr_t body_len);
typedef int run_function(void *vm);
typedef int reset_function(void *vm);

struct loop {
    uintptr_t add, run, reset; /* addresses of skerry_add, _run and _reset */
    uintptr_t vm;
    const char *headers, *method, *body;
    uintptr_t body_len;
};

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static int call(const struct loop *l)
{
    ((add_function *)l->add)((void *)l->vm, l->method, "/", l->headers, "", l->body,
                             l->body_len);
    return ((run_function *)l->run)((void *)l->vm) == 1 ? 0 : -1;
}

/* Serves (times) times, resets included. Returns 0, or -1 when one did not end. */
int loop_calls(const struct loop *l, int times)
{
    for (int i = 0; i < times; i++)
        if (call(l) != 0)
            return -1;
    return 0;
}

/* One call, and a reset by itself: it copies the same pages as the one in the call.
 * Returns its microseconds, or -1. */
double loop_reset_us(const struct loop *l)
{
    if (call(l) != 0)
        return -1;
    double begin = now_us();
    int ret = ((reset_function *)l->reset)((void *)l->vm);
    return ret < 0 ? -1 : now_us() - begin;
}

/* What a guest of clock.c does, here. */
void loop_clock(int reads)
{
    struct timespec t;
    for (int i = 0; i < reads; i++)
        clock_gettime(CLOCK_MONOTONIC, &t);
}

/* What a guest of touch.c does, here: writes to (pages) fresh pages, and gives them back.
 * Returns 0, or -1 without memory. */
int loop_touch(int pages)
{
    const size_t size = (size_t)pages * 4096;
    char *at = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return -1;
    for (size_t i = 0; i < size; i += 4096)
        ((volatile char *)at)[i] = 1;
    return munmap(at, size);
}
