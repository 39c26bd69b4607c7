"""Files that take the places of others: each is the old one or the new one, whole,
whenever the machine stops."""

import os
from contextlib import ExitStack
from pathlib import Path

from skerry.files import new_file, old_file, sync_directory
from skerry.supervise.boot import Order
from skerry.supervise.programs import Edition


def commit(order: Order, edition: Edition) -> None:
    """What (edition) has come of and what it keeps get their names, so that the next
    start finds them. OSError: then they have not, and all is as before."""
    with ExitStack() as undo:
        if order.replaces_storage and order.config.storage_file:
            _take_storage(order.config.storage_file, edition, undo)
        if order.program:
            _take_program(order.program, order.config.filename.resolve())
        undo.pop_all()
    if edition.origin == "handed" and order.config.storage_file:
        old_file(order.config.storage_file).unlink(missing_ok=True)


def forget(order: Order) -> None:
    """What was made for a program that will not serve goes."""
    if order.replaces_storage and order.config.storage_file:
        new_file(order.config.storage_file).unlink(missing_ok=True)


def _take_storage(path: Path, edition: Edition, undo: ExitStack) -> None:
    """The file of another build's storage is replaced. It keeps a name, FILE.old."""
    if edition.origin == "kept":
        new_file(path).unlink(missing_ok=True)
        return
    real, old = path.resolve(), old_file(path)
    old.unlink(missing_ok=True)
    if real.exists():
        os.link(real, old)
        undo.callback(os.replace, old, real)
    os.replace(new_file(path), real)
    sync_directory(real.parent)


def _take_program(new: Path, path: Path) -> None:
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    new.chmod(mode)
    os.replace(new, path)
    sync_directory(path.parent)
