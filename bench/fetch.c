/* fetch.c: "/fetch" fetches "/plain" from this host, and answers with it; all else is
 * answered at once. */
#include "kvm_api.h"

#include <string.h>

static char content[64];

static void on_get(const char *url, const char *arg)
{
    struct curl_op op = {0};
    if (strncmp(url, "/fetch", 6) != 0) {
        backend_response_str(200, "text/plain", "Hello World!");
        return;
    }
    op.content = content;
    op.content_length = sizeof(content);
    if (sys_fetch("/plain", 6, NULL, &op) == 0)
        backend_response(200, op.ctype, op.ctlen, content, op.content_length);
}

int main(void)
{
    set_backend_get(on_get);
    wait_for_requests();
}
