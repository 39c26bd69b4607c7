"""The command line, as installed: what it prints, and how it ends."""

import json
import os
import subprocess
from importlib.metadata import version

import pytest
from support.client import LONG
from support.guests import PRELUDE, compile_guest
from support.programs import HELLO, TROUBLE
from support.server import EXAMPLES, SKERRY, skerry, write_config

BUILD = EXAMPLES.parent / "build"
VERBS = (
    "serve",
    "status",
    "reload",
    "check",
    "schema",
    "run",
    "trace",
    "syscalls",
    "doctor",
)


def said(*arguments, status=0, stderr=b""):
    """The lines that the command prints when it ends with (status)."""
    done = skerry(*arguments)
    assert (done.returncode, done.stderr) == (status, stderr)
    return done.stdout.decode().splitlines()


def complaint(*arguments, status=1):
    """What the command prints to standard error, and nothing else."""
    done = skerry(*arguments)
    assert (done.returncode, done.stdout) == (status, b"")
    assert b"Traceback" not in done.stderr
    return done.stderr.decode()


def test_version():
    assert said("--version") == [f"skerry {version('skerry')}"]


def test_help_names_every_verb():
    text = "\n".join(said("--help"))
    assert all(f"\n    {verb} " in text for verb in VERBS)


def test_wrong_arguments_are_a_usage_message_and_status_2():
    text = complaint("check", EXAMPLES, "--yaml", status=2)
    assert text.startswith("usage: skerry")
    assert "--yaml" in text.splitlines()[-1]


def test_check_of_a_good_file(config):
    file = config(hello=HELLO, trouble=TROUBLE)
    assert said("check", file) == [f"{file}: no problems; programs: hello, trouble"]
    found = json.loads("".join(said("check", file, "--json")))
    assert found == {
        "problems": [],
        "warnings": [],
        "programs": ["hello", "trouble"],
    }


def test_check_reports_all_problems_of_a_bad_file(tmp_path):
    file = tmp_path / "bad.json"
    file.write_text('{\n"a": {"filename": "x"},\n"b": {"filenam": "y", "uri": "z"}\n}')
    lines = complaint("check", file).splitlines()
    assert [line.partition(": ")[0] for line in lines] == [f"{file}:2"] + [
        f"{file}:3"
    ] * (len(lines) - 1)
    assert len(lines) == 4
    done = skerry("check", file, "--json")
    assert (done.returncode, done.stderr) == (1, b"")
    assert json.loads(done.stdout) == {
        "problems": lines,
        "warnings": [],
        "programs": [],
    }


def test_check_of_no_file():
    assert complaint("check", "/no/such/file").startswith("/no/such/file: ")


def test_check_starts_nothing(config):
    source = """
    static volatile int runs = 1;
    START { puts("started"); fflush(stdout); while (runs); }
    HANDLE {}
    """
    assert len(said("check", config(loops={"source": source}))) == 1


def run(program, *options):
    """(exit status, the response's lines, what stands on standard error)"""
    done = skerry("run", program, *options)
    lines = done.stdout.decode().splitlines()
    return done.returncode, lines, done.stderr.decode()


def test_run_prints_status_headers_and_body():
    assert run(BUILD / "hello") == (
        0,
        ["200", "Content-Type: text/plain", "", "Hello World!"],
        "",
    )


def test_run_sends_what_its_options_say(tmp_path):
    data = tmp_path / "data"
    data.write_bytes(b"from a file")
    _, lines, _ = run(BUILD / "echo", "--url", "/a?b=c", "--data", f"@{data}")
    assert "POST /a?b=c" in lines
    assert lines[-1] == "from a file"
    _, lines, _ = run(BUILD / "echo", "--method", "PUT", "--data", "text")
    assert ("PUT /" in lines, lines[-1]) == (True, "text")
    _, lines, _ = run(BUILD / "echo", "--method", "DELETE")
    assert ("DELETE /" in lines, lines[-1]) == (True, "")


def test_run_has_storage_and_shared_memory():
    assert "X-Counter: 1" in run(BUILD / "counter")[1]
    assert run(BUILD / "scounter")[1][-1] == "Hello 0 World!"


def test_run_keeps_what_the_program_prints_apart():
    status, lines, printed = run(BUILD / "greet", "--url", "/?name=Ada")
    assert (status, lines[-1]) == (0, "Hello, Ada!")
    assert ">>> [greet] greet is ready" in printed.splitlines()


def test_run_of_a_request_that_fails_is_status_1():
    program = compile_guest(PRELUDE + TROUBLE["source"])
    status, lines, printed = run(program, "--url", "/crash")
    assert (status, lines[0]) == (1, "500")
    assert "request failed: page fault reading 0x0" in printed


def test_run_of_a_request_that_is_answered_with_500_is_status_0():
    source = 'START {} HANDLE { backend_response_str(500, "text/plain", "mine"); }'
    status, lines, printed = run(compile_guest(PRELUDE + source))
    assert (status, lines[0], lines[-1], printed) == (0, "500", "mine", "")


def test_run_of_a_request_that_on_error_answers_is_status_1():
    source = r"""
    static void on_error(const char *url, const char *arg, const char *reason)
    {
        reply("caught %s", reason);
    }
    START { set_on_error(on_error); } HANDLE { *(volatile int *)0; }
    """
    status, lines, printed = run(compile_guest(PRELUDE + source))
    assert (status, lines[0]) == (1, "200")
    assert lines[-1].startswith("caught page fault")
    assert "request failed: page fault" in printed


def test_run_of_a_body_that_is_too_large_is_one_clear_line(tmp_path):
    data = tmp_path / "large"
    data.write_bytes(bytes(33 << 20))
    text = complaint("run", BUILD / "echo", "--data", f"@{data}")
    assert text.startswith("--data: expected at most ")
    assert text.count("\n") == 1


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("/no/such/program", "No such file or directory"),
        ("/etc/passwd", "not an ELF file"),
        ("/", "Is a directory"),
        ("/bin/true", "main ended (exited with status 0) without wait_for_requests()"),
    ],
)
def test_run_of_what_is_no_program_is_one_clear_line(program, reason):
    text = complaint("run", program)
    assert reason in text
    assert text.count("\n") == 1


def test_doctor_says_that_this_machine_can_serve():
    lines = said("doctor")
    assert lines[-1] == "skerry can serve here"
    assert any(line.startswith("+ /dev/kvm: ") for line in lines)
    assert any(line.startswith("+ reset: holds") for line in lines)


def test_doctor_prints_the_same_as_json():
    found = json.loads("\n".join(said("doctor", "--json")))
    assert found["can_serve"] is True
    names = {each["name"] for each in found["findings"]}
    assert {"/dev/kvm", "KVM kind", "dirty ring", "reset", "open files"} <= names
    assert all(set(each) == {"name", "found", "advice"} for each in found["findings"])


def test_a_reader_that_leaves_early_is_no_traceback(tmp_path):
    file = write_config(tmp_path, {"hello": HELLO})
    read, write = os.pipe()
    os.close(read)
    command = [SKERRY, "check", file, "--json"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, timeout=LONG)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")
