"""Programs that come from elsewhere, served."""

import hashlib
import re
import signal
from pathlib import Path

import pytest
from support.client import wait_until
from support.guests import PRELUDE, compile_guest
from support.programs import COUNTER, HELLO
from support.server import Server, skerry, write_config
from support.sources import Site, hang, page, tar, zipped

AGAIN = r"(?m)^configuration loaded again: (.*)$"
HELLO_ELF = compile_guest(PRELUDE + HELLO["source"])


def says(text):
    return compile_guest(PRELUDE + f'START {{}} HANDLE {{ reply("{text}"); }}')


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def site():
    with Site() as made:
        yield made


@pytest.fixture
def reload():
    """reload(server): loads the configuration again; what the log says then."""

    def again(server):
        server.forget()
        server.process.send_signal(signal.SIGHUP)
        return server.wait_for(AGAIN)[1]

    return again


def test_the_counter_comes_in_an_archive_from_the_web(serve, site, tmp_path):
    counter = compile_guest(PRELUDE + COUNTER).read_bytes()
    uri = site.put("/counter.tar.xz", tar(("counter", counter)))
    keys = {"uri": uri, "filename": str(tmp_path / "counter"), "storage": True}
    server = serve(counter=keys)
    assert [server.get("/counter").body for _ in range(3)] == [b"1", b"2", b"3"]
    loaded = r"Program 'counter' is loaded \(fetched, storage, ready=[0-9.]+ms\)"
    assert re.search(loaded, server.log)
    assert server.all_of("skerry.getter") == []
    assert server.stop() == 0
    assert "Traceback" not in server.log


def test_when_its_source_is_away_a_program_is_served_from_its_copy(
    serve, site, tmp_path
):
    uri = site.put("/hello", HELLO_ELF.read_bytes())
    keys = {"uri": uri, "filename": str(tmp_path / "hello")}
    assert serve(hello=keys).stop() == 0
    site.close()
    server = serve(hello=keys)
    assert server.get("/hello").body == b"Hello World!"
    assert "Program 'hello' is loaded (cached: source is away, ready=" in server.log
    said = r"error: program 'hello': fetch: .*the copy from before is used"
    assert re.search(said, server.log)


def test_a_program_without_source_and_copy_is_a_503_and_the_others_serve(
    serve, site, tmp_path
):
    gone = {"uri": site.put("/gone", page(status=404)), "filename": "gone"}
    server = serve(gone=gone, hello={"filename": str(HELLO_ELF)})
    assert server.get("/gone").status == 503
    assert server.get("/hello").body == b"Hello World!"
    said = f"error: program 'gone': fetch: {gone['uri']}: its server answers 404"
    assert said in server.log
    failed = server.status()["programs"][0]
    assert (failed["state"], failed["reason"][:6]) == ("failed", "fetch:")


def test_a_reload_fetches_what_is_new_and_leaves_alone_what_is_not(
    serve, site, reload, tmp_path
):
    old, new = says("old").read_bytes(), zipped(("it", says("new").read_bytes()))
    changes = site.put("/changes", page(old, '"1"'), page(new, '"2"'))
    stays = site.put("/stays", page(old, '"1"'))
    server = serve(
        changes={"uri": changes, "filename": str(tmp_path / "changes")},
        stays={"uri": stays, "filename": str(tmp_path / "stays")},
    )
    assert server.get("/changes").body == b"old"
    assert reload(server) == "changed: changes; as before: 1"
    assert "Program 'changes' is loaded (fetched, ready=" in server.log
    assert server.get("/changes").body == b"new"
    assert reload(server) == "as before: 2"
    assert site.asked("/stays") == 3


def test_a_source_that_fails_in_a_reload_leaves_what_serves(
    serve, site, reload, tmp_path
):
    uri = site.put("/hello", HELLO_ELF.read_bytes(), page(status=404))
    copy = tmp_path / "copy"
    server = serve(hello={"uri": uri, "filename": str(copy)})
    assert reload(server) == "as before: 1"
    copy.unlink()
    assert reload(server) == "as before: 1"
    assert "program 'hello': the one from before serves on" in server.log
    assert server.get("/hello").body == b"Hello World!"


def test_a_program_of_another_digest_does_not_run_with_or_without_a_uri(
    serve, site, tmp_path
):
    file, uri = str(HELLO_ELF), site.put("/hello", HELLO_ELF.read_bytes())
    server = serve(
        good={"filename": file, "sha256": sha256(HELLO_ELF).upper()},
        bad={"filename": file, "sha256": "5" * 64},
        fetched={"uri": uri, "filename": str(tmp_path / "it"), "sha256": "5" * 64},
    )
    assert server.get("/good").status == 200
    assert server.get("/bad").status == server.get("/fetched").status == 503
    found = f"{'5' * 64}, found {sha256(HELLO_ELF)}: download it again or correct"
    assert f"program 'bad': sha256: {file}: expected {found} the key" in server.log
    assert f"'fetched': sha256: {uri}: expected the SHA-256 {found}" in server.log
    assert not (tmp_path / "it").exists()


def test_files_are_fetched_beside_programs_and_a_new_one_starts_them_anew(
    serve, site, reload, tmp_path
):
    data = tmp_path / "data"
    uri = site.put("/data", page(b"1", '"1"'), page(b"1", '"1"'), page(b"2", '"2"'))
    one = {"uri": uri, "filename": str(data)}
    server = serve(hello={"filename": str(HELLO_ELF), "download": [one]})
    assert data.read_bytes() == b"1"
    assert reload(server) == "as before: 1"
    assert reload(server) == "changed: hello; as before: 0"
    assert data.read_bytes() == b"2"


def steps(step):
    """A counter that counts in steps of (step), and is otherwise the same."""
    source = COUNTER.replace("count++", f"count += {step}")
    return compile_guest(PRELUDE + source).read_bytes()


def pair(program, storage):
    """An archive of both."""
    return tar(("a", steps(program)), ("a_storage", steps(storage)))


def test_a_second_program_of_the_archive_is_what_storage_runs(
    serve, site, reload, tmp_path
):
    uri = site.put("/steps", pair(1, 10), pair(100, 10), pair(100, 1))
    keys = {"uri": uri, "filename": str(tmp_path / "steps"), "storage": True}
    server = serve(steps=keys | {"live_update": "fresh"})
    assert [server.get("/steps").body for _ in range(2)] == [b"10", b"20"]
    # The state is that of the storage program: it lives on while that is the same.
    assert reload(server) == "changed: steps; as before: 0"
    assert server.get("/steps").body == b"30"
    assert reload(server) == "changed: steps; as before: 0"
    assert server.get("/steps").body == b"1"


def is_confined(pid):
    """Whether process (pid) has given up what fetching does not need."""
    status = Path(f"/proc/{pid}/status").read_text()
    limits = Path(f"/proc/{pid}/limits").read_text()
    named = re.findall(
        r"^Max (core file|file|address space)[ size]* +(\d+)", limits, re.M
    )
    return "NoNewPrivs:\t1" in status and len(named) == 3


def test_a_process_that_fetches_and_dies_harms_only_who_kills_it(site, tmp_path):
    hello = HELLO_ELF.read_bytes()
    programs = {
        name: {"uri": site.put(f"/{name}", reply), "filename": str(tmp_path / name)}
        for name, reply in (("bad", hang), ("good", hello))
    }
    with Server(write_config(tmp_path, programs), wait=False) as server:
        for times in (1, 2):
            wait_until(lambda times=times: site.asked("/bad") == times)
            assert is_confined(*server.all_of("skerry.getter"))
            server.kill("skerry.getter")
        server.listen()
        assert server.get("/good").body == b"Hello World!"
        assert server.get("/bad").status == 503
        said = "program 'bad': fetch: the process that fetches died: killed by SIGKILL"
        assert said in server.log


def test_to_check_a_configuration_fetches_nothing(config, site, tmp_path):
    uri = site.put("/hello", HELLO_ELF.read_bytes())
    done = skerry("check", config(hello={"uri": uri, "filename": "hello"}))
    assert done.returncode == 0
    assert site.requests == []
