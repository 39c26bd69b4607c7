/* {{name}}: answers every GET with a line of text. */
#include "kvm_api.h"

static void on_get(const char *url, const char *arg)
{
    (void)url;
    (void)arg;
    backend_response_str(200, "text/plain", "Hello from {{name}}!\n");
}

int main(void)
{
    /* This runs once, and then the machine is frozen; every request gets a copy. */
    set_backend_get(on_get);
    wait_for_requests();
}
