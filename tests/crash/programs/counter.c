/* counter.c: a counter in storage. /add adds one, all else reads. */
#include "answer.h"

static long counter;

STORAGE(add)
{
    counter++;
    storage_return(&counter, sizeof(counter));
}

STORAGE(get)
{
    storage_return(&counter, sizeof(counter));
}

static void on_get(const char *url, const char *arg)
{
    const bool adds = strstr(url, "/add") != NULL;
    long now;
    if (storage_call(adds ? add : get, NULL, 0, &now, sizeof(now)) != sizeof(now))
        reply("refused");
    reply(adds ? "ok %ld" : "at %ld", now);
}

int main(void)
{
    set_backend_get(on_get);
    wait_for_requests();
}
