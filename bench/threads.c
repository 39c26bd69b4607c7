/* threads.c: a program whose threads take turns; its arguments say how many there are,
 * and how many turns. */
#include "kvm_api.h"
#include "ring.h"

static int threads;
static long turns;

static void on_get(const char *url, const char *arg)
{
    ring_run(threads, turns);
    backend_response_str(200, "text/plain", "Hello World!");
}

int main(int argc, char **argv)
{
    threads = atoi(argv[1]);
    turns = atol(argv[2]);
    set_backend_get(on_get);
    wait_for_requests();
}
