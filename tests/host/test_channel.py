"""Messages and descriptors between processes: whole, in order, or refused."""

import asyncio
import os
import socket
import struct
from contextlib import contextmanager

import msgspec
import pytest
from support.leaks import descriptors

from skerry.channel import Channel, Nonsense


class Word(msgspec.Struct, tag=True):
    text: str


@contextmanager
def pair():
    """Both ends of a channel of Words."""
    ends = [Channel(each, Word) for each in socket.socketpair()]
    try:
        yield ends
    finally:
        for each in ends:
            each.close()


@contextmanager
def wire():
    """A socket, and the channel at its other end."""
    mine, theirs = socket.socketpair()
    channel = Channel(theirs, Word)
    with mine:
        yield mine, channel
    channel.close()


async def exchange(one, other, *messages):
    """Sends (messages), each with its descriptors; what the other end receives."""

    async def send():
        for text, fds in messages:
            await one.send(Word(text), fds)

    sending = asyncio.create_task(send())
    received = [await other.receive() for _ in messages]
    await sending
    return [(word.text, fds) for word, fds in received]


def test_messages_arrive_as_they_were_sent():
    async def story():
        with pair() as (one, other):
            assert await exchange(one, other, ("a", ()), ("", ()), ("c", ())) == [
                ("a", ()),
                ("", ()),
                ("c", ()),
            ]

    asyncio.run(story())


def test_a_message_may_be_larger_than_what_a_socket_holds():
    large = "x" * (4 << 20)

    async def story():
        with pair() as (one, other):
            assert await exchange(one, other, (large, ())) == [(large, ())]

    asyncio.run(story())


def test_descriptors_come_with_their_own_message():
    async def story():
        with pair() as (one, other), open(os.devnull) as file:
            fd = file.fileno()
            sent = [("none", ()), ("three", (fd,) * 3), ("one", (fd,))]
            received = await exchange(one, other, *sent)
            assert [(text, len(fds)) for text, fds in received] == [
                ("none", 0),
                ("three", 3),
                ("one", 1),
            ]
            for _, fds in received:
                for each in fds:
                    assert os.path.sameopenfile(each, fd)
                    assert not os.get_inheritable(each)
                    os.close(each)

    asyncio.run(story())


def test_a_message_may_come_byte_by_byte():
    body = msgspec.msgpack.encode(Word("slow"))
    data = struct.pack("<II", len(body), 0) + body

    async def story():
        with wire() as (mine, channel):
            receiving = asyncio.create_task(channel.receive())
            for byte in data:
                mine.send(bytes([byte]))
                await asyncio.sleep(0)
            assert await receiving == (Word("slow"), ())

    asyncio.run(story())


def test_an_end_that_is_closed_is_an_eoferror_and_sending_to_it_an_oserror():
    async def story():
        with pair() as (one, other):
            one.close()
            with pytest.raises(EOFError):
                await other.receive()
            with pytest.raises(OSError):
                await other.send(Word("x" * (4 << 20)))

    asyncio.run(story())


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<II", 1 << 31, 0),
        struct.pack("<II", 1, 0) + b"\xc1",
        struct.pack("<II", 1, 0) + b"\x80",
        struct.pack("<II", 1, 5) + b"\x80",
    ],
    ids=["too large", "not MessagePack", "no message of ours", "no descriptors"],
)
def test_nonsense_is_refused(data):
    async def story():
        with wire() as (mine, channel):
            mine.sendall(data)
            with pytest.raises(Nonsense):
                await channel.receive()

    asyncio.run(story())


def test_descriptors_that_nobody_has_taken_are_closed():
    async def story():
        before = descriptors()
        with wire() as (mine, channel), open(os.devnull) as file:
            socket.send_fds(mine, [struct.pack("<II", 9, 1)], [file.fileno()] * 3)
            receiving = asyncio.create_task(channel.receive())
            await asyncio.sleep(0.01)
            receiving.cancel()
        assert len(descriptors()) == len(before)

    asyncio.run(story())
