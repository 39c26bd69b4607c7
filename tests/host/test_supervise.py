"""Parts of the supervisor, each by itself: limits, counts, pauses, sockets."""

import asyncio
import contextlib
import dataclasses
import errno
import io
import os
import resource
import signal
import socket
import struct
import tempfile
from pathlib import Path

import msgspec
import pytest

from skerry.channel import Channel, Nonsense
from skerry.config import Config, defaults
from skerry.counts import Counts
from skerry.http import Limits
from skerry.log import Log
from skerry.machine import CannotServe, check_device
from skerry.messages import (
    Begun,
    Booted,
    Counted,
    Jailed,
    Moved,
    NotBooted,
    Prepared,
    Serving,
    WorkerNews,
)
from skerry.sources.kept import besides
from skerry.supervise import files, listen
from skerry.supervise.boot import Order, _Run
from skerry.supervise.programs import Edition, Entry, Wanted, file_version
from skerry.supervise.slot import Slot, pause
from skerry.supervise.tally import Tally


def test_a_worker_that_dies_young_again_and_again_is_started_ever_later():
    pauses = [pause(short) for short in range(10)]
    assert pauses == [0, 0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5]


def test_counts_outlive_the_worker_that_counted():
    tally = Tally()
    tally.note(1, {"one": Counts(requests=5, clones_busy=1, clones_free=2)})
    tally.note(2, {"one": Counts(requests=3, errors=1, clones_free=1)})
    assert tally.of("one") == Counts(8, 1, 0, 1, 3)
    tally.bury(1)
    assert tally.of("one") == Counts(8, 1, 0, 0, 1)
    tally.note(1, {"one": Counts(requests=2)})
    tally.note(1, {"one": Counts(requests=4)})
    assert tally.of("one") == Counts(12, 1, 0, 0, 1)
    assert tally.of("none") == Counts()


class Impostor:
    """A worker that a guest has taken over: it sends (data)."""

    def __init__(self, data):
        self._other, ours = socket.socketpair()
        self._other.sendall(data)
        self.channel = Channel(ours, WorkerNews)
        self.signals = []

    def signal(self, number):
        self.signals.append(number)
        self._other.close()


def listen_to(data):
    """(the signals that a slot sends to a worker that sends (data), what it logs)"""

    async def story():
        child, out = Impostor(data), io.StringIO()
        slot = Slot(1, [], Wanted(config(one=1)), Tally(), Log(out))
        await slot._listen(child)
        child.channel.close()
        return child.signals, out.getvalue()

    return asyncio.run(story())


def message(news, *, fds=0):
    body = msgspec.msgpack.encode(news)
    return struct.pack("<II", len(body), fds) + body


@pytest.mark.parametrize(
    "data",
    [
        b"\xff" * 64,
        message({"type": "Lies"}),
        message(Counted(1, {})).replace(b"Counted", b"Serving") + b"\xff" * 8,
        message(Serving(), fds=3),
        message(Jailed("layers", "")) + message(Jailed("forged", "")),
    ],
)
def test_a_worker_that_sends_nonsense_is_ended(data):
    signals, said = listen_to(data)
    assert signals == [signal.SIGKILL]
    assert "error: worker 1 sent " in said
    assert "forged" not in said


def test_a_worker_that_hangs_is_ended(monkeypatch):
    async def story():
        child, out = Impostor(b""), io.StringIO()
        slot = Slot(1, [], Wanted(config(one=1)), Tally(), Log(out))
        slot.child = child
        slot.serving.set()
        first = asyncio.create_task(slot.ask())
        await asyncio.sleep(0)
        await slot.ask()
        assert child.signals == [], "it still has time"
        monkeypatch.setattr("skerry.supervise.slot._SILENT", -1.0)
        await slot.ask()
        first.cancel()
        child.channel.close()
        return child.signals, out.getvalue()

    signals, said = asyncio.run(story())
    assert signals == [signal.SIGKILL]
    assert "worker 1 has not answered for" in said


class Recorder:
    """A worker that is told things, as (told)."""

    def __init__(self):
        self.told = []
        self.channel = self

    async def send(self, order, fds=()):
        self.told.append(order)


class Reloading:
    """Joins workers while what is (wanted) becomes (entries)."""

    def __init__(self, wanted, entries):
        self._wanted, self._entries = wanted, entries

    async def join(self, worker):
        self._wanted.entries = self._entries


def test_a_worker_is_told_to_serve_what_it_was_sent_whatever_is_wanted_meanwhile():
    (program,) = config(one=1).programs
    wanted, worker = Wanted(config(one=1)), Recorder()
    old, new = (
        {"one": Entry(program, Edition(number, program, b"", (), None, "", 0.0))}
        for number in (1, 2)
    )

    async def story():
        wanted.entries = old
        outside = Reloading(wanted, new)
        slot = Slot(1, [], wanted, Tally(), Log(io.StringIO()), outside)
        told = asyncio.create_task(slot._bring(worker))
        while len(worker.told) < 2:
            await asyncio.sleep(0)
        told.cancel()

    asyncio.run(story())
    added, served = worker.told
    assert added.id == 1
    assert served.programs == [("one", 1)]


async def hold(editions):
    """Nobody has to wait for these tests."""


@pytest.mark.parametrize(
    ("news", "count"),
    [
        (Begun(7), 0),
        (Begun(1), 1),
        (NotBooted(1, "load", "no"), 1),
        (Booted(1, b"", None, "", 0.0), 0),
        (Booted(1, b"", 2, "", 0.0), 2),
        (Booted(1, b"", -1, "", 0.0), 2),
        (Booted(1, b"", None, "", 0.0, "kept"), 1),
        (Booted(1, b"", None, "", 0.0, "handed"), 1),
        (Prepared(1), 0),
        (Moved(1), 0),
        (Jailed("layers", ""), 1),
    ],
)
def test_what_the_boot_process_sends_is_refused_where_it_makes_no_sense(news, count):
    (program,) = config(one=1).programs
    run = _Run({1: Order(program)}, [].append, Log(io.StringIO()), hold)
    fds = tuple(os.open(os.devnull, os.O_RDONLY) for _ in range(count))
    with pytest.raises(Nonsense):
        run._hear(news, fds)
    assert run.missing
    for fd in fds:
        with pytest.raises(OSError):
            os.fstat(fd)


class Talker:
    """A boot process that is asked for little; (said) is what it is told."""

    def __init__(self):
        self.said = []
        self.channel = self

    async def send(self, order, fds=()):
        self.said.append(type(order).__name__)
        self.last = order


@contextlib.contextmanager
def handing_over():
    """A boot process's work with one program of which it has sent the parcel, and whose
    state an old edition has handed over, but for the last step; (run, old, settled)."""
    (program,) = config(one=1).programs
    with tempfile.TemporaryFile() as control, tempfile.TemporaryFile() as parcel:
        control.truncate(4096)
        old = Edition(1, program, b"", (control.fileno(),), 0, "", 0.0)
        settled = []
        order = {2: Order(program, old)}
        run = _Run(order, settled.append, Log(io.StringIO()), hold)
        run._hear(Begun(2), ())
        run._hear(Prepared(2), ())
        talker = Talker()
        asyncio.run(run._hand_over_next(talker))
        assert talker.said == ["HandOver"]
        fd = os.dup(parcel.fileno())
        run._hear(Booted(2, b"", None, "new", 0.0, "handed"), (fd,))
        yield run, old, settled
        with pytest.raises(OSError):
            os.fstat(fd)


def move(edition):
    """What the boot process does to the storage of (edition)."""
    os.pwrite(edition.fds[0], struct.pack("I", 1), 8)


def test_a_boot_process_that_dies_before_state_has_moved_leaves_the_old_edition():
    with handing_over() as (run, _, settled):
        run.decide("killed by SIGKILL")
        (entry,) = settled
        assert entry.edition is None
        assert entry.failure == "live update: the boot process died: killed by SIGKILL"


def test_a_boot_process_that_dies_when_state_has_moved_has_done_its_work():
    with handing_over() as (run, old, settled):
        move(old)
        run.decide("killed by SIGKILL")
        (entry,) = settled
        assert entry.edition.version == "new"
        entry.edition.close()


def test_that_state_has_moved_is_believed_only_when_it_has():
    with handing_over() as (run, old, settled):
        with pytest.raises(Nonsense):
            run._hear(Moved(2), ())
        move(old)
        run._hear(Moved(2), ())
        (entry,) = settled
        assert entry.edition.version == "new"
        old.move_back()
        assert not old.is_moved
        entry.edition.close()


def test_the_boot_process_is_not_told_a_programs_key():
    (program,) = config(one=1).programs
    secret = dataclasses.replace(program, key="correct-horse-battery")
    run, talker = _Run({}, [].append, Log(io.StringIO()), hold), Talker()
    asyncio.run(run._order(talker, 1, Order(secret)))
    assert talker.last.config == program
    assert talker.last.config.key is None


def test_another_key_is_no_reason_to_start_a_program_anew():
    (program,) = config(one=1).programs
    version = file_version(program.filename)
    edition = Edition(1, program, b"", (), None, version, 0.0, besides(program))
    entry = Entry(program, edition)
    assert not entry.is_changed(dataclasses.replace(program, key="another-key-of-it"))
    assert entry.is_changed(dataclasses.replace(program, concurrency=2))


def test_what_holds_in_the_boot_process_is_heard_before_its_first_guest_only():
    out = io.StringIO()
    run = _Run({}, [].append, Log(out), hold)
    run._hear(Jailed("all layers", "no group"), ())
    with pytest.raises(Nonsense):
        run._hear(Jailed("forged", ""), ())
    assert "all layers" in out.getvalue()
    assert "no group" in out.getvalue()
    assert "forged" not in out.getvalue()


def config(**concurrency):
    programs = []
    for name, number in concurrency.items():
        made = defaults(name, Path("/bin/true"))
        values = {each: getattr(made, each) for each in made.__slots__}
        programs.append(type(made)(**values | {"concurrency": number}))
    return Config(Path("programs.json"), tuple(programs))


def test_a_worker_needs_two_descriptors_for_each_clone_it_may_make():
    one, more = files.needed(config(a=1)), files.needed(config(a=101))
    assert more - one == 200
    assert one > Limits().connections
    assert files.needed(config(a=1, b=1)) > one + 2


def test_the_limit_of_descriptors_is_raised_and_a_low_one_is_a_warning(monkeypatch):
    set_to, hard = [], files.needed(config(a=500))
    monkeypatch.setattr(resource, "getrlimit", lambda which: (256, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: set_to.append(limits))
    assert files.raise_limit(config(a=500)) == ""
    warning = files.raise_limit(config(a=501))
    assert set_to == [(hard, hard)] * 2
    need = files.needed(config(a=501))
    assert f"may open {hard} files" in warning
    assert f"LimitNOFILE={need}" in warning


def close(bound):
    for sockets in bound:
        for each in sockets:
            each.close()


def test_all_workers_have_the_same_port():
    bound = listen.bind("127.0.0.1", 0, 3)
    ports = {each.getsockname()[1] for sockets in bound for each in sockets}
    close(bound)
    assert len(bound) == 3
    assert len(ports) == 1


def test_a_port_that_another_server_shares_is_in_use_all_the_same():
    bound = listen.bind("127.0.0.1", 0, 1)
    bound[0][0].listen()
    port = bound[0][0].getsockname()[1]
    with pytest.raises(CannotServe, match=f"127.0.0.1:{port}: Address already in use"):
        listen.bind("127.0.0.1", port, 1)
    close(bound)


def test_a_name_is_all_of_its_addresses(monkeypatch):
    def both(host, port, **unused):
        v6 = (socket.AF_INET6, 1, 6, "", ("::1", port, 0, 0))
        return [v6, (socket.AF_INET, 1, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    bound = listen.bind("both", 0, 2)
    found = [[each.getsockname()[:2] for each in sockets] for sockets in bound]
    close(bound)
    port = found[0][0][1]
    assert found == [[("::1", port), ("127.0.0.1", port)]] * 2


@pytest.mark.parametrize(
    ("host", "port", "reason"),
    [
        ("no.such.host.invalid", 8080, "--listen HOST:PORT"),
        ("a" * 70, 8080, "not a host name"),
        ("192.0.2.1", 8080, "does not have that address"),
    ],
)
def test_a_place_where_we_cannot_listen_is_one_line_that_says_why(host, port, reason):
    with pytest.raises(CannotServe) as error:
        listen.bind(host, port, 2)
    assert str(error.value).startswith(f"cannot listen on {host}:{port}: ")
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


def test_a_port_that_is_not_for_us_says_what_it_takes(monkeypatch):
    def refuse(sock, address):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(CannotServe, match="CAP_NET_BIND_SERVICE"):
        listen.bind("127.0.0.1", 80, 1)


def test_a_missing_device_says_what_to_do(tmp_path):
    with pytest.raises(CannotServe, match="is missing: load the module kvm_intel"):
        check_device(tmp_path / "kvm")


def test_a_device_that_is_not_for_us_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(CannotServe, match=r"permission denied: .* group kvm"):
        check_device(tmp_path)


def test_a_device_that_is_for_us_is_not_opened(tmp_path):
    check_device(tmp_path)


def test_a_program_that_did_not_start_is_tried_again(tmp_path):
    (made,) = config(a=1).programs
    assert Entry(made, None, "load: not an ELF file").is_changed(made)


def test_a_file_that_cannot_be_read_has_no_version(tmp_path):
    assert file_version(tmp_path / "none") == ""
    (tmp_path / "file").write_bytes(b"abc")
    assert file_version(tmp_path / "file").startswith("ba7816bf8f01")
