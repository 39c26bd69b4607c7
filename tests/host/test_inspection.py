"""skerry check PROGRAM: what is told of a program before it runs."""

import json
import struct
import subprocess

import pytest
from support.guests import INCLUDE, PRELUDE, compile_guest
from support.programs import HELLO

from skerry import levels
from skerry.cli import main
from skerry.inspection import inspect

MAIN = "int main(void) { return 0; }"
HELLO = PRELUDE + HELLO["source"]
MB = 1 << 20


def look(data, path, max_memory=64 * MB):
    """(problems, warnings) of a program."""
    found = inspect(path, data, max_memory)
    return found.problems, found.warnings


def look_at(path, **options):
    return look(path.read_bytes(), path, **options)


def test_a_program_that_waits_has_nothing_to_tell():
    assert look_at(compile_guest(HELLO)) == ([], [])
    assert look_at(compile_guest(HELLO, flags=("-static-pie",))) == ([], [])


def test_a_program_that_never_waits_is_warned_of():
    problems, warnings = look_at(compile_guest(MAIN))
    assert problems == []
    assert "never waits for requests" in warnings[0]


def test_a_dynamic_program_whose_libraries_are_here_is_none():
    assert look_at(compile_guest(HELLO, flags=())) == ([], [])


def test_a_library_that_is_not_there_is_named(tmp_path):
    library, program = tmp_path / "libgone.so", tmp_path / "program"
    source = tmp_path / "gone.c"
    source.write_text("int gone(void) { return 1; }")
    subprocess.run(["gcc", "-shared", "-o", library, source], check=True)
    source.write_text("int gone(void); int main(void) { return gone(); }")
    subprocess.run(
        ["gcc", "-o", program, source, f"-L{tmp_path}", "-lgone"], check=True
    )
    library.unlink()
    assert any(
        "libgone.so is not on this machine" in each for each in look_at(program)[0]
    )


def test_a_program_for_another_machine_is_a_problem():
    path = compile_guest(HELLO)
    data = bytearray(path.read_bytes())
    data[18:20] = struct.pack("<H", 183)  # AArch64
    assert "made for machine 183" in look(bytes(data), path)[0][0]
    data = bytearray(path.read_bytes())
    data[4] = 1  # 32 bits
    assert "not a 64-bit" in look(bytes(data), path)[0][0]


def test_a_program_that_needs_other_instructions_is_a_problem(monkeypatch, tmp_path):
    source, program = tmp_path / "x.c", tmp_path / "x"
    source.write_text(HELLO)
    command = ["gcc", "-static", "-w", f"-I{INCLUDE}", "-Wl,-z,x86-64-v4"]
    subprocess.run([*command, "-o", program, source], check=True)
    monkeypatch.setattr("skerry.inspection.level_of_machine", lambda: 4)
    assert look_at(program) == ([], [])
    monkeypatch.setattr("skerry.inspection.level_of_machine", lambda: 2)
    (problem,) = look_at(program)[0]
    assert "needs the instructions of x86-64-v4" in problem
    assert "-march=x86-64-v2" in problem


def test_the_level_of_a_machine_is_the_highest_that_is_whole(tmp_path):
    info = tmp_path / "cpuinfo"
    second = "cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3"
    for flags, level in (("fpu", 1), (second, 2), (second + " avx2", 2)):
        info.write_text(f"processor : 0\nflags : {flags}\n")
        assert levels.level_of_machine(info) == level


def test_a_program_with_an_executable_stack_is_warned_of():
    flags = ("-static", "-Wl,-z,execstack")
    assert "an executable stack" in look_at(compile_guest(HELLO, flags=flags))[1][0]


def test_a_program_that_does_not_fit_into_its_memory_is_a_problem():
    source = HELLO + "char room[20 << 20];"
    path = compile_guest(source)
    assert "raise max_memory" in look_at(path, max_memory=16 * MB)[0][0]
    assert look_at(path) == ([], [])


@pytest.mark.parametrize("cut", [4, 20, 64, 100, 5000])
def test_a_truncated_program_is_a_problem_and_no_traceback(cut):
    path = compile_guest(HELLO)
    assert look(path.read_bytes()[:cut], path)[0]


def test_check_tells_of_several_programs_and_configurations(tmp_path, capsys):
    good, bad = compile_guest(HELLO), tmp_path / "bad"
    bad.write_bytes(good.read_bytes()[:20])
    file = tmp_path / "programs.json"
    file.write_text(json.dumps({"a": {"filename": str(good)}}))
    assert main(["check", str(good), str(file)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{good}: no problems",
        f"{file}: no problems; programs: a",
    ]
    file.write_text(json.dumps({"a": {"filename": str(bad)}}))
    assert main(["check", str(good), str(file)]) == 1
    assert f"{file}: a: truncated" in capsys.readouterr().err
    assert main(["check", "--json", str(good), str(file)]) == 1
    found = json.loads(capsys.readouterr().out)
    assert len(found["problems"]) == 1
    assert found["programs"] == [good.name, "a"]
