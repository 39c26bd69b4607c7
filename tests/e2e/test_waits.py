"""Pipes, timers and sets of epoll in jailed workers."""

from support.server import Server, write_config

# Start-up fills a pipe; a request reads it, and then waits for a timer in a set.
SOURCE = r"""
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <unistd.h>
static int ends[2];
START { pipe(ends), write(ends[1], "from main", 9); puts("main has run"); }
HANDLE {
    char text[100] = "";
    struct itimerspec soon = {{0, 0}, {0, atoi(strrchr(url, '/') + 1) * 1000000}};
    struct epoll_event e = {EPOLLIN, {.fd = 7}};
    int set = epoll_create1(0), timer = timerfd_create(CLOCK_MONOTONIC, 0);
    int file = memfd_create("file", 0);
    write(file, url, strlen(url));
    read(ends[0], text, sizeof text - 1);
    timerfd_settime(timer, 0, &soon, 0);
    epoll_ctl(set, EPOLL_CTL_ADD, timer, &e);
    if (epoll_wait(set, &e, 1, -1) == 1)
        reply("%s %d", text, (int)lseek(file, 0, SEEK_END));
}
"""
FOUND = b"from main 9"


def test_every_worker_has_the_pipes_of_start_up(tmp_path):
    """... also one that takes the place of one that died, and one of the next start,
    which takes the program from its cold-start file."""
    keys = {"source": SOURCE, "cold_start_file": "cold"}
    config = write_config(tmp_path, {"wait": keys})
    for start in range(2):
        with Server(config) as server:
            assert server.get("/wait/005").body == FOUND
            server.kill("skerry.worker")
            assert server.get("/wait/050").body == FOUND
            assert ("not taken from" in server.log) == (start == 0)
            assert "refused" not in server.log
