"""jsonc: what it reads, what it refuses, and where it says that the trouble is."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import ConfigError
from skerry.jsonc import DEEPEST, Member, Value, parse, show

FILE = Path("x.json")

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
).filter(lambda document: not isinstance(document, str))  # "x" is a name: see below

SPACES = st.sampled_from(["", " ", "\n", "\t\r\n", "//, {\n", '/* " // */', "/**/"])


def plain(value: Value):
    """(value) as json.loads would return it."""
    if isinstance(value.data, tuple):
        return {member.name: plain(member.value) for member in value.data}
    if isinstance(value.data, list):
        return [plain(item) for item in value.data]
    return value.data


def loads(text: str):
    return plain(parse(text, FILE))


def complaint(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, FILE)
    (problem,) = caught.value.problems
    return str(problem).removeprefix("x.json:")


def same(ours, theirs) -> bool:
    """Equal, and of the same types: 1 is neither 1.0 nor true; -0.0 is not 0.0."""
    return repr(ours) == repr(theirs)


@given(DOCUMENTS, st.sampled_from([None, 0, 2]), st.booleans())
def test_reads_every_json_document_as_the_standard_library_does(doc, indent, ascii_):
    text = json.dumps(doc, indent=indent, ensure_ascii=ascii_)
    assert same(loads(text), json.loads(text))


@given(st.text('{}[]",:0123456789.eE+-truefalsn\\/u \n'))
def test_reads_what_the_standard_library_reads_and_no_more(text):
    try:
        expected = json.loads(text, parse_constant=float.fromhex)
    except (ValueError, TypeError):
        return
    if isinstance(expected, str):
        return
    assert same(loads(text), expected)


def pieces(doc, space, comma):
    """(doc) as JSONC, with what (space) and (comma) draw between its tokens."""
    if isinstance(doc, dict):
        members = [
            f"{space()}{json.dumps(name)}{space()}:{pieces(item, space, comma)}"
            for name, item in doc.items()
        ]
        return f"{space()}{{{','.join(members)}{comma(doc)}{space()}}}{space()}"
    if isinstance(doc, list):
        items = [pieces(item, space, comma) for item in doc]
        return f"{space()}[{','.join(items)}{comma(doc)}{space()}]{space()}"
    return f"{space()}{json.dumps(doc)}{space()}"


@given(DOCUMENTS, st.data())
def test_comments_spaces_and_trailing_commas_change_nothing(doc, data):
    def space():
        return data.draw(SPACES)

    def comma(items):
        return data.draw(st.sampled_from(["", ",", " , //\n"])) if items else ""

    assert same(loads(pieces(doc, space, comma)), doc)


@given(st.dictionaries(st.text(), SCALARS, min_size=1), st.sampled_from(["", ","]))
def test_outer_braces_are_implied_when_a_string_comes_first(doc, comma):
    text = json.dumps(doc)
    assert same(loads("// no braces\n" + text[1:-1] + comma), doc)


@given(st.text())
def test_any_text_is_a_tree_or_the_one_error(text):
    tree_or_the_one_error(text)


def tree_or_the_one_error(text):
    try:
        parse(text, FILE)
    except ConfigError as error:
        assert len(error.problems) == 1


ALL_OF_IT = """// programs
"a": { "b": [1, -2.5e3, true, null,], /* c */ "d": "\\u00e9\\n\\ud83d\\ude00" },
"a": {},
"""


@pytest.mark.parametrize("length", range(len(ALL_OF_IT)))
def test_a_file_cut_anywhere_is_a_tree_or_the_one_error(length):
    tree_or_the_one_error(ALL_OF_IT[:length])
    tree_or_the_one_error(ALL_OF_IT[length:])


def test_names_and_values_know_their_lines():
    tree = parse('{\n"a":\n\n1, // one\r\n/*\n\n*/ "b": [\n"c"]}', FILE)
    assert tree == Value(
        (
            Member("a", 2, Value(1, 4)),
            Member("b", 7, Value([Value("c", 8)], 7)),
        ),
        1,
    )


def test_a_name_that_comes_twice_is_kept_twice():
    (first, second) = parse('"a": 1,\n"a": 2', FILE).data
    assert (first.name, first.line) == ("a", 1)
    assert (second.name, second.line) == ("a", 2)


@pytest.mark.parametrize(
    ("text", "expected"),
    {
        "": "1:1: expected an object, found nothing but spaces and comments",
        " // x\n": "2:1: expected an object, found nothing but spaces and comments",
        "hello": "1:1: expected a value, found hello",
        "{": "1:2: expected a name in double quotes, found end of file",
        "{,}": "1:2: expected a name in double quotes, found ,",
        "{a: 1}": "1:2: expected a name in double quotes, found a",
        "{'a': 1}": "1:2: expected a name in double quotes, found 'a'",
        '{"a" 1}': '1:6: expected a colon after "a", found 1',
        '{"a": }': "1:7: expected a value, found }",
        '{"a": 1 "b": 2}': "1:9: expected a comma or }, found a string",
        '{\n"a": 1\n"b": 2}': "3:1: expected a comma or }, found a string",
        "[1 2]": "1:4: expected a comma or ], found 2",
        "[,]": "1:2: expected a value, found ,",
        "[1,,]": "1:4: expected a value, found ,",
        "[1}": "1:3: expected a comma or ], found }",
        "{} {}": "1:4: expected end of file, found {",
        '"a": {} }': "1:9: expected a comma or end of file, found }",
        '"a"': '1:4: expected a colon after "a", found end of file',
        "{} x": "1:4: expected end of file, found x",
        "/* x": "1:1: a comment that is not closed: expected */",
        "{} /* x": "1:4: a comment that is not closed: expected */",
        "# x": "1:1: expected a value, found #",
        '["a': "1:2: a string that is not closed: expected a double quote",
        '["a\n"]': "1:4: a line break or control character in a string: "
        "expected a double quote",
        '["\\x"]': "1:3: unknown escape in a string: write \\\\ for a backslash",
        '["\\ud800"]': "1:2: a string with half of a surrogate pair "
        "(\\ud800 to \\udfff)",
        "[01]": "1:2: expected a value, found 01",
        "[+1]": "1:2: expected a value, found +1",
        "[1.]": "1:2: expected a value, found 1.",
        "[.5]": "1:2: expected a value, found .5",
        "[0x10]": "1:2: expected a value, found 0x10",
        "[\u0661]": "1:2: expected a value, found \u0661",
        "[NaN]": "1:2: expected a value, found NaN",
        "[Infinity]": "1:2: expected a value, found Infinity",
        "[-Infinity]": "1:2: expected a value, found -Infinity",
        "[True]": "1:2: expected a value, found True",
        "[1e999]": "1:2: number too large: 1e999",
        "[-1e999]": "1:2: number too large: -1e999",
        "[\x1b[0m]": '1:2: expected a value, found "\\u001b"',
        "[\u00a0]": '1:2: expected a value, found "\\u00a0"',
    }.items(),
)
def test_an_error_says_where_what_was_expected_and_what_was_found(text, expected):
    assert complaint(text) == expected


@pytest.mark.parametrize("text", ['["\\u12"]', '["\\u 123"]', '["\\uzzzz"]'])
def test_a_broken_unicode_escape_is_an_error(text):
    assert "unknown escape in a string" in complaint(text)


def test_a_number_of_thousands_of_digits_is_an_error_and_a_short_one():
    message = complaint("[" + "9" * 100_000 + "]")
    assert message.startswith("1:2: number too large: ")
    assert len(message) < 100


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_nesting_is_limited_before_python_is(opening):
    inside = "[]"
    closing = "]" if opening == "[" else "}"
    for _ in range(DEEPEST - 1):
        inside = opening + inside + closing
    assert parse(inside, FILE)
    assert "nested more than 64 deep" in complaint(opening + inside + closing)
    assert "nested more than 64 deep" in complaint(opening * 1_000_000)


def test_a_thousand_programs_are_read():
    text = json.dumps({f"p{n}": {"x": [n] * 8} for n in range(1_000)}, indent=1)
    assert loads(text) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "words"),
    {
        "{}": "an object",
        "[1]": "a list",
        "[]": "a list",
        "true": "true",
        "null": "null",
        "1.0": "1.0",
        '["a\\"b"]': '"a\\"b"',
        '["' + "x" * 50 + '"]': '"' + "x" * 37 + '..."',
        '["\\u202e"]': '"\\u202e"',
        '["caf\u00e9"]': '"caf\u00e9"',
    }.items(),
)
def test_found_values_are_shown_short_and_printable(text, words):
    value = parse(text, FILE)
    if isinstance(value.data, list) and '"' in words:
        (value,) = value.data
    assert show(value) == words
