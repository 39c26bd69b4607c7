"""skerry run: how its options become one request, and one configured program."""

import argparse
from pathlib import Path

import pytest

from skerry.cli import make_parser
from skerry.commands import run
from skerry.errors import SkerryError


def request(*options):
    return run.make_request(make_parser().parse_args(["run", "program", *options]))


def test_the_request_without_options_is_a_get_of_the_root():
    made = request()
    assert (made.method, made.target, made.host) == (b"GET", b"/", b"localhost")
    assert (made.headers, made.body) == (b"Host: localhost\r\n", b"")


def test_data_makes_it_a_post_with_a_type_and_a_length():
    made = request("--data", "a=1")
    assert (made.method, made.body) == (b"POST", b"a=1")
    assert made.content_type == b"application/x-www-form-urlencoded"
    assert made.headers == (
        b"Host: localhost\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\n"
        b"Content-Length: 3\r\n"
    )


def test_empty_data_is_a_post_all_the_same():
    assert (request("--data", "").method, request("--data", "").body) == (b"POST", b"")


def test_a_method_that_is_given_wins():
    assert request("--method", "PUT", "--data", "x").method == b"PUT"
    assert request("--method", "HEAD").method == b"HEAD"


def test_data_of_a_file_is_its_bytes(tmp_path):
    file = tmp_path / "data"
    file.write_bytes(bytes(range(256)))
    assert run.read_data(f"@{file}") == bytes(range(256))
    assert run.read_data("\u00e9") == "\u00e9".encode()


@pytest.mark.parametrize("name", ["missing", ""])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name):
    with pytest.raises(argparse.ArgumentTypeError, match="cannot read"):
        run.read_data(f"@{tmp_path / name}")


@pytest.mark.parametrize(
    "url", ["", "x", "http://a/", "/a b", "/\u00e9", "/\r\n", "/\0"]
)
def test_a_url_that_no_client_could_send_is_refused(url):
    with pytest.raises(SkerryError, match="--url: expected a path"):
        request(f"--url={url}")


@pytest.mark.parametrize("method", ["", "get", "G T", "GET\n", "G\u00c9T"])
def test_a_method_that_no_client_could_send_is_refused(method):
    with pytest.raises(SkerryError, match="--method: expected"):
        request(f"--method={method}")


@pytest.mark.parametrize(
    ("file", "name"),
    [("hello", "hello"), ("a b.c", "a-b.c"), (".hidden", "hidden"), ("\u00e9", "-")],
)
def test_a_program_is_named_after_its_file(tmp_path, file, name):
    path = str(tmp_path / file)
    made = run.configure(make_parser().parse_args(["run", path]))
    assert (made.name, made.filename) == (name, tmp_path / file)
    assert (made.storage, made.shared_memory) == (True, 2)


def test_memory_is_that_of_the_configuration_within_its_limits(capsys):
    parse = make_parser().parse_args
    small, usual, large = (
        run.configure(parse(["run", "program", *options]))
        for options in (["--memory", "32"], [], ["--memory", "1024"])
    )
    assert [each.max_memory for each in (small, usual, large)] == [32, 256, 1024]
    assert [each.max_request_memory for each in (small, usual, large)] == [32, 128, 128]
    for wrong in ("15", "5000", "much", "-1"):
        with pytest.raises(SystemExit):
            parse(["run", "program", f"--memory={wrong}"])
        said = capsys.readouterr().err
        assert "--memory: expected an integer from 16 to 4096 (MB), found" in said


def test_a_body_has_a_limit_that_the_complaint_names():
    run.check_size(request("--data", "12345"), 5)
    with pytest.raises(SkerryError, match="--data: expected at most 4 bytes, found 5"):
        run.check_size(request("--data", "12345"), 4)


def test_a_core_file_is_written_only_if_it_is_asked_for():
    parse = make_parser().parse_args
    assert parse(["run", "program"]).core is None
    assert parse(["run", "program", "--core", "x"]).core == Path("x")
