"""Clones of one program, used next to each other: one request, or many from threads."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from support.guests import Guest

from skerry import native
from skerry.message import Request, Response

# Under an emulated CPU the same promises are kept some fifty times slower.
EMULATED = "QEMU TCG" in Path("/proc/cpuinfo").read_text()

# Status and body of a request that failed, when no on_error answers.
FAILED = (500, b"500 the program failed\n")


def ask(vm: native.Vm, url: str = "/") -> Response:
    """Serves a GET of (url) with (vm), to its end, and puts it back."""
    request = Request(b"GET", url.encode(), b"test", b"Host: test\r\n")
    response = vm.serve(request) or vm.resume()
    assert (vm.rare and vm.discard) or vm.reset() >= 0
    return response


def from_threads(
    guest: Guest, threads: int, requests: int, url: str = "/"
) -> list[str]:
    """The bodies of (requests) GETs of (url) from each of (threads), each with its own
    clone, all at the same time. Every one must succeed."""

    def run(vm: native.Vm) -> list[str]:
        bodies = []
        with vm:
            for _ in range(requests):
                response = ask(vm, url)
                assert response.status == 200, vm.reason
                bodies.append(response.body.decode())
        return bodies

    clones = [guest.clone() for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        return [body for bodies in pool.map(run, clones) for body in bodies]
