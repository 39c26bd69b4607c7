"""One connection: data -> Reader -> handler -> one write.

A handler that returns a Response costs no task, no timer and no future. One that
returns an awaitable is awaited in a task, and what the client pipelined behind it
waits in the queue; so does everything while the client does not take its answers. The
queue is bounded because a connection that has one is not read from: it holds what one
read brought.

Deadlines are looked at by the server's sweep; a connection only writes down its own.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable
from math import inf
from typing import cast

from skerry.http.reader import CLOSE, HEAD, IDLE, Reader
from skerry.http.refusal import Refusal
from skerry.http.shared import Shared
from skerry.http.writer import render
from skerry.message import Request, Response

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_log = logging.getLogger("skerry.http")


class HttpProtocol(asyncio.Protocol):
    """Answers the requests of one connection, in order, with shared.handler."""

    __slots__ = (
        "_begun",
        "_clock",
        "_deaf",
        "_eof",
        "_feed",
        "_handler",
        "_held",
        "_limits",
        "_owes_continue",
        "_paused",
        "_pending",
        "_queue",
        "_reader",
        "_shared",
        "_task",
        "_transport",
        "_unwritten",
        "deadline",
    )

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._handler = shared.handler
        self._limits = shared.limits
        self._clock = shared.clock
        self._reader = Reader(shared.limits, self)
        self._feed = self._reader.feed
        self._queue: deque[tuple[Request, bytes] | Refusal] = deque()
        self._pending: tuple[Request, bytes] | None = None  # the handler put it off
        self._task: asyncio.Task[None] | None = None
        self._paused = False  # the client is slow to take what we wrote
        self._held = False  # we do not read
        self._deaf = False  # the last answer is written: ignore what comes
        self._eof = False  # the client has sent its last byte
        self._begun = False  # the first request has
        self._owes_continue = False
        self._unwritten = 0  # in the write buffer when a deadline passed
        self.deadline = self._clock.now + self._limits.idle_time

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        connected = len(self._shared.connections)
        self._shared.connections.add(self)
        if self._shared.stopping:
            self._transport.close()
        elif connected >= self._limits.connections:
            self._refuse(Refusal(503, "too many connections"))
        if connected >= self._limits.connections + self._limits.refused:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        try:
            self._feed(data)
            if self._reader.phase:
                self._wait_for_more(len(data))
        except Refusal as refusal:
            self.on_refusal(refusal)
        except MemoryError:
            self.on_refusal(Refusal(503, "no memory for the request"))

    def eof_received(self) -> bool:
        """The client sends no more, but may still read: answer what it asked."""
        self._eof = True
        return self._is_busy()

    def pause_writing(self) -> None:
        self._paused = True
        self.deadline = self._clock.now + self._limits.write_time
        self._hold()

    def resume_writing(self) -> None:
        self._paused = False
        self._go_on()

    def connection_lost(self, error: Exception | None) -> None:
        self._deaf = True
        self._queue.clear()
        self._reader.close()
        self._shared.leave(self)

    # What the server calls.

    def expire(self) -> None:
        """Closes the connection, with a 408 if a request has begun and not ended."""
        unwritten = self._transport.get_write_buffer_size()
        if self._task or self._pending:
            self.deadline = inf
        elif unwritten:
            self._expire_write(unwritten)
        elif self._deaf or self._reader.phase == IDLE:
            self._transport.close()
        else:
            part = "headers" if self._reader.phase == HEAD else "body"
            self._refuse(Refusal(408, f"the {part} took too long"))

    def retire(self) -> None:
        """The server stops: whoever is between requests, or refused, is closed now."""
        if self._deaf or (self._reader.phase == IDLE and not self._is_busy()):
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    # What the reader calls.

    def on_request(self, request: Request, connection: bytes) -> None:
        if self._deaf or self._pending or self._task or self._paused:
            self._put_off((request, connection))
            return
        request.client = self
        try:
            response = self._handler(request)
        except Exception as error:
            response = _failed(request, error)
        if response is None:
            self._pending = request, connection
        else:
            self._take(request, response, connection)

    def on_expect(self) -> None:
        if self._is_busy():
            self._owes_continue = True
        elif not self._deaf:
            self._transport.write(_CONTINUE)

    def on_refusal(self, refusal: Refusal) -> None:
        """The last answer, after those to the requests before it."""
        if self._deaf:
            return
        if self._is_busy():
            self._put_off(refusal)
        else:
            self._refuse(refusal)

    # What the handler calls.

    @property
    def is_gone(self) -> bool:
        """The client has closed the connection, or at least its side of it."""
        return self._deaf or self._eof

    def on_response(self, response: Response | Awaitable[Response]) -> None:
        """The answer to the request that was put off."""
        if self._pending is None:
            return
        request, connection = self._pending
        self._pending = None
        if self._deaf and type(response) is Response:
            return  # an awaitable has to run all the same: it holds a machine
        self._take(request, response, connection)
        if self._queue or self._held or self._eof or self._owes_continue:
            self._go_on()

    # Answering.

    def _take(
        self,
        request: Request,
        response: Response | Awaitable[Response],
        connection: bytes,
    ) -> None:
        if type(response) is Response:
            self._reply(request, response, connection)
            return
        self.deadline = inf
        work = self._answer_later(request, response, connection)
        self._task = self._shared.spawn(work)

    async def _answer_later(
        self,
        request: Request,
        awaitable: Response | Awaitable[Response],
        connection: bytes,
    ) -> None:
        try:
            response = await cast(Awaitable[Response], awaitable)
        except Exception as error:
            response = _failed(request, error)
        self._task = None
        if not self._deaf:
            self._reply(request, response, connection)
            self._go_on()

    def _reply(self, request: Request, response: Response, connection: bytes) -> None:
        shared, clock = self._shared, self._clock
        if shared.stopping:
            connection = CLOSE
        self.deadline = clock.now + shared.limits.idle_time
        is_head = request.method == b"HEAD"
        try:
            data = render(response, clock, request.id_line + connection, is_head)
        except Exception as error:
            lines = request.id_line + connection
            data = render(_failed(request, error), clock, lines, is_head)
        self._transport.write(data)
        if connection is CLOSE:
            self._finish()

    def _refuse(self, refusal: Refusal) -> None:
        is_head = self._reader.is_head()
        lines = self._reader.id_line() + CLOSE
        self._transport.write(render(refusal.response(), self._clock, lines, is_head))
        self._finish()

    def _finish(self) -> None:
        """Says that nothing follows, and leaves the client time to read and close.

        Closing at once would reset the connection if the client is still sending,
        and it might lose the answer. RFC 9112, 9.6.
        """
        self._deaf = True
        self._queue.clear()
        self.deadline = self._clock.now + self._limits.linger_time
        if self._eof or self._shared.stopping:
            self._transport.close()
        else:
            self._transport.write_eof()
            self._release()

    # Waiting.

    def _is_busy(self) -> bool:
        return bool(self._pending or self._task or self._paused or self._queue)

    def _wait_for_more(self, size: int) -> None:
        """A request has begun and not ended; each step it makes gives it new time."""
        further = self._reader.pending(size)
        if (further or not self._begun) and not self._is_busy():
            self._begun = True
            self._rearm()

    def _rearm(self) -> None:
        limits = self._limits
        times = (limits.idle_time, limits.head_time, limits.body_time)
        self.deadline = self._clock.now + times[self._reader.phase]

    def _expire_write(self, unwritten: int) -> None:
        """A client that took something since the last look may go on."""
        if unwritten == self._unwritten:
            self._transport.abort()
        self._unwritten = unwritten
        self.deadline = self._clock.now + self._limits.write_time

    def _put_off(self, waiting: tuple[Request, bytes] | Refusal) -> None:
        if self._deaf:
            return
        self._queue.append(waiting)
        self._owes_continue = False  # its body has come, or never will
        self._hold()

    def _hold(self) -> None:
        if not self._held and not self._deaf:
            self._held = True
            self._transport.pause_reading()

    def _release(self) -> None:
        if self._held and not self._transport.is_closing():
            self._held = False
            self._transport.resume_reading()

    def _go_on(self) -> None:
        """Answers what waits in the queue, as far as that goes, then reads again."""
        while self._queue and not (self._pending or self._task or self._paused):
            waiting = self._queue.popleft()
            if isinstance(waiting, Refusal):
                self._refuse(waiting)
            else:
                self.on_request(*waiting)
        if not self._is_busy() and not self._deaf:
            self._read_on()

    def _read_on(self) -> None:
        done = self._shared.stopping and self._reader.phase == IDLE
        if done or self._eof:
            self._transport.close()
            return
        if self._owes_continue:
            self._owes_continue = False
            self._transport.write(_CONTINUE)
        if self._reader.phase:
            self._rearm()
        self._release()


def _failed(request: Request, error: Exception) -> Response:
    """The answer when there is none; called while (error) is handled."""
    if isinstance(error, MemoryError):
        _log.warning("no memory for the answer to %r", request)
        return Refusal(503, "no memory for the answer").response()
    _log.exception("no answer to %r", request)
    return Response.text(500, "500 the request failed\n")
