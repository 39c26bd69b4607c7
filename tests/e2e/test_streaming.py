"""Bodies in pieces through the running server: slow clients, clients that leave,
crowds, bodies larger than all memory of the program."""

import asyncio
import zlib

import pytest
from support.client import LONG, Raw, ask, connection, wait_until
from support.processes import status_kb
from support.programs import HELLO, STREAMS, letters

MB = 1 << 20
SLACK_KB = (
    24 << 10
)  # a few clones, their threads and what the kernel lets one read hold

PROGRAMS = {
    "streams": STREAMS,
    "four": STREAMS | {"concurrency": 4, "max_request_time": 60},
    "small": STREAMS | {"max_memory": 16, "max_request_time": 60},
    "hello": HELLO,
}


def counts(server, name="streams"):
    (found,) = [each for each in server.status()["programs"] if each["name"] == name]
    return found


def wait_for_idle(server, name="streams"):
    wait_until(lambda: counts(server, name)["clones_busy"] == 0)


def answer_to(block: bytes, count: int = 1) -> str:
    """What STREAMS answers to a body of (count) times (block)."""
    found = 1
    for _ in range(count):
        found = zlib.adler32(block, found)
    return f"{count * len(block)} {found}"


# Responses.


def test_a_streamed_response_arrives_whole_and_the_connection_goes_on(server):
    size = 5 * MB + 17
    with connection(server.port) as made:
        for _ in range(2):
            answer = ask(made, "GET", f"/streams/{size}")
            assert answer.headers["Content-Length"] == str(size)
            assert answer.body == letters(size)
        chunked = ask(made, "GET", "/streams/chunks/300000")
        assert chunked.headers["Transfer-Encoding"] == "chunked"
        assert chunked.body == letters(300000)
        assert ask(made, "GET", "/hello").body == b"Hello World!"


def test_a_request_behind_a_stream_has_its_answer_after_it(server):
    with Raw(server.port) as client:
        client.get("/streams/1000000")
        client.get("/hello")
        assert client.answer().body == letters(1000000)
        assert client.answer().body == b"Hello World!"


def test_head_has_the_length_and_asks_for_no_piece(server):
    before = server.get("/streams/pieces").body
    answer = server.request("HEAD", "/streams/70000")
    assert (answer.headers["Content-Length"], answer.body) == ("70000", b"")
    assert server.get("/streams/pieces").body == before
    wait_for_idle(server)


def test_a_body_of_unknown_length_ends_an_old_client_s_connection(server):
    with Raw(server.port) as client:
        client.send(b"GET /streams/chunks/100000 HTTP/1.0\r\n\r\n")
        data = client.rest()
    head, _, body = data.partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert body == letters(100000)


@pytest.mark.parametrize("path", ["/streams/broken", "/streams/chunks/broken"])
def test_a_body_that_fails_in_the_middle_never_looks_complete(server, path):
    server.forget()
    with connection(server.port) as made, pytest.raises(ConnectionResetError):
        ask(made, "GET", path)
    server.wait_for("request failed: page fault reading 0x0")
    with Raw(server.port) as old, pytest.raises(ConnectionResetError):
        old.send(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        old.rest()
    assert server.get("/hello").status == 200


def test_a_client_that_takes_nothing_costs_a_clone_and_no_memory(server):
    with Raw(server.port) as slow:
        slow.get("/streams/endless")
        assert slow.wait(LONG)
        before = status_kb(server.pid, "VmRSS")
        # Once it stands still, no piece is made; others are served.
        wait_until(lambda: not is_moving(server))
        assert status_kb(server.pid, "VmRSS") < before + SLACK_KB
        wait_until(lambda: counts(server)["clones_busy"] == 1)
        assert server.get("/hello").body == b"Hello World!"
    wait_for_idle(server)


def is_moving(server) -> bool:
    """Whether pieces are made: what answers stands behind those in the line."""
    first = server.get("/streams/pieces").body
    server.get("/hello")
    return server.get("/streams/pieces").body != first


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_a_client_that_leaves_frees_the_clone_at_once(server, leave):
    client = Raw(server.port)
    client.get("/streams/endless")
    assert client.wait(LONG)
    getattr(client, leave)()
    wait_for_idle(server)


def test_a_hundred_streams_share_four_clones(server):
    async def one(size: int) -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        path = f"/four/{size}"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(size)
        writer.close()
        await writer.wait_closed()
        return body == letters(size)

    async def crowd() -> list[bool]:
        async with asyncio.timeout(LONG):
            return await asyncio.gather(*(one(300000 + i) for i in range(100)))

    assert all(asyncio.run(crowd()))
    wait_for_idle(server, "four")


def test_a_stream_that_has_begun_ends_before_the_server_does(serve):
    server = serve(streams=STREAMS)
    size = 20 * MB  # more than the socket's buffers hold
    with Raw(server.port) as client:
        client.get(f"/streams/{size}")
        assert client.wait(LONG)
        server.process.terminate()
        server.wait_for(r"(?m)^stopping$")
        answer = client.answer()
        assert answer.body == letters(size)
        assert client.is_ended()
        assert server.wait() == 0


# Uploads.


def test_a_large_body_goes_through_a_small_inbox_and_memory_stays_flat(server):
    block = bytes(range(256)) * 256
    count = 200 * MB // len(block)
    server.request("POST", "/small", block)
    before = status_kb(server.pid, "VmRSS")
    with connection(server.port) as made:
        made.putrequest("POST", "/small")
        made.putheader("Content-Length", str(count * len(block)))
        made.endheaders()
        for index in range(count):
            made.send(block)
            if index == count // 2:
                assert status_kb(server.pid, "VmRSS") < before + SLACK_KB
        text = made.getresponse().read()
    assert text.decode() == answer_to(block, count)
    assert status_kb(server.pid, "VmRSS") < before + SLACK_KB


@pytest.mark.parametrize("size", [1, 1000, 70000, 3 * MB])
def test_a_body_arrives_as_sent_whatever_its_size(server, size):
    body = letters(size)
    with connection(server.port) as made:
        for _ in range(2):
            answer = ask(made, "POST", "/streams", body)
            assert answer.body.decode() == answer_to(body)


def test_a_chunked_body_arrives_as_sent(server):
    pieces = [letters(n) for n in (1, 70000, 3, 200000)]
    with connection(server.port) as made:
        made.request("POST", "/streams", iter(pieces), encode_chunked=True)
        body = b"".join(pieces)
        assert made.getresponse().read().decode() == answer_to(body)


def test_a_client_that_expects_100_continue_gets_it(server):
    with Raw(server.port) as client:
        head = b"POST /streams HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
        client.send(head + b"Expect: 100-continue\r\n\r\n")
        assert client.line() == b"HTTP/1.1 100 Continue\r\n"
        assert client.line() == b"\r\n"
        client.send(b"hello")
        assert client.answer().body.decode() == answer_to(b"hello")


def test_an_upload_whose_client_leaves_frees_the_clone_at_once(server):
    client = Raw(server.port)
    client.send(b"POST /streams HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\nabc")
    wait_until(lambda: counts(server)["clones_busy"] == 1)
    client.close()
    wait_for_idle(server)
    assert server.request("POST", "/streams", b"hello").body.startswith(b"5 ")


def test_an_upload_that_fails_is_answered_and_the_connection_closed(server):
    with Raw(server.port) as client:
        head = b"POST /streams/broken HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n"
        client.send(head + b"abc")
        wait_until(lambda: counts(server)["clones_busy"] == 1)
        client.send(b"def")
        answer = client.answer()
        assert (answer.status, answer.headers["Connection"]) == (500, "close")
        assert client.is_ended()
    server.wait_for("request failed: stream_post returned -1 for a piece of 3 bytes")
    wait_for_idle(server)


def test_a_streamed_body_may_have_a_gigabyte_and_no_more(server):
    head = "POST /%s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
    for name, size, status in [
        ("streams", 1024 * MB + 1, 413),
        ("hello", 16 * MB + 1, 413),
    ]:
        with Raw(server.port) as client:
            client.send((head % (name, size)).encode())
            assert client.answer().status == status
    with Raw(server.port) as client:
        client.send((head % ("streams", 1024 * MB)).encode())
        wait_until(lambda: counts(server)["clones_busy"] == 1)
    wait_for_idle(server)


def test_a_malformed_chunk_in_an_upload_is_refused(server):
    with Raw(server.port) as client:
        client.send(b"POST /streams HTTP/1.1\r\nHost: a\r\n")
        client.send(b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        wait_until(lambda: counts(server)["clones_busy"] == 1)
        client.send(b"zz\r\n")
        assert client.answer().status == 400
        assert client.is_ended()
    wait_for_idle(server)
