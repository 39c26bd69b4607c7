"""What can be asked of kitchen-sink, and how each answer is checked."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from support.client import Answer

NAMES = ("sink", "sink-request", "sink-paused")
ARG = "from the configuration"
GREETING = "a file that it may read\n"
PATTERN = bytes(range(ord("a"), ord("z") + 1))


@dataclass
class Seen:
    """What must not come twice, and what has to add up."""

    counts: dict[str, set[int]] = field(default_factory=dict)
    random: set[str] = field(default_factory=set)
    crashes: int = 0


@dataclass(frozen=True, slots=True)
class Ask:
    """A request to program (name); (check) asserts that its answer is right."""

    name: str
    method: str
    path: str
    body: bytes
    check: Callable[[Answer, Seen], None]


def _says(text: str, status: int = 200) -> Callable[[Answer, Seen], None]:
    def check(answer: Answer, seen: Seen) -> None:
        assert (answer.status, answer.text) == (status, text), answer

    return check


def _number(answer: Answer, word: str) -> int:
    assert answer.status == 200, answer
    begin, _, number = answer.text.rpartition(" ")
    assert begin == word, answer
    return int(number)


def _headers(answer: Answer, seen: Seen) -> None:
    assert (answer.status, answer.text) == (200, ARG), answer
    assert answer.headers["X-Method"] == "GET"
    assert answer.headers["X-Agent"].startswith("User-Agent: soak")
    assert answer.headers["X-Added"] == "to the request"
    assert int(answer.headers["X-Length"]) == len("Host: test")
    assert "X-Unset" not in answer.headers


def _extra(answer: Answer, seen: Seen) -> None:
    _says("extra")(answer, seen)
    assert (answer.headers["X-One"], answer.headers["X-Two"]) == ("1", "2")
    assert "max-age=60" in answer.headers["Cache-Control"]


def _cacheable(answer: Answer, seen: Seen) -> None:
    _says("cacheable")(answer, seen)
    assert "max-age=10" in answer.headers["Cache-Control"]


def _unique(word: str, name: str) -> Callable[[Answer, Seen], None]:
    """Nobody else has had this number."""

    def check(answer: Answer, seen: Seen) -> None:
        number = _number(answer, word)
        had = seen.counts.setdefault(f"{name} {word}", set())
        assert number not in had, answer
        had.add(number)

    return check


def _positive(word: str) -> Callable[[Answer, Seen], None]:
    def check(answer: Answer, seen: Seen) -> None:
        assert _number(answer, word) >= 0, answer

    return check


def _crashed(answer: Answer, seen: Seen) -> None:
    _says("it failed, and says so", 503)(answer, seen)
    seen.crashes += 1


def stream(length: int) -> bytes:
    """What /stream/LENGTH sends."""
    return (PATTERN * (length // len(PATTERN) + 1))[:length]


def _streamed(length: int) -> Callable[[Answer, Seen], None]:
    def check(answer: Answer, seen: Seen) -> None:
        assert (answer.status, answer.body) == (200, stream(length)), answer.status

    return check


def _random(check: Callable[[Answer, Seen], None]) -> Callable[[Answer, Seen], None]:
    """Of the programs that get the whole request: no two have the same random bits."""

    def check_both(answer: Answer, seen: Seen) -> None:
        check(answer, seen)
        if answer.status == 200:
            bits = answer.headers["X-Random"]
            assert len(bits) == 32 and bits not in seen.random, answer
            seen.random.add(bits)

    return check_both


def _get(dice: random.Random, name: str) -> tuple[str, Callable[[Answer, Seen], None]]:
    word = "".join(dice.choices("abcdefghij", k=dice.randint(1, 30)))
    length = dice.choice([1, 100, 16384, 65536, dice.randint(1, 300000)])
    state = f"/{name}/state/{word}"
    return dice.choice(
        [
            ("/headers", _headers),
            ("/extra", _extra),
            ("/cacheable", _cacheable),
            (f"/regex/{word}.x", _says(f"/{name}/regex/<{word}>x")),
            ("/counter", _unique("count", name)),
            ("/vector", _positive("sum")),
            ("/undone", _says("failed -1")),
            ("/task", _says("stopped 0")),
            ("/ticked", _positive("ticks")),
            (f"/state/{word}", _says(f"written {len(state)}")),
            ("/shared", _unique("hits", name)),
            ("/file", _says(GREETING)),
            ("/fetch", _says("Hello World!")),
            (f"/stream/{length}", _streamed(length)),
            ("/memory", _says("more")),
            ("/logged", _says("debug 0")),
            ("/crash", _crashed),
            (f"/remember/{word}", _says("clean")),
            ("/nothing", _says("no such path", 404)),
        ]
    )


def _post(dice: random.Random, name: str) -> Ask:
    size = dice.choice([1, 10, 4096, 70000, dice.randint(1, 500000)])
    body = dice.randbytes(size)
    if name == "sink":
        expected = f"streamed {size} of {size}, sum {sum(body)}"
        return Ask(name, "POST", f"/{name}/", body, _says(expected))
    return Ask(name, "POST", f"/{name}/", body, _random(_says(f"posted {size}")))


def choose(dice: random.Random) -> Ask:
    """Any of all that can be asked."""
    name = dice.choice(NAMES)
    if dice.random() < 0.1:
        return _post(dice, name)
    path, check = _get(dice, name)
    if name != "sink":
        check = _random(check)
    return Ask(name, "GET", f"/{name}{path}", b"", check)
