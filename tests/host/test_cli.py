"""The command line, in this process: what arguments mean, and which are refused."""

import argparse

import pytest

from skerry import __version__
from skerry.cli import main, make_parser
from skerry.commands import serve
from skerry.supervise.listen import place

VERBS = ("new", "serve", "status", "check", "run", "trace", "syscalls", "doctor")


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"skerry {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((), VERBS),
        (("serve",), ("FILE", "--listen", "127.0.0.1:8080", "SIGTERM", "/NAME")),
        (("serve",), ("--workers", "--drain", "SIGHUP", "(default: 30)")),
        (("status",), ("--listen", "127.0.0.1:8080", "--json")),
        (("check",), ("FILE", "--json", "Exit status")),
        (("run",), ("PROGRAM", "--url", "--method", "--data", "@FILE", "Exit status")),
        (("run",), ("--plain", "--trace", "--trace-json", "--path", "--writable")),
        (("trace",), ("PROGRAM", "--seconds", "--json", "--output", "Exit status")),
        (("syscalls",), ("--json", "--markdown")),
        (("doctor",), ("--json", "Exit status")),
        (("new",), ("LANG", "NAME", "c, c++, go, nim, rust, zig", "programs.json")),
    ],
)
def test_help_is_complete(capsys, arguments, named):
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--help"])
    assert ended.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert [each for each in named if each not in said] == []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["serve"],
        ["serve", "a.json", "b.json"],
        ["trace"],
        ["trace", "--seconds", "0", "true"],
        ["trace", "--seconds", "soon", "true"],
        ["syscalls", "--json", "--markdown"],
        ["serve", "a.json", "--listen"],
        ["serve", "a.json", "--port", "80"],
        ["serve", "a.json", "--workers", "0"],
        ["serve", "a.json", "--workers", "two"],
        ["serve", "a.json", "--drain", "-1"],
        ["serve", "a.json", "--drain", "inf"],
        ["status", "a.json"],
        ["check"],
        ["check", "a.json", "--yaml"],
        ["run"],
        ["run", "program", "--data", "@/no/such/file"],
        ["run", "program", "--data", "@/"],
        ["doctor", "me"],
        ["new"],
        ["new", "c"],
        ["new", "c", "one", "two"],
    ],
)
def test_wrong_arguments_are_a_usage_message_and_status_2(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: skerry")


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080),
        ("localhost:0", "localhost", 0),
        (":80", "0.0.0.0", 80),
        ("[::1]:65535", "::1", 65535),
    ],
)
def test_an_address_is_host_and_port(text, host, port):
    assert serve.address(text) == (host, port)


@pytest.mark.parametrize(
    "text",
    ["", ":", "8080", "host", "host:", "host:x", "host:-1", "host:65536", "host:8 0"],
)
def test_an_address_without_a_port_is_refused_with_an_example(text):
    with pytest.raises(argparse.ArgumentTypeError, match=r"such as 127\.0\.0\.1:8080"):
        serve.address(text)


@pytest.mark.parametrize(
    "text", ["host:\u0663", "::1", "::1:80", "[::1:80", "[::1]80", "a:b:80", "[]:80"]
)
def test_an_address_that_means_two_things_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="expected HOST:PORT"):
        serve.address(text)


@pytest.mark.parametrize("text", ["127.0.0.1:80", "localhost:0", "[::1]:8080"])
def test_an_address_reads_as_it_was_given(text):
    assert place(*serve.address(text)) == text


def test_the_address_to_listen_on_has_a_default():
    arguments = make_parser().parse_args(["serve", "programs.json"])
    assert arguments.listen == ("127.0.0.1", 8080)


def test_a_mistake_of_the_user_is_a_message_and_status_1(capsys, tmp_path):
    file = tmp_path / "empty.json"
    file.write_text("")
    assert main(["check", str(file)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"{file}:")
    assert "Traceback" not in captured.err
