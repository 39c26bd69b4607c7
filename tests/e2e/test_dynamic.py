"""Dynamically linked programs, served by jailed workers, whom a refused call ends."""

import re
import subprocess
from pathlib import Path

from support.guests import INCLUDE, PRELUDE, compile_guest
from support.server import Server, write_config

C = r"""
#include <dlfcn.h>
static int n;
static void add(size_t count, struct virtbuffer buf[count], size_t res)
{
    int sum = ++n + 40;
    storage_return(&sum, sizeof sum);
}
START { puts("main has run"); fflush(stdout); }
HANDLE {
    int stored = 0;
    if (strstr(url, "/storage"))
        storage_call(add, 0, 0, &stored, sizeof stored);
    if (strstr(url, "/late") && dlopen("libm.so.6", RTLD_NOW))
        reply("a library came late");
    reply("%d %d", ++n, stored);
}
"""
CPP = r"""
#include <iostream>
#include <sstream>
static int n;
START { std::cout << "main has run" << std::endl; }
HANDLE {
    std::ostringstream out;
    out << ++n << " C++";
    reply("%s", out.str().c_str());
}
"""


def linked(source: str, compiler: str = "gcc") -> str:
    return str(compile_guest(PRELUDE + source, compiler, flags=()))


def bodies(server: Server, path: str, count: int = 3) -> list[str]:
    return [server.get(path).body.decode() for _ in range(count)]


def test_dynamic_programs_in_c_and_cpp_are_served(serve_by_two):
    server = serve_by_two(
        c={"filename": linked(C), "max_memory": 16},
        cpp={"filename": linked(CPP, "g++"), "max_memory": 16},
        keeper={"filename": linked(C), "storage": True},
    )
    assert bodies(server, "/c") == ["1 0"] * 3
    assert bodies(server, "/cpp") == ["1 C++"] * 3
    assert bodies(server, "/keeper/storage") == ["1 41", "1 42", "1 43"]
    assert bodies(server, "/c/late") == ["1 0"] * 3
    assert server.stop() == 0
    assert "died" not in server.log


def test_a_dynamic_program_starts_cold_until_its_linker_is_another(tmp_path):
    """The second start reads no library."""
    linker = tmp_path / "ld.so"
    linker.write_bytes(Path("/lib64/ld-linux-x86-64.so.2").read_bytes())
    text = tmp_path / "app.c"
    text.write_text(PRELUDE + C)
    program = tmp_path / "app"
    flag = f"-Wl,--dynamic-linker={linker}"
    command = ["gcc", "-w", f"-I{INCLUDE}", text, "-o", program, flag]
    subprocess.run(command, check=True)
    keys = {"storage": True, "cold_start_file": "cold", "allowed_paths": [str(linker)]}
    file = write_config(tmp_path, {"app": {"filename": str(program), **keys}})
    logs = []
    for change in (False, False, True):
        if change:
            linker.touch()
        with Server(file) as server:
            assert bodies(server, "/app/storage") == ["1 41", "1 42", "1 43"]
        logs.append(server.log)
    assert ["cold start, storage" in log for log in logs] == [False, True, False]
    assert ["main has run" in log for log in logs] == [True, False, True]


def test_a_dynamic_program_that_does_not_start_says_why(serve, tmp_path):
    (tmp_path / "none.c").write_text("int none(void) { return 1; }")
    library, text = tmp_path / "libnone.so", tmp_path / "app.c"
    text.write_text(
        PRELUDE + 'int none(void); START {} HANDLE { reply("%d", none()); }'
    )
    shared = ["gcc", "-shared", "-fPIC", tmp_path / "none.c", "-o", library]
    subprocess.run(shared, check=True)
    command = ["gcc", "-w", f"-I{INCLUDE}", text, library, "-o", tmp_path / "app"]
    subprocess.run(command, check=True)
    server = serve(
        without={"filename": str(tmp_path / "app")},
        with_it={
            "filename": str(tmp_path / "app"),
            "allowed_paths": [str(tmp_path)],
        },
    )
    assert server.get("/without").status == 503
    assert server.get("/with_it").body == b"1"
    assert re.search(r"libnone.so is not in /\S*: install it, or allow", server.log)
