/* pages.c: a program whose storage function writes to as many pages as its first
 * argument says, to each of them something else every time. */
#include <stdlib.h>

#include "kvm_api.h"

enum { MOST = 256, PAGE = 4096 };

static unsigned char pages[MOST][PAGE] __attribute__((aligned(4096)));
static int count;

static void write_pages(size_t n, struct virtbuffer buf[n], size_t res)
{
    for (int i = 0; i < count; i++)
        pages[i][0]++;
    storage_return(&count, sizeof(count));
}

static void on_get(const char *url, const char *arg)
{
    int written = -1;

    storage_call(write_pages, 0, 0, &written, sizeof(written));
    if (written == count)
        backend_response_str(200, "text/plain", "written");
    else
        backend_response_str(500, "text/plain", "the storage call failed");
}

int main(int argc, char **argv)
{
    count = atoi(argv[1]);
    if (count < 0 || count > MOST)
        return 1;
    STORAGE_ALLOW(write_pages);
    set_backend_get(on_get);
    wait_for_requests();
}
