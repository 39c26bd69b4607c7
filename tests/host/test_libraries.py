"""The system's libraries: what a dynamically linked program may read of them while it
starts, and that a link out of them leads nowhere."""

import os
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skerry.libraries import Libraries
from skerry.openat import open_below


@pytest.fixture
def system(tmp_path) -> Path:
    """Two directories of libraries, as Debian has them, and a secret beside them."""
    (tmp_path / "usr" / "lib" / "x86_64").mkdir(parents=True)
    (tmp_path / "usr" / "lib64").mkdir()
    (tmp_path / "etc").mkdir()
    (tmp_path / "usr" / "lib" / "x86_64" / "libc.so").write_text("libc")
    (tmp_path / "etc" / "cache").write_text("cache")
    (tmp_path / "secret").write_text("secret")
    for link, target in {
        "lib": "usr/lib",
        "usr/lib64/ld.so": "../lib/x86_64/libc.so",
        "usr/lib64/absolute.so": f"{tmp_path}/lib/x86_64/libc.so",
        "usr/lib/out": "../../secret",
        "usr/lib/etc": "../../etc",
        "usr/lib/there": f"{tmp_path}/secret",
        "usr/lib/root": "/",
        "usr/lib/loop": "loop",
        "usr/lib/self": "/proc/self",
        "etc/linked": "../secret",
    }.items():
        (tmp_path / link).symlink_to(target)
    return tmp_path


@pytest.fixture
def read(system):
    """read("/usr/lib/file"): what is in the file, of a system whose root is (system);
    or the name of the exception."""
    directories = [f"{system}/{each}" for each in ("lib", "usr/lib", "usr/lib64", "no")]
    files = [f"{system}/etc/cache", f"{system}/etc/linked", f"{system}/etc/none"]
    libraries = Libraries(directories, files)

    def read_one(path: str) -> str:
        try:
            place = libraries.find(os.fsencode(f"{system}{path}"))
            assert not place.writable
            fd = open_below(place.base, place.path, os.O_RDONLY, 0, place.links)
            try:
                return os.read(fd, 100).decode()
            finally:
                os.close(fd)
        except OSError as error:
            return type(error).__name__

    with closing(libraries):
        yield read_one


@pytest.mark.parametrize(
    "path",
    [
        "/usr/lib/x86_64/libc.so",
        "/lib/x86_64/libc.so",
        "/usr//lib/./x86_64/../x86_64/libc.so",
        "/usr/lib64/ld.so",
        "/usr/lib64/absolute.so",
        "/secret/../lib/x86_64/libc.so",
    ],
)
def test_a_library_is_found_by_all_of_its_names(read, path):
    assert read(path) == "libc"


def test_single_files_are_found_as_well(read):
    assert read("/etc/cache") == "cache"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/secret",
        "/usr",
        "/lib/../secret",
        "/usr/lib/out",
        "/usr/lib/there",
        "/usr/lib/etc/cache",
        "/usr/lib/root/etc/passwd",
        "/usr/lib/self/environ",
        "/usr/lib/loop",
        "/usr/lib/missing",
        "/usr/library",
        "/etc",
        "/etc/linked",
        "/etc/none",
        "/etc/cache/x",
        "/etc/../secret",
    ],
)
def test_nothing_else_is_there(read, path):
    assert read(path) in ("FileNotFoundError", "PermissionError", "OSError")


def test_what_not_everybody_may_read_is_refused_even_to_root(system, read):
    (system / "usr" / "lib" / "x86_64" / "libc.so").chmod(0o640)
    assert read("/lib/x86_64/libc.so") == "PermissionError"
    (system / "usr" / "lib" / "x86_64" / "libc.so").chmod(0o644)
    assert read("/lib/x86_64/libc.so") == "libc"
    (system / "usr" / "lib" / "x86_64").chmod(0o700)
    assert read("/usr/lib64/ld.so") == "PermissionError"


def test_a_directory_that_is_replaced_meanwhile_is_not_followed(system, read):
    """The directories are those that there were."""
    (system / "usr" / "lib").rename(system / "usr" / "old")
    (system / "usr" / "lib").symlink_to("../etc")
    assert read("/usr/lib/cache") == "FileNotFoundError"
    assert read("/usr/lib/x86_64/libc.so") == "FileNotFoundError"


NAMES = ["lib", "usr", "lib64", "x86_64", "libc.so", "ld.so", "absolute.so", "out"]
NAMES += ["etc", "there", "root", "loop", "self", "..", ".", "", "secret", "passwd"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(NAMES), max_size=7))
def test_no_path_leads_to_more_than_the_libraries(read, names):
    found = read("/" + "/".join(names))
    assert found in ("libc", "cache") or found.endswith("Error")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=40).map(lambda some: some.replace(b"\0", b"/")))
def test_a_path_of_any_bytes_is_found_or_is_not_there(system, some):
    libraries = Libraries([f"{system}/usr/lib"], [])
    with closing(libraries), pytest.raises(OSError):
        libraries.find(b"/" + some)
