/* echo.c: answers with the request itself, as text: method and url, every header, an
 * empty line, the body. The request callback gets all methods, body or not. */
#define _POSIX_C_SOURCE 200809L /* open_memstream */
#include "kvm_api.h"
#include <stdio.h>

/* Writes (*request) to (out), in the order in which HTTP sends it. */
static void print_request(FILE *out, const struct kvm_request *request)
{
    fprintf(out, "%s %s\n", request->method, request->url);
    for (unsigned i = 0; i < request->num_headers; i++) {
        const struct kvm_request_header *header = &request->headers[i];
        fwrite(header->field, 1, header->field_len, out);
        fputc('\n', out);
    }
    fputc('\n', out);
    if (request->content_len > 0)
        fwrite(request->content, 1, request->content_len, out);
}

static void on_request(const struct kvm_request *request)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (out == NULL)
        backend_response_str(500, "text/plain", "out of memory\n");
    print_request(out, request);
    /* If there was not enough memory for it all, nothing is sent cut short. */
    if (fclose(out) != 0)
        backend_response_str(500, "text/plain", "out of memory\n");

    http_setf(RESPONSE, "X-Body-Length: %zu", request->content_len);
    backend_response(200, "text/plain", strlen("text/plain"), text, len);
}

int main(void)
{
    set_backend_request(on_request);
    wait_for_requests();
}
