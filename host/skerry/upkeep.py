"""What the storage of a program that serves needs: answers that tell of it wait for the
disk, and its tasks are run."""

from collections.abc import Awaitable

from skerry.durable import GroupCommit
from skerry.keys import FSYNC
from skerry.message import Response, Streamed
from skerry.native import NativeError, Vm
from skerry.started import Started
from skerry.tasks import Tasks
from skerry.telling import Telling


class Upkeep:
    """That of (started), whether it has storage or not. Only storage that is kept with
    durability "fsync" lets answers wait."""

    def __init__(self, started: Started, telling: Telling) -> None:
        config, self._storage = started.config, started.storage
        self._telling = telling
        self._commit = self._tasks = None
        if config.storage_file and config.durability == FSYNC:
            self._commit = GroupCommit(self.sync)
        if self._storage:
            sync = self.sync if self._commit else None
            self._tasks = Tasks(self._storage, sync, telling.print_lines)

    @property
    def is_saved(self) -> bool:
        """No answer waits for the disk."""
        return self._commit is None or self._commit.is_idle

    @property
    def is_idle(self) -> bool:
        """The same, and no task is being run."""
        return self.is_saved and (self._tasks is None or self._tasks.is_idle)

    def synced(self, vm: Vm) -> Awaitable[None] | None:
        """What the answers of (vm) have to wait for. To be called before (vm) is given
        back: then the program is never idle in between."""
        is_unsynced = self._commit and vm.rare and vm.unsynced
        return self._commit.wait() if self._commit and is_unsynced else None

    async def when(self, synced: Awaitable[None], answer: Response) -> Response:
        """(answer), once the disk has what it tells of; a 500 if that fails."""
        try:
            await synced
        except NativeError:
            self._telling.errors += 1
            if isinstance(answer, Streamed):
                answer.source.close()
            return Response.text(500, "500 storage could not be written\n")
        return answer

    def sync(self) -> None:
        """Blocks until the disk has what storage has. On any thread."""
        assert self._storage
        try:
            self._storage.sync()
        except NativeError as error:
            self._telling.say(f"storage could not be written: {error}")
            raise

    def begin_tasks(self) -> None:
        """From now on tasks are run here."""
        if self._tasks:
            self._tasks.look()

    def look_at(self, vm: Vm) -> None:
        """What (vm) has ordered is run."""
        if self._tasks and vm.rare and vm.has_tasks:
            self._tasks.look()

    def run_tasks(self, most: int) -> None:
        """Runs up to (most) tasks that are due. Blocks."""
        if self._tasks and self._tasks.run(most):
            self._telling.print_lines()

    def end_tasks(self) -> None:
        """They are left to other processes, or to who keeps the storage."""
        if self._tasks:
            self._tasks.end()

    def close(self) -> None:
        """Ends its threads. Nobody may be waiting."""
        if self._tasks:
            self._tasks.close()
        if self._commit:
            self._commit.close()
