"""Starting a server: what is said, what is refused, who is served all the same."""

import json
import os
import re
import socket

import pytest
from support.programs import HELLO
from support.server import Server, skerry

BROKEN = {
    "loops": (
        {"source": "START { for (;;); } HANDLE {}", "max_boot_time": 0.2},
        "did not reach wait_for_requests\\(\\) within 0.2 s",
    ),
    "crashes": (
        {"source": "START { *(volatile int *)0; } HANDLE {}"},
        "page fault reading 0x0",
    ),
    "ends": (
        {"source": "#include <stdlib.h>\nSTART { exit(3); } HANDLE {}"},
        "exit",
    ),
}


def test_a_program_that_does_not_start_fails_alone(serve):
    programs = {name: keys for name, (keys, _) in BROKEN.items()}
    server = serve(hello=HELLO, **programs)
    assert server.get("/hello").body == b"Hello World!"
    for name, (_, reason) in BROKEN.items():
        answer = server.get(f"/{name}/x")
        assert (answer.status, b"did not start" in answer.body) == (503, True)
        line = server.wait_for(rf"error: program '{name}': ([^:]+): (.+)")
        assert line[1] == "start-up"
        assert re.search(reason, line[2])
    assert server.log.count("is loaded") == 1


def test_a_file_that_is_no_program_fails_alone(serve, tmp_path):
    text = tmp_path / "text"
    text.write_text("not a program")
    server = serve(hello=HELLO, text={"filename": str(text)})
    server.wait_for(r"error: program 'text': load: not an ELF file")
    assert server.get("/text").status == 503
    assert server.get("/hello").status == 200


def test_what_a_program_prints_before_it_fails_is_in_the_log(serve):
    source = 'START { puts("about to fail"); fflush(stdout); abort(); } HANDLE {}'
    server = serve(bad={"source": "#include <stdlib.h>\n" + source})
    server.wait_for(r"(?m)^>>> \[bad\] about to fail$")


def test_a_program_can_be_told_not_to_print(serve):
    source = 'START { puts("noise"); fflush(stdout); } HANDLE { reply("fine"); }'
    server = serve(quiet={"source": source, "stdout": False}, loud={"source": source})
    assert server.get("/quiet").body == b"fine"
    assert server.log.count("noise") == 1


def test_what_a_program_prints_cannot_steer_the_terminal(serve):
    source = r'START {} HANDLE { fputs("a\033[31mb\rc\n", stderr); reply("ok"); }'
    server = serve(red={"source": source})
    server.get("/red")
    server.wait_for("a\N{REPLACEMENT CHARACTER}\\[31mb\N{REPLACEMENT CHARACTER}c\n")


def test_a_program_finds_its_arguments_and_environment(serve):
    source = r"""
    #include "kvm_api.h"
    #include <stdlib.h>
    #include <string.h>
    static char said[256];
    static void on_get(const char *url, const char *arg)
    {
        backend_response_str(200, "text/plain", said);
    }
    int main(int argc, char **argv)
    {
        for (int i = 0; i < argc; i++)
            strcat(strcat(said, argv[i]), " ");
        const char *names[] = {"KVM_NAME", "KVM_GROUP", "KVM_TYPE", "KVM_STATE",
                               "LC_ALL", "USER", "COLOUR"};
        for (int i = 0; i < 7; i++)
            strcat(strcat(said, getenv(names[i])), " ");
        set_backend_get(on_get);
        wait_for_requests();
    }
    """
    keys = {"source": source, "environment": ["COLOUR=blue"], "whole": True}
    server = serve(
        plain=keys,
        told=keys | {"main_arguments": ["one", "two words"], "group": "small"},
        small={"max_memory": 32, "max_request_memory": 16},
    )
    assert server.get("/plain").body == (
        b"plain state request plain compute request state C root blue "
    )
    assert server.get("/told").body == (
        b"told one two words told small request state C root blue "
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


@pytest.mark.parametrize("listen", ["nowhere", "127.0.0.1:x", "127.0.0.1:70000", ":"])
def test_an_address_that_is_none_is_a_usage_error(config, listen):
    done = skerry("serve", config(hello=HELLO), "--listen", listen)
    assert done.returncode == 2
    assert b"expected HOST:PORT" in done.stderr


@pytest.mark.parametrize("host", ["nowhere.invalid", "a..b", "x" * 300, "192.0.2.1"])
def test_a_host_that_cannot_be_listened_on_is_one_clear_line(config, host):
    done = skerry("serve", config(hello=HELLO), "--listen", f"{host}:0")
    assert done.returncode == 1
    assert done.stderr.decode().startswith(f"cannot listen on {host}:0: ")
    assert done.stderr.count(b"\n") == 1


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
