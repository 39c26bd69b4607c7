"""Fixtures for all tests."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).resolve().parent))

from support.guests import PRELUDE, Guest, compile_guest

# The same examples in every run, however slow the machine is today.
settings.register_profile(
    "steady",
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("steady")


@pytest.fixture
def guest() -> Iterator[Callable[..., Guest]]:
    """guest(source, **options): a started program. (source) is C behind PRELUDE; with
    whole=True all of it. compiler, flags: how it is made."""
    with ExitStack() as held:

        def start(
            source: str,
            *,
            whole: bool = False,
            compiler: str = "gcc",
            flags: tuple[str, ...] = ("-static",),
            **options: Any,
        ) -> Guest:
            text = source if whole else PRELUDE + source
            elf = compile_guest(text, compiler, flags).read_bytes()
            return held.enter_context(Guest(elf, **options))

        yield start
