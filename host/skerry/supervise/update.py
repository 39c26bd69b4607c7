"""Other programs, or other builds of them, while everything is served on."""

import asyncio
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from skerry.config import Program
from skerry.errors import ProgramError, SkerryError
from skerry.log import Log
from skerry.supervise.fleet import Fleet
from skerry.supervise.loader import Change, Loader
from skerry.supervise.programs import Edition, Wanted
from skerry.supervise.reloaded import Reloaded


@dataclass(frozen=True)
class Updater:
    """Changes what is (wanted) by way of (loader), and then what the (fleet) serves.
    One call at a time."""

    loader: Loader
    wanted: Wanted
    fleet: Fleet
    log: Log

    async def reload(self) -> Reloaded:
        """Loads the configuration again. What cannot be used changes nothing."""
        try:
            change = await self.loader.again()
        except SkerryError as error:
            problems = str(error).splitlines()
            for line in problems:
                self.log.problem(line)
            self.log.problem("nothing is changed: what was served is served on")
            await self._release()
            return Reloaded(problems, [])
        await self._finish(change)
        self.log.info(f"configuration loaded again: {change.text}")
        return Reloaded([], change.results)

    async def upload(self, config: Program, elf: bytes) -> Edition:
        """Has all workers serve (elf) as (config), and keeps it in its file.
        SkerryError with the reason when that fails; then all is as before."""
        path = config.filename.resolve()
        file = await asyncio.to_thread(_write_beside, config.name, path, elf)
        try:
            change = await self.loader.replace(config, file)
        except SkerryError:
            await self._release()
            raise
        finally:
            file.unlink(missing_ok=True)
        await self._finish(change)
        entry = self.wanted.entries[config.name]
        if entry.step or not entry.edition:
            raise ProgramError(config.name, entry.step, entry.reason)
        version = entry.edition.version[:12]
        self.log.info(f"program '{config.name}': {version} was uploaded, and serves")
        return entry.edition

    async def _finish(self, change: Change) -> None:
        await self.fleet.update()
        for each in change.leaving:
            each.close()

    async def _release(self) -> None:
        """Where something has failed, nobody waits for it any longer."""
        if self.wanted.held:
            await self.fleet.update()


def _write_beside(name: str, path: Path, data: bytes) -> Path:
    """A file with (data), on the disk, in the directory of (path)."""
    try:
        fd, made = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with open(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(fd)
    except OSError as error:
        reason = f"{path.parent}: {error.strerror}"
        raise ProgramError(name, "write", reason) from None
    return Path(made)
