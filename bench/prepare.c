/* prepare.c: a program that takes its time to start: it fills a table that its requests
 * look into. */
#include "kvm_api.h"

enum { SIZE = 1 << 22 };
static unsigned table[SIZE];

static void on_get(const char *url, const char *arg)
{
    char text[32];
    snprintf(text, sizeof(text), "%u", table[strlen(url) % SIZE]);
    backend_response_str(200, "text/plain", text);
}

int main(void)
{
    unsigned state = 1;
    for (int round = 0; round < 40; round++)
        for (int i = 0; i < SIZE; i++)
            table[i] ^= state = state * 1664525u + 1013904223u;
    set_backend_get(on_get);
    wait_for_requests();
}
