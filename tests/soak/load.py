"""Clients that ask at random, and check every answer."""

import asyncio
import random
import time

from support.client import read_answer

from soak.asks import Ask, Seen, choose

_LONG = 60.0  # seconds that no answer takes


def _render(ask: Ask) -> bytes:
    length = f"Content-Length: {len(ask.body)}\r\n" if ask.body else ""
    head = f"{ask.method} {ask.path} HTTP/1.1\r\nHost: test\r\nUser-Agent: soak\r\n"
    return f"{head}{length}\r\n".encode() + ask.body


async def _client(port: int, dice: random.Random, end: float, seen: Seen) -> int:
    done = 0
    while time.monotonic() < end:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(dice.randint(1, 50)):
            ask = choose(dice)
            writer.write(_render(ask))
            async with asyncio.timeout(_LONG):
                ask.check(await read_answer(reader), seen)
            done += 1
        writer.close()
        await writer.wait_closed()
    return done


async def _all(port: int, clients: int, seconds: float, seed: int, seen: Seen) -> int:
    end = time.monotonic() + seconds
    work = (
        _client(port, random.Random(f"{seed} {number}"), end, seen)
        for number in range(clients)
    )
    return sum(await asyncio.gather(*work))


def load(port: int, clients: int, seconds: float, seed: int, seen: Seen) -> int:
    """Asks for (seconds); returns how many answers there were, all of them right."""
    return asyncio.run(_all(port, clients, seconds, seed, seen))
