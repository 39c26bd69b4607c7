/* regex.c: a program that looks for a simple pattern in a string of 200 bytes. */
#include "kvm_api.h"

static long user;
static char text[200];

static void on_get(const char *url, const char *arg)
{
    if (sys_regex_match(user, text, sizeof(text)) < 0)
        backend_response_str(500, "text/plain", "no match");
    backend_response_str(200, "text/plain", "Hello World!");
}

int main(void)
{
    user = sys_regex_compile("user=([a-z]+)", 13);
    memset(text, 'x', sizeof(text));
    memcpy(text + 150, "user=fred;", 10);
    set_backend_get(on_get);
    wait_for_requests();
}
