"""The same two programs in C, Rust, Go and Zig: hello, and JSON made flat.

    python bench/languages.py

A language whose tool is not on this machine is named and left out.
"""

import json
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

# Not this file's directory: its http.py would stand in for the stdlib's http.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from statistics import median

from bench import micro, pairs, report, subject, tools
from bench.floor import Floor, FloorError
from bench.pairs import timed
from bench.tools import Tool

BATCH, ROUNDS = 20, 40
BOOTS, FIRSTS = 5, 15
SECONDS = 2.0  # at most, for the rounds of a figure
PEOPLE = 20
Figures = dict[str, float]


def document() -> bytes:
    """JSON of about 2 KB, as services exchange it."""
    people = [
        {
            "id": 1000 + i,
            "name": f"Person {i}",
            "mail": None if i % 3 else f"person{i}@example.com",
            "at": {"x": i / 4, "y": -i},
            "tags": ["a", "b"][: i % 3],
        }
        for i in range(PEOPLE)
    ]
    return json.dumps({"people": people, "next": None}).encode()


def over_floor(machine: subject.Machine, floor: Floor) -> float:
    """A call with its reset, over a bare KVM_RUN, by the median of the rounds."""
    machine.call()  # which looks at the answer
    ours = timed(lambda: machine.calls(BATCH))
    bare = timed(lambda: floor.exit(BATCH))
    count = max(5, min(ROUNDS, int(SECONDS / ours())))
    return pairs.median_ratio(pairs.rounds(ours, bare, count))


def first_us(machine: subject.Machine) -> float:
    """The first call of a new clone, its reset included."""
    times = []
    for _ in range(FIRSTS):
        with closing(machine.clone()) as clone:
            times.append(timed(clone.call)() * 1e6)
    return median(times)


def boot_ms(program: Path) -> float:
    """From the file to ready."""
    times = []
    for _ in range(BOOTS):
        begin = time.perf_counter()
        booted = subject.boot_file(program)
        times.append((time.perf_counter() - begin) * 1e3)
        booted.close()
    return median(times)


def measure(tool: Tool, floor: Floor) -> Figures:
    """All of a language."""
    hello = tool.example("hello")
    found = {"boot_ms": boot_ms(hello)}
    with closing(subject.open_file(hello)) as machine:
        found["first_us"] = first_us(machine)
        found["hello_over_floor"] = over_floor(machine, floor)
        found["hello_clone_kib"] = micro.private_kib_per_clone(machine)
    with closing(subject.open_file(tool.example("flatten"), document())) as machine:
        found["flatten_over_floor"] = over_floor(machine, floor)
        found["flatten_clone_kib"] = micro.private_kib_per_clone(machine)
    return found


def over_c(found: dict[str, Figures]) -> dict[str, Figures]:
    """The figures of each language, with times over those of C where there is C."""
    if "c" not in found:
        return found
    return {
        language: {
            **figures,
            "boot_over_c": figures["boot_ms"] / found["c"]["boot_ms"],
            "first_over_c": figures["first_us"] / found["c"]["first_us"],
        }
        for language, figures in found.items()
    }


COLUMNS: tuple[tuple[str, str], ...] = (
    ("boot_over_c", "boot / C"),
    ("first_over_c", "first / C"),
    ("hello_over_floor", "hello / KVM_RUN"),
    ("flatten_over_floor", "JSON / KVM_RUN"),
    ("hello_clone_kib", "hello: KiB a clone"),
    ("flatten_clone_kib", "JSON: KiB a clone"),
)


def table(found: dict[str, Figures], say: Callable[[str], None] = print) -> None:
    """A line for each language."""
    say(" " * 6 + "".join(f"{title:>20}" for _, title in COLUMNS))
    for language, figures in found.items():
        cells = [f"{figures[key]:.2f}" if key in figures else "-" for key, _ in COLUMNS]
        say(f"{language:<6}" + "".join(f"{each:>20}" for each in cells))


def measure_all() -> dict[str, Figures]:
    found = {}
    with Floor() as floor:
        for language in tools.TOOLS:
            if tool := tools.missing(language):
                print(f"{language}: left out, as there is no {tool}: make languages")
                continue
            found[language] = measure(tools.build(language), floor)
    return over_c(found)


if __name__ == "__main__":
    try:
        figures = measure_all()
    except FloorError as error:
        sys.exit(f"bench/languages.py: {error}")
    table(figures)
    report.save({}, {"languages": figures})
