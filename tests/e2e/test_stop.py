"""Stopping a server: what is in flight is answered, then it ends with status 0."""

import signal
from http.client import HTTPConnection

import pytest
from support.client import Raw, ask, connection
from support.programs import GATE, HELLO, TROUBLE, enter


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_what_is_in_flight_is_answered_before_the_end(serve, signum):
    server = serve(gate=GATE)
    opener = b"POST /gate HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n!"
    with Raw(server.port) as slow, Raw(server.port) as half, Raw(server.port) as idle:
        half.send(opener)
        idle.get("/gate/count")
        idle.answer()
        enter(slow, server)
        server.process.send_signal(signum)
        server.wait_for(r"(?m)^stopping$")
        assert idle.is_ended()
        assert slow.is_silent()
        with pytest.raises(ConnectionRefusedError):
            Raw(server.port)
        half.send(b"!")
        for client, body in [(half, b"opened"), (slow, b"through")]:
            answer = client.answer()
            assert (answer.status, answer.body) == (200, body)
            assert answer.headers["Connection"] == "close"
            assert client.is_ended()
        assert server.wait() == 0


def test_connections_that_wait_between_requests_do_not_hold_up_the_end(serve):
    server = serve(hello=HELLO)
    clients = [HTTPConnection("127.0.0.1", server.port) for _ in range(20)]
    for client in clients:
        assert ask(client, "GET", "/hello").status == 200
    assert server.stop() == 0
    for client in clients:
        client.close()


def test_a_request_that_loops_is_ended_by_its_limit_and_then_the_server_ends(serve):
    server = serve(trouble=TROUBLE | {"max_request_time": 1})
    with Raw(server.port) as client:
        client.get("/trouble/loop")
        assert server.get("/trouble").body == b"fine"
        server.process.terminate()
        assert client.answer().status == 500
        assert server.wait() == 0


def test_a_second_signal_ends_it_at_once(serve):
    server = serve(gate=GATE | {"max_request_time": 3600})
    with Raw(server.port) as slow:
        enter(slow, server)
        server.process.terminate()
        server.wait_for(r"(?m)^stopping$")
        assert slow.is_silent()
        server.process.terminate()
        assert slow.is_ended()
        assert server.wait() == 0
    assert "Traceback" not in server.log


def test_the_log_ends_without_a_complaint(serve):
    server = serve(hello=HELLO)
    with connection(server.port) as client:
        ask(client, "GET", "/hello")
        server.stop()
    assert server.log.splitlines()[-1] == "stopping"
