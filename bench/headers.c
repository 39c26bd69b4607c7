/* headers.c: a program that reads 10 request headers and sets 20 of its response. */
#include "kvm_api.h"

static void on_get(const char *url, const char *arg)
{
    char name[16], field[64];
    long found = 0;
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof(name), "X-Number-%d", i);
        found += http_find_str(REQUEST, name, field, sizeof(field)) > 0;
    }
    for (int i = 0; i < 20; i++)
        http_setf(RESPONSE, "X-Answer-%d: %ld", i, found);
    backend_response_str(200, "text/plain", "Hello World!");
}

int main(void)
{
    set_backend_get(on_get);
    wait_for_requests();
}
