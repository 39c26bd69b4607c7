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

from skerry.http.incoming import Incoming
from skerry.http.keep import CLOSE, CLOSE_1_0, closing
from skerry.http.outgoing import Framing, Outgoing, cut
from skerry.http.reader import HEAD, IDLE, Reader
from skerry.http.refusal import Refusal
from skerry.http.shared import Shared
from skerry.http.writer import render
from skerry.message import Cut, Request, Response, Streamed, Upload

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_log = logging.getLogger("skerry.http")


class HttpProtocol(asyncio.Protocol):
    """Answers the requests of one connection, in order, with shared.handler."""

    __slots__ = (
        "_begun",
        "_clock",
        "_deaf",
        "_eof",
        "_expects",
        "_feed",
        "_handler",
        "_held",
        "_incoming",
        "_limits",
        "_outgoing",
        "_owes_continue",
        "_paused",
        "_pending",
        "_queue",
        "_reader",
        "_shared",
        "_task",
        "_transport",
        "_unwritten",
        "_upload",
        "deadline",
    )

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._handler = shared.handler
        self._limits = shared.limits
        self._clock = shared.clock
        self._reader = Reader(shared.limits, self, shared.in_pieces)
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
        self._upload: Upload | None = None  # its body is still arriving
        self._expects = False  # it waits for 100 Continue
        self._outgoing: Outgoing | None = None  # a body of pieces
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
        if self._upload:
            self._incoming.fail()
            return False
        return self._is_busy()

    def pause_writing(self) -> None:
        self._paused = True
        self._unwritten = 0
        self.deadline = self._clock.now + self._limits.write_time
        self._hold()

    def resume_writing(self) -> None:
        self._paused = False
        if self._outgoing:
            self._outgoing.wake()
        if self._task and not self._queue:
            self._release()  # who leaves is noticed while pieces are made
        self._go_on()

    def connection_lost(self, error: Exception | None) -> None:
        self._deaf = True
        self._queue.clear()
        if self._outgoing:
            self._outgoing.wake()
        if self._upload:
            self._incoming.fail()
        self._reader.close()
        self._shared.leave(self)

    # What the server calls.

    def expire(self) -> None:
        """Closes the connection, with a 408 if a request has begun and not ended."""
        unwritten = self._transport.get_write_buffer_size()
        if self._task or self._pending:
            self._expire_busy(unwritten)
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

    def on_upload(self, request: Upload, connection: bytes, expects: bool) -> None:
        self._incoming = request.pieces = Incoming(self)
        self._upload = request
        self._expects = expects
        self.on_request(request, connection)

    def on_piece(self, piece: bytes) -> None:
        self._incoming.feed(piece)
        if self._incoming.is_full:
            self._hold()

    def on_last_piece(self) -> None:
        self._upload = None
        self._incoming.end()

    def on_refusal(self, refusal: Refusal) -> None:
        """The last answer, after those to the requests before it."""
        if self._deaf:
            return
        if self._upload:
            self._incoming.fail()
        if self._is_busy():
            self._put_off(refusal)
        else:
            self._refuse(refusal)

    # What the body of an answer asks.

    @property
    def is_over(self) -> bool:
        return self._deaf

    @property
    def is_slow(self) -> bool:
        return self._paused

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
            if request is self._upload:
                connection = closing(connection)
            self._reply(request, response, connection)
            return
        self.deadline = inf
        work = self._answer_later(request, response, connection)
        self._task = self._shared.spawn(work)

    async def _answer_later(
        self,
        request: Request,
        answer: Response | Awaitable[Response],
        connection: bytes,
    ) -> None:
        response: Response | None = None
        try:
            response = answer if isinstance(answer, Response) else await answer
        except Cut:
            if not self._queue:  # else it tells why
                self._transport.abort()
        except Exception as error:
            response = _failed(request, error)
        if request is self._upload:
            connection = closing(connection)
        if isinstance(response, Streamed):
            await self._stream(request, response, connection)
            response = None
        self._task = None
        if response and not self._deaf:
            self._reply(request, response, connection)
        if not self._deaf:
            self._go_on()

    async def _stream(
        self, request: Request, response: Streamed, connection: bytes
    ) -> None:
        """Writes (response) while its pieces are made."""
        if self._shared.stopping:
            connection = closing(connection)
        framing = Framing(response.length, connection)
        try:
            await self._write_stream(request, response, framing)
        except Cut:
            self._cut()
        except asyncio.CancelledError:
            self._cut()
            raise
        except Exception:
            _log.exception("the answer to %r ends in the middle", request)
            self._cut()
        finally:
            self._outgoing = None
            response.source.close()

    def _cut(self) -> None:
        """The body that has begun does not end."""
        self._deaf = True
        self._queue.clear()
        cut(self._transport)

    async def _write_stream(
        self, request: Request, response: Streamed, framing: Framing
    ) -> None:
        if self._deaf:
            return
        is_head = request.method == b"HEAD"
        lines = request.id_line + framing.lines
        self._transport.write(render(response, self._clock, lines, is_head))
        if not is_head:
            self._outgoing = Outgoing(self, self._transport, response)
            await self._outgoing.write(framing)
        if self._deaf:
            return
        self.deadline = self._clock.now + self._limits.idle_time
        if framing.ends_connection:
            self._finish()

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
        if connection is CLOSE or connection is CLOSE_1_0:
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

    # What takes the body of an upload calls.

    def on_wanted(self) -> None:
        if self._deaf:
            return
        self.deadline = self._clock.now + self._limits.body_time
        if self._expects:
            self._expects = False
            self._transport.write(_CONTINUE)
        self.on_taken()

    def on_taken(self) -> None:
        if self._upload and not self._queue and not self._deaf:
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

    def _expire_busy(self, unwritten: int) -> None:
        """Only what waits for the client has a deadline."""
        if self._paused:
            self._expire_write(unwritten)
        elif self._upload and self._incoming.is_waited_for:
            self.on_refusal(Refusal(408, "the body took too long"))
        else:
            self.deadline = inf

    def _expire_write(self, unwritten: int) -> None:
        """A client that took something since the last look may go on."""
        if unwritten == self._unwritten and self._task:
            self._cut()
        elif unwritten == self._unwritten:
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
            elif self._is_misplaced(waiting[0]):
                self._refuse(Refusal(503, "the program has been replaced"))
            else:
                self.on_request(*waiting)
        if not self._is_busy() and not self._deaf:
            self._read_on()

    def _is_misplaced(self, request: Request) -> bool:
        """Whether the body of (request) comes in pieces that nobody wants any more."""
        wanted = self._shared.in_pieces
        return isinstance(request, Upload) and not (wanted and wanted(request))

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
