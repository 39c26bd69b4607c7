/* console.c: see console.h. A ring of fixed lines would waste most of its bytes; this
 * is a byte queue of (kind, length, text) that grows to a bound, and empties in one go.
 */
#include "console.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QUEUE_MAX (256 * 1024)

struct partial {
    char text[CONSOLE_LINE];
    uint32_t len;
};

struct entry {
    uint16_t kind, len;
};

struct skerry_console {
    int references;
    pthread_mutex_t lock;
    char *queue;
    size_t used, taken, capacity;
    uint64_t dropped;
    struct partial partial[3]; /* by kind: stdout, stderr, log */
    int passes;                /* what is printed goes to descriptors 1 and 2 instead */
};

struct skerry_console *skerry_console_open(void)
{
    struct skerry_console *c = calloc(1, sizeof(*c));
    if (c) {
        c->references = 1;
        pthread_mutex_init(&c->lock, NULL);
    }
    return c;
}

struct skerry_console *console_share(struct skerry_console *c)
{
    __atomic_add_fetch(&c->references, 1, __ATOMIC_RELAXED);
    return c;
}

void skerry_console_close(struct skerry_console *c)
{
    if (!c || __atomic_sub_fetch(&c->references, 1, __ATOMIC_ACQ_REL))
        return;
    pthread_mutex_destroy(&c->lock);
    free(c->queue);
    free(c);
}

static int reserve(struct skerry_console *c, size_t more)
{
    if (c->used + more <= c->capacity)
        return 1;
    if (c->used + more > QUEUE_MAX)
        return 0;
    size_t capacity = c->capacity ? c->capacity * 2 : 4096;
    char *queue = realloc(c->queue, capacity);
    if (!queue)
        return 0;
    c->queue = queue;
    c->capacity = capacity;
    return reserve(c, more);
}

static void push(struct skerry_console *c, int kind, const char *text, size_t len)
{
    struct entry entry = {(uint16_t)kind, (uint16_t)len};
    if (!reserve(c, sizeof(entry) + len)) {
        c->dropped++;
        return;
    }
    memcpy(c->queue + c->used, &entry, sizeof(entry));
    memcpy(c->queue + c->used + sizeof(entry), text, len);
    c->used += sizeof(entry) + len;
}

static void end_line(struct skerry_console *c, int kind)
{
    struct partial *p = &c->partial[kind - 1];
    push(c, kind, p->text, p->len);
    p->len = 0;
}

void skerry_console_pass(struct skerry_console *c)
{
    c->passes = 1;
}

static void pass(int kind, const char *text, size_t len)
{
    const int fd = kind == SKERRY_LINE_STDOUT ? STDOUT_FILENO : STDERR_FILENO;
    while (len) {
        const ssize_t n = write(fd, text, len);
        if (n < 0 && errno != EINTR)
            return;
        text += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
}

void console_write(struct skerry_console *c, int kind, const char *text, size_t len)
{
    if (c->passes) {
        pass(kind, text, len);
        return;
    }
    pthread_mutex_lock(&c->lock);
    struct partial *p = &c->partial[kind - 1];
    for (size_t i = 0; i < len; i++) {
        const char byte = text[i]; /* shared memory can change */
        if (byte != '\n')
            p->text[p->len++] = byte;
        if (byte == '\n' || p->len == CONSOLE_LINE)
            end_line(c, kind);
    }
    pthread_mutex_unlock(&c->lock);
}

void console_note(struct skerry_console *c, const char *fmt, ...)
{
    char text[CONSOLE_LINE];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    pthread_mutex_lock(&c->lock);
    push(c, SKERRY_LINE_HOST, text,
         len < CONSOLE_LINE ? (size_t)len : CONSOLE_LINE - 1);
    pthread_mutex_unlock(&c->lock);
}

void console_flush(struct skerry_console *c)
{
    if (!(c->partial[0].len | c->partial[1].len | c->partial[2].len))
        return;
    pthread_mutex_lock(&c->lock);
    for (int kind = 1; kind <= 3; kind++)
        if (c->partial[kind - 1].len)
            end_line(c, kind);
    pthread_mutex_unlock(&c->lock);
}

int console_pending(const struct skerry_console *c)
{
    return __atomic_load_n(&c->used, __ATOMIC_RELAXED) != 0;
}

static void tell_dropped(struct skerry_console *c)
{
    char text[64];
    int len =
        snprintf(text, sizeof(text), "%lu lines dropped", (unsigned long)c->dropped);
    c->dropped = 0;
    push(c, SKERRY_LINE_HOST, text, (size_t)len);
}

static int take(struct skerry_console *c, char *dst, size_t size, int *kind)
{
    if (c->taken == c->used) {
        c->taken = c->used = 0;
        if (!c->dropped)
            return -1;
        tell_dropped(c);
    }
    struct entry entry;
    memcpy(&entry, c->queue + c->taken, sizeof(entry));
    size_t len = entry.len < size ? entry.len : size;
    memcpy(dst, c->queue + c->taken + sizeof(entry), len);
    c->taken += sizeof(entry) + entry.len;
    *kind = entry.kind;
    return (int)len;
}

int skerry_console_take(struct skerry_console *c, char *dst, size_t size, int *kind)
{
    pthread_mutex_lock(&c->lock);
    int ret = take(c, dst, size, kind);
    pthread_mutex_unlock(&c->lock);
    return ret;
}
