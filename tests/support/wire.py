"""A connection in memory: the protocol at one end, a test that moves every byte at the
other."""

import asyncio

from skerry.http.limits import Limits
from skerry.http.protocol import HttpProtocol
from skerry.http.shared import Shared

LIMITS = Limits(body=50, upload=600, write_time=30, body_time=30)


class Transport:
    """What a protocol may ask of a transport, written down."""

    def __init__(self):
        self.written = b""
        self.reading = True
        self.ended = self.closed = self.aborted = False

    def write(self, data):
        assert not self.ended
        assert not self.closed
        self.written += data

    def write_eof(self):
        self.ended = True

    def close(self):
        self.closed = True

    def abort(self):
        self.closed = self.aborted = True

    def is_closing(self):
        return self.closed

    def pause_reading(self):
        assert self.reading
        self.reading = False

    def resume_reading(self):
        assert not self.reading
        self.reading = True


class Wire(Transport):
    """A transport that with (slow) takes what was written only when take() is called.
    Its owner runs (loop) by run()."""

    def __init__(
        self, loop, handler, in_pieces=None, slow=False, step=0, limits=LIMITS
    ):
        self.loop = loop
        self.shared = Shared(handler, limits, loop, in_pieces)
        super().__init__()
        self.slow = slow
        self.step = step
        self.paused = False
        self.protocol = HttpProtocol(self.shared)
        self.protocol.connection_made(self)

    # What the test does.

    def send(self, data):
        step = self.step or len(data) or 1
        for at in range(0, len(data), step):
            self.protocol.data_received(data[at : at + step])
        self.run()

    def run(self):
        """Lets the loop go round until all that can happen has."""
        for _ in range(50):
            self.loop.run_until_complete(asyncio.sleep(0))

    def take(self):
        """The client takes what was written."""
        self.paused = False
        self.protocol.resume_writing()
        self.run()

    def leave(self):
        """The client is gone."""
        self.closed = True
        self.protocol.connection_lost(None)
        self.run()

    def later(self, seconds):
        """Lets (seconds) pass, then looks at the deadline as the server does."""
        self.shared.clock.now += seconds
        if self.protocol.deadline < self.shared.clock.now:
            self.protocol.expire()
        self.run()

    # What the protocol does.

    def write(self, data):
        super().write(data)
        if self.slow and not self.paused:
            self.paused = True
            self.protocol.pause_writing()

    def writelines(self, parts):
        self.write(b"".join(parts))

    def abort(self):
        super().abort()
        self.loop.call_soon(self.protocol.connection_lost, None)

    def get_write_buffer_size(self):
        return 1000 if self.paused else 0

    def get_extra_info(self, name):
        return None
