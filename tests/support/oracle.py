"""What a program finds out, here and on the real Linux. It is SHOW, a try_all() of its
own, and MAIN; it makes a line "CALL = RESULT" of each call, the result a number or the
name of an error."""

import subprocess
from pathlib import Path

from support.client import LONG

# TRY and IS add a line to (text), its number in the format NUMBER. Nothing is mapped at
# BAD, and HIGH is above all that a program may have.
SHOW = r"""
#define _GNU_SOURCE
#include "kvm_api.h"
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifndef NUMBER
#define NUMBER "%ld"
#endif

static char text[1 << 17];
static size_t used;
static void show(const char *call, long value)
{
    const char *name = value < 0 && value > -4096 ? strerrorname_np(-value) : NULL;
    if (name)
        used += sprintf(text + used, "%s = %s\n", call, name);
    else
        used += sprintf(text + used, "%s = " NUMBER "\n", call, value);
}
static long result(long value) { return value == -1 ? -errno : value; }
/* TRY makes a system call, IS shows another value. */
#define TRY(name, ...) \
    show(#name "(" #__VA_ARGS__ ")", result(syscall(SYS_##name, ##__VA_ARGS__)))
#define IS(value) show(#value, value)
#define BAD ((void *)8)
#define HIGH ((void *)-4096l)
"""

# On Linux it prints the lines of try_all(). In a guest it answers them: it tries at the
# start, unless its argument is "in a request"; the URL "/in a request" tries anew.
MAIN = r"""
static void on_get(const char *url, const char *arg)
{
    if (strcmp(url, "/in a request") == 0)
        used = 0, try_all();
    backend_response(200, "text/plain", 10, text, used);
}
int main(int argc, char **argv)
{
    if (IS_LINUX_MAIN()) {
        try_all();
        return fwrite(text, used, 1, stdout) != 1;
    }
    if (strcmp(argv[1], "in a request") != 0)
        try_all();
    set_backend_get(on_get);
    wait_for_requests();
}
"""

# close_all() closes what a program has opened, events_of() is what poll says.
DESCRIPTORS = r"""
#include <poll.h>
static void close_all(void)
{
    for (int fd = 3; fd < 64; fd++)
        close(fd);
}
static long events_of(int fd)
{
    struct pollfd one = {fd, -1};
    return poll(&one, 1, 0) < 0 ? -errno : one.revents;
}
"""


def results(text: str) -> dict[str, str]:
    """{call: result} of lines "CALL = RESULT"; a CALL that comes again has a number."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        call, result = line.rsplit(" = ", 1)
        count = sum(known.split(" #")[0] == call for known in found)
        found[f"{call} #{count + 1}" if count else call] = result
    return found


def on_linux(
    program: Path,
    *arguments: str,
    directory: Path = Path("/"),
    stdin: int = subprocess.DEVNULL,
) -> dict[str, str]:
    """The results of this Linux, with what a guest has: at most 64 descriptors, and
    nothing to read at (stdin), which may be subprocess.PIPE too."""
    run = subprocess.run(
        ["/bin/sh", "-c", 'ulimit -n 64; exec "$0" "$@"', program, *arguments],
        cwd=directory,
        stdin=stdin,
        capture_output=True,
        check=True,
        timeout=LONG,
    )
    return results(run.stdout.decode())


def differing(
    ours: dict[str, str], linux: dict[str, str]
) -> dict[str, tuple[str | None, str | None]]:
    """{call: (our result, that of Linux)} of all that are not the same; None: only the
    other has made the call."""
    both = {call: (ours.get(call), linux.get(call)) for call in linux | ours}
    return {call: two for call, two in both.items() if two[0] != two[1]}
