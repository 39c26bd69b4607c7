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


def enter(client: Raw, server: Server, name: str = "gate") -> None:
    """Sends a request of (client) into the gate (name), and waits until it is there."""
    before = int(server.get(f"/{name}/count").body)
    client.get(f"/{name}/pass")
    wait_until(lambda: int(server.get(f"/{name}/count").body) > before)
