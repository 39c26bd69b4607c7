"""How much a source may send, and how long it may take."""

from dataclasses import dataclass

_MB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds."""

    program: int = 256 * _MB  # a program, or the archive that it comes in
    file: int = 1024 * _MB  # a file of "download"
    unpacked: int = 512 * _MB  # all that an archive decompresses to
    members: int = 1000  # of an archive
    redirects: int = 5
    connect: float = 10.0
    silent: float = 15.0  # without one more byte
    total: float = 240.0  # of all tries
    # Before the second try, the third ... One who has a copy need not wait so long.
    pauses: tuple[float, ...] = (0.5, 1.0, 2.0)
    pauses_with_copy: tuple[float, ...] = (0.5,)

    @property
    def largest(self) -> int:
        """No file that is written is larger."""
        return max(self.program, self.file, self.unpacked)
