/* stream.c: a program that streams 16 MiB in pieces as large as may be. */
#include "kvm_api.h"

static char text[1 << 16];

static struct streaming_content piece(void *arg, size_t max, size_t written,
                                      size_t total)
{
    struct streaming_content content = {text, max};
    return content;
}

static void on_get(const char *url, const char *arg)
{
    begin_streaming_response(200, "text/plain", 10, 16 << 20, piece, NULL);
}

int main(void)
{
    memset(text, 'x', sizeof(text));
    set_backend_get(on_get);
    wait_for_requests();
}
