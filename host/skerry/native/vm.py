"""A clone that serves."""

import struct
from collections.abc import Sequence

from skerry.message import Request, Response
from skerry.native.connections import awaited_by
from skerry.native.console import Console
from skerry.native.failure import Failure, text_of
from skerry.native.fetch import give_fetched, wanted_of
from skerry.native.raw import NS, Owner, check, ffi, lib, new_error
from skerry.native.remains import Remains, remains_of
from skerry.native.snapshot import Snapshot
from skerry.native.storage import Storage
from skerry.wanted import Fetched, Wanted

_REPLY = struct.Struct("iIIIQ")  # the first fields of struct skerry_reply
_REPLY_SIZE = ffi.sizeof("struct skerry_reply")
_FAILED = int(lib.SKERRY_FAILED)
_DISCARD = int(lib.SKERRY_DISCARD)
_LARGE = int(lib.SKERRY_LARGE)
_LINES = int(lib.SKERRY_LINES)
_BUSY = int(lib.SKERRY_BUSY)
_UNSYNCED = int(lib.SKERRY_UNSYNCED)
_TASKS = int(lib.SKERRY_TASKS)
_WAITS = int(lib.SKERRY_WAITS)
_STREAM = int(lib.SKERRY_STREAM)
_MORE = int(lib.SKERRY_MORE)
_RARE = _FAILED | _DISCARD | _LARGE | _LINES | _BUSY | _UNSYNCED | _TASKS | _WAITS
_RARE |= _STREAM | _MORE
_HAS = int(lib.SKERRY_HAS_DATE) | int(lib.SKERRY_HAS_SERVER)  # as in Response
_add = lib.skerry_add
_run = lib.skerry_run
BATCH = int(lib.SKERRY_BATCH)  # requests that Vm.serve_batch takes
PIECE = int(lib.SKERRY_PIECE)  # bytes that Vm.next_piece returns at most
_UNKNOWN = (1 << 64) - 1  # in stream_len


class Vm(Owner):
    """A clone that answers one request at a time. After an answer it is as frozen
    again or, when (rare) and (discard) are set, has to be closed.

    A request may take (limit) seconds; serve() returns early after (inline) seconds if
    that is not 0. With (hold) the clone stays as the request left it until reset(): for
    tests that look at it. With (look) a request that fails is handed back as busy, and
    as failed, before on_error: for remains(). Its calls are told on the socket (trace),
    which stays the caller's; 0: nobody is told. Its sockets lead nowhere unless it
    (reaches) somebody.
    """

    _close = lib.skerry_vm_close

    def __init__(
        self,
        snapshot: Snapshot,
        console: Console,
        limit: float,
        inline: float = 0.0,
        storage: Storage | None = None,
        hold: bool = False,
        look: bool = False,
        trace: int = 0,
        reaches: bool = False,
    ) -> None:
        out, error = ffi.new("struct skerry_vm **"), new_error()
        limits = ffi.new("struct skerry_limits *")
        limits.request_ns, limits.inline_ns = int(limit * NS), int(inline * NS)
        limits.hold, limits.look, limits.trace = hold, look, trace
        limits.reaches = reaches
        raw_storage = storage.raw if storage else ffi.NULL
        code = lib.skerry_vm_open(
            snapshot.raw, raw_storage, limits, console.raw, out, error
        )
        check(code, error)
        super().__init__(out[0])
        self._replies = lib.skerry_vm_replies(self.raw)
        self._reply_bytes = ffi.buffer(self._replies, BATCH * _REPLY_SIZE)
        self._out = ffi.buffer(lib.skerry_vm_out(self.raw), lib.SKERRY_OUT_SIZE)
        self._requests: Sequence[Request] = ()
        self._request: Request  # the one that (rare) is about
        self._last = 0  # index of the last reply
        self.rare = 0  # not 0: look at those that follow
        self.busy = False  # the last request goes on: resume() it
        self.waits = False  # for what is awaited(), or wanted() and fetched()
        self.discard = False  # close this clone
        self.failed = False  # the last request failed
        self.unsynced = False  # the answers have to wait for Storage.sync()
        self.has_lines = False  # the console has lines
        self.streams = False  # the body, or more of it, comes from next_piece()
        self.has_tasks = False  # a task of storage is due earlier than before

    def serve(self, request: Request) -> Response | None:
        """Runs (request). None: it takes longer than the inline time: resume() it; or
        it (waits)."""
        answers = self.serve_batch((request,))
        return answers[0] if answers else None

    def serve_batch(self, requests: Sequence[Request]) -> list[Response]:
        """Runs (requests), at most BATCH, one after the other. Returns the answers to
        as many as were done; the others have not begun, but for the first of them if
        (rare) and (busy) or (waits) are set. (rare) is about the last that began."""
        raw = self.raw
        self._requests = requests  # their bytes are used until they are answered
        for each in requests:
            body = each.body
            _add(
                raw,
                each.method,
                each.target,
                each.headers,
                each.content_type,
                body,
                len(body),
            )
        return self._answers(_run(raw))

    def resume(self) -> Response | None:
        """Carries a request, or a piece of its body, on to its end; may take up to its
        limit. None: it (waits), or wants more of its body."""
        lib.skerry_resume(self.raw)
        return self._answer()

    def go_on(self) -> Response | None:
        """The same, but returns after the inline time: None, it is (busy)."""
        lib.skerry_go_on(self.raw)
        return self._answer()

    def _answer(self) -> Response | None:
        answers = self._answers(1)
        return answers[0] if answers else None

    def awaited(self) -> tuple[int, float] | None:
        """What the request that (waits) waits for: a descriptor to become readable, and
        at most so many seconds; then go_on() or resume() it. None: it fetches."""
        return awaited_by(self.raw)

    def wanted(self) -> Wanted:
        """What the request fetches that (waits)."""
        return wanted_of(self.raw)

    def fetched(self, got: Fetched) -> None:
        """Gives the program what its request waits for: go_on() or resume() it."""
        give_fetched(self.raw, got)

    # A body that goes in piece by piece, and one that comes out so.

    def begin(self, request: Request) -> None:
        """Begins (request), whose body comes in pieces: see post()."""
        self._requests = (request,)
        kind = request.content_type
        _add(self.raw, request.method, request.target, request.headers, kind, b"", 0)

    def post(self, piece: bytes) -> Response | None:
        """Gives the program the next (piece), b"" after the last one. None: it wants
        more, unless it is (busy) or (waits). To give up in between: reset()."""
        lib.skerry_post(self.raw, piece, len(piece))
        return self._answer()

    @property
    def stream_length(self) -> int | None:
        """Bytes of body that come when an answer (streams); None: nobody knows."""
        length = int(self._replies[self._last].stream_len)
        return None if length == _UNKNOWN else length

    def next_piece(self, wait: bool) -> bytes | None:
        """The next piece of a body, the last one if (streams) is not set any more; then
        reset(). None: it has (failed), or is (busy), unless it may (wait)."""
        lib.skerry_stream(self.raw, wait)
        reply = self._replies[0]
        self._last = 0
        self.rare = reply.flags & _RARE
        self._note(reply.flags)
        if reply.flags & (_BUSY | _FAILED):
            return None
        return bytes(ffi.buffer(reply.body, reply.body_len)) if reply.body_len else b""

    def _answers(self, count: int) -> list[Response]:
        answers = []
        out, rare = self._out, 0
        for index in range(count):
            status, flags, at, head_len, body_len = _REPLY.unpack_from(
                self._reply_bytes, index * _REPLY_SIZE
            )
            rare |= flags & _RARE
            rest = out[at : at + head_len + body_len]
            answers.append(Response(status, rest, head_len, flags & _HAS))
        self.rare = rare
        if rare:
            self._look_closer(answers, count - 1)
        return answers

    def _look_closer(self, answers: list[Response], last: int) -> None:
        """Something is out of the ordinary, with the last answer most likely."""
        self._last = last
        rare, reply = self.rare, self._replies[last]
        self._note(rare)
        self._request = self._requests[last]
        if rare & (_BUSY | _WAITS | _MORE):
            answers.pop()
            self._requests = (self._request,)
        elif rare & _LARGE:
            rest = ffi.buffer(reply.head, reply.head_len)[:]
            if reply.body_len:
                rest += ffi.buffer(reply.body, reply.body_len)[:]
            answers[last].rest = rest
            if not self.streams:
                self.discard = self.discard or self.reset() < 0

    def _note(self, rare: int) -> None:
        self.busy = bool(rare & _BUSY)
        self.waits = bool(rare & _WAITS)
        self.discard = bool(rare & _DISCARD)
        self.failed = bool(rare & _FAILED)
        self.has_lines = bool(rare & _LINES)
        self.unsynced = bool(rare & _UNSYNCED)
        self.has_tasks = bool(rare & _TASKS)
        self.streams = bool(rare & _STREAM)

    def remains(self) -> Remains:
        """Those of the request that is busy and failed; good until it goes on."""
        return remains_of(self.raw)

    @property
    def reason(self) -> str:
        """Why the last request failed, or ""."""
        return text_of(self._replies[self._last if self.rare else 0].reason)

    @property
    def failure(self) -> Failure:
        """What the log says of the last request, which failed."""
        reply = self._replies[self._last]
        return Failure(
            request=self._request,
            reason=text_of(reply.reason),
            rip=reply.rip,
            caller=reply.caller,
            error_reason=text_of(reply.error_reason),
            error_rip=reply.error_rip,
            seconds=reply.used_ns / NS,
        )

    @property
    def exits(self) -> tuple[int, int]:
        """KVM_RUN calls of the first request served last: all, and those of storage."""
        return self._replies[0].exits, self._replies[0].storage_runs

    def reset(self) -> int:
        """Puts the clone back to the frozen state once more. Returns the number of
        pages that took, or -errno: then the clone cannot be used again."""
        pages: int = lib.skerry_reset(self.raw)
        return pages

    def differing_pages(self) -> int:
        """Pages that are not as frozen, found by looking at all of them. Slow."""
        return int(lib.skerry_differing_pages(self.raw))
