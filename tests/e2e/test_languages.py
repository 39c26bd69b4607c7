"""Programs in other languages, built by their own tools, served, and asked."""

import json
import subprocess
from pathlib import Path

import pytest
from support.guests import ROOT
from support.languages import build, need
from support.server import SKERRY, Server, write_config

from skerry.project import LANGUAGES

GUEST = ROOT / "guest"
EXAMPLES = {
    "go": "CGO_ENABLED=0 go build -o build/ ./...",
    "nim": "for each in examples/*.nim; do nim c --hints:off $each || exit; done",
    "rust": "cargo build -q --release --examples",
    "zig": "make -s",
}


def examples(language: str, scratch: Path) -> Server:
    """The examples of guest/(language), built and served."""
    need(language)
    build(EXAMPLES[language], GUEST / language, scratch)
    return Server(GUEST / language / "programs.json")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_new_project_builds_and_answers(language, tmp_path):
    need(language)
    done = subprocess.run(
        [SKERRY, "new", language, "first"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    enter, commands, _ = done.stdout.decode().splitlines()
    assert enter == "cd first"
    command, _, serve = commands.partition(" && ")
    assert serve.endswith("serve programs.json")
    build(command, tmp_path / "first", tmp_path)
    with Server(tmp_path / "first" / "programs.json") as server:
        answer = server.get("/first")
    assert (answer.status, answer.body) == (200, b"Hello from first!\n")


@pytest.mark.parametrize("language", EXAMPLES)
def test_hello_answers_in_every_language(language, tmp_path):
    with examples(language, tmp_path) as server:
        answer = server.get("/hello")
    assert (answer.status, answer.body) == (200, b"Hello World!")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("language", EXAMPLES)
def test_counters_of_other_languages_count_requests(language, tmp_path):
    with examples(language, tmp_path) as server:
        stored = [server.get("/counter") for _ in range(3)]
        shared = [server.get("/scounter").body for _ in range(3)]
        log = server.log
    assert [each.headers["X-Counter"] for each in stored] == ["1", "2", "3"]
    assert {each.body for each in stored} == {b"Hello Compute World!"}
    assert shared == [b"Hello 0 World!", b"Hello 1 World!", b"Hello 2 World!"]
    assert log.count(">>> [counter] Hello Storage World!") == 1


MARKDOWN = """\
# A *small* page

Text with `code < 1`, **bold** and a [link](https://example.com/?a&b),
but no [script](javascript:alert) and no <b>.

- one
- two
```
<kept> *as it is*
```
"""
HTML = """\
<h1>A <em>small</em> page</h1>
<p>Text with <code>code &lt; 1</code>, <strong>bold</strong> and a \
<a href="https://example.com/?a&amp;b">link</a>,
but no [script](javascript:alert) and no &lt;b&gt;.</p>
<ul>
<li>one</li>
<li>two</li>
</ul>
<pre><code>&lt;kept&gt; *as it is*
</code></pre>
"""


def test_the_example_in_rust_makes_html_of_markdown(tmp_path):
    with examples("rust", tmp_path) as server:
        made = server.request("POST", "/markdown", MARKDOWN.encode())
        bad = server.request("POST", "/markdown", b"\xff")
        asked = server.get("/markdown")
    assert (made.status, made.body.decode()) == (200, HTML)
    assert made.headers["Content-Type"] == "text/html; charset=utf-8"
    assert (bad.status, asked.status) == (400, 405)


def test_the_example_in_zig_makes_json_flat(tmp_path):
    value = {"a": {"b": [1, 2.5, 'x"y']}, "c": [], "d": None}
    with examples("zig", tmp_path) as server:
        made = server.request("POST", "/flatten", json.dumps(value).encode())
        bad = server.request("POST", "/flatten", b'{"a"')
    assert json.loads(made.body) == {
        "a.b.0": 1,
        "a.b.1": 2.5,
        "a.b.2": 'x"y',
        "c": [],
        "d": None,
    }
    assert made.headers["Content-Type"] == "application/json"
    assert bad.status == 400


RUST = r"""
use skerry::storage::{self, Buffer};
use skerry::{Request, Response};

fn join(buffers: &[Buffer]) -> Vec<u8> {
    buffers.iter().map(|each| &each[..]).collect::<Vec<_>>().join(&b'+')
}

fn large(_: &[Buffer]) -> Vec<u8> {
    vec![b'x'; 5000]
}

fn broken(_: &[Buffer]) -> Vec<u8> {
    panic!("in storage")
}

fn note(buffers: &[Buffer]) -> Vec<u8> {
    skerry::log(String::from_utf8_lossy(&buffers[0]));
    Vec::new()
}

fn on_get(request: &Request) -> Response {
    let mut result = [0; 6000];
    match request.parameter("do").as_deref() {
        Some("join") => {
            let parts: [&[u8]; 3] = [b"a", b"", b"c"];
            let len = storage::call_into(join, &parts, &mut result).unwrap();
            Response::new(200).body("text/plain", result[..len].to_vec())
        }
        Some("large") => {
            let len = storage::call_into(large, &[], &mut result).unwrap();
            Response::new(200).text(format!("{len}"))
        }
        Some("broken") => {
            let failed = storage::call_into(broken, &[], &mut result);
            Response::new(200).text(format!("{failed:?}"))
        }
        Some("task") => {
            let hour = std::time::Duration::from_secs(3600);
            let timer = storage::schedule(note, b"never", hour, hour).unwrap();
            timer.stop().unwrap();
            storage::task(note, b"noted later").unwrap();
            Response::new(200).text(format!("{:?}", timer.stop()))
        }
        Some("much") => Response::new(200).body("text/plain", vec![b'x'; 4 << 20]),
        Some("many") => (0..65).fold(Response::new(200), |r, at| r.header("X-A", at)),
        Some(other) => panic!("what is {other}?"),
        None => Response::new(200).text(format!(
            "{} {} {:?}", request.method(), request.path(), request.header("x-a")
        )),
    }
}

fn main() {
    skerry::on_error(|url, why| (599, format!("{url}: {why}")));
    skerry::on_post(|request: &Request| format!("{:?}", request.text()));
    skerry::on_get(on_get);
    skerry::wait()
}
"""


@pytest.fixture(scope="module")
def rust(tmp_path_factory):
    """The program RUST, served: with storage, and as one whose clone is kept."""
    need("rust")
    scratch = tmp_path_factory.mktemp("rust")
    subprocess.run([SKERRY, "new", "rust", "first"], cwd=scratch, check=True)
    (scratch / "first/src/main.rs").write_text(RUST)
    build("cargo build -q --release", scratch / "first", scratch)
    program = "first/target/x86_64-unknown-linux-gnu/release/first"
    kept = {"ephemeral": False, "concurrency": 1, "max_memory": 64}
    config = write_config(
        scratch,
        {
            "first": {"filename": program, "storage": True},
            "kept": {"filename": program, "max_request_memory": 64} | kept,
        },
    )
    with Server(config) as server:
        yield server


@pytest.mark.parametrize(
    ("query", "status", "body"),
    [
        ("", 200, b'GET /first Some("of the request")'),
        ("?do=join", 200, b"a++c"),
        ("?do=large", 200, b"5000"),
        ("?do=broken", 200, b"Err(Failed)"),
        ("?do=many", 599, b"/first?do=many: response: 65 extra headers"),
        (
            "?do=a%20%2b",
            599,
            b"/first?do=a%20%2b: ended itself with signal 6 (SIGABRT)",
        ),
    ],
)
def test_a_rust_program_gets_answers_and_errors_as_documented(
    rust, query, status, body
):
    answer = rust.get(f"/first{query}", {"X-A": "of the request"})
    assert (answer.status, answer.body) == (status, body)


def test_a_response_leaves_nothing_behind_in_a_machine_that_is_kept(rust):
    answers = [rust.get("/kept?do=much") for _ in range(32)]  # of 4 MB, where 64 are
    assert {(each.status, len(each.body)) for each in answers} == {(200, 4 << 20)}


def test_the_log_has_what_a_panic_says(rust):
    assert rust.get("/first?do=that%20%2b").status == 599
    rust.wait_for(r">>> \[first\] what is that \+\?")


def test_a_task_runs_in_storage_and_a_timer_can_be_stopped(rust):
    assert rust.get("/first?do=task").body == b"Err(Failed)"  # stopped a second time
    rust.wait_for(r">>> \[first\] noted later")


def test_a_body_goes_to_the_handler_for_bodies(rust):
    assert rust.request("PUT", "/first", b"text").body == b'Some("text")'
    assert rust.request("PUT", "/first", b"\xff").body == b"None"


ZIG = r"""
const std = @import("std");
const skerry = @import("skerry");

fn onGet(request: *const skerry.Request) !void {
    var text: [256]u8 = undefined;
    if (std.mem.eql(u8, request.query(), "error")) return error.OnPurpose;
    if (std.mem.eql(u8, request.query(), "many"))
        skerry.respond(.{ .headers = &@as([65][]const u8, @splat("X-A: b")) });
    skerry.respond(.{
        .body = try std.fmt.bufPrint(&text, "{s} {s} {s}", .{
            request.method(), request.path(), request.header("x-a") orelse "nothing",
        }),
        .headers = &.{ "X-One: 1", "X-Two: 2" },
        .cached = .{ .ttl = 60 },
    });
}

fn onPost(request: *const skerry.Request) void {
    skerry.respond(.{ .content_type = request.contentType(), .body = request.body() });
}

fn onError(url: []const u8, why: []const u8) void {
    var text: [256]u8 = undefined;
    const body = std.fmt.bufPrint(&text, "{s}: {s}", .{ url, why }) catch "long";
    skerry.respond(.{ .status = 599, .body = body });
}

pub fn main() void {
    skerry.onGet(onGet);
    skerry.onPost(onPost);
    skerry.onError(onError);
    skerry.wait();
}
"""
NIM = r"""
import skerry/skerry

onGet proc (request: Request): Response =
  if request.url == "/first?error":
    raise newException(ValueError, "on purpose")
  result = text(request.verb & " " & request.path & " " & request.header("x-a"))
  result.headers = @{"X-One": "1", "X-Two": "2"}

onPost proc (request: Request): Response =
  Response(status: 200, contentType: request.contentType, body: request.body)

wait()
"""
GO = r"""
package main

import "skerry"

func handle(request *skerry.Request) skerry.Response {
	if request.Query().Has("error") {
		panic("on purpose")
	}
	if request.Query().Has("many") {
		return skerry.Response{Status: 200, Headers: make([]skerry.Header, 65)}
	}
	if len(request.Body()) > 0 {
		kind := request.ContentType()
		return skerry.Response{Status: 200, ContentType: kind, Body: request.Body()}
	}
	line := request.Method() + " " + request.Path() + " " + request.Header("x-a")
	return skerry.Text(200, line).With("X-One", "1").With("X-Two", "2")
}

func main() { skerry.Serve(handle) }
"""
PANICS = "(panic: OnPurpose|unhandled ValueError: on purpose|panic: on purpose)\n"


@pytest.mark.parametrize(
    ("language", "source", "command"),
    [
        ("go", GO, LANGUAGES["go"].build),
        ("zig", ZIG, "zig build-exe @program.args"),
        ("nim", NIM, "nim c --hints:off main.nim"),
    ],
)
def test_a_program_sees_the_request_and_says_what_to_answer(
    language, source, command, tmp_path
):
    need(language)
    subprocess.run([SKERRY, "new", language, "first"], cwd=tmp_path, check=True)
    (tmp_path / "first" / f"main.{language}").write_text(source)
    build(command, tmp_path / "first", tmp_path)
    with Server(tmp_path / "first" / "programs.json") as server:
        got = server.get("/first?a=b", {"X-A": "of the request"})
        posted = server.request("PUT", "/first", b"a\0b", {"Content-Type": "a/b"})
        failed = server.get("/first?error").status
        many = server.get("/first?many")
        server.wait_for(PANICS)
    assert (got.status, got.body) == (200, b"GET /first of the request")
    assert (got.headers["X-One"], got.headers["X-Two"]) == ("1", "2")
    assert (posted.body, posted.headers["Content-Type"]) == (b"a\0b", "a/b")
    if language == "zig":
        assert got.headers["Cache-Control"] == "public, max-age=60"
        assert failed == 599
        assert many.body == b"/first?many: response: 65 extra headers"
    else:
        assert failed == 500


@pytest.mark.parametrize(
    ("language", "command"),
    [("rust", "cargo test -q"), ("zig", "make -s test")],
)
def test_the_libraries_pass_their_own_tests(language, command, tmp_path):
    need(language)
    build(command, GUEST / language, tmp_path)


def test_the_example_in_go_answers(tmp_path):
    """In the least memory that Go's runtime needs."""
    need("go")
    build(EXAMPLES["go"], GUEST / "go", tmp_path)
    hello = {"filename": str(GUEST / "go/build/hello"), "max_memory": 80}
    with Server(write_config(tmp_path, {"hello": hello})) as server:
        answers = [server.get("/hello") for _ in range(3)]
    assert {(each.status, each.body) for each in answers} == {(200, b"Hello World!")}
