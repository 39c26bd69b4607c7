/* oracle.h: for programs that make the same calls natively and in a guest. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A pointer that nobody may follow. */
#define BAD ((void *)8)

/* The call itself, without what a C library makes of it; what is not given is 0. */
#define CALL(name, ...) syscall(SYS_##name, ##__VA_ARGS__, 0L, 0L, 0L, 0L, 0L, 0L)

/* What comes before is the C library's start; the comparison begins here. */
static inline void begin(void)
{
    CALL(close, -777);
    CALL(getpid);
}

/* Of the calls that are made meanwhile only the last one is compared; and none that
 * sets a timer, or ends a handler. */
#define LAST_OF(...)                                                                   \
    do {                                                                               \
        CALL(close, -778);                                                             \
        __VA_ARGS__;                                                                   \
        CALL(close, -779);                                                             \
    } while (0)

/* Makes (call) until it returns (value). */
#define UNTIL(value, call) LAST_OF(while ((call) != (value)) continue)

/* Shows (len) bytes at (at): memory that a call has filled. */
static inline void show(const void *at, size_t len)
{
    CALL(write, 1, at, len);
}

/* Shows what is so. */
#define IS(value) is(#value, (long)(value))
static inline void is(const char *what, long value)
{
    char line[200];
    show(line, (size_t)snprintf(line, sizeof(line), "%s = %ld\n", what, value));
}
