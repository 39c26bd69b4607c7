"""Answers asked for by hand: what is none is an error, or is asked for again."""

import socket
import threading

import pytest

from bench import answer, beside, floor_server, load, restart

GOOD = floor_server.answer(300)
BAD = GOOD.replace(b"200 OK", b"503 No")
NOTHING = b""


@pytest.fixture
def speaker():
    """speaker(*answers): a port where the next connection gets the next of them."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads = []

    def speak(answers):
        for each in answers:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(each)

    def start(*answers):
        threads.append(threading.Thread(target=speak, args=(answers,)))
        threads[-1].start()
        return listener.getsockname()[1]

    yield start
    for each in threads:
        each.join()
    listener.close()


def test_the_size_of_an_answer_is_what_is_on_the_wire(speaker):
    assert answer.response_size(speaker(GOOD), "/") == len(GOOD) == 300


@pytest.mark.parametrize("said", [BAD, NOTHING, b"what?\r\n\r\n"])
def test_what_is_not_a_200_is_an_error(speaker, said):
    with pytest.raises(load.LoadError, match="/hello"):
        answer.ask(speaker(said), "/hello")


def test_the_first_answer_may_be_that_of_another_connection(speaker):
    restart.first_answer(speaker(NOTHING, BAD, GOOD))


def test_no_answer_in_time_is_an_error(speaker, monkeypatch):
    monkeypatch.setattr(restart, "WITHIN", 0.0)
    with pytest.raises(load.LoadError, match="503"):
        restart.first_answer(speaker(BAD))


def test_a_slow_program_that_fails_makes_the_measurement_worthless(speaker):
    port = speaker(*[BAD] * beside.CLIENTS)
    with pytest.raises(load.LoadError, match="503"), beside.computing(port):
        pass
