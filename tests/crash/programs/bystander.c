/* bystander.c: tells which configuration it was started with. Its start takes a while,
 * so that a reload can be disturbed. */
#include "answer.h"
#include <time.h>

static long milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void on_get(const char *url, const char *arg)
{
    reply("at %s", getenv("EDITION"));
}

int main(void)
{
    const long end = milliseconds() + 100;
    while (milliseconds() < end)
        __builtin_ia32_pause();
    set_backend_get(on_get);
    wait_for_requests();
}
