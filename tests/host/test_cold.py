"""Cold-start files: what is saved comes back, and what is not right is not used."""

import fcntl
import hashlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.leaks import descriptors

from skerry.cold import NotUsable, load, save
from skerry.parcel import Parcel

MB = 1 << 20
SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


def memory(size, written=(), seals=0):
    fd = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    for at, data in written:
        os.pwrite(fd, data, at)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def content(fd):
    return os.pread(fd, os.fstat(fd).st_size, 0)


@pytest.fixture
def parcel():
    fds = (
        memory(
            3 * MB + 4096, [(0, b"first"), (2 * MB - 3, b"across"), (3 * MB, b"end")]
        ),
        memory(MB, [(100, b"sealed"), (70000, bytes(10))], SEALS),
        memory(0),
    )
    yield Parcel(b"what the other process knows", fds, 1)
    for fd in fds:
        os.close(fd)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cold"


@pytest.fixture
def saved(path, parcel):
    save(path, "digest", parcel, "v1")
    return path


def refusal(path, digest="digest"):
    before = len(descriptors())
    with pytest.raises(NotUsable) as raised:
        load(path, digest)
    assert len(descriptors()) == before
    return str(raised.value)


def test_memory_comes_back_with_its_size_its_holes_and_its_seals(saved, parcel):
    again, version = load(saved, "digest")
    assert (again.data, again.seat, version) == (parcel.data, parcel.seat, "v1")
    for new, old in zip(again.fds, parcel.fds, strict=True):
        assert content(new) == content(old)
        assert fcntl.fcntl(new, fcntl.F_GET_SEALS) == fcntl.fcntl(
            old, fcntl.F_GET_SEALS
        )
        assert os.fstat(new).st_blocks <= os.fstat(old).st_blocks + 128 * 3
        os.close(new)
    assert saved.stat().st_size < MB


@given(
    st.lists(st.tuples(st.integers(0, MB - 1), st.binary(max_size=200)), max_size=20)
)
def test_any_memory_comes_back(tmp_path_factory, written):
    path = tmp_path_factory.mktemp("cold") / "file"
    fd = memory(MB + 300, written)
    save(path, "d", Parcel(b"", (fd,)), "")
    (new,) = load(path, "d")[0].fds
    assert content(new) == content(fd)
    os.close(new)
    os.close(fd)


def test_a_file_is_replaced_as_a_whole_or_not_at_all(saved, parcel, monkeypatch):
    before = saved.read_bytes()

    def full(*unused):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError):
            save(saved, "other", parcel, "v2")
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]
    save(saved, "other", parcel, "v2")
    assert refusal(saved) == NOT_OURS


NOT_OURS = "it is of another program, configuration, version or machine"


def test_what_is_not_there_or_of_another_is_not_used(saved):
    assert refusal(saved.parent / "gone") == "it is not there yet"
    assert refusal(saved, "another") == NOT_OURS


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_file_that_others_may_write_to_is_not_used(saved, mode):
    assert saved.stat().st_mode & 0o777 == 0o600
    saved.chmod(mode)
    assert refusal(saved) == "others own it or may write to it"


def test_a_pipe_or_a_directory_is_not_used(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path) == "Is a directory"
    assert refusal(tmp_path / "pipe") == "it is no regular file"


def test_a_file_that_is_cut_off_anywhere_is_not_used(saved):
    whole = saved.read_bytes()
    for size in (0, 5, 20, 24, 40, len(whole) // 2, len(whole) - 32, len(whole) - 1):
        saved.write_bytes(whole[:size])
        assert refusal(saved) in ("it is cut off", "it is damaged")


def test_a_file_with_any_changed_byte_is_not_used(saved):
    whole = saved.read_bytes()
    for at in (*range(0, 200, 7), len(whole) // 2, len(whole) - 1):
        saved.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert refusal(saved)


@given(st.binary(max_size=300))
def test_a_head_of_nonsense_is_not_used(tmp_path_factory, head):
    path = tmp_path_factory.mktemp("cold") / "file"
    text = b"skerry cold start 1\n" + len(head).to_bytes(4, "little") + head
    path.write_bytes(text + hashlib.sha256(text).digest())
    path.chmod(0o600)
    refusal(path)
