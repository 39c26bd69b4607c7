"""Files of the host, as a server's programs see them: its workers, in their jail, open
none themselves."""

import json
import os
import signal
from pathlib import Path

from support.client import ask, connection, wait_until
from support.guests import PRELUDE, compile_guest
from support.server import Server, skerry, write_config

# /NAME/read answers what is in "file", /NAME/kept what start-up has opened, /NAME/list
# how many names the working directory has; /NAME/put appends to the state file in
# storage and answers its size.
SOURCE = r"""
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
static char text[100];
static int kept;
static void show(int fd)
{
    ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof text, 0);
    backend_response(n < 0 ? 404 : 200, "text/plain", 10, text, n < 0 ? 0 : n);
}
static void put(size_t n, struct virtbuffer buf[n], size_t res)
{
    int fd = open("state", O_RDWR | O_CREAT | O_APPEND, 0600);
    write(fd, "+", 1);
    long size = lseek(fd, 0, SEEK_END);
    if (close(fd) == 0)
        storage_return(&size, sizeof size);
}
START {
    kept = open("file", O_RDONLY);
    STORAGE_ALLOW(put);
}
HANDLE {
    if (strstr(url, "/kept"))
        show(kept);
    if (strstr(url, "/read"))
        show(open("file", O_RDONLY));
    if (strstr(url, "/list")) {
        int count = 0;
        DIR *here = opendir(".");
        while (readdir(here))
            count++;
        reply("%d", count);
    }
    long size = -1;
    storage_call(put, 0, 0, &size, sizeof size);
    reply("%ld", size);
}
"""


def configure(directory: Path, **keys) -> Path:
    """A configuration of SOURCE, which finds (directory)/data at /data."""
    data, program = directory / "data", directory / "program"
    if not data.exists():
        data.mkdir()
        (data / "file").write_text("content")
        program.write_bytes(compile_guest(PRELUDE + SOURCE).read_bytes())
    usual = {
        "filename": str(program),
        "storage": True,
        "concurrency": 1,
        "allowed_paths": {"real": "data", "virtual": "/data"},
        "current_working_directory": "/data",
    }
    return write_config(directory, {"files": usual | keys})


def test_every_worker_has_the_files_of_a_program(tmp_path):
    with Server(configure(tmp_path), workers=2) as server:
        for _ in range(2):
            for _ in range(20):
                assert server.get("/files/read").body == b"content"
                assert server.get("/files/kept").body == b"content"
                assert server.get("/files/list").body == b"3"
            for pid in server.workers:
                os.kill(pid, signal.SIGKILL)
            wait_until(lambda: server.get("/files").status == 200)
        assert "refused" not in server.log


def test_the_state_file_lies_beside_the_program(tmp_path):
    """... and outlives the server."""
    file = tmp_path / "program.state"
    with Server(configure(tmp_path), workers=2) as server:
        assert [server.get("/files").body for _ in range(5)] == b"1 2 3 4 5".split()
        assert file.read_bytes() == b"+++++"
    with Server(configure(tmp_path)) as server:
        assert server.get("/files").body == b"6"


def test_a_reload_changes_what_is_allowed(tmp_path):
    file = configure(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    (other / "file").write_text("another")
    with Server(file) as server:
        assert server.get("/files").body == b"1"
        configure(tmp_path, allowed_paths={"real": "other", "virtual": "/data"})
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("configuration loaded again: changed: files")
        assert server.get("/files/read").body == b"another"
        assert server.get("/files/kept").body == b"another"
        assert server.get("/files").body == b"2"
        configure(tmp_path, allowed_paths=[])
        server.forget()
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("configuration loaded again: changed: files")
        assert server.get("/files/read").status == 404
        assert server.get("/files").body == b"3"


def held(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_10000_requests_leave_no_file_open(tmp_path):
    """Neither in the worker, nor in the supervisor, whose opener opened them."""
    with Server(configure(tmp_path)) as server, connection(server.port) as client:

        def make(count: int) -> None:
            for _ in range(count):
                assert ask(client, "GET", "/files/read").body == b"content"

        make(100)
        before = held(server.pid), held(server.process.pid)
        make(10000)
        assert (held(server.pid), held(server.process.pid)) == before


def test_openers_end_with_their_programs(tmp_path):
    file = configure(tmp_path)
    with Server(file) as server:
        before = held(server.process.pid)
        for round in range(3):
            configure(tmp_path, max_queue=round)
            server.forget()
            server.process.send_signal(signal.SIGHUP)
            server.wait_for("configuration loaded again: changed: files")
            assert server.get("/files/read").status == 200
        wait_until(lambda: held(server.process.pid) == before)


def test_a_path_that_is_gone_is_one_programs_problem(tmp_path):
    file = configure(tmp_path)
    text = json.loads(file.read_text())
    with Server(file) as server:
        (tmp_path / "data" / "file").unlink()
        (tmp_path / "data").rmdir()
        text["files"]["max_queue"] = 5
        file.write_text(json.dumps(text))
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("expected a file or a directory that exists: .*data")
        assert server.get("/files").body == b"1"


def test_a_program_that_is_run_alone_has_its_state_file(tmp_path):
    configure(tmp_path)
    program = tmp_path / "program"
    found = [skerry("run", program).stdout.splitlines()[-1] for _ in range(2)]
    assert found == [b"1", b"2"]
    assert (tmp_path / "program.state").read_bytes() == b"++"


READS_ON = r"""
#include <fcntl.h>
#include <unistd.h>
static int kept;
static void next(size_t n, struct virtbuffer buf[n], size_t res)
{
    char text[4] = "";
    long got = read(kept, text, 3);
    if (buf[0].len)
        *(volatile int *)0 = 1;
    storage_return(text, got + 1);
}
START {
    kept = open("file", O_RDONLY);
    STORAGE_ALLOW(next);
}
HANDLE {
    char text[4] = "";
    storage_call(next, "x", url[6] == '/', text, sizeof text);
    reply("%s", text);
}
"""


def test_storage_reads_on_where_the_call_before_has_ended(tmp_path):
    """... in any worker, as long as the server runs; a call that fails reads nothing.
    The next server's storage has the state, and what its own start-up has opened."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "file").write_text("abcdefghi")
    program = {
        "source": READS_ON,
        "storage": True,
        "storage_file": "keep",
        "allowed_paths": {"real": "data", "virtual": "/data"},
        "current_working_directory": "/data",
    }
    file = write_config(tmp_path, {"reads": program})
    with Server(file, workers=2) as server:
        assert server.get("/reads").body == b"abc"
        assert server.get("/reads/failing").body == b""
        assert [server.get("/reads").body for _ in range(3)] == [b"def", b"ghi", b""]
    (data / "file").write_text("ABCDEF")
    with Server(file) as server:
        assert [server.get("/reads").body for _ in range(3)] == [b"ABC", b"DEF", b""]
