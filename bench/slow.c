/* slow.c: a program that computes for two seconds, and then answers. */
#include <time.h>

#include "kvm_api.h"

static volatile unsigned long state;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* To look at the clock is to leave the guest: seldom, so that it computes. */
static void on_get(const char *url, const char *arg)
{
    double end = now() + 2;

    while (now() < end)
        for (int i = 0; i < 10000000; i++)
            state = state * 6364136223846793005 + 1;
    backend_response_str(200, "text/plain", "done");
}

int main(void)
{
    set_backend_get(on_get);
    wait_for_requests();
}
