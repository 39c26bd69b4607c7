"""config: what a configuration means, and every way to be told that it is wrong."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skerry.config import (
    AllowedPath,
    Config,
    Download,
    FromHeader,
    Program,
    Warmup,
    defaults,
    load,
)
from skerry.errors import ConfigError, ProgramError, SkerryError
from skerry.keys import KEYS, table

HELLO = '"hello": { "filename": "hello" }'


class Directory:
    """A directory with an executable `hello` and a configuration."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "programs.json"
        (path / "hello").write_bytes(b"\x7fELF")

    def load(self, text: str | bytes) -> Config:
        data = text if isinstance(text, bytes) else text.encode()
        self.config.write_bytes(data)
        return load(self.config)

    def program(self, text: str) -> Program:
        (program,) = self.load(text).programs
        return program

    def hello(self, **keys) -> Program:
        return self.program(json.dumps({"hello": {"filename": "hello"} | keys}))

    def problems(self, text: str | bytes) -> list[str]:
        """What is wrong with (text), a line each, without the file's name."""
        with pytest.raises(ConfigError) as caught:
            self.load(text)
        lines = str(caught.value).splitlines()
        assert all(line.startswith(f"{self.config}:") for line in lines)
        return [line.removeprefix(f"{self.config}:") for line in lines]

    def hello_problem(self, key: str, value) -> str:
        """What is wrong with (value) for (key): the message alone."""
        filename = {} if key == "filename" else {"filename": "hello"}
        text = json.dumps({"hello": filename | {key: value}})
        (problem,) = self.problems(text)
        return problem.removeprefix(f"1: hello.{key}: ")


@pytest.fixture
def directory(tmp_path):
    return Directory(tmp_path)


# What is accepted


def test_a_filename_is_enough(directory):
    assert directory.program(HELLO) == Program(
        name="hello",
        group="compute",
        uri=None,
        filename=directory.path / "hello",
        sha256=None,
        download=(),
        key=None,
        storage=False,
        storage_file=None,
        durability="process",
        live_update="refuse",
        shared_memory=0,
        max_boot_time=16.0,
        max_request_time=8.0,
        max_storage_time=10.0,
        max_memory=256,
        max_request_memory=128,
        address_space=1024,
        concurrency=16,
        max_queue=256,
        main_arguments=None,
        environment=(),
        arg="",
        ephemeral=True,
        control_ephemeral=False,
        warmup=None,
        cold_start_file=None,
        hugepages=False,
        allowed_paths=(),
        current_working_directory="/",
        allowed_hosts=(),
        allow_debug=False,
        stdout=True,
    )


def test_defaults_are_what_a_filename_alone_gives(directory, monkeypatch):
    monkeypatch.chdir(directory.path)
    assert defaults("hello", Path("hello")) == directory.program(HELLO)


def test_every_key_reaches_the_program(directory):
    keys = {
        "group": "compute",
        "uri": "https://some.where/hello",
        "sha256": "5" * 64,
        "download": {"uri": "https://some.where/data", "filename": "data"},
        "key": "0123456789abcdef",
        "storage": True,
        "storage_file": str(directory.path / "state"),
        "durability": "fsync",
        "live_update": "fresh",
        "shared_memory": 2,
        "max_boot_time": 1,
        "max_request_time": 0.5,
        "max_storage_time": 2.5,
        "max_memory": 64,
        "max_request_memory": 32,
        "address_space": 64,
        "concurrency": 4,
        "max_queue": 0,
        "main_arguments": ["-v", ""],
        "environment": ["A=1", "B=x=y", "C="],
        "arg": {"header": "X-Arg"},
        "ephemeral": False,
        "control_ephemeral": True,
        "warmup": {"num_requests": 5, "headers": ["A: b"]},
        "hugepages": True,
        "allowed_paths": ["/etc", {"real": "hello", "virtual": "/data"}],
        "current_working_directory": "/data",
        "allowed_hosts": ["example.com", "*.example.com:8443"],
        "allow_debug": True,
        "stdout": False,
    }
    program = directory.hello(**keys)
    here = directory.path
    read = {
        "download": (Download("https://some.where/data", here / "data", None),),
        "arg": FromHeader("X-Arg"),
        "warmup": Warmup(5, "/", "GET", ("A: b",)),
        "allowed_paths": (
            AllowedPath(Path("/etc"), "/etc", True, False),
            AllowedPath(here / "hello", "/data", False, False),
        ),
        "allowed_hosts": ("example.com", "*.example.com:8443"),
        "main_arguments": ("-v", ""),
        "environment": ("A=1", "B=x=y", "C="),
        "storage_file": directory.path / "state",
    }
    for key, value in (keys | read).items():
        assert getattr(program, key) == value
    assert isinstance(program.max_boot_time, float)
    assert keys.keys() | {"filename", "cold_start_file"} == KEYS.keys()


def test_a_cold_start_file_is_beside_the_configuration_and_of_one_program(directory):
    program = directory.hello(cold_start_file="cold")
    assert program.cold_start_file == directory.path / "cold"
    (problem,) = directory.problems(
        '"a": {"filename": "hello", "cold_start_file": "cold"},'
        '"b": {"filename": "hello", "cold_start_file": "cold"}'
    )
    assert "b.cold_start_file: expected a file of its own" in problem


def test_a_cold_start_file_is_not_for_storage_that_is_kept(directory):
    (problem,) = directory.problems(
        '"a": {"filename": "hello", "storage": true, "storage_file": "state",'
        '"cold_start_file": "cold"}'
    )
    assert problem.endswith("a.cold_start_file: expected no storage_file beside it")


STORAGE_TEST = """\
	"storage_test": {
		"group": "compute",
		"uri": "https://some.where/compute/storage_test",
		"filename": "FILE",
		"storage": true
	},
"""
COUNTER = """\
	"counter": {
		"group": "compute",
		"uri": "https://.../counter.tar.xz",
		"filename": "FILE-2",
		"shared_memory": 2
	},
"""


@pytest.mark.parametrize("braces", ["{}", "{{{}}}"])
def test_documented_snippets_are_accepted_as_they_stand(directory, braces):
    text = braces.format(STORAGE_TEST + COUNTER)
    text = text.replace("FILE", str(directory.path / "hello"))
    storage_test, counter = directory.load(text).programs
    assert (storage_test.name, counter.name) == ("storage_test", "counter")
    assert (storage_test.storage, storage_test.shared_memory) == (True, 0)
    assert (counter.storage, counter.shared_memory) == (False, 2)
    assert counter.uri == "https://.../counter.tar.xz"


def test_programs_keep_the_order_of_the_file(directory):
    names = ["z", "a", "m", "A"]
    config = directory.load(json.dumps({n: {"filename": "hello"} for n in names}))
    assert [program.name for program in config.programs] == names
    assert config.path == directory.config


def test_a_program_may_have_any_name_that_is_safe_in_a_url(directory):
    for name in ["a", "0", "_", "-", "a.b", "x" * 64, "Compute-1_2.3", "compute"]:
        text = json.dumps({name: {"filename": "hello"}})
        assert directory.program(text).name == name


# Groups


def test_a_group_gives_defaults_to_the_programs_that_name_it(directory):
    text = """{
        "hello": { "group": "big", "filename": "hello", "concurrency": 2 },
        "other": { "filename": "hello" },
        "big": { "max_memory": 512, "concurrency": 64, "main_arguments": ["x"] }
    }"""
    hello, other = directory.load(text).programs
    assert (hello.group, other.group) == ("big", "compute")
    assert (hello.max_memory, other.max_memory) == (512, 256)
    assert (hello.concurrency, other.concurrency) == (2, 16)
    assert (hello.main_arguments, other.main_arguments) == (("x",), None)


def test_the_group_compute_may_be_given_defaults(directory):
    text = f'"compute": {{ "storage": true }}, {HELLO}'
    assert directory.program(text).storage


def test_environment_is_that_of_the_group_and_then_the_program_s(directory):
    text = """
        "compute": { "environment": ["A=1", "B=2"] },
        "hello": { "filename": "hello", "environment": { "C": "3", "D": "" } }
    """
    assert directory.program(text).environment == ("A=1", "B=2", "C=3", "D=")


def test_a_variable_of_the_program_replaces_that_of_its_group(directory):
    text = """
        "compute": { "environment": ["A=1", "B=2"] },
        "hello": { "filename": "hello", "environment": ["A=3"] }
    """
    assert directory.program(text).environment == ("B=2", "A=3")


def test_an_unknown_group_is_an_error_that_names_the_nearest(directory):
    text = '"big": {},\n"hello": {\n"filename": "hello", "group": "comptue" }'
    assert directory.problems(text) == [
        '3: hello.group: unknown group "comptue"; did you mean compute?'
    ]
    assert directory.problems(text.replace("comptue", "xyz")) == [
        '3: hello.group: unknown group "xyz"; known: compute, big'
    ]


def test_a_program_is_not_a_group(directory):
    text = f'{HELLO},\n"b": {{ "group": "hello", "filename": "hello" }}'
    assert directory.problems(text) == [
        '2: b.group: unknown group "hello"; known: compute'
    ]


def test_a_mistake_in_a_group_is_reported_once(directory):
    text = (
        f'"compute": {{\n"concurrency": 0 }},\n{HELLO}, "b": {{ "group": "compute" }}'
    )
    assert directory.problems(text) == [
        "2: compute.concurrency: expected an integer from 1 to 1024, found 0",
        "3: b.filename: missing; expected the program's file",
    ]


# Paths


@pytest.mark.parametrize("text", ["$HOME/hello", "${HOME}/hello", "$PWD/hello"])
def test_home_and_pwd_expand(directory, monkeypatch, text):
    monkeypatch.setenv("HOME", str(directory.path))
    monkeypatch.chdir(directory.path)
    monkeypatch.setenv("PWD", "/stale")
    assert directory.hello(filename=text).filename == directory.path / "hello"


@pytest.mark.parametrize("name", ["$", "a$", "$1", "$$", "a b", "caf\u00e9", "~"])
def test_a_dollar_that_names_nothing_is_a_dollar(directory, name):
    (directory.path / name).touch()
    assert directory.hello(filename=name).filename == directory.path / name


@pytest.mark.parametrize("text", ["$FOO", "${FOO}", "${", "${}", "${HOME", "$HOMER"])
def test_other_variables_are_an_error_that_says_so(directory, text):
    found = text if text[1:2] != "{" or text.endswith("}") else "${"
    assert (
        directory.hello_problem("filename", f"a/{text}")
        == f"expected only $HOME and $PWD, found {found}"
    )


def test_paths_are_relative_to_the_configuration(directory, monkeypatch):
    inner = directory.path / "inner"
    inner.mkdir()
    (inner / "c.json").write_text('"hello": { "filename": "../hello" }')
    monkeypatch.chdir(directory.path)
    (program,) = load(Path("inner/c.json")).programs
    assert program.filename.is_absolute()
    assert program.filename.samefile(directory.path / "hello")


def test_a_missing_file_is_an_error_that_names_the_resolved_path(directory):
    assert (
        directory.hello_problem("filename", "gone")
        == f"expected a file: {directory.path}/gone: No such file or directory"
    )
    assert "Not a directory" in directory.hello_problem("filename", "hello/x")
    assert "File name too long" in directory.hello_problem("filename", "x" * 300)


def test_with_a_uri_the_file_may_be_missing_but_not_its_directory(directory):
    fetched = directory.program('"hello": {"uri": "https://x/y", "filename": "later"}')
    assert fetched.filename == directory.path / "later"
    text = '"hello": { "uri": "https://x/y", "filename": "gone/hello" }'
    (problem,) = directory.problems(text)
    assert problem.endswith(f"expected a directory that exists: {directory.path}/gone")


def test_a_hint_is_safe_to_print(directory):
    text = json.dumps({"\x1b[31m": {}, "b": {"group": "xyz", "filename": "hello"}})
    assert all(problem.isprintable() for problem in directory.problems(text))


@pytest.mark.parametrize(
    ("path", "kind"), [(".", "a directory"), ("/dev/null", "a device, pipe or socket")]
)
def test_a_program_is_a_regular_file(directory, path, kind):
    message = directory.hello_problem("filename", path)
    assert message.startswith(f"expected a regular file, found {kind}: /")


def test_what_two_uris_name_is_not_kept_in_one_file(directory):
    text = """
"one": { "uri": "https://x/1", "filename": "kept" },
"same": { "uri": "https://x/1", "filename": "kept" },
"two": { "uri": "https://x/2", "filename": "./kept" },
"data": { "filename": "hello", "download": {"uri": "http://x/3", "filename": "kept"} }
"""
    place = directory.path / "kept"
    said = f'expected a file of its own: {place} is that of "https://x/1"'
    assert directory.problems(text) == [
        f"4: two.filename: {said}",
        f"5: data.download: {said}",
    ]


def test_a_uri_needs_a_place_for_what_it_names(directory):
    assert directory.problems('\n"hello": {\n"uri": "https://x/y" }') == [
        "2: hello.filename: missing; expected the program's file (where uri's is kept)"
    ]


# Values


MEMORY = "expected an integer from 16 to 4096 (MB), found "
SHARED = "expected a multiple of 2 from 0 to 1024 (MB), found "
SECONDS = "expected a number from 0.001 to 3600 (s), found "
PAIRS = 'expected a list of "KEY=VALUE" strings, found '


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("max_memory", "lots", MEMORY + '"lots"'),
        ("max_memory", True, MEMORY + "true"),
        ("max_memory", 64.0, MEMORY + "64.0"),
        ("max_memory", None, MEMORY + "null"),
        ("max_memory", [64], MEMORY + "a list"),
        ("max_memory", {}, MEMORY + "an object"),
        ("max_memory", 15, MEMORY + "15"),
        ("max_memory", 4097, MEMORY + "4097"),
        ("max_memory", -64, MEMORY + "-64"),
        ("max_memory", 10**99, MEMORY + '"1' + "0" * 36 + '..."'),
        ("max_request_memory", 0, "expected an integer from 1 to 4096 (MB), found 0"),
        ("concurrency", 1025, "expected an integer from 1 to 1024, found 1025"),
        ("shared_memory", 3, "expected a multiple of 2 (MB), found 3"),
        ("shared_memory", -2, SHARED + "-2"),
        ("shared_memory", 1026, SHARED + "1026"),
        ("shared_memory", 2.0, SHARED + "2.0"),
        ("shared_memory", False, SHARED + "false"),
        ("max_boot_time", 0, SECONDS + "0"),
        ("max_request_time", -1.5, SECONDS + "-1.5"),
        ("max_storage_time", True, SECONDS + "true"),
        ("max_storage_time", "8s", SECONDS + '"8s"'),
        ("max_boot_time", 10**400, SECONDS + '"1' + "0" * 36 + '..."'),
        ("storage", 1, "expected true or false, found 1"),
        ("stdout", "yes", 'expected true or false, found "yes"'),
        ("filename", 1, "expected a string, found 1"),
        ("filename", "a\0b", 'expected a string without NUL, found "a\\u0000b"'),
        ("group", None, "expected a string, found null"),
        ("uri", ["x"], "expected a URI: http://, https:// or file://, found a list"),
        (
            "uri",
            "ftp://x",
            'expected a URI: http://, https:// or file://, found "ftp://x"',
        ),
        ("sha256", "ab", 'expected a SHA-256 of 64 hexadecimal digits, found "ab"'),
        ("arg", 1, 'expected a string, or {"header": NAME}, found 1'),
        ("arg", {"heder": "X"}, 'unknown name "heder"; did you mean header?'),
        ("warmup", {"url": "x"}, '"url": expected a path such as /, found "x"'),
        (
            "download",
            {"uri": "http://x"},
            '"filename" is missing in an object with "uri" and "filename"',
        ),
        ("allowed_paths", [{}], 'item 1: "real" is missing in an object with "real"'),
        (
            "allowed_paths",
            ["/nowhere"],
            "expected a file or a directory that exists: /nowhere",
        ),
        ("live_update", "x", 'expected "refuse" or "fresh", found "x"'),
        ("durability", "disk", 'expected "process" or "fsync", found "disk"'),
        ("durability", True, 'expected "process" or "fsync", found true'),
        ("max_queue", -1, "expected an integer from 0 to 65536, found -1"),
        ("main_arguments", "-v", 'expected a list of strings, found "-v"'),
        ("main_arguments", ["a", 1], "expected a list of strings, found 1 as item 2"),
        ("environment", "A=1", PAIRS + '"A=1"'),
        ("environment", ["A=1", "B"], PAIRS + '"B" as item 2'),
        ("environment", ["=1"], PAIRS + '"=1" as item 1'),
        ("environment", [{"A": "1"}], PAIRS + "an object as item 1"),
        ("environment", {"A": 1}, 'expected a string, found 1 for "A"'),
        ("environment", {"": "x"}, 'expected a variable\'s name, found ""'),
        ("environment", {"A=B": "x"}, 'expected a variable\'s name, found "A=B"'),
    ],
)
def test_a_wrong_value_is_told_with_what_was_expected(directory, key, value, message):
    assert directory.hello_problem(key, value) == message


@pytest.mark.parametrize(
    ("key", "low", "high"),
    [
        ("shared_memory", 0, 1024),
        ("max_boot_time", 0.001, 3600),
        ("max_memory", 16, 4096),
        ("concurrency", 1, 1024),
        ("max_queue", 0, 65536),
        ("max_request_memory", 1, 256),
    ],
)
def test_the_ends_of_a_range_belong_to_it(directory, key, low, high):
    assert getattr(directory.hello(**{key: low}), key) == low
    assert getattr(directory.hello(**{key: high}), key) == high


def test_max_request_memory_follows_max_memory_down(directory):
    assert directory.hello(max_memory=64).max_request_memory == 64
    assert directory.hello(max_memory=512).max_request_memory == 128


def test_max_request_memory_is_at_most_max_memory(directory):
    text = """
        "compute": {
            "max_request_memory": 200 },
        "hello": { "filename": "hello",
            "max_memory": 100 }
    """
    assert directory.problems(text) == [
        "3: hello.max_request_memory: expected at most max_memory, 100 (MB), found 200"
    ]


def test_a_wrong_max_memory_is_not_blamed_on_max_request_memory(directory):
    text = HELLO.replace("}", ', "max_memory": "lots", "max_request_memory": 4096 }')
    assert directory.problems(text) == [f'1: hello.max_memory: {MEMORY}"lots"']


# Storage in a file


KEPT = {"storage": True, "storage_file": "state"}


def test_a_storage_file_is_found_like_a_filename_and_may_not_be_there_yet(
    directory, monkeypatch
):
    monkeypatch.setenv("HOME", str(directory.path))
    monkeypatch.chdir("/")
    expected = directory.path / "state"
    for text in ("state", "$HOME/state", str(expected)):
        assert directory.hello(**KEPT | {"storage_file": text}).storage_file == expected
    expected.touch()
    assert directory.hello(**KEPT).storage_file == expected


@pytest.mark.parametrize(
    ("text", "message"),
    {
        "gone/state": "expected a directory that exists: {}/gone",
        "hello/state": "expected a directory that exists: {}/hello",
        ".": "expected a regular file, or none yet: {}",
        "$FOO": "expected only $HOME and $PWD, found $FOO",
    }.items(),
)
def test_a_place_that_cannot_hold_storage_is_told(directory, text, message):
    entry = {"filename": "hello", "storage": True, "storage_file": text}
    (problem,) = directory.problems(json.dumps({"hello": entry}))
    where = "1: hello.storage_file: "
    assert problem == where + message.format(directory.path)


def test_a_storage_file_needs_storage(directory):
    text = HELLO.replace("}", ',\n"storage_file": "state" }')
    expected = '2: hello.storage_file: expected "storage": true beside it'
    assert directory.problems(text) == [expected]
    assert directory.program(f'"compute": {{ "storage": true }}, {text}').storage_file


@pytest.mark.parametrize("other", ["state", "inner/../state", "link"])
def test_two_programs_cannot_have_the_same_storage_file(directory, other):
    (directory.path / "inner").mkdir()
    (directory.path / "link").symlink_to("state")
    keys = {"filename": "hello"} | KEPT
    programs = {"a": keys, "b": keys | {"storage_file": other}}
    (problem,) = directory.problems(json.dumps(programs))
    assert problem.startswith("1: b.storage_file: expected a file of its own: ")
    assert problem.endswith(' is that of "a"')


def test_durability_needs_a_storage_file_but_a_group_may_give_it(directory):
    message = directory.hello_problem("durability", "fsync")
    assert message == "expected a storage_file beside it"
    keys = {"filename": "hello"}
    programs = {"compute": {"durability": "fsync"}, "a": keys | KEPT, "b": keys}
    kept, other = directory.load(json.dumps(programs)).programs
    assert (kept.durability, kept.storage_file) == ("fsync", directory.path / "state")
    assert other.storage_file is None


# Names


@pytest.mark.parametrize("host", ["http://a", "a:0", "10.0.0.1/8", "a*b", "[::1"])
def test_an_allowed_host_is_a_name_an_address_or_a_network(directory, host):
    message = directory.hello_problem("allowed_hosts", [host])
    assert f'found "{host}"' in message and '"10.1.0.0/16"' in message


def test_an_unknown_key_is_an_error_that_names_the_nearest(directory):
    text = '{\n"hello": {\n"filename": "hello",\n"max_memry": 1, "Storage": 1}}'
    assert directory.problems(text) == [
        "4: hello.max_memry: unknown key; did you mean max_memory?",
        "4: hello.Storage: unknown key; did you mean storage?",
    ]


def test_an_unknown_key_like_no_other_is_answered_with_all_keys(directory):
    message = directory.hello_problem("xyzzy", 1)
    assert message == f"unknown key; known: {', '.join(KEYS)}"


def test_duplicate_keys_and_programs_are_errors(directory):
    text = (
        f'{HELLO},\n"hello": {{\n"filename": "hello",\n"storage": true,\n'
        '"storage": 2 },\n"g": {},\n"g": {}'
    )
    assert directory.problems(text) == [
        "2: hello: duplicate name; first on line 1",
        "5: hello.storage: duplicate key; first on line 4",
        "5: hello.storage: expected true or false, found 2",
        "7: g: duplicate name; first on line 6",
    ]


def test_a_variable_that_comes_twice_is_an_error(directory):
    text = HELLO.replace("}", ', "environment": { "A": "1", "A": "2" } }')
    assert directory.problems(text) == ['1: hello.environment: duplicate name "A"']


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".a", "a/b", "a b", "a:b", "caf\u00e9", "a\n", "\x1b", "x" * 65],
)
def test_a_name_that_is_not_safe_in_a_url_is_an_error(directory, name):
    (problem,) = directory.problems(json.dumps({name: {"filename": "hello"}}))
    assert "expected a name of 1 to 64 letters, digits" in problem
    assert problem.isprintable()


@pytest.mark.parametrize("entry", ["3", "null", "[]", '"x"', "true"])
def test_an_entry_is_an_object(directory, entry):
    (problem,) = directory.problems(f'"hello": {entry}')
    assert problem.startswith("1: hello: expected an object of keys, found ")


# Everything at once


def test_all_problems_are_reported_at_once_in_the_order_of_the_file(directory):
    text = """{
        "hello": {
            "filename": "gone",
            "max_memory": "lots" },
        "b": { "group": "none" },
        "c d": 3
    }"""
    assert directory.problems(text) == [
        f"3: hello.filename: expected a file: {directory.path}/gone:"
        " No such file or directory",
        '4: hello.max_memory: expected an integer from 16 to 4096 (MB), found "lots"',
        '5: b.group: unknown group "none"; known: compute, "c d"',
        "5: b.filename: missing; expected the program's file",
        "6: \"c d\": expected a name of 1 to 64 letters, digits, '_', '-' and '.',"
        " not beginning with '.', found \"c d\"",
        '6: "c d": expected an object of keys, found 3',
    ]


def test_a_problem_has_its_parts(directory):
    with pytest.raises(ConfigError) as caught:
        directory.load('{\n"hello": {"filename": "hello",\n"storage": 1}}')
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == (directory.config, 3)
    assert (problem.program, problem.key) == ("hello", "storage")
    assert problem.message == "expected true or false, found 1"


# Files that are no configuration


@pytest.mark.parametrize(
    ("data", "problem"),
    {
        b"": "1:1: expected an object, found nothing but spaces and comments",
        b"{": "1:2: expected a name in double quotes, found end of file",
        b"[]": "1: expected an object of programs, found a list",
        b"\n3": "2: expected an object of programs, found 3",
        b"{}": " no program: expected an entry with a filename",
        b'"g": {}': " no program: expected an entry with a filename",
        b'{\n"\xff"': "2: expected UTF-8, found byte 0xff",
        b"\xef\xbb\xbf{}": "1: begins with a byte order mark: save it without one",
        b"\xff\xfe{\0}\0": "1: expected UTF-8, found byte 0xff",
        b"{\0}": '1:2: expected a name in double quotes, found "\\u0000"',
        b"[" * 100_000: "1:66: nested more than 64 deep",
        b'{"a": NaN}': "1:7: expected a value, found NaN",
    }.items(),
)
def test_what_is_not_a_configuration_is_told_with_its_place(directory, data, problem):
    assert directory.problems(data) == [problem]


@pytest.mark.parametrize(
    ("path", "reason"),
    {
        "gone.json": "cannot be read: No such file or directory",
        ".": "cannot be read: Is a directory",
        "hello/x": "cannot be read: Not a directory",
        "a\0b": "cannot be read: its name holds a NUL",
        "/dev/zero": "larger than 16 MiB",
    }.items(),
)
def test_what_cannot_be_read_is_told(directory, path, reason):
    with pytest.raises(ConfigError) as caught:
        load(directory.path / path)
    (problem,) = caught.value.problems
    assert (problem.line, problem.message) == (0, reason)


WHOLE = f"{STORAGE_TEST}{COUNTER}// caf\u00e9\n{HELLO}".encode()


def only_config_errors(directory: Directory, data: bytes) -> None:
    try:
        directory.load(data)
    except ConfigError as error:
        assert error.problems


def test_a_file_cut_anywhere_raises_nothing_but_config_errors(directory):
    for length in range(len(WHOLE)):
        only_config_errors(directory, WHOLE[:length])


WORDS = st.sampled_from([*KEYS, "compute", "hello", "$HOME", "A=1"]) | st.text(
    max_size=4
)
THINGS = st.recursive(
    WORDS | st.none() | st.booleans() | st.integers() | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=5)
    ),
    max_leaves=12,
)


HARMLESS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(suppress_health_check=HARMLESS, max_examples=50)
@given(st.dictionaries(WORDS, st.dictionaries(WORDS, THINGS) | THINGS))
def test_any_json_raises_nothing_but_config_errors(directory, document):
    only_config_errors(directory, json.dumps(document).encode())


@settings(suppress_health_check=HARMLESS)
@given(st.binary())
def test_any_bytes_raise_nothing_but_config_errors(directory, data):
    only_config_errors(directory, data)


# Errors and the table of keys


def test_every_error_is_a_skerry_error():
    error = ProgramError("hello", "load", "not an ELF")
    assert str(error) == "hello: load: not an ELF"
    assert (error.name, error.step, error.reason) == ("hello", "load", "not an ELF")
    assert isinstance(error, SkerryError) and isinstance(ConfigError([]), SkerryError)


def test_the_table_of_keys_tells_type_range_unit_default_and_meaning():
    text = table()
    assert "max_memory          an integer from 16 to 4096 (MB) [256]\n" in text
    assert "storage             true or false [false]\n" in text
    assert "max_boot_time       a number from 0.001 to 3600 (s) [16.0]\n" in text
    assert text.count("\n") == 2 * len(KEYS)
