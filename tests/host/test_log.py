"""The log: one line an event, whatever programs print and wherever it goes."""

import io
import os

import pytest

from skerry.log import Log, printable
from skerry.native import Stream


@pytest.fixture
def log():
    """(a log, what it has written so far)"""
    out = io.StringIO()
    return Log(out), out.getvalue


def test_lines_of_the_host_and_lines_about_trouble(log):
    write, said = log
    write.info("listening")
    write.problem("no such file")
    assert said() == "listening\nerror: no such file\n"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_is_for_terminals_and_the_next_line_takes_its_place(log):
    write, said = log
    write.progress("started 1 of 2")
    assert said() == ""
    out = Terminal()
    terminal = Log(out)
    terminal.progress("started 1 of 2")
    terminal.info("listening on 127.0.0.1:8080")
    assert out.getvalue() == "started 1 of 2\rlistening on 127.0.0.1:8080\n"


@pytest.mark.parametrize("stream", [Stream.STDOUT, Stream.STDERR, Stream.LOG])
def test_what_a_program_prints_stands_behind_its_name(log, stream):
    write, said = log
    write.program("counter", stream, "Hello Storage World!")
    assert said() == ">>> [counter] Hello Storage World!\n"


def test_a_line_of_the_host_about_a_program_is_not_marked_as_its_own(log):
    write, said = log
    write.program("counter", Stream.HOST, "request failed")
    assert said() == "[counter] request failed\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext", "plain\ttext"),
        ("\u00e9\u4e16\N{GRINNING FACE}", "\u00e9\u4e16\N{GRINNING FACE}"),
        ("\x1b[31mred", "\ufffd[31mred"),
        ("a\rb\nc\x00d\x7fe\x9bf", "a\ufffdb\ufffdc\ufffdd\ufffde\ufffdf"),
        ("\u202eevil\u2066", "\ufffdevil\ufffd"),
    ],
)
def test_what_could_steer_a_terminal_is_replaced(text, shown):
    assert printable(text) == shown


def test_a_line_of_a_program_stays_one_line(log):
    write, said = log
    write.program("a", Stream.STDOUT, "one\nerror: two")
    assert said().count("\n") == 1


def test_characters_that_the_terminal_does_not_have_are_escaped(tmp_path):
    path = tmp_path / "log"
    with path.open("w", encoding="ascii") as out:
        Log(out).info("caf\u00e9")
    assert path.read_text() == "caf\\xe9\n"


def test_a_line_is_there_at_once(tmp_path):
    path = tmp_path / "log"
    with path.open("w") as out:
        Log(out).info("now")
        assert path.read_text() == "now\n"


def test_a_log_that_nobody_reads_is_no_error():
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as out:
        log = Log(out)
        os.close(reading)
        for _ in range(3):
            log.info("into the void")


def test_a_full_disk_is_no_error_and_may_have_room_again(tmp_path):
    class Disk(io.StringIO):
        full = True

        def flush(self) -> None:
            if self.full:
                raise OSError(28, "No space left on device")

    disk = Disk()
    log = Log(disk)
    log.info("lost, maybe")
    disk.full = False
    log.info("kept")
    assert disk.getvalue().endswith("kept\n")
