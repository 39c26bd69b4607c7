"""The product, as bench/micro.py sees it: the one place that knows its classes.

What is not there yet raises NotImplementedError, and its figure reads "not
measured".
"""

from typing import Protocol


class Machine(Protocol):
    """A booted program and one request VM of it, in this process."""

    def call(self, headers: int = 0) -> None:
        """One GET that brings so many request headers, answered and reset.

        An answer other than 200 raises.
        """

    def calls(self, times: int) -> None:
        """So many calls, timed beside the floor, whose loop is native.

        A native loop here too leaves Python's cost out of the figure on both sides.
        """

    def reset_us(self) -> float:
        """One call; the microseconds of its reset, by the native code's clock."""

    def exits(self) -> int:
        """How many KVM_RUN this machine has done, storage's included."""

    def clone(self) -> "Machine":
        """One more request VM from the same frozen memory."""

    def close(self) -> None:
        """Frees everything but the clones."""


class Program(Protocol):
    """A program that is ready: what can be closed, and no more."""

    def close(self) -> None: ...


def open_hello() -> Machine:
    """guest/examples/hello."""
    raise NotImplementedError


def open_counter() -> Machine:
    """guest/examples/counter, with storage: a call holds one storage call."""
    raise NotImplementedError


def open_headers(count: int) -> Machine:
    """A program whose answer has (count) extra response headers."""
    raise NotImplementedError


def boot_hello() -> Program:
    """hello, from its file to ready: booted and frozen. The caller has the clock."""
    raise NotImplementedError


def boot_counter() -> Program:
    """counter, from its file until both of its machines are ready."""
    raise NotImplementedError
