"""Fixtures of the end-to-end tests: real servers, real sockets."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.languages import left_out
from support.packages import packages_left_out
from support.server import EXAMPLES, Server, write_config


@pytest.fixture(scope="session")
def examples() -> Iterator[Server]:
    """The examples of the repository, served; shared by tests that leave it running."""
    with Server(EXAMPLES) as server:
        yield server


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """serve(name={...}, ...): a server of these programs. See write_config."""
    with ExitStack() as held:
        yield lambda **programs: held.enter_context(
            Server(write_config(tmp_path, programs))
        )


@pytest.fixture
def serve_by_two(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """serve_by_two(name={...}, ...): a server of these programs with two workers."""
    with ExitStack() as held:
        yield lambda **programs: held.enter_context(
            Server(write_config(tmp_path, programs), workers=2)
        )


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., Path]:
    """config(name={...}, ...): the file, not served."""
    return lambda **programs: write_config(tmp_path, programs)


@pytest.fixture(scope="module")
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The programs PROGRAMS of the test module, served for all of its tests; at the end
    it has to stop as it should, and its log must not show a bug."""
    directory = tmp_path_factory.mktemp("programs")
    with Server(write_config(directory, request.module.PROGRAMS)) as made:
        yield made
        assert made.stop() == 0
        assert "Traceback" not in made.log


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A tool or a package that is missing is not forgotten in silence."""
    if missing := left_out():
        names = ", ".join(missing)
        terminalreporter.write_line(f"left out: programs in {names} (make languages)")
    if missing := packages_left_out():
        names = ", ".join(missing)
        terminalreporter.write_line(f"left out: what uses {names} (make languages)")
