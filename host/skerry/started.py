"""A started program: what it has, and what there is to say of it."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import Literal, Self

from skerry import native
from skerry.config import Program as Config
from skerry.errors import ProgramError
from skerry.log import Log
from skerry.native import Remains, Stream, Vm
from skerry.symbols import Symbols

INLINE = 0.001  # seconds that a request may hold up the event loop
_HAND_OVER = 10.0  # seconds that storage calls get to end before a hand-over

# What became of the storage of the same program as it was started before: there was
# none to take over; it lives on; it has to be handed over; or it has been left behind.
# Or all of the program comes from its cold-start file.
Origin = Literal["new", "kept", "handed", "fresh", "cold"]


class Started:
    """A program that waits for requests, frozen. Owns its machines.

    With the (origin) "handed", hand_over() comes before it may serve."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.console = native.Console()
        self.shared: native.SharedMemory | None = None
        self.storage: native.Storage | None = None
        self.snapshot: native.Snapshot
        self.opener = -1  # where its guests ask for files; its own
        self.ready_ms = 0.0
        self.version = ""  # of the program's file: its SHA-256, hexadecimal
        self.state = ""  # what its storage and shared memory depend on, likewise
        self.symbols = Symbols(b"")
        self.look: Callable[[Remains], None] | None = None  # at what did not start
        self.trace = 0  # socket that its guests' calls are told on; 0: nobody
        self.notes: list[str] = []  # for the log
        self.origin: Origin = "new"
        self.old: native.Storage | None = None  # that is to be handed over
        self.held = ExitStack()
        self.held.enter_context(self.console)

    def print_lines(self, log: Log) -> None:
        """Logs what the program has printed so far, and what there is to say of it."""
        for text in self.notes:
            log.program(self.config.name, Stream.HOST, text)
        self.notes.clear()
        for stream, text in self.console.take():
            if stream == Stream.HOST:
                text = self.symbols.explain(text)
            if self.config.stdout or stream in (Stream.LOG, Stream.HOST):
                log.program(self.config.name, stream, text)

    def clone(self, look: bool = False) -> Vm:
        """A machine for its requests; (look): see Vm."""
        return Vm(
            self.snapshot,
            self.console,
            self.config.max_request_time,
            INLINE,
            self.storage,
            look=look,
            trace=self.trace,
            reaches=bool(self.config.allowed_hosts),
        )

    def hold_opener(self, fd: int) -> None:
        """Takes over (fd), where its guests ask for files."""
        self.held.callback(os.close, fd)
        self.opener = fd

    def hand_over(self, log: Log) -> None:
        """Takes over what the storage before knows. That takes no calls from now on,
        until let_go(). ProgramError: it goes on as before, and this is to be closed."""
        assert self.old and self.storage
        try:
            self.old.hand_over(self.storage, _HAND_OVER)
        except native.NativeError as error:
            raise ProgramError(self.config.name, error.step, error.reason) from None
        finally:
            self.print_lines(log)

    def let_go(self, moved: bool) -> None:
        """Ends hand_over(): the storage before is over; or goes on after all."""
        assert self.old
        self.old.let_go(moved)

    def close(self) -> None:
        """Ends its machines. None may be serving."""
        self.held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()
