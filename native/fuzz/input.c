/* input.c: see input.h. */
#include "input.h"

#include <string.h>

const uint8_t *input;
size_t left;

size_t bytes(void *to, size_t most)
{
    most = most < left ? most : left;
    memcpy(to, input, most);
    input += most;
    left -= most;
    return most;
}

uint64_t number(size_t size)
{
    uint64_t value = 0;
    bytes(&value, size < 8 ? size : 8);
    return value;
}
