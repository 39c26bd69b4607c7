/* scounter.c: a counter in shared memory. /add adds one, all else reads. */
#include "answer.h"

static long *counter;

static void on_get(const char *url, const char *arg)
{
    if (strstr(url, "/add"))
        reply("ok %ld", __sync_add_and_fetch(counter, 1));
    reply("at %ld", __atomic_load_n(counter, __ATOMIC_SEQ_CST));
}

int main(void)
{
    counter = SHM_ALLOC_TYPE(*counter);
    set_backend_get(on_get);
    wait_for_requests();
}
