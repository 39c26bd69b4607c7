"""The calls of guests, as the core tells them."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from skerry.native.raw import ffi
from skerry.native.syscalls import syscalls
from skerry.tracing.decode import CUT, Call, Decoder, Read
from skerry.tracing.signatures import Signature, by_name, host_calls

_SIZE = ffi.sizeof("struct skerry_call")
_HOST = 2  # SKERRY_CALL_HOST


class Overheard:
    """Shows (show) each call of machines that have (fd) as their trace, on a thread of
    its own. A context manager: at its end all have been shown."""

    def __init__(self, show: Callable[[Call], None], cut: int = CUT) -> None:
        self._show = show
        self._cut = cut
        self._ours, self._theirs = socket.socketpair(
            socket.AF_UNIX, socket.SOCK_SEQPACKET
        )
        self.fd = self._theirs.fileno()
        self._thread = threading.Thread(target=self._listen, name="trace")

    def _listen(self) -> None:
        """To the end, come what may: guests wait while nobody listens."""
        while packet := self._ours.recv(_SIZE):
            with suppress(OSError):  # nobody reads what is shown, say
                self._show(read_call(packet, self._cut))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *unused: object) -> None:
        self._theirs.shutdown(socket.SHUT_WR)
        self._thread.join()
        self._ours.close()
        self._theirs.close()


def read_call(packet: bytes, cut: int) -> Call:
    """The call that (packet), a struct skerry_call, tells of."""
    raw = ffi.from_buffer("struct skerry_call *", packet)
    is_host, values = raw.kind == _HOST, list(raw.arg)
    signature = _host(raw.number) if is_host else _system(raw.number)
    decoder = Decoder(signature, values, cut)
    decoder.begin(_reader(values, raw.before, raw.before_len))
    result = None if raw.ends else int(raw.result)
    texts = decoder.end(_reader(values, raw.after, raw.after_len), result)
    return Call(
        signature.name,
        texts,
        result,
        signature.gives_address,
        _who(raw.storage, int(raw.thread)),
        -1 if is_host else int(raw.number),
    )


def _who(storage: int, thread: int) -> str:
    """The first thread needs no name."""
    names = ["storage"] * bool(storage) + [str(thread)] * (thread > 1)
    return " ".join(names)


def _system(number: int) -> Signature:
    call = syscalls().get(number)
    return signature_of(call.name if call else f"syscall_{number}")


def signature_of(name: str) -> Signature:
    """Of a system call; one that is not listed shows all that may be arguments."""
    return by_name().get(name) or Signature(f"{name} hex hex hex hex hex hex")


def _host(number: int) -> Signature:
    unknown = f"host_call_{number:#x} hex hex hex hex hex hex"
    return host_calls().get(number) or Signature(unknown)


def _reader(values: list[int], pieces: Any, lengths: Any) -> Read:
    """Reads in the pieces of memory at (values)."""

    def read(address: int, size: int) -> bytes:
        for i, begin in enumerate(values):
            if begin <= address < begin + lengths[i]:
                piece: bytes = ffi.buffer(pieces[i], lengths[i])[:]
                return piece[address - begin :][:size]
        return b""

    return read
