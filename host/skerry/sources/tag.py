"""What a source says of a version of what it has, so that it can be asked for news."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tag:
    """Empty where it says nothing."""

    etag: str = ""
    last_modified: str = ""


# Called with the bytes that are there, and how many there will be if that is known.
Tell = Callable[[int, int | None], None]
