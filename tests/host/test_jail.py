"""The jail, tried from inside: a process that attempts what it must not."""

import errno
import os
import re
import signal
import subprocess
import sys

import pytest
from support.guests import PRELUDE, compile_guest
from support.jail import jailed, waiting
from support.processes import status
from support.programs import COUNTER

NOBODY = 65534
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="root becomes somebody else")
REFUSED = "skerry: system call {} refused\n"

# What hostile code in a worker would try: the call, its number, its arguments.
ATTEMPTS = {
    "execve": (59, "b'/bin/true', 0, 0"),
    "execveat": (322, "0, b'', 0, 0, 0x1000"),
    "fork": (57, ""),
    "vfork": (58, ""),
    "clone": (56, "17, 0, 0, 0, 0"),  # SIGCHLD: a process
    "clone in a namespace": (56, "0x10010f00, 0, 0, 0, 0"),  # thread | CLONE_NEWUSER
    "unshare": (272, "0x10000000"),
    "kill": (62, "os.getppid(), 0"),
    "tgkill": (234, "os.getppid(), os.getppid(), 0"),
    "pidfd_open": (434, "os.getppid(), 0"),
    "ptrace": (101, "16, os.getppid(), 0, 0"),
    "process_vm_readv": (310, "os.getppid(), 0, 0, 0, 0, 0"),
    "socket": (41, "2, 1, 0"),
    "connect": (42, "0, 0, 0"),
    "bind": (49, "0, 0, 0"),
    "sendto": (44, "1, b'x', 1, 0, b'address', 7"),
    "sendmsg that connects": (46, "1, 0, 0x20000000"),  # MSG_FASTOPEN
    "setsockopt": (54, "0, 1, 26, 0, 0"),  # SO_ATTACH_FILTER
    "socketpair of datagrams": (53, "1, 2, 0, ctypes.create_string_buffer(8)"),
    "openat": (257, "-100, b'/tmp/new', 0x41, 0o600"),  # O_WRONLY | O_CREAT
    "openat to write": (257, "-100, b'/dev/null', 2, 0"),
    "openat2": (437, "-100, b'/dev/null', 0, 0"),
    "unlink": (87, "b'/tmp/none'"),
    "chroot": (161, "b'/'"),
    "mount": (165, "b'a', b'/', b'tmpfs', 0, 0"),
    "mmap": (9, "0, 4096, 7, 0x22, -1, 0"),
    "mprotect": (10, "0, 0, 5"),
    "pkey_mprotect": (329, "0, 0, 1, -1"),
    "setresuid": (117, "0, 0, 0"),
    "setuid": (105, "0"),
    "capset": (126, "0, 0"),
    "prlimit64": (302, "0, 7, b'\\xff' * 16, 0"),
    "prlimit64 of another": (
        302,
        "os.getppid(), 7, 0, ctypes.create_string_buffer(16)",
    ),
    "setrlimit": (160, "4, b'\\xff' * 16"),
    "prctl": (157, "4, 1, 0, 0, 0"),  # PR_SET_DUMPABLE
    "seccomp": (317, "0, 0, 0"),
    "bpf": (321, "0, 0, 0"),
    "perf_event_open": (298, "0, 0, 0, 0, 0"),
    "userfaultfd": (323, "0"),
    "keyctl": (250, "0, 0, 0"),
    "ioctl": (16, "0, 0x5412, b'x'"),  # TIOCSTI: types on the operator's terminal
    "fcntl": (72, "0, 8, os.getppid()"),  # F_SETOWN
    "io_uring_enter": (426, "0, 0, 0, 0, 0"),
    "modify_ldt": (154, "0, 0, 0"),
}


@pytest.fixture(scope="module")
def outcomes() -> dict[str, str]:
    """What became of each attempt: its errno, and what was said of it."""
    code = "".join(
        f"os.write(2, b'attempt {name}:')\n"
        f"os.write(2, b'%d\\n' % call({number}, {arguments}))\n"
        for name, (number, arguments) in ATTEMPTS.items()
    )
    said = jailed(code).stderr.split("attempt ")
    return dict(each.split(":", 1) for each in said[1:])


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_what_serving_does_not_need_is_refused_and_named(outcomes, attempt) -> None:
    number, _ = ATTEMPTS[attempt]
    line = REFUSED.format(f"{attempt.split()[0]} ({number})")
    assert outcomes[attempt] == f"{line}{-errno.EPERM}\n"


def test_a_refused_call_ends_a_process_that_was_told_so() -> None:
    ended = jailed("call(57)", options="kill=True")
    assert ended.returncode == -signal.SIGSYS


def test_calls_of_another_kind_are_refused_too() -> None:
    """x32 is x86-64 with a bit in the number; i386 comes by int 0x80."""
    x32 = jailed("assert call(0x40000000 | 39) == -errno.EPERM")
    assert x32.returncode == 0, x32.stderr
    before = """
import mmap
code = mmap.mmap(-1, 4096, prot=7)
code.write(bytes.fromhex("b8140000 00cd80c3".replace(" ", "")))  # getpid; int 0x80
at = ctypes.addressof(ctypes.c_char.from_buffer(code))
getpid = ctypes.CFUNCTYPE(ctypes.c_int)(at)
"""
    assert jailed("getpid()", before).returncode == -signal.SIGSYS


def test_hostile_code_cannot_fill_the_log() -> None:
    ended = jailed("for _ in range(1000): assert call(57) == -errno.EPERM")
    assert ended.returncode == 0
    assert ended.stderr == REFUSED.format("fork (57)") * 100


def test_what_python_looks_for_is_not_there_and_nobody_is_told() -> None:
    ended = jailed(
        """
for look in (lambda: open("/etc/passwd"), lambda: os.stat("/etc"),
             lambda: os.listdir("/"), lambda: os.readlink("/proc/self/exe")):
    try:
        look()
    except PermissionError:
        continue
    raise SystemExit(1)
try:
    import lib2to3
except ImportError:
    pass
assert call(425, 8, bytes(120)) == -errno.ENOSYS  # io_uring_setup
assert call(435, 0, 0) == -errno.ENOSYS  # clone3
"""
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_an_exception_in_the_jail_is_shown_as_ever() -> None:
    ended = jailed("{}['a key']")
    assert "system call" not in ended.stderr
    assert ended.stderr.endswith("KeyError: 'a key'\n")


def test_only_directories_that_were_named_can_be_read(tmp_path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "mine").write_text("text")
    before = "import pathlib"
    inside = f"""
assert pathlib.Path({str(tmp_path / "mine")!r}).read_text() == "text"
assert os.listdir({str(tmp_path)!r}) == ["mine"]
assert call(257, -100, b"/etc/hostname", 0) == -errno.EACCES
assert call(257, -100, b"/etc/passwd", 0) == -errno.EACCES
"""
    options = f"readable=[{str(tmp_path)!r}]"
    path = [each for each in tmp_path.parents if each.stat().st_mode & 0o005 != 0o005]
    for each in path:  # pytest's own are closed to others, and the child is another
        each.chmod(0o755)
    ended = jailed(inside, before, options)
    assert (ended.returncode, ended.stderr) == (0, "")


# --- Who it is ---


def test_no_privilege_is_left() -> None:
    with waiting() as process:
        has = status(process.pid)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(has[name], 16) == 0 or (name == "CapBnd" and os.geteuid()), name
    assert (has["NoNewPrivs"], has["Seccomp"]) == ("1", "2")


@AS_ROOT
def test_root_becomes_nobody_and_has_no_group() -> None:
    with waiting() as process:
        has = status(process.pid)
    assert has["Uid"].split() == has["Gid"].split() == [str(NOBODY)] * 4
    assert has["Groups"].strip() == ""


@AS_ROOT
def test_a_worker_cannot_look_into_another_one() -> None:
    """They are of one user, who may read each other's memory while it is dumpable."""
    before = f"""
os.setgroups([])
os.setresgid({NOBODY}, {NOBODY}, {NOBODY})
os.setresuid({NOBODY}, {NOBODY}, {NOBODY})
libc.prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE, which the change has taken away
if late: wait()
"""
    inside = "if not late: wait()"
    assert "PATH=" in seen_by_nobody(inside, f"late = True{before}")
    assert seen_by_nobody(inside, f"late = False{before}") == ""


def seen_by_nobody(inside: str, before: str) -> str:
    """The environment of a waiting process, as another one of that user sees it."""
    who = ["--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
    with waiting(inside, before) as process:
        path = f"/proc/{process.pid}/environ"
        look = ["setpriv", *who, "cat", path]
        return subprocess.run(look, capture_output=True, text=True).stdout


def test_it_leaves_no_core_and_keeps_to_its_descriptors() -> None:
    ended = jailed(
        """
assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (64, 64)
""",
        before="import resource",
        options="max_files=64",
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_threads_from_before_are_inside() -> None:
    """All are refused calls; that Landlock does not hold them is said."""
    before = """
go, done, seen = threading.Event(), threading.Event(), []
def work():
    go.wait()
    seen.append(call(57))
    done.set()
threading.Thread(target=work, daemon=True).start()
"""
    ended = jailed("go.set(); done.wait(); assert seen == [-errno.EPERM]", before)
    assert (ended.returncode, ended.stderr) == (0, REFUSED.format("fork (57)"))
    found = re.search(r"Landlock (\d+)( but for 1 threads from before)?", ended.stdout)
    assert found is None or (found[2] is None) == (int(found[1]) >= 8)


# --- What goes on working ---


def with_threads(source: str) -> str:
    """The same, where a thread of the program calls storage beside one that spins."""
    made = "pthread_create(&spinner, 0, spin, 0); pthread_create(&other, 0, call, &now)"
    here = "storage_call(increment, 0, 0, &now, sizeof now)"
    assert source.count(here) == 1
    source = source.replace(here, f"{made}; pthread_join(other, 0)")
    return source.replace("HANDLE {", THREADS + "HANDLE {")


THREADS = r"""
#include <pthread.h>
static pthread_t spinner, other;
static void *spin(void *unused) { for (;;) asm volatile("pause"); }
static void *call(void *now)
{
    storage_call(increment, 0, 0, now, sizeof(int));
    return 0;
}
"""


@pytest.mark.parametrize("source", [COUNTER, with_threads(COUNTER)])
def test_a_program_starts_and_serves_in_the_jail(tmp_path, source) -> None:
    """With storage in a file, on threads made in the jail, from what was opened before;
    a refused call would end it."""
    elf = compile_guest(PRELUDE + source, flags=("-static", "-pthread"))
    before = f"""
import dataclasses, pathlib
from concurrent.futures import ThreadPoolExecutor
from skerry.alone import Alone
from skerry.config import defaults
from skerry.files import open_files
from skerry.message import Request
from skerry.start import start
file = pathlib.Path({str(tmp_path / "state")!r})
config = dataclasses.replace(
    defaults("counter", pathlib.Path({str(elf)!r})), storage=True, storage_file=file
)
opened = open_files(config)
files = opened.__enter__()
native.open_kvm()
"""
    inside = """
assert native.probe().reset_holds
log = Log()
request = Request(b"GET", b"/", b"localhost", b"", b"", b"")
with ThreadPoolExecutor(2) as threads:
    program = Alone(threads.submit(start, config, log, None, files).result(), log)
    print([program.answer(request)[0].body for _ in range(2)])
    program.close()
"""
    ended = jailed(inside, before, "kill=True")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "[b'1', b'2']"


def test_storage_files_and_descriptors_can_be_used(tmp_path) -> None:
    before = f"""
import fcntl, mmap, struct
left, right = socket.socketpair()
file = os.open({str(tmp_path / "storage")!r}, os.O_RDWR | os.O_CREAT)
"""
    inside = """
os.posix_fallocate(file, 0, 8192)
os.ftruncate(file, 4096)
os.pwrite(file, b"kept", 0)
os.fdatasync(file)
os.fsync(file)
os.lseek(file, 0, os.SEEK_END)
os.write(file, b"behind")
lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
fcntl.fcntl(file, fcntl.F_OFD_SETLK, lock)
mapped = mmap.mmap(file, 4096)
mapped.flush()
socket.send_fds(left, [b"x"], [file])
_, (received,), _, _ = socket.recv_fds(right, 1, 1)
assert os.pread(received, 4, 0) == mapped[:4] == b"kept"
assert os.fstat(received).st_size == 4102
"""
    ended = jailed(inside, before, "kill=True")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_an_event_loop_made_in_the_jail_works() -> None:
    inside = """
import asyncio, uvloop
async def work():
    return await asyncio.to_thread(threading.get_native_id)
print(uvloop.run(work()) != os.getpid())
"""
    ended = jailed(inside, "import asyncio, uvloop", "kill=True")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[-1] == "True"


def test_what_python_and_glibc_fetch_late_is_there() -> None:
    """pthread_exit ends a daemon thread that outlives Python."""
    inside = """
from concurrent.futures import ThreadPoolExecutor
assert "m\\u00fcller".encode("idna") == b"xn--mller-kva"
assert "a".encode("latin_1") == "a".encode("ascii")
thread = threading.Thread(target=lambda: libc.pthread_exit(None), daemon=True)
thread.start()
while call(234, os.getpid(), thread.native_id, 0) != -errno.ESRCH:
    pass
os._exit(0)
"""
    ended = jailed(inside, options="kill=True")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_log_that_nobody_reads_harms_nothing_in_the_jail() -> None:
    before = "reader, writer = os.pipe(); lost = Log(open(writer, 'w'))"
    inside = "os.close(reader); lost.info('one'); lost.info('two')"
    ended = jailed(inside, before, "kill=True")
    assert (ended.returncode, ended.stderr) == (0, "")


# --- The door ---


def test_a_ring_that_is_open_already_keeps_the_jail_shut() -> None:
    """What goes through an io_uring passes the filter unseen."""
    code = """
import ctypes
from skerry import native
libc = ctypes.CDLL(None)
assert libc.syscall(ctypes.c_long(425), 8, ctypes.create_string_buffer(120)) >= 0
try:
    native.enter_jail()
except native.NativeError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert said.stdout == (
        "jail: 1 io_uring open: make event loops behind skerry_jail_prepare\n"
    ), said.stderr


def test_the_log_tells_which_layers_hold() -> None:
    said = jailed("").stdout
    user = NOBODY if os.geteuid() == 0 else os.geteuid()
    landlock = r"(Landlock \d+|no Landlock .*)"
    assert re.fullmatch(
        f"jailed: user {user}, no capabilities, {landlock}, seccomp\n", said
    )


def test_a_directory_that_is_not_there_is_said() -> None:
    ended = jailed("", options="readable=['/nowhere']")
    assert ended.returncode == 1
    assert "JailError: cannot enter the jail: /nowhere: No such file" in ended.stderr
