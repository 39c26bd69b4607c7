"""What starting a program takes of the file system."""

import os
import stat
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from support.client import wait_until
from support.guests import compile_guest
from support.leaks import descriptors

from skerry.config import AllowedPath, defaults
from skerry.errors import ProgramError
from skerry.files import Files, open_files
from skerry.interpreter import interpreter_of

NOBODY = 65534
HERE = Path(__file__)


def keeper(file: Path):
    """A program that keeps its storage in (file)."""
    return replace(defaults("keeper", HERE), storage=True, storage_file=file)


def refused(config) -> str:
    with pytest.raises(ProgramError) as error, open_files(config):
        pass
    return str(error.value)


def test_all_that_a_program_has_is_opened_once_and_closed_again(tmp_path) -> None:
    before = descriptors()
    with open_files(keeper(tmp_path / "state")) as files:
        assert files.read_program() == HERE.read_bytes()
        assert len(set(files.fds)) == 5
        assert Files.take(keeper(tmp_path), iter(files.fds)) == files
    wait_until(lambda: descriptors() <= before)  # the opener ends


def test_a_program_without_storage_takes_its_file_only() -> None:
    with open_files(defaults("plain", HERE)) as files:
        assert files.fds == (files.program,)


def test_a_new_storage_file_is_its_owners_only(tmp_path) -> None:
    with open_files(keeper(tmp_path / "state")):
        assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o600


def test_a_storage_file_may_be_a_link_to_one_that_is_not_there_yet(tmp_path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there/state")
    with open_files(keeper(tmp_path / "link")):
        assert (tmp_path / "there" / "state").is_file()


def test_a_file_that_cannot_be_opened_is_an_error_that_says_which(tmp_path) -> None:
    missing = tmp_path / "none" / "state"
    assert refused(keeper(missing)) == (
        f"keeper: storage file: {missing}: No such file or directory: "
        "make its directory"
    )
    assert refused(keeper(tmp_path)) == (
        f"keeper: storage file: {tmp_path}: Is a directory: choose another"
    )
    assert refused(defaults("gone", missing)) == (
        f"gone: read: {missing}: No such file or directory"
    )


def test_a_storage_file_that_may_not_be_written_is_refused(tmp_path) -> None:
    file = tmp_path / "state"
    file.touch(mode=0o400)
    user = os.geteuid()
    with suppress(PermissionError):  # only root has to become somebody else
        os.seteuid(NOBODY)
    try:
        said = refused(keeper(file))
    finally:
        os.seteuid(user)
    advice = "Permission denied: let the user of skerry read and write it"
    assert said == f"keeper: storage file: {file}: {advice}"


def test_nobody_waits_for_the_other_end_of_a_pipe(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with open_files(defaults("pipe", tmp_path / "pipe")) as files:
        assert files.read_program() == b""


def test_an_allowed_path_that_is_gone_is_an_error_that_says_which(tmp_path) -> None:
    gone = AllowedPath(tmp_path / "gone", "/gone", prefix=True, writable=False)
    config = replace(defaults("reader", HERE), allowed_paths=(gone,))
    reason = f"{tmp_path / 'gone'}: No such file or directory"
    assert refused(config) == f"reader: allowed_paths: {reason}"


def test_a_dynamically_linked_program_asks_elsewhere_while_it_starts() -> None:
    """A static one does not, nor does a static storage program."""
    linked = compile_guest("int main(void) {}", flags=())
    static = compile_guest("int main(void) {}")
    with open_files(defaults("plain", static)) as files:
        assert files.fds == (files.program,)
    for kind in ("request", "storage"):
        with open_files(defaults("linked", linked)) as files:
            assert files.fds == (files.program, files.loader)
            assert Files.take(defaults("x", linked), iter(files.fds), True) == files
            assert files.loader_of(kind) == files.loader
            with open(static) as second:
                both = replace(files, second=second.fileno())
                own = files.loader if kind == "request" else -1
                assert both.loader_of(kind) == own


@pytest.mark.parametrize("damage", [(32, 0xFF), (39, 0x7F), (54, 1), (56, 0), (0, 0)])
def test_who_cannot_be_read_names_no_dynamic_linker(tmp_path, damage) -> None:
    """Offset of the program headers, their size, their number; the magic number."""
    linked = bytearray(compile_guest("int main(void) {}", flags=()).read_bytes())
    (tmp_path / "good").write_bytes(linked)
    with (tmp_path / "good").open() as good:
        assert interpreter_of(good.fileno()) == "/lib64/ld-linux-x86-64.so.2"
    at, value = damage
    linked[at] = value
    (tmp_path / "bad").write_bytes(linked)
    with (tmp_path / "bad").open() as bad:
        assert interpreter_of(bad.fileno()) is None


def test_only_a_program_that_may_have_files_has_an_opener(tmp_path) -> None:
    own = AllowedPath(tmp_path, "/data", prefix=True, writable=False)
    config = replace(defaults("reader", HERE), allowed_paths=(own,))
    with open_files(config) as files:
        assert files.fds == (files.program, files.opener)
        assert Files.take(config, iter(files.fds)) == files
