"""One program in four languages, each by hand: JSON made flat, to the byte the same."""

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.guests import ROOT
from support.languages import build, has_tool
from support.server import Server, write_config

BUILT = {
    "c": ("make -s flatten", "examples/build/flatten"),
    "go": ("CGO_ENABLED=0 go build -o build/ ./...", "go/build/flatten"),
    "rust": (
        "cargo build -q --release --examples",
        "rust/target/x86_64-unknown-linux-gnu/release/examples/flatten",
    ),
    "zig": ("make -s", "zig/build/flatten"),
}
PLACES = {"c": "examples"}
SOME = settings(max_examples=60, derandomize=True, database=None, deadline=None)
BROKEN = [b"", b"\xff", b"\xc3", *(bytes([each]) for each in b'"\\,:{}[]0-.e \0u')]
TOO_LARGE = b'{"%s": [%s]}' % (b"x" * 1000, b",".join([b"1"] * 5000))


@pytest.fixture(scope="module")
def flatteners(tmp_path_factory):
    """The program in each language that can be built here, served under its name."""
    scratch = tmp_path_factory.mktemp("flatten")
    programs = {}
    for language, (command, program) in BUILT.items():
        if has_tool(language):
            place = ROOT / "guest" / PLACES.get(language, language)
            build(command, place, scratch)
            programs[language] = {"filename": str(ROOT / "guest" / program)}
    with Server(write_config(scratch, programs)) as server:
        yield lambda text: [
            server.request("POST", f"/{each}", text) for each in programs
        ]


def parse(text):
    """The value of JSON (text), bytes; ValueError for what is not RFC 8259."""

    def refuse(word):
        raise ValueError(word)

    return json.loads(text.decode(), parse_constant=refuse)


def pairs(value, path, dump):
    """The lines of (value), which is at (path): names and strings as (dump) says."""
    inside = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        inside = enumerate(value)
    if not inside or value in ([], {}):
        yield f'  "{path}": {dump(value)}'
    for key, each in inside:
        name = dump(str(key))[1:-1]
        yield from pairs(each, f"{path}.{name}" if path else name, dump)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
    ),
)


@SOME
@given(VALUES, st.booleans(), st.sampled_from([None, 0, 2]))
def test_every_language_makes_the_same_of_json(flatteners, value, ascii_only, indent):
    def dump(each):
        return json.dumps(each, ensure_ascii=ascii_only)

    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    expected = "{\n" + ",\n".join(pairs(value, "", dump)) + "\n}\n"
    for answer in flatteners(text):
        assert (answer.status, answer.body.decode()) == (200, expected)
        assert answer.headers["Content-Type"] == "application/json"


@SOME
@given(VALUES, st.data())
def test_every_language_refuses_what_is_not_json(flatteners, value, data):
    text = bytearray(json.dumps(value, ensure_ascii=False).encode())
    at = data.draw(st.integers(0, len(text) - 1))
    text[at : at + 1] = data.draw(st.sampled_from(BROKEN))
    expected = 400
    with suppress(ValueError):
        parse(bytes(text))
        expected = 200
    assert {each.status for each in flatteners(bytes(text))} == {expected}


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b" \t\r\n[ ]\n", 200),
        (b'"\\u00e9\\ud800\\/"', 200),
        (b"[" * 100 + b"]" * 100, 200),
        (b"[" * 102 + b"]" * 102, 400),
        (b"[" * 1_000_000, 400),
        (b'{"a": 1,}', 400),
        (b"01", 400),
        (b"1.", 400),
        (b"-", 400),
        (b"+1", 400),
        (b"1e", 400),
        (b"tru", 400),
        (b"NaN", 400),
        (b'"\t"', 400),
        (b'"\\x"', 400),
        (b'"\\u12g4"', 400),
        (b'"a', 400),
        (b"1 2", 400),
        (b"\xef\xbb\xbf1", 400),  # a byte order mark
        (b'"\xc0\x80"', 400),  # longer than it has to be
        (b'"\xed\xa0\x80"', 400),  # a surrogate
        (b'"\xf4\x90\x80\x80"', 400),  # above U+10FFFF
        (b'"\xf4\x8f\xbf\xbf"', 200),
        (TOO_LARGE, 413),
        (b"", 405),
    ],
)
def test_every_language_draws_the_same_line(flatteners, text, status):
    answers = flatteners(text)
    assert {each.status for each in answers} == {status}
    assert len({each.body for each in answers}) == 1
