"""The server on real sockets."""

import asyncio
import contextlib
import dataclasses
import socket

import pytest
import uvloop

from skerry.http import Limits, serve
from skerry.message import Response

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
BIG = 4 << 20
FAST = Limits(tick=0.01, linger_time=0.3)


@contextlib.asynccontextmanager
async def running(handler, limits=FAST):
    """A server whose every connection must end without an error in the event loop."""
    errors = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: errors.append(context))
    server = await serve(handler, "127.0.0.1", 0, limits=limits)
    try:
        yield server
    finally:
        await server.stop(0)
    assert errors == []


def against(handler, limits=FAST):
    """Runs the decorated async function against a server, on uvloop."""

    def decorate(story):
        async def tell():
            async with running(handler, limits) as server:
                await asyncio.wait_for(story(server), 20)

        def run():
            uvloop.run(tell())

        run.__doc__ = story.__doc__
        return run

    return decorate


def hello(request):
    return Response.make(200, b"", b"hello " + request.target)


def big(request):
    return Response.make(200, b"", b"x" * BIG)


async def slow(request):
    await asyncio.sleep(0.2)
    return hello(request)


async def connect(server):
    return await asyncio.open_connection("127.0.0.1", server.port)


async def response(reader):
    """The next response: its head, and the body that it announces."""
    head = await reader.readuntil(b"\r\n\r\n")
    size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
    return head, await reader.readexactly(size)


@against(hello)
async def test_two_requests_on_one_connection(server):
    reader, writer = await connect(server)
    for _ in range(2):
        writer.write(GET)
        assert (await response(reader))[1] == b"hello /"
    assert server.connections == 1
    writer.close()


@against(slow)
async def test_pipelined_requests_are_answered_in_order(server):
    reader, writer = await connect(server)
    for n in range(3):
        writer.write(GET.replace(b"/ ", b"/%d " % n))
    for n in range(3):
        assert (await response(reader))[1] == b"hello /%d" % n
    writer.close()


@against(slow)
async def test_a_client_that_half_closes_gets_its_answer(server):
    reader, writer = await connect(server)
    writer.write(GET)
    writer.write_eof()
    assert (await reader.read()).endswith(b"hello /")
    writer.close()


@against(big)
async def test_a_client_that_half_closes_gets_a_big_answer(server):
    reader, writer = await connect(server)
    writer.write(GET)
    writer.write_eof()
    assert len(await reader.read()) > BIG
    writer.close()


@against(big)
async def test_many_big_answers_reach_a_client_that_reads_late(server):
    reader, writer = await connect(server)
    writer.write(GET * 5)
    await asyncio.sleep(0.2)
    for _ in range(5):
        assert len((await response(reader))[1]) == BIG
    writer.close()


@against(hello)
async def test_a_refused_upload_still_reads_its_answer(server):
    reader, writer = await connect(server)
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n")
    for _ in range(20):
        writer.write(b"x" * 100_000)
    assert (await reader.read()).startswith(b"HTTP/1.1 413 ")
    writer.close()


@against(hello, dataclasses.replace(FAST, head_time=0.05, idle_time=0.1))
async def test_deadlines_are_kept(server):
    slow, slow_writer = await connect(server)
    idle, idle_writer = await connect(server)
    slow_writer.write(b"GET")
    assert (await slow.read()).startswith(b"HTTP/1.1 408 ")
    assert await idle.read() == b""
    slow_writer.close()
    idle_writer.close()


@against(big, dataclasses.replace(FAST, write_time=0.1, idle_time=0.1))
async def test_a_client_that_never_reads_is_dropped(server):
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", server.port))
        await loop.sock_sendall(client, GET * 10)
        await gone(server)


def hello_or_big(request):
    return big(request) if request.target == b"/big" else hello(request)


@against(
    hello_or_big,
    dataclasses.replace(FAST, head_time=0.3, body_time=0.3, write_time=0.3),
)
async def test_many_slow_clients_are_ended_while_others_are_served(server):
    told, stopped = [], []
    for start in (GET[:-2], b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"):
        for _ in range(100):
            told.append(await connect(server))
            told[-1][1].write(start)
    for _ in range(30):
        stopped.append(await connect(server))
        stopped[-1][1].transport.pause_reading()
        stopped[-1][1].write(GET.replace(b"/ ", b"/big ") * 10)
    reader, writer = await connect(server)
    served = 0
    while server.connections > 1:
        writer.write(GET)
        assert (await response(reader))[1] == b"hello /"
        served += 1
        await asyncio.sleep(0.01)
    assert served > 0
    for each, _ in told:
        assert (await each.read()).startswith(b"HTTP/1.1 408 ")
    for _, each in [*told, *stopped, (reader, writer)]:
        each.transport.abort()


@against(slow)
async def test_a_client_that_leaves_before_its_answer_is_no_trouble(server):
    for _ in range(5):
        _, writer = await connect(server)
        writer.write(GET * 3)
        await asyncio.sleep(0.01)
        writer.transport.abort()
    await gone(server)
    await asyncio.sleep(0.3)


@against(big)
async def test_a_client_that_resets_is_no_trouble(server):
    for _ in range(5):
        _, writer = await connect(server)
        writer.write(GET * 3)
        await asyncio.sleep(0.01)
        writer.transport.abort()
    await gone(server)
    reader, writer = await connect(server)
    writer.write(GET)
    assert len((await response(reader))[1]) == BIG
    writer.close()


async def gone(server):
    """Returns when the server has no connection left."""
    while server.connections:
        await asyncio.sleep(0.01)


def test_stop_answers_what_is_in_flight_and_closes_the_rest():
    async def story():
        server = await serve(slow, "127.0.0.1", 0, limits=FAST)
        busy, busy_writer = await connect(server)
        idle, idle_writer = await connect(server)
        busy_writer.write(GET)
        await asyncio.sleep(0.05)
        await server.stop(5)
        head, body = await response(busy)
        assert (b"\r\nConnection: close\r\n" in head, body) == (True, b"hello /")
        assert (await idle.read(), server.connections) == (b"", 0)
        with pytest.raises(ConnectionRefusedError):
            await connect(server)
        busy_writer.close()
        idle_writer.close()

    uvloop.run(story())


def test_stop_ends_what_outlives_the_grace():
    async def never(request):
        await asyncio.sleep(1000)

    async def story():
        server = await serve(never, "127.0.0.1", 0, limits=FAST)
        reader, writer = await connect(server)
        writer.write(GET)
        await asyncio.sleep(0.05)
        await asyncio.wait_for(server.stop(0.1), 5)
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        assert server.connections == 0
        await server.stop(0.1)
        writer.close()

    uvloop.run(story())


def test_workers_can_share_a_port():
    async def story():
        first = await serve(hello, "127.0.0.1", 0, reuse_port=True)
        second = await serve(hello, "127.0.0.1", first.port, reuse_port=True)
        assert first.port == second.port
        await first.stop(0)
        await second.stop(0)

    uvloop.run(story())
