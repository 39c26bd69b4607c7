/* clock.c: a program that reads the clock so many times as its first argument says. */
#include "kvm_api.h"
#include <time.h>

static int reads;

static void on_get(const char *url, const char *arg)
{
    struct timespec t;
    for (int i = 0; i < reads; i++)
        clock_gettime(CLOCK_MONOTONIC, &t);
    backend_response_str(200, "text/plain", "Hello World!");
}

int main(int argc, char **argv)
{
    reads = atoi(argv[1]);
    set_backend_get(on_get);
    wait_for_requests();
}
