/* headers.c: a program whose answer has 32 response headers. */
#include "kvm_api.h"

static void on_get(const char *url, const char *arg)
{
    for (int i = 0; i < 32; i++)
        http_setf(BERESP, "X-Answer-%d: %d", i, i);
    backend_response_str(200, "text/plain", "Hello World!");
}

int main(void)
{
    set_backend_get(on_get);
    wait_for_requests();
}
