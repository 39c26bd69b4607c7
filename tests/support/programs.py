"""Programs that several tests use, as C behind PRELUDE."""

from support.client import Raw, wait_until
from support.server import Server

# A gate in shared memory. /NAME/pass waits until it is open, spinning; /NAME/open and a
# POST open it, /NAME/shut shuts it; /NAME/count tells how many have begun to wait, and
# /NAME/inside how many wait.
GATE = {
    "shared_memory": 2,
    "source": r"""
#include <string.h>
static volatile struct gate { int entered, left, open; } *gate;
static void on_post(const char *url, const char *arg, const char *type,
                    const uint8_t *data, size_t len)
{
    gate->open = 1;
    reply("opened");
}
START {
    gate = SHM_ALLOC_TYPE(struct gate);
    set_backend_post(on_post);
}
HANDLE {
    if (strstr(url, "/count"))
        reply("%d", gate->entered);
    if (strstr(url, "/inside"))
        reply("%d", gate->entered - gate->left);
    if (strstr(url, "/open") || strstr(url, "/shut")) {
        gate->open = strstr(url, "/open") != NULL;
        reply("done");
    }
    __sync_fetch_and_add(&gate->entered, 1);
    while (!gate->open)
        __builtin_ia32_pause();
    __sync_fetch_and_add(&gate->left, 1);
    reply("through");
}
""",
}

# /NAME/loop never ends, /NAME/crash reads a null pointer, /NAME/mute answers nothing;
# everything else is 200 "fine".
TROUBLE = {
    "max_request_time": 1,
    "source": r"""
#include <string.h>
START {}
HANDLE {
    if (strstr(url, "/loop"))
        for (;;)
            __asm__ volatile("pause");
    if (strstr(url, "/crash"))
        *(volatile int *)0;
    if (strstr(url, "/mute"))
        return;
    reply("fine");
}
""",
}

HELLO = {"source": 'START {} HANDLE { reply("Hello World!"); }'}

# Counts in shared memory: 0, 1, 2 ...
COUNT = {
    "shared_memory": 2,
    "source": """
static volatile int *count;
START { count = SHM_ALLOC_TYPE(int); }
HANDLE { reply("%d", __sync_fetch_and_add(count, 1)); }
""",
}

# Takes two seconds to start.
SLEEPY = {
    "source": """
#include <unistd.h>
START { sleep(2); } HANDLE { reply("awake"); }
"""
}

# Counts in storage: every request adds one, and tells the sum.
COUNTER = r"""
static int count;
static void increment(size_t n, struct virtbuffer buf[n], size_t res)
{
    count++;
    storage_return(&count, sizeof count);
}
START { STORAGE_ALLOW(increment); }
HANDLE {
    int now;
    storage_call(increment, 0, 0, &now, sizeof now);
    reply("%d", now);
}
"""

# Bodies in pieces. /NAME/N streams N bytes of the alphabet, /NAME/chunks/N so many
# without telling how many, /NAME/endless as many as anybody takes, and /NAME/broken
# crashes after the first of 5 pieces; /NAME/pieces tells how many have been made. The
# answer to a body, which it takes in pieces, is its size and Adler-32.
STREAMS = {
    "shared_memory": 2,
    "source": r"""
#include <stdlib.h>
#include <string.h>
static volatile long *made;
static uint64_t low = 1, high; /* Adler-32 */
static size_t size, end;
static int broken;

static struct streaming_content piece(void *arg, size_t max, size_t written,
                                      size_t total)
{
    static char text[1 << 16];
    __sync_fetch_and_add(made, 1);
    if (broken && written)
        *(volatile int *)0;
    if (broken && max > 1000)
        max = 1000;
    if (max > end - written)
        max = end - written;
    for (size_t i = 0; i < max; i++)
        text[i] = 'a' + (written + i) % 26;
    struct streaming_content content = {text, max};
    return content;
}
static long on_piece(const char *url, const char *arg, const char *type,
                     const uint8_t *data, size_t len, size_t off)
{
    if (off != size || (strstr(url, "/broken") && off))
        return -1;
    for (size_t i = 0; i < len; i++) {
        high += low += data[i];
        if (i % 4096 == 4095 || i == len - 1) {
            low %= 65521;
            high %= 65521;
        }
    }
    size += len;
    return (long)len;
}
static void on_post(const char *url, const char *arg, const char *type,
                    const uint8_t *data, size_t len)
{
    reply("%zu %lu", len, high << 16 | low);
}
START {
    made = SHM_ALLOC_TYPE(long);
    set_backend_post(on_post);
    set_backend_stream_post(on_piece);
}
HANDLE {
    const char *what = strrchr(url, '/') + 1;
    if (strcmp(what, "pieces") == 0)
        reply("%ld", *made);
    broken = strcmp(what, "broken") == 0;
    end = strcmp(what, "endless") == 0 ? SIZE_MAX : strtoul(what, 0, 10);
    if (broken)
        end = 5000;
    int known = end != SIZE_MAX && !strstr(url, "/chunks/");
    begin_streaming_response(200, "text/plain", 10, known ? end : SIZE_MAX, piece, 0);
}
""",
}


def letters(count: int) -> bytes:
    """(count) bytes of what STREAMS makes."""
    alphabet = b"abcdefghijklmnopqrstuvwxyz"
    return (alphabet * (count // 26 + 1))[:count]


def enter(client: Raw, server: Server, name: str = "gate") -> None:
    """Sends a request of (client) into the gate (name), and waits until it is there."""
    before = int(server.get(f"/{name}/count").body)
    client.get(f"/{name}/pass")
    wait_until(lambda: int(server.get(f"/{name}/count").body) > before)
