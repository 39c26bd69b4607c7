"""Waiting for a descriptor, on an event loop."""

import asyncio
import contextlib


async def ready(fd: int, seconds: float | None = None, writing: bool = False) -> None:
    """Returns when (fd) can be read from, or with (writing) be written to, or after
    (seconds). It must stay open until this is over."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[None] = loop.create_future()
    add, remove = loop.add_reader, loop.remove_reader
    if writing:
        add, remove = loop.add_writer, loop.remove_writer
    add(fd, _settle, found)
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await found
    finally:
        remove(fd)


def _settle(found: "asyncio.Future[None]") -> None:
    if not found.done():
        found.set_result(None)
