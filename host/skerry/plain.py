"""A program that does its work in main, and ends: run in a guest as in a terminal."""

import os
import signal
from dataclasses import replace

from skerry import native
from skerry.config import Program as Config
from skerry.errors import ProgramError, SkerryError
from skerry.files import open_files
from skerry.native import Exited
from skerry.options import boot_options
from skerry.started import Started
from skerry.symbols import Symbols, read_symbols

_LONGEST = 86400.0  # seconds; until then, Ctrl-C ends it


def run_plain(config: Config, trace: int) -> int:
    """Runs (config). What it prints goes to standard output and error, its calls to
    (trace). Returns its exit status; ProgramError if it ends otherwise."""
    with open_files(config) as files, Started(config) as started:
        elf = files.read_program()
        if files.opener >= 0:
            started.hold_opener(os.dup(files.opener))
        started.trace = trace
        started.console.pass_on()
        loader = files.loader_of("request")
        options = boot_options(started, elf, "request", loader)
        options = replace(options, max_boot_time=_LONGEST)
        # The guest runs in C: nobody would see Python's KeyboardInterrupt.
        before = signal.signal(signal.SIGINT, signal.SIG_DFL)
        try:
            native.boot(options, started.console).close()
        except Exited as ended:
            return ended.status
        except native.NativeError as error:
            reason = Symbols(read_symbols(elf)).explain(error.reason)
            raise ProgramError(config.name, error.step, reason) from None
        finally:
            signal.signal(signal.SIGINT, before)
            for stream, text in started.console.take():
                if stream == native.Stream.HOST:
                    os.write(2, f"[{config.name}] {text}\n".encode())
    raise SkerryError(f"{config.name}: it waits for requests: run it without --plain")
