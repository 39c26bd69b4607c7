"""Archives of strangers: a program or two come out of them, and nothing else."""

import io
import stat
import tarfile
import zipfile

import pytest
from support.sources import ELF, LIMITS, Want, bring, limited, names, tar, zipped

from skerry.sources.failure import SourceError

README = ("README", b"what this is")
SECOND = ELF + b", the second one"


@pytest.fixture
def unpack(tmp_path):
    """unpack(archive): fetches a program that comes in it; the files that are there
    then, besides what is kept of them."""
    source, target = tmp_path / "source", tmp_path / "target"
    target.mkdir()

    def fetch(archive, limits=LIMITS):
        source.write_bytes(archive)
        want = Want(source.as_uri(), target / "program", None, True)
        try:
            bring(want, limits)
        except SourceError:
            assert names(target) == [], "nothing is left of what was refused"
            raise
        (target / "program.source").unlink()
        return {each.name: each.read_bytes() for each in target.iterdir()}

    return fetch


@pytest.mark.parametrize(
    "archive",
    [
        ELF,
        tar(("bin/hello", ELF), README),
        tar(("bin/hello", ELF), README, kind="gz"),
        tar(README, ("hello", ELF), format=tarfile.PAX_FORMAT),
        zipped(("bin/hello", ELF), README),
        zipped(("bin/", b""), ("bin/hello", ELF), mode=0),
    ],
    ids=["elf", "tar.xz", "tar.gz", "pax", "zip", "zip without modes"],
)
def test_a_program_comes_as_it_is_or_in_an_archive(unpack, archive):
    assert unpack(archive) == {"program": ELF}


@pytest.mark.parametrize("make", [tar, zipped])
def test_an_archive_may_have_a_second_program_for_storage(unpack, make):
    both = make(("hello_storage", SECOND), ("hello", ELF), ("other_storage", b"text"))
    assert unpack(both) == {"program": ELF, "program_storage": SECOND}


def link(kind, target):
    about = tarfile.TarInfo("hello")
    about.type, about.linkname = kind, target
    return about


def sparse():
    """A member of a terabyte, of which the archive has nothing."""
    about = tarfile.TarInfo("hello")
    about.type = tarfile.GNUTYPE_SPARSE
    return tar(about)


def locked():
    """A zip that says it has a password."""
    data = bytearray(zipped(("hello", ELF)))
    for mark, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(mark) + at] |= 1
    return bytes(data)


def with_method(method):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("hello", ELF)
    return out.getvalue()


def broken_inside(archive):
    """(archive) with one byte of it changed, where its content is."""
    at = archive.index(b"hello") + 12 if archive[:2] == b"PK" else len(archive) // 2
    return archive[:at] + bytes([archive[at] ^ 0x55]) + archive[at + 1 :]


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        (tar(("../hello", ELF)), '"../hello" in the archive leads out of it'),
        (tar(("a/../../hello", ELF)), "leads out of it"),
        (tar(("/bin/hello", ELF)), '"/bin/hello" in the archive leads out of it'),
        (zipped(("../hello", ELF)), '"../hello" in the archive leads out of it'),
        (zipped(("..\\hello", ELF)), "leads out of it"),
        (zipped(("C:/hello", ELF)), "leads out of it"),
        (tar(("hello", ELF), ("../README", b"text")), "leads out of it"),
        (tar(link(tarfile.SYMTYPE, "/etc/passwd")), "neither a file nor a directory"),
        (tar(link(tarfile.LNKTYPE, "/etc/passwd")), "neither a file nor a directory"),
        (tar(link(tarfile.CHRTYPE, "")), "neither a file nor a directory"),
        (tar(link(tarfile.BLKTYPE, "")), "neither a file nor a directory"),
        (tar(link(tarfile.FIFOTYPE, "")), "neither a file nor a directory"),
        (sparse(), "neither a file nor a directory"),
        (zipped(("hello", b"/etc/passwd"), mode=stat.S_IFLNK), "neither a file nor"),
        (zipped(("hello", ELF), mode=stat.S_IFIFO), "neither a file nor a directory"),
        (tar(("one", ELF), ("two", ELF)), '"one" and "two": expected one program'),
        (
            tar(("one", ELF), ("a_storage", ELF), ("b_storage", ELF)),
            '"a_storage" and "b_storage": expected one program',
        ),
        (tar(README), "the archive has no program (ELF): expected one program"),
        (tar(("one_storage", ELF)), "the archive has no program (ELF)"),
        (zipped(), "expected a program (ELF), or a .tar.xz, .tar.gz or .zip"),
        (b"", 'found what begins with ""'),
        (b"<!DOCTYPE html>", 'found what begins with "<!DOCTYP"'),
        (tar(("hello", ELF), kind=""), "expected a program (ELF), or a .tar.xz"),
        (with_method(zipfile.ZIP_BZIP2), "compressed in a way that is not known"),
        (with_method(zipfile.ZIP_LZMA), "compressed in a way that is not known"),
        (locked(), "the archive is damaged: "),
    ],
)
def test_what_is_not_one_program_is_refused(unpack, archive, reason):
    with pytest.raises(SourceError) as error:
        unpack(archive)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "whole",
    [
        tar(("hello", ELF * 1000)),
        tar(("hello", ELF * 1000), kind="gz"),
        zipped(("hello", ELF * 1000)),
    ],
    ids=["tar.xz", "tar.gz", "zip"],
)
def test_an_archive_that_is_cut_short_or_damaged_is_refused(unpack, whole):
    damaged = [whole[:size] for size in range(8, len(whole), len(whole) // 8)]
    for each in (*damaged, whole[:-1], broken_inside(whole)):
        with pytest.raises(SourceError, match="the archive is damaged: "):
            unpack(each)
    assert unpack(whole) == {"program": ELF * 1000}


BIG = ELF + bytes(1 << 20)
SMALL = limited(unpacked=1 << 20)


@pytest.mark.parametrize(
    "bomb",
    [
        tar(("hello", BIG)),
        tar(("README", bytes(1 << 20)), ("hello", ELF)),
        tar(("hello", BIG), kind="gz"),
        zipped(("hello", BIG)),
        zipped(("one", bytes(1 << 19)), ("two", ELF + bytes(1 << 20))),
    ],
)
def test_what_decompresses_to_too_much_is_refused_however_small_it_is(unpack, bomb):
    assert len(bomb) < 1 << 14
    with pytest.raises(SourceError, match="unpacks to more than 1 MB"):
        unpack(bomb, SMALL)


def test_what_lies_behind_the_end_of_an_archive_counts_too(unpack):
    with_tail = tar(("hello", ELF), kind="gz") + tar(
        ("rest", bytes(1 << 20)), kind="gz"
    )
    with pytest.raises(SourceError, match="unpacks to more than 1 MB"):
        unpack(with_tail, SMALL)


@pytest.mark.parametrize("make", [tar, zipped])
def test_an_archive_has_at_most_so_many_members(unpack, make):
    few = limited(members=3)
    three = [(f"{number}", b"") for number in range(2)] + [("hello", ELF)]
    assert unpack(make(*three), few) == {"program": ELF}


@pytest.mark.parametrize("make", [tar, zipped])
def test_an_archive_with_too_many_members_is_refused(unpack, make):
    four = [(f"{number}", b"") for number in range(3)] + [("hello", ELF)]
    with pytest.raises(SourceError, match="has more than 3 members"):
        unpack(make(*four), limited(members=3))
