/* answer.h: what the programs of the crash test have in common.
 *
 * "ok N" acknowledges a change, of which there have now been N. "refused" promises that
 * nothing happened. "at N ..." tells how many there have been. */
#include "kvm_api.h"

#define reply(...)                                                                     \
    do {                                                                               \
        char text_[4096];                                                              \
        int len_ = snprintf(text_, sizeof(text_), __VA_ARGS__);                        \
        backend_response(200, "text/plain", 10, text_, (size_t)len_);                  \
    } while (0)

#define STORAGE(name) static void name(size_t n, struct virtbuffer buf[], size_t res)
