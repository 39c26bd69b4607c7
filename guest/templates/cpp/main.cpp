// {{name}}: answers every GET with a line of text.
#include "kvm_api.h"
#include <string>

static void on_get(const char *, const char *)
{
    const std::string text = std::string("Hello from ") + "{{name}}!\n";
    backend_response_str(200, "text/plain", text.c_str());
}

int main()
{
    // This runs once, and then the machine is frozen; every request gets a copy.
    set_backend_get(on_get);
    wait_for_requests();
}
