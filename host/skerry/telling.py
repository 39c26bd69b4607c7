"""What the log says of a program that serves."""

from skerry.failures import describe
from skerry.log import Log
from skerry.native import Stream, Vm
from skerry.started import Started


class Telling:
    """Tells (log) of (started); counts the requests that have failed in (errors)."""

    def __init__(self, started: Started, log: Log) -> None:
        self._started = started
        self._name = started.config.name
        self._log = log
        self.errors = 0

    def print_lines(self) -> None:
        """What the program has printed."""
        self._started.print_lines(self._log)

    def tell_of(self, vm: Vm) -> None:
        """What is out of the ordinary in (vm)."""
        if vm.rare and vm.has_lines:
            self.print_lines()
        if vm.rare and vm.failed:
            self.errors += 1
            self.say(describe(vm.failure, self._started.symbols))

    def say(self, text: str) -> None:
        """A line about what the program does."""
        self._log.program(self._name, Stream.HOST, text)

    def complain(self, text: str) -> None:
        """A line about what the host does not have for it."""
        self._log.problem(f"program '{self._name}': {text}")
