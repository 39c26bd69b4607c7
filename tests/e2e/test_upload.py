"""Uploads: who knows a program's key has another build of it serve."""

import hashlib
import json
import re
from http.client import HTTPConnection

import pytest
from support.client import LONG, Raw
from support.programs import GATE, enter
from support.server import Server, skerry, write_config
from support.updates import Crowd, build, elf

KEY = "correct-horse-battery"
ADMIN = re.compile(r"^administered on 127\.0\.0\.1:(\d+)$", re.M)


class Site:
    """A server of a program "one" in a file of its own, with a key, and of others."""

    def __init__(self, directory, others, **keys) -> None:
        self.file = directory / "one"
        one = {"storage": True} | keyed(self.file, build(1)) | keys
        config = write_config(directory, {"one": one} | others)
        options = ("--admin", "127.0.0.1:0")
        self.server = Server(config, workers=2, options=options)
        self.port = int(self.server.wait_for(ADMIN)[1])

    def request(self, method, path, body=None, key=KEY, headers=()):
        """(status, JSON) of a request to the admin's address."""
        made = HTTPConnection("127.0.0.1", self.port, timeout=LONG)
        own = {"Authorization": f"Bearer {key}"} if key else {}
        made.request(method, path, body, own | dict(headers))
        answer = made.getresponse()
        said = answer.status, json.loads(answer.read())
        made.close()
        return said

    def upload(self, source, name="one", key=KEY):
        """(status, JSON) of uploading what is compiled from (source), or its bytes."""
        body = source if isinstance(source, bytes) else elf(source)
        return self.request("POST", f"/programs/{name}", body, key)

    def ask(self, path="/one"):
        return self.server.get(path).body.decode()


def keyed(file, source):
    """A program with a key, in a (file) of its own, as an upload replaces it."""
    file.write_bytes(elf(source))
    return {"key": KEY, "filename": str(file)}


@pytest.fixture
def site(tmp_path):
    """site(others, **keys): a Site with these other programs, and keys of "one"."""
    made = []

    def start(others=None, **keys):
        made.append(Site(tmp_path, others or {}, **keys))
        return made[-1]

    yield start
    for each in made:
        assert each.server.stop() == 0
        assert "Traceback" not in each.server.log


def test_an_upload_is_answered_when_all_workers_serve_it(site):
    made = site()
    assert made.ask() == "1 1"
    status, said = made.upload(build(2))
    assert status == 200
    assert said["version"] == hashlib.sha256(elf(build(2))).hexdigest()
    assert said["ready_ms"] > 0
    assert [made.ask() for _ in range(8)] == [f"2 {count}" for count in range(2, 10)]
    assert made.file.read_bytes() == elf(build(2))
    assert {each.name for each in made.file.parent.iterdir()} == {
        "one",
        "programs.json",
    }


def test_a_reload_after_an_upload_changes_nothing(site):
    made = site()
    assert made.upload(build(2))[0] == 200
    done = skerry("reload", "--listen", f"127.0.0.1:{made.server.port}")
    assert done.stdout == b"one: as before\n"


def test_an_upload_repairs_a_program_that_did_not_start(site, tmp_path):
    broken = keyed(tmp_path / "broken", "START { abort(); } HANDLE {}")
    made = site({"bad": broken})
    assert made.server.get("/bad").status == 503
    source = 'START {} HANDLE { reply("repaired"); }'
    assert made.upload(source, "bad")[0] == 200
    assert made.ask("/bad") == "repaired"
    assert (tmp_path / "broken").read_bytes() == elf(source)


@pytest.mark.parametrize(
    ("body", "status", "step", "reason"),
    [
        (b"#!/bin/sh\n", 422, "upload", "not an ELF file"),
        (b"\x7fELF and no more", 422, "load", ""),
        (build(2, enter="*(volatile int *)0;"), 409, "on_live_restore", "page fault"),
        (build(2, enter=""), 409, "live update", "no on_live_restore"),
        ("START { abort(); } HANDLE {}", 422, "start-up", ""),
    ],
)
def test_an_upload_that_fails_leaves_all_as_it_was(site, body, status, step, reason):
    made = site()
    assert made.ask() == "1 1"
    found, said = made.upload(body)
    assert (found, said["step"]) == (status, step)
    assert reason in said["reason"]
    assert made.ask() == "1 2"
    assert made.file.read_bytes() == elf(build(1))
    assert {each.name for each in made.file.parent.iterdir()} == {
        "one",
        "programs.json",
    }


def test_an_upload_of_another_program_than_the_configured_one_is_refused(site):
    digest = hashlib.sha256(elf(build(1))).hexdigest()
    made = site(sha256=digest)
    status, said = made.upload(build(2))
    assert (status, said["step"]) == (422, "upload")
    assert digest in said["reason"]
    assert made.upload(build(1))[0] == 200


def test_who_does_not_know_the_key_learns_nothing(site):
    made = site({"open": {"source": "START {} HANDLE {}"}})
    answers = [
        made.upload(build(2), key="wrong-horse-battery"),
        made.upload(build(2), key=None),
        made.upload(build(2), name="open"),  # it has no key
        made.upload(build(2), name="open", key=None),
        made.upload(build(2), name="none"),
        made.request("POST", "/programs/one", b"", None, [("Authorization", KEY)]),
    ]
    assert {status for status, _ in answers} == {403}
    assert len({json.dumps(said) for _, said in answers}) == 1
    assert made.ask() == "1 1"


def test_the_admin_listener_does_nothing_else(site):
    made = site()
    assert made.request("GET", "/programs/one")[0] == 405
    assert made.request("GET", "/one")[0] == 404
    status, said = made.request("GET", "/status", key=None)
    assert status == 200
    assert [each["name"] for each in said["programs"]] == ["one"]
    assert KEY not in json.dumps(said)


def test_uploads_one_after_another_under_load_fail_no_request(site):
    made = site()
    crowd = Crowd(made.server, "/one", clients=3)
    with crowd.asking():
        for version in range(2, 6):
            assert made.upload(build(version))[0] == 200
    assert not crowd.failures
    assert {each.status for each in crowd.answers} == {200}
    counts = sorted(int(each.body.split()[1]) for each in crowd.answers)
    assert counts == list(range(1, len(counts) + 1))


def test_a_request_in_flight_outlives_an_upload(site, tmp_path):
    gate = keyed(tmp_path / "gate", GATE["source"])
    made = site({"gate": gate | {"shared_memory": GATE["shared_memory"]}})
    with Raw(made.server.port) as slow:
        enter(slow, made.server)
        assert made.upload("/* anew */" + GATE["source"], "gate")[0] == 200
        assert slow.is_silent()
        assert made.ask("/gate/open") == "done"
        assert slow.answer().body == b"through"


def test_an_address_that_is_taken_is_said_so(site):
    made = site()
    config = made.server.file
    done = skerry(
        "serve", config, "--listen", "127.0.0.1:0", "--admin", f"127.0.0.1:{made.port}"
    )
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{made.port}: " in done.stderr.decode()
