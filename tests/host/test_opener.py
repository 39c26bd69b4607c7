"""The opener: what it opens, and what it does not, whoever asks."""

import array
import errno
import os
import socket
import stat
import struct
import threading
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from support.client import LONG, wait_until
from support.leaks import descriptors

from skerry.allowed import Allowed, Policy
from skerry.config import AllowedPath
from skerry.opener import open_door

OPEN, STAT, LINK, KEEP = 1, 2, 3, 4
REQUEST, START, STORAGE = 0, 1, 2
WRITE = os.O_WRONLY | os.O_CREAT
REFUSALS = ("EACCES", "ENOENT", "ELOOP")


class Asker:
    """A process that asks at (door), well or badly."""

    def __init__(self, door: int) -> None:
        self.door = socket.socket(fileno=door)

    def send(self, data: bytes, *fds: int) -> None:
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))
        self.door.sendmsg([data], [rights] if fds else [])

    def ask(
        self,
        what: int,
        path: bytes,
        flags: int = 0,
        who: int = REQUEST,
        given: int = -1,
    ) -> tuple[int, bytes, int]:
        """The answer's error, its bytes, its descriptor or -1, which is the caller's"""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            fds = (theirs.fileno(), given) if given >= 0 else (theirs.fileno(),)
            self.send(struct.pack("<IIII", what, who, flags, 0o600) + path, *fds)
            ours.settimeout(LONG)
            data, found, _, _ = socket.recv_fds(ours, 8192, 4)
        return struct.unpack_from("<i", data)[0], data, found[0] if found else -1

    def read(self, path: bytes, flags: int = 0, who: int = REQUEST) -> bytes | str:
        """What is in the file, or the name of the error."""
        error, _, fd = self.ask(OPEN, path, flags, who)
        if error:
            return errno.errorcode[error]
        try:
            return os.read(fd, 100)
        finally:
            os.close(fd)

    def read_all(self, path: bytes) -> bytes:
        """A directory's listing."""
        error, _, fd = self.ask(OPEN, path)
        assert error == 0
        with os.fdopen(fd, "rb") as listing:
            return listing.read()


@contextmanager
def asking(policy: Policy):
    asker = Asker(open_door(policy))
    with asker.door:
        yield asker


@pytest.fixture
def base(tmp_path) -> Path:
    """A directory with a file; beside it, what nobody is to see."""
    (tmp_path / "data" / "inner").mkdir(parents=True)
    (tmp_path / "data" / "file").write_text("content")
    (tmp_path / "data" / "inner" / "leaf").write_text("leaf")
    (tmp_path / "secret").write_text("secret")
    return tmp_path


def allow(real: Path, virtual: str = "/data", writable: bool = False) -> AllowedPath:
    return AllowedPath(real, virtual, real.is_dir(), writable)


@pytest.fixture
def asker(base):
    """Asks for what is allowed: (base)/data as /data."""
    with asking(Policy((allow(base / "data"),))) as made:
        yield made


@pytest.mark.parametrize(
    "path",
    [
        b"/data/../secret",
        b"/data/inner/../../secret",
        b"/data/inner/../../../../../../../../etc/passwd",
        b"/data//../secret",
        b"/data/./../secret",
        b"/data/relative",
        b"/data/absolute",
        b"/data/parent/secret",
        b"/data/root/etc/passwd",
        b"/data/self/environ",
        b"/data/inner/chain",
    ],
)
def test_nothing_leads_outside(base, asker, path):
    data = base / "data"
    (data / "relative").symlink_to("../secret")
    (data / "absolute").symlink_to(base / "secret")
    (data / "parent").symlink_to("..")
    (data / "root").symlink_to("/")
    (data / "self").symlink_to("/proc/self")
    (data / "inner" / "chain").symlink_to("../relative")
    assert asker.read(path) == "EACCES"
    assert asker.ask(STAT, path)[0] == errno.EACCES


def test_a_magic_link_is_not_followed():
    """Not in a directory of processes either, should an operator allow that."""
    with asking(Policy((allow(Path("/proc"), "/proc"),))) as asker:
        for name in (b"cwd/secret", b"root/etc/passwd", b"fd/0", b"exe"):
            assert asker.read(b"/proc/self/" + name) in REFUSALS
            assert asker.read(b"/proc/%d/" % os.getpid() + name) in REFUSALS


def test_links_and_dots_that_stay_inside_are_followed(base, asker):
    (base / "data" / "link").symlink_to("inner/leaf")
    (base / "data" / "inner" / "up").symlink_to("../file")
    paths = (b"/data/link", b"/data/inner/up", b"/data/inner/../file", b"/data/./file")
    found = [asker.read(path) for path in paths]
    assert found == [b"leaf", b"content", b"content", b"content"]


def test_a_hard_link_is_a_file_like_any_other(base, asker):
    """Whoever made it had the right to; the kernel knows no other end of it."""
    (base / "data" / "hard").hardlink_to(base / "secret")
    assert asker.read(b"/data/hard") == b"secret"


def test_a_link_that_changes_while_it_is_followed_leads_nowhere_else(base, asker):
    """A program that may write there swaps a directory for a link, again and again."""
    data, ended = base / "data", threading.Event()
    (data / "link").symlink_to("..")
    (data / "swap").mkdir()
    (data / "swap" / "secret").write_text("harmless")

    def swap() -> None:
        while not ended.is_set():
            for name in ("link", "spare", "swap"):
                other = {"link": "spare", "spare": "swap", "swap": "link"}[name]
                with suppress(OSError):
                    (data / name).rename(data / other)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        found = {asker.read(b"/data/swap/secret") for _ in range(3000)}
    finally:
        ended.set()
        thread.join()
    assert b"secret" not in found


def test_only_files_and_directories_are_opened(base, asker):
    data = base / "data"
    os.mkfifo(data / "pipe")
    os.mknod(data / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(data / "socket"))
        for name in (b"pipe", b"null", b"socket"):
            assert asker.read(b"/data/" + name) == "EACCES"
    error, _, fd = asker.ask(OPEN, b"/data/inner")
    assert (error, "memfd:" in os.readlink(f"/proc/self/fd/{fd}")) == (0, True)
    os.close(fd)


@pytest.mark.parametrize(
    ("who", "flags", "writable", "found"),
    [
        (REQUEST, WRITE, True, errno.EACCES),
        (REQUEST, os.O_RDWR, True, errno.EACCES),
        (REQUEST, os.O_TRUNC, True, errno.EACCES),
        (99, WRITE, True, 0),
        (START, WRITE, False, errno.EACCES),
        (STORAGE, os.O_RDONLY | os.O_TRUNC, False, errno.EACCES),
        (START, WRITE, True, 0),
        (STORAGE, os.O_RDWR | os.O_TRUNC, True, 0),
    ],
)
def test_who_may_write(base, who, flags, writable, found):
    policy = Policy((allow(base / "data", writable=writable),))
    with asking(policy) as asker:
        error, _, fd = asker.ask(OPEN, b"/data/file", flags, who)
        assert error == found
        if fd >= 0:
            os.close(fd)


def test_a_new_file_is_made_inside_only(base):
    data = base / "data"
    (data / "out").symlink_to("../made")
    (data / "there").symlink_to("nowhere")
    with asking(Policy((allow(data, writable=True),))) as asker:
        for name in (b"out", b"there", b"../made", b"inner/../../made"):
            assert asker.read(b"/data/" + name, WRITE, STORAGE) == "EACCES"
        assert asker.read(b"/data/inner/new", os.O_RDWR | os.O_CREAT, START) == b""
    assert (data / "inner" / "new").stat().st_mode & 0o777 == 0o600
    assert not (base / "made").exists()


def test_of_two_paths_the_longer_decides(base):
    (base / "other").mkdir()
    (base / "other" / "file").write_text("other")
    policy = Policy(
        (
            allow(base / "data"),
            allow(base / "other", "/data/inner", writable=True),
            allow(base / "secret", "/data/one"),
        )
    )
    with asking(policy) as asker:
        assert asker.read(b"/data/inner/file") == b"other"
        assert asker.read(b"/data/inner/leaf") == "ENOENT"
        assert asker.read(b"/data/one") == b"secret"
        assert asker.read(b"/data/file", WRITE, START) == "EACCES"
        assert asker.read(b"/data/inner/file", os.O_RDWR, START) == b"other"
        assert asker.read(b"/data/inner/../file") == "EACCES"


def test_a_directory_without_prefix_has_names_and_no_files(base):
    path = AllowedPath(base / "data", "/data", prefix=False, writable=False)
    with asking(Policy((path,))) as asker:
        assert asker.ask(STAT, b"/data/")[0] == 0
        assert b"file" in asker.read_all(b"/data")
        assert asker.read(b"/data/file") == "ENOENT"


def test_a_file_alone_is_no_link_to_another(base):
    """It may be replaced; what takes its place has to be a file, too."""
    with asking(Policy((allow(base / "data" / "file", "/only"),))) as asker:
        (base / "next").write_text("next")
        (base / "next").rename(base / "data" / "file")
        assert asker.read(b"/only") == b"next"
        (base / "data" / "file").unlink()
        (base / "data" / "file").symlink_to("inner/leaf")
        assert asker.read(b"/only") == "EACCES"


def test_a_link_that_the_operator_has_configured_is_followed_once(base):
    (base / "link").symlink_to("data")
    with asking(Policy((allow(base / "link"),))) as asker:
        (base / "link").unlink()
        (base / "link").symlink_to("/etc")
        assert asker.read(b"/data/file") == b"content"
        assert asker.read(b"/data/passwd") == "ENOENT"


def test_the_way_to_what_is_allowed_can_be_listed(base):
    policy = Policy((allow(base / "data", "/srv/deep/data"),), "/home", base / "state")
    with asking(policy) as asker:
        for path, name in ((b"/", b"srv"), (b"/", b"home"), (b"/srv/", b"deep")):
            assert asker.ask(STAT, path)[0] == 0
            assert name in asker.read_all(path)
        assert asker.read(b"/home/state") == "ENOENT"
        assert asker.ask(STAT, b"/elsewhere")[0] == errno.ENOENT


# --- Strangers ---


@pytest.mark.parametrize(
    "data",
    [b"", b"x", bytes(15), bytes(16), b"\xff" * 16 + b"/data/file", bytes(16) + b"/"],
)
def test_nonsense_changes_nothing(asker, data):
    before = descriptors()
    ours, theirs = socket.socketpair()
    with ours, theirs, open("/dev/null") as other:
        if data:
            asker.send(data)
        asker.send(data, other.fileno())
        asker.send(data, theirs.fileno(), other.fileno())
    assert asker.read(b"/data/file") == b"content"
    wait_until(lambda: descriptors() <= before)


@pytest.mark.parametrize("path", [b"", b"data/file", b"/data/file\0", b"x" * 4096])
def test_a_path_that_is_none_is_refused(asker, path):
    assert asker.ask(OPEN, path)[0] == errno.EINVAL


class Asked(dict[tuple[bytes, ...], object]):
    """Counts the names in what is looked up."""

    names = 0

    def get(self, key: tuple[bytes, ...], default: object = None) -> object:
        self.names += len(key)
        return super().get(key, default)


def test_a_long_path_is_looked_up_no_further_than_what_is_allowed_lies(base):
    allowed = Allowed(Policy((AllowedPath(base, "/some/where", True, False),)))
    with closing(allowed):
        allowed._entries = asked = Asked(allowed._entries)
        with pytest.raises(FileNotFoundError):
            allowed.find(b"/some" + b"/a" * 2000)
        allowed.find(b"/some/where" + b"/a" * 2000)
        assert asked.names <= 2 * (1 + 2)


def test_who_does_not_listen_delays_nobody(base, asker):
    """Its buffer is full, it is closed, it is no socket at all."""
    full, other = socket.socketpair()
    with full, other, open(base / "secret") as file:
        full.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                full.send(bytes(65536))
        ask = struct.pack("<IIII", OPEN, REQUEST, 0, 0) + b"/data/file"
        for _ in range(100):
            asker.send(ask, full.fileno())
            asker.send(ask, file.fileno())
        assert asker.read(b"/data/file") == b"content"


def test_it_ends_when_nobody_can_ask_any_more(base):
    before = descriptors()
    with asking(Policy((allow(base / "data"),))) as asker:
        copy = asker.door.dup()
    with copy:
        again = Asker(os.dup(copy.fileno()))
        with again.door:
            assert again.read(b"/data/file") == b"content"
    wait_until(lambda: descriptors() <= before)


def test_a_path_that_is_not_there_is_an_error(base):
    before = descriptors()
    gone = AllowedPath(base / "gone", "/gone", prefix=True, writable=False)
    with pytest.raises(FileNotFoundError):
        open_door(Policy((allow(base / "data"), gone)))
    assert descriptors() <= before


# --- The state file ---


@pytest.mark.parametrize("who", [REQUEST, START, 99])
def test_only_storage_replaces_the_state_file(base, who):
    state = base / "program.state"
    with (
        asking(Policy(state=state)) as asker,
        open(base / "secret", "rb") as given,
    ):
        assert asker.ask(KEEP, b"/", 0, who, given.fileno())[0] == errno.EACCES
        assert asker.ask(OPEN, b"/state", WRITE, who)[0] == errno.EACCES
        assert not state.exists()
        assert asker.ask(KEEP, b"/", 0, STORAGE, given.fileno())[0] == 0
        assert asker.read(b"/state") == b"secret"


def test_what_is_kept_is_a_file_of_64_mb_at_most(base):
    state = base / "program.state"
    state.write_text("old")
    memory = os.memfd_create("large")
    os.ftruncate(memory, (64 << 20) + 1)
    reading, writing = os.pipe()
    with asking(Policy(state=state)) as asker:
        assert asker.ask(KEEP, b"/", 0, STORAGE, memory)[0] == errno.EFBIG
        assert asker.ask(KEEP, b"/", 0, STORAGE, reading)[0] == errno.EINVAL
        assert asker.ask(KEEP, b"/", 0, STORAGE)[0] == errno.EACCES
    for fd in (memory, reading, writing):
        os.close(fd)
    assert state.read_text() == "old"
    assert sorted(os.listdir(base)) == ["data", "program.state", "secret"]


def test_without_storage_there_is_no_state_file(base, asker):
    with open(base / "secret", "rb") as given:
        assert asker.ask(KEEP, b"/", 0, STORAGE, given.fileno())[0] == errno.EACCES
    assert asker.read(b"/state", WRITE, STORAGE) == "EACCES"
    assert asker.read(b"/state") == "ENOENT"


def test_a_state_that_a_killed_host_left_half_written_is_not_read(base):
    state = base / "program.state"
    state.write_text("whole")
    (base / "program.state.new").write_text("hal")
    with (
        asking(Policy(state=state)) as asker,
        open(base / "secret", "rb") as given,
    ):
        assert asker.read(b"/state") == b"whole"
        assert asker.ask(KEEP, b"/", 0, STORAGE, given.fileno())[0] == 0
        assert asker.read(b"/state") == b"secret"
    assert not (base / "program.state.new").exists()
