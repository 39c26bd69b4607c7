"""Starting a server: what is said, what is refused, who is served all the same."""

import json
import os
import re
import socket

import pytest
from support.programs import HELLO
from support.server import Server, skerry

BROKEN = {
    "loops": "start-up: main did not reach wait_for_requests\\(\\) within 0.2 s",
    "crashes": "start-up: page fault reading 0x0",
    "ends": "start-up: .*exit",
    "text": "load: not an ELF file",
}
NOISY = """
START { puts("noise"); fflush(stdout); }
HANDLE { fputs("a\\033[31mb\\rc\\n", stderr); reply("fine"); }
"""
ARGUMENTS = r"""
#include "kvm_api.h"
#include <stdlib.h>
#include <string.h>
static const char *const names[] = {"KVM_NAME",  "KVM_GROUP", "KVM_TYPE", "KVM_STATE",
                                    "KVM_DEBUG", "LC_ALL",    "USER",     "COLOUR"};
static char said[256];
static void on_get(const char *url, const char *arg)
{
    backend_response_str(200, "text/plain", said);
}
int main(int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        strcat(strcat(said, argv[i]), "|");
    for (int i = 0; i < 8; i++)
        strcat(strcat(said, getenv(names[i])), "|");
    set_backend_get(on_get);
    wait_for_requests();
}
"""
TOLD = {"source": ARGUMENTS, "environment": ["COLOUR=blue"], "whole": True}
PROGRAMS = {
    "hello": HELLO,
    "loops": {"source": "START { for (;;); } HANDLE {}", "max_boot_time": 0.2},
    "crashes": {"source": "START { *(volatile int *)0; } HANDLE {}"},
    "ends": {
        "source": """
            #include <stdlib.h>
            START { puts("about to fail"); fflush(stdout); exit(3); } HANDLE {}
        """
    },
    "text": {"filename": __file__},
    "quiet": {"source": NOISY, "stdout": False},
    "loud": {"source": NOISY},
    "plain": TOLD,
    "told": TOLD | {"main_arguments": ["one", "two words"], "group": "small"},
    "small": {"max_memory": 32, "max_request_memory": 16},
}


def test_programs_that_do_not_start_fail_alone(server):
    assert server.get("/hello").body == b"Hello World!"
    ready = set(re.findall(r"^Program '(\w+)' is loaded ", server.log, re.M))
    assert ready == {"hello", "quiet", "loud", "plain", "told"}


@pytest.mark.parametrize("name", BROKEN)
def test_a_program_that_does_not_start_is_a_503_and_the_log_says_why(server, name):
    answer = server.get(f"/{name}/x")
    assert (answer.status, answer.body) == (503, b"503 the program did not start\n")
    assert len(re.findall(rf"error: program '{name}': {BROKEN[name]}", server.log)) == 1


def test_what_a_program_prints_before_it_fails_is_in_the_log(server):
    assert ">>> [ends] about to fail" in server.log.splitlines()


def test_a_program_can_be_told_not_to_print(server):
    assert server.get("/quiet").body == b"fine"
    assert server.get("/loud").body == b"fine"
    server.wait_for(r"(?m)^>>> \[loud\] noise$")
    assert "[quiet]" not in server.log


def test_what_a_program_prints_cannot_steer_the_terminal(server):
    assert server.get("/loud").body == b"fine"
    server.wait_for(
        ">>> \\[loud\\] a\N{REPLACEMENT CHARACTER}\\[31mb\N{REPLACEMENT CHARACTER}c\n"
    )


def test_a_program_finds_its_arguments_and_environment(server):
    assert server.get("/plain").body == (
        b"plain|state|request|plain|compute|request|state|0|C|root|blue|"
    )
    assert server.get("/told").body == (
        b"told|one|two words|told|small|request|state|0|C|root|blue|"
    )


def test_a_port_in_use_is_one_clear_line(config):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = skerry("serve", config(hello=HELLO), "--listen", f"127.0.0.1:{port}")
    assert done.returncode == 1
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"cannot listen on 127.0.0.1:{port}: ")
    assert "--listen" in lines[0]


def test_a_bad_configuration_is_all_its_problems_and_nothing_starts(tmp_path):
    file = tmp_path / "bad.json"
    bad = {"filename": "missing", "max_memry": 5, "concurrency": 0, "group": "comput"}
    file.write_text(json.dumps({"bad": bad}, indent=1))
    done = skerry("serve", file)
    problems = done.stderr.decode().splitlines()
    assert (done.returncode, done.stdout) == (1, b"")
    assert [line.split(": ")[0] for line in problems] == [
        f"{file}:{line}" for line in (3, 4, 5, 6)
    ]
    assert "did you mean max_memory?" in problems[1]


def test_the_log_works_where_the_terminal_knows_ascii_only(config):
    source = 'START {} HANDLE { puts("caf\\u00e9"); fflush(stdout); reply("ok"); }'
    env = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    with Server(config(cafe={"source": source}), env) as server:
        assert server.get("/cafe").body == b"ok"
        server.wait_for(r">>> \[cafe\] caf")
        assert server.stop() == 0


def test_serving_goes_on_when_nobody_reads_the_log_any_more(config):
    source = 'START {} HANDLE { puts("said"); fflush(stdout); reply("ok"); }'
    with Server(config(chatty={"source": source}), deaf=True) as server:
        for _ in range(3):
            assert server.get("/chatty").body == b"ok"
        assert server.stop() == 0
