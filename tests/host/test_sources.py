"""Files of this machine as sources; digests; what is kept beside a fetched file."""

import hashlib
import json
import os
import time
from dataclasses import replace

import pytest
from support.sources import ELF, Want, bring, limited, names, tar

from skerry.config import Download, defaults
from skerry.errors import ProgramError
from skerry.files import Files, open_files
from skerry.getter import origin, wants
from skerry.sources.failure import SourceError
from skerry.sources.getting import Brought
from skerry.sources.kept import besides, storage_program
from skerry.sources.part import Part
from skerry.supervise.bar import line

SECOND = ELF + b", the second one"
BOTH = tar(("hello", ELF), ("hello_storage", SECOND))
FETCHED, CACHED = Brought("fetched"), Brought("cached")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def source(tmp_path):
    """A file to fetch from."""
    (tmp_path / "from here").mkdir()
    made = tmp_path / "from here" / "source"
    made.write_bytes(ELF)
    return made


@pytest.fixture
def program(tmp_path):
    """Where the program is to be."""
    (tmp_path / "to").mkdir()
    return tmp_path / "to" / "program"


@pytest.fixture
def want(source, program):
    return Want(source.as_uri(), program, None, True)


def refused(want, limits=None):
    with pytest.raises(SourceError) as error:
        bring(want, limits or limited())
    return error.value


# Files as sources


def test_a_file_is_copied_when_it_is_another_than_before(want, source, program):
    assert [bring(want), bring(want)] == [FETCHED, CACHED]
    source.write_bytes(SECOND)
    assert bring(want) == FETCHED
    assert program.read_bytes() == SECOND


def test_a_file_that_was_only_touched_is_no_news(want, source, program):
    bring(want)
    first = program.stat().st_ino
    os.utime(source, (1, 1))
    assert bring(want) == CACHED
    assert program.stat().st_ino == first


def test_without_its_source_a_program_comes_from_its_copy(want, source, program):
    bring(want)
    source.unlink()
    brought = bring(want)
    assert brought.origin == "cached: source is away"
    said = f"{want.uri}: {source}: No such file or directory: check the uri"
    assert brought.reason == said
    program.unlink()
    assert str(refused(want)) == said


def test_a_file_uri_names_a_regular_file_of_this_machine(want, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for uri, reason in (
        (
            f"file://elsewhere{tmp_path}",
            "expected a file of this machine: file:///PATH",
        ),
        (tmp_path.as_uri(), "expected a regular file"),
        ((tmp_path / "pipe").as_uri(), "expected a regular file"),
    ):
        assert reason in str(refused(replace(want, uri=uri)))


def test_a_file_that_is_too_large_is_refused(want, source):
    source.write_bytes(ELF + bytes(1 << 20))
    assert "larger than 1 MB" in str(refused(want, limited(program=1 << 20)))


# Digests


@pytest.mark.parametrize("archive", [ELF, tar(("hello", ELF))])
def test_the_digest_is_that_of_the_program_however_it_comes(want, source, archive):
    source.write_bytes(archive)
    assert bring(replace(want, sha256=sha256(ELF).upper())) == FETCHED


def test_a_program_of_another_digest_does_not_take_its_place(want, source, program):
    pinned = replace(want, sha256=sha256(ELF))
    source.write_bytes(SECOND)
    error = refused(pinned)
    assert error.step == "sha256"
    assert str(error) == (
        f"{want.uri}: expected the SHA-256 {sha256(ELF)}, found {sha256(SECOND)}: "
        "download it again or correct the key"
    )
    assert names(program.parent) == []


def test_a_good_copy_stays_when_its_source_turns_bad(want, source, program):
    pinned = replace(want, sha256=sha256(ELF))
    assert bring(pinned) == FETCHED
    source.write_bytes(SECOND)
    assert bring(pinned).origin == "cached: source was refused"
    assert program.read_bytes() == ELF


def test_with_another_digest_in_the_key_it_is_fetched_although_it_is_the_same(
    want, source
):
    bring(want)
    assert "expected the SHA-256" in bring(replace(want, sha256="5" * 64)).reason


# Other files


def test_a_file_of_download_is_kept_as_it_is(want, source, program):
    source.write_bytes(BOTH)
    file = replace(want, is_program=False, sha256=sha256(BOTH))
    assert bring(file) == FETCHED
    assert program.read_bytes() == BOTH
    assert "expected the SHA" in bring(replace(file, sha256=sha256(ELF))).reason


def test_all_that_a_program_needs_is_wanted(tmp_path):
    file = Download("http://x/data", tmp_path / "data", "5" * 64)
    plain = defaults("plain", tmp_path / "program")
    loaded = replace(plain, uri="http://x/program", sha256="7" * 64, download=(file,))
    assert wants(plain) == []
    assert wants(loaded) == [
        Want("http://x/program", tmp_path / "program", "7" * 64, True),
        Want("http://x/data", tmp_path / "data", "5" * 64, False),
    ]


def test_one_word_says_where_all_of_it_comes_from():
    away = Brought("cached: source is away", "why")
    assert origin([CACHED, CACHED]) == "cached"
    assert origin([CACHED, FETCHED]) == "fetched"
    assert origin([FETCHED, away, CACHED]) == "cached: source is away"


# What is kept


def test_beside_the_file_lies_what_it_is_a_copy_of(want, source, program):
    source.write_bytes(BOTH)
    bring(want)
    assert names(program.parent) == ["program", "program.source", "program_storage"]
    about = program.with_name("program.source")
    kept = json.loads(about.read_text())
    assert kept.pop("etag")
    assert kept == {
        "uri": want.uri,
        "fetched": sha256(BOTH),
        "file": sha256(ELF),
        "storage": sha256(SECOND),
        "last_modified": "",
    }
    assert about.stat().st_mode & 0o777 == 0o600
    assert program.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("text", ["", "[]", '{"uri": 1}', "\xff"])
def test_what_is_kept_and_cannot_be_read_is_written_anew(want, program, text):
    bring(want)
    program.with_name("program.source").write_text(text, "latin-1")
    assert [bring(want), bring(want)] == [FETCHED, CACHED]


def test_of_a_file_that_is_being_written_nobody_sees_anything(program):
    program.write_bytes(ELF)
    with Part(program) as part:
        part.write(SECOND)
        assert program.read_bytes() == ELF
        assert part.sha256 == sha256(SECOND)
    assert names(program.parent) == ["program"]
    assert program.read_bytes() == ELF


def test_what_a_killed_fetch_has_left_is_removed_later(want, program):
    old, new = (program.with_name(f".program.{each}.part") for each in ("old", "new"))
    old.touch(), new.touch()
    os.utime(old, (time.time() - 7200,) * 2)
    bring(want)
    assert not old.exists(), "its writer has been dead for long"
    assert new.exists(), "somebody may be writing to it"


def test_a_place_that_cannot_be_written_says_what_to_do(want, program):
    program.parent.rmdir()
    assert str(refused(want)) == (
        f"{want.uri}: {program}: No such file or directory: its directory has to have "
        "room, and the user of skerry has to be allowed to write there"
    )


# The storage program


@pytest.fixture
def fetched(want, source, program):
    """A program that was fetched with another one for storage."""
    source.write_bytes(BOTH)
    bring(want)
    return replace(defaults("one", program), uri=want.uri, storage=True)


def test_a_storage_program_from_the_archive_is_what_storage_boots(fetched, program):
    assert storage_program(fetched) == program.with_name("program_storage")
    with open_files(fetched) as files:
        assert (files.read_program(), files.read_second()) == (ELF, SECOND)
        assert Files.take(fetched, iter(files.fds)) == files


def test_a_file_named_storage_that_was_not_fetched_is_not_picked_up(fetched, want):
    for config in (
        replace(fetched, uri=None),
        replace(fetched, uri="http://another/source"),
        replace(fetched, storage=False),
    ):
        assert storage_program(config) is None
        with open_files(config) as files:
            assert files.read_second() in (None, ELF)


def test_a_program_put_there_by_hand_is_its_own_storage_program(fetched, program):
    program.write_bytes(b"\x7fELF by hand")
    with open_files(fetched) as files:
        assert files.read_second() == b"\x7fELF by hand"


def test_a_storage_program_that_is_not_what_came_is_not_booted(fetched, program):
    program.with_name("program_storage").write_bytes(b"another")
    with (
        pytest.raises(
            ProgramError, match=r"_storage: it is not what came with program"
        ),
        open_files(fetched),
    ):
        pass


def test_a_program_without_a_second_one_is_read_for_both(want, program):
    bring(want)
    config = replace(defaults("one", program), uri=want.uri, storage=True)
    with open_files(config) as files:
        assert (files.read_program(), files.read_second()) == (ELF, ELF)


def test_another_storage_program_or_file_is_a_change(fetched, want, source, tmp_path):
    data = tmp_path / "data"
    data.write_bytes(b"1")
    kept = tmp_path / "to" / "data"
    file = Want(data.as_uri(), kept, None, False)
    config = replace(fetched, download=(Download(file.uri, kept, None),))
    bring(file)
    seen = [besides(config)]
    source.write_bytes(tar(("hello", ELF), ("hello_storage", ELF)))
    bring(want)
    seen.append(besides(config))
    data.write_bytes(b"2")
    bring(file)
    seen.append(besides(config))
    assert len(set(seen)) == 3
    bring(want), bring(file)
    assert besides(config) == seen[-1]


# The bar


def test_the_bar_shows_how_much_there_is_and_fits_on_a_line():
    assert line("hello", 1 << 20, None) == "fetching hello: 1.0 MB"
    assert line("hello", 3 << 20, 4 << 20) == (
        "fetching hello: [##################......] 3.0 of 4.0 MB"
    )
    assert len(line("x" * 64, 1 << 30, 1 << 30)) < 80
