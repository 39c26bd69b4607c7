"""Regular expressions, caching and breakpoints in jailed workers."""

from support.client import Raw
from support.programs import HELLO
from support.server import Server, write_config

SOURCE = r"""
static long name;
START { name = sys_regex_compile("name=([a-z]+)", 13); }
HANDLE {
    char room[256];
    sys_breakpoint();
    set_cacheable(true, 5, 0, 0);
    sys_regex_subst(name, url, "<\\1>", room, sizeof room, 0);
    const long own = sys_regex_compile("own", 3);
    reply("%ld %d %s", own, sys_is_debug(), room);
}
"""


def test_every_worker_has_the_patterns_of_start_up(tmp_path):
    """... also one that takes the place of one that died."""
    programs = {
        "plain": {"source": SOURCE},
        "debug": {"source": SOURCE, "allow_debug": True, "storage": True},
    }
    with Server(write_config(tmp_path, programs)) as server:
        for _ in range(2):
            answer = server.get("/plain?name=fred")
            assert answer.body == b"2 0 /plain?<fred>"
            assert answer.headers["Cache-Control"] == "public, max-age=5"
            assert server.get("/debug?name=ann").body == b"2 1 /debug?<ann>"
            server.kill("skerry.worker")
        server.wait_for(r"\[debug\] breakpoint at 0x")
        assert "[plain] breakpoint" not in server.log


SLOW = {
    "max_request_time": 2,
    "source": r"""
static long h;
static char text[1 << 20];
START { h = sys_regex_compile("a*+[xy]", 7); memset(text, 'a', sizeof text); }
HANDLE { sys_regex_match(h, text, sizeof text); reply("over"); }
""",
}


def test_a_match_that_takes_long_delays_no_other_program(tmp_path):
    config = write_config(tmp_path, {"hello": HELLO, "slow": SLOW})
    with Server(config) as server, Raw(server.port) as slow:
        slow.get("/slow")
        served = 0
        while slow.is_silent():
            assert server.get("/hello").body == b"Hello World!"
            served += 1
        assert slow.answer().status == 500
        assert served > 1
        server.wait_for(r"\[slow\] request failed: time limit reached")
