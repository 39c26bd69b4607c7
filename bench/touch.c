/* touch.c: a program that writes to so many pages as its first argument says. */
#include "kvm_api.h"

static volatile char *at;
static size_t size;

static void on_get(const char *url, const char *arg)
{
    for (size_t i = 0; i < size; i += 4096)
        at[i]++;
    backend_response_str(200, "text/plain", "Hello World!");
}

int main(int argc, char **argv)
{
    size = (size_t)atoi(argv[1]) * 4096;
    at = aligned_alloc(4096, size);
    memset((void *)at, 1, size);
    set_backend_get(on_get);
    wait_for_requests();
}
