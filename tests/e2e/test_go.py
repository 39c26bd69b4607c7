"""Programs in Go: what the package offers beside requests and responses."""

import subprocess

from support.languages import build, need
from support.server import SKERRY, Server, write_config

from skerry.project import LANGUAGES

STORAGE = r"""
package main

import (
	"fmt"
	"strconv"
	"sync"
	"time"

	"skerry"
)

var seen = map[string]int{}

var note = skerry.Storage(func(input []byte) []byte {
	seen[string(input)]++
	return strconv.AppendInt(nil, int64(seen[string(input)]), 10)
})

var broken = skerry.Storage(func(input []byte) []byte {
	seen["a"] = 1000
	panic("in storage")
})

var long = skerry.Storage(func([]byte) []byte {
	return make([]byte, skerry.MaxResult+1)
})

var scratch []byte

var garbage = skerry.Storage(func([]byte) []byte {
	for i := 0; i < 4000; i++ { // 40 MB, where 16 are
		scratch = make([]byte, 10000)
	}
	return strconv.AppendInt(nil, int64(len(scratch)), 10)
})

var together = skerry.Storage(func([]byte) []byte {
	var all sync.WaitGroup
	var count = make(chan int, 10)
	for i := 0; i < 10; i++ {
		all.Add(1)
		go func() { defer all.Done(); time.Sleep(time.Millisecond); count <- 1 }()
	}
	all.Wait()
	return strconv.AppendInt(nil, int64(len(count)), 10)
})

var later = skerry.Storage(func(input []byte) []byte {
	skerry.Log("noted " + string(input))
	return nil
})

func task() string {
	timer, err := later.Schedule([]byte("never"), time.Hour, time.Hour)
	stopped, again := timer.Stop(), timer.Stop() == skerry.ErrStorage
	return fmt.Sprint(err, stopped, again, later.Task([]byte("later")))
}

func handle(request *skerry.Request) skerry.Response {
	functions := map[string]skerry.StorageFunc{
		"note": note, "broken": broken, "long": long, "garbage": garbage,
		"together": together,
	}
	name := request.Query().Get("do")
	if name == "task" {
		return skerry.Text(200, task())
	}
	result, err := functions[name].Call([]byte("a"))
	if err != nil {
		return skerry.Text(599, err.Error())
	}
	return skerry.Text(200, string(result))
}

func main() { skerry.Serve(handle) }
"""


def project(source, scratch, **keys):
    """A server of a project in Go, with (source) as its program."""
    need("go")
    subprocess.run([SKERRY, "new", "go", "first"], cwd=scratch, check=True)
    (scratch / "first/main.go").write_text(source)
    build(LANGUAGES["go"].build, scratch / "first", scratch)
    program = {"filename": "first/build/program", "max_memory": 128}
    return Server(write_config(scratch, {"first": program | keys}))


def test_a_program_in_go_keeps_its_variables_in_storage_and_a_panic_undoes_what_it_did(
    tmp_path,
):
    asked = ["note", "broken", "note", "long", "garbage", "together", "broken", "note"]
    with project(STORAGE, tmp_path, storage=True) as server:
        answers = [server.get(f"/first?do={each}") for each in asked]
        task = server.get("/first?do=task")
        server.wait_for(r">>> \[first\] noted later")
        server.wait_for("panic: in storage")
    failed = b"skerry: the storage call failed"
    found = [each.body for each in answers]
    assert found == [b"1", failed, b"2", failed, b"10000", b"10", failed, b"3"]
    assert task.body == b"<nil> <nil> true <nil>"


NET_HTTP = r"""
package main

import (
	"fmt"
	"io"
	"net/http"

	"skerry/nethttp"
)

func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Add("X-Two", "1")
	w.Header().Add("X-Two", "2")
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, "%s %s %q %s", r.Method, r.FormValue("a"), body, r.Header.Get("x-a"))
}

func main() {
	http.HandleFunc("/first/echo", echo)
	nethttp.Serve(nil)
}
"""


def test_what_is_written_for_net_http_answers(tmp_path):
    with project(NET_HTTP, tmp_path) as server:
        answer = server.request("PUT", "/first/echo?a=b", b"body", {"X-A": "c"})
        none = server.get("/first/none")
    assert (answer.status, answer.body) == (201, b'PUT b "body" c')
    assert answer.headers.get_all("X-Two") == ["1", "2"]
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert (none.status, none.body) == (404, b"404 page not found\n")
