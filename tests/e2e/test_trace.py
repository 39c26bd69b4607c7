"""skerry trace, and skerry run with --trace and --plain: what a program calls, and what
comes of it."""

import json
import re
import signal
import subprocess
import sys

import pytest
from support.client import LONG
from support.guests import PRELUDE, compile_guest
from support.programs import COUNTER, HELLO
from support.server import SKERRY, skerry

from skerry.commands import trace as verb

CALLS = r"""
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    struct stat st;
    int fd = open("/no/such file", O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    write(1, "line\n\x01", 6);
    stat("/", &st);
    mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    socket(AF_INET, SOCK_STREAM, 0);
    setuid(getuid());
    return argc + 2;
}
"""
FAMILY = r"""
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
static void *work(void *arg) { write(1, "thread\n", 7); return 0; }
int main(void)
{
    pthread_t thread;
    pthread_create(&thread, 0, work, 0);
    pthread_join(thread, 0);
    if (fork() == 0) {
        write(1, "child\n", 6);
        _exit(0);
    }
    wait(0);
    return 0;
}
"""
WAITS = r"""
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>
static int word;
static void *work(void *arg)
{
    while (!syscall(SYS_futex, &word, FUTEX_WAKE, 1))
        sched_yield();
    return 0;
}
int main(void)
{
    pthread_t thread;
    pthread_create(&thread, 0, work, 0);
    syscall(SYS_futex, &word, FUTEX_WAIT, 0, 0, 0, 0);
    return 0;
}
"""
ENDLESS = "#include <unistd.h>\nint main(void) { for (;;) pause(); }"
OPEN = 'openat(AT_FDCWD, "/no/such file", O_RDWR|O_CREAT|O_CLOEXEC, 0640)'


def traced(program, *arguments, status=0):
    """The lines of skerry trace."""
    done = skerry("trace", *arguments, program)
    assert done.returncode == status, done.stderr
    return done.stderr.decode().splitlines()


@pytest.mark.parametrize("flags", [("-static",), ()], ids=["static", "dynamic"])
def test_trace_prints_each_call_with_names_and_its_answer(flags):
    lines = traced(compile_guest(CALLS, flags=flags), status=3)
    assert f"{OPEN} = -1 ENOENT (No such file or directory)" in lines
    assert 'write(1, "line\\n\\x01", 6) = 6' in lines
    assert any("{drwx" in line and line.endswith("= 0") for line in lines)
    assert any(
        line.startswith("mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)")
        for line in lines
    )
    assert "socket(AF_INET, SOCK_STREAM, 0) = 3" in lines
    assert "--- it ended with exit status 3" in lines


def test_trace_ends_with_what_skerry_does_not_serve_and_why():
    lines = traced(compile_guest(CALLS), "--quiet", status=3)
    assert re.fullmatch(r"\d+ calls of \d+ kinds; skerry serves \d+ in full", lines[1])
    found = {line.split()[1]: " ".join(line.split()) for line in lines[2:]}
    said = "refused setuid 1x nothing of the host is the guest's to change"
    assert found["setuid"] == said
    assert found["mmap"].startswith("partial mmap ")
    assert "brk" not in found


def test_trace_follows_threads_and_processes():
    lines = traced(compile_guest(FAMILY, flags=("-static", "-pthread")))
    for text in ("thread", "child"):
        (line,) = [line for line in lines if f'"{text}\\n"' in line]
        assert re.match(r"\[\d+\] write\(1, ", line)
    assert any("CLONE_THREAD" in line or "clone3" in line for line in lines)


def test_trace_follows_a_thread_that_becomes_another_program():
    source = r"""
    #include <fcntl.h>
    #include <pthread.h>
    #include <string.h>
    #include <unistd.h>
    static char state_of_main(void)
    {
        char line[500] = "";
        int fd = open("/proc/self/stat", O_RDONLY);
        read(fd, line, sizeof(line) - 1);
        close(fd);
        return strrchr(line, ')')[2];
    }
    static void *work(void *arg)
    {
        while (state_of_main() != 'S') /* it is in pause() */
            usleep(1000);
        return (void *)(long)execl("/bin/true", "true", 0);
    }
    int main(void)
    {
        pthread_t thread;
        pthread_create(&thread, 0, work, 0);
        for (;;)
            pause();
    }
    """
    lines = traced(compile_guest(source, flags=("-static", "-pthread")))
    (line,) = [line for line in lines if "execve(" in line]
    assert line.startswith('execve("/bin/true", ')
    assert line.endswith(" = 0")
    assert "pause() = ?" in lines
    assert "--- it ended with exit status 0" in lines


def test_trace_ends_a_program_that_runs_for_ever_after_some_seconds():
    lines = traced(compile_guest(ENDLESS), "--seconds", "0.5")
    assert "pause() = ?" in lines
    assert "--- stopped" in lines


def test_trace_ends_with_ctrl_c():
    program = compile_guest(ENDLESS)
    with subprocess.Popen(
        [SKERRY, "trace", program], stderr=subprocess.PIPE, text=True
    ) as running:
        for line in running.stderr:
            if line.startswith("mprotect"):
                break  # the last one before it waits
        running.send_signal(signal.SIGINT)
        assert "--- stopped\n" in running.communicate(timeout=LONG)[1]
    assert running.returncode == 0


def test_trace_stops_kindly_where_only_a_guest_can_go_on():
    lines = traced(compile_guest(PRELUDE + HELLO["source"]))
    (said,) = [line for line in lines if line.startswith("---")]
    assert said.startswith("--- its first host call, register_func: only a guest can")
    assert "skerry run --trace" in said


def test_trace_as_json():
    done = skerry("trace", "--json", compile_guest(CALLS))
    found = json.loads(done.stderr)
    (write,) = [call for call in found["calls"] if call["name"] == "write"]
    assert write == {
        "name": "write",
        "arguments": ["1", '"line\\n\\x01"', "6"],
        "result": 6,
        "error": None,
        "who": "",
    }
    lacks = {each["name"]: each["status"] for each in found["not_in_full"]}
    assert lacks["setuid"] == "refused"


def test_trace_of_what_cannot_be_run_is_a_message(tmp_path):
    text = tmp_path / "text"
    text.write_text("no program")
    text.chmod(0o755)
    for program in (tmp_path / "missing", text):
        done = skerry("trace", program)
        assert done.returncode == 1
        assert done.stderr.decode().startswith(f"{program}: ")
        assert b"Traceback" not in done.stderr


def test_trace_without_its_library_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "skerry.tracing.tracee", None)
    arguments = ["trace", "true"]
    from skerry.cli import make_parser

    with pytest.raises(Exception, match=r"pip install 'skerry\[trace\]'"):
        verb.run(make_parser().parse_args(arguments))


def test_run_with_trace_prints_the_calls_of_a_guest_and_its_host_calls():
    done = skerry("run", "--trace", compile_guest(PRELUDE + COUNTER))
    lines = done.stderr.decode().splitlines()
    assert "wait_for_requests() = ?" in lines
    assert "[storage] wait_for_requests() = ?" in lines
    assert any(line.startswith("register_func(on_get, 0x") for line in lines)
    assert any(line.startswith("storage_callv(0x") for line in lines)
    assert any(line.startswith("[storage] storage_allow(0x") for line in lines)
    answer = [line for line in lines if line.startswith("backend_response(")]
    assert answer and answer[0].startswith('backend_response(200, "text/plain"')
    assert done.stdout.endswith(b"\r\n1")


def test_a_wait_is_told_with_its_own_end_and_by_which_thread():
    program = compile_guest(WAITS, flags=("-static", "-pthread"))
    lines = skerry("run", "--plain", "--trace", program).stderr.decode().splitlines()
    waits = [line for line in lines if "FUTEX_WAIT, 0, NULL" in line]
    wakes = [line for line in lines if "FUTEX_WAKE, 1" in line]
    assert len(waits) == 1 and waits[0].startswith("futex(")
    assert waits[0].endswith(" = 0")
    assert wakes and all(line.startswith("[2] futex(") for line in wakes)
    assert wakes[-1].endswith(" = 1")


def test_run_without_trace_prints_no_calls():
    done = skerry("run", compile_guest(PRELUDE + HELLO["source"]))
    assert done.stderr == b""


def test_the_calls_of_a_guest_read_like_those_of_a_native_program():
    program = compile_guest(CALLS)
    guest = skerry("run", "--plain", "--trace", program).stderr.decode().splitlines()
    native = traced(program, status=3)
    for start in (OPEN, "write(1, ", "mmap(NULL, 4096, "):
        ours, theirs = (
            next(line.split(" = ")[0] for line in lines if line.startswith(start))
            for lines in (guest, native)
        )
        assert ours == theirs
    assert f"{OPEN} = -1 EACCES (Permission denied)" in guest
    assert any("setuid(" in line and "ENOSYS" in line for line in guest)


def test_a_plain_program_runs_in_a_guest_as_in_a_terminal(tmp_path):
    program = compile_guest(CALLS)
    done = skerry("run", "--plain", program, "one", "two")
    assert (done.returncode, done.stdout) == (5, b"line\n\x01")
    waits = skerry("run", "--plain", compile_guest(PRELUDE + HELLO["source"]))
    assert waits.returncode == 1
    assert b"it waits for requests: run it without --plain" in waits.stderr


CAT = r"""
#include <stdio.h>
int main(int argc, char **argv)
{
    char text[100] = "";
    FILE *file = fopen(argv[1], argc > 2 ? "a" : "r");
    if (!file)
        return 1;
    if (argc > 2)
        return fputs(argv[2], file) < 0 || fclose(file) ? 1 : 0;
    fgets(text, sizeof(text), file);
    fputs(text, stdout);
    return 0;
}
"""


def test_a_plain_program_has_the_files_that_it_is_given_and_no_other(tmp_path):
    program, file = compile_guest(CAT), tmp_path / "file"
    file.write_text("content")
    assert skerry("run", "--plain", program, file).returncode == 1
    found = skerry("run", "--plain", "--path", tmp_path, program, file)
    assert (found.returncode, found.stdout) == (0, b"content")
    write = ["--plain", "--path", file, program, file, "more"]
    assert skerry("run", *write).returncode == 1
    write[1] = "--writable"
    assert skerry("run", *write).returncode == 0
    assert file.read_text() == "contentmore"
