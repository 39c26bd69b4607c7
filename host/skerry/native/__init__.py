"""Guests as Python objects; only raw.py imports _native.

Every object is a context manager and owns one C object; close() may be called again.
check() turns a C error into NativeError. A Vm serves one caller at a time; all else may
be used from any thread.
"""

from skerry.native.boot import BootOptions, Exited, Warming, boot, check_program
from skerry.native.connections import use_connector
from skerry.native.console import Console, Stream
from skerry.native.failure import Failure
from skerry.native.jail import JailFacts, enter_jail, prepare_jail
from skerry.native.machine import KvmFacts, open_kvm, probe
from skerry.native.memory import SharedMemory
from skerry.native.raw import NativeError
from skerry.native.remains import Range, Registers, Remains
from skerry.native.snapshot import Snapshot
from skerry.native.storage import (
    Storage,
    StorageCounts,
    StorageFile,
    is_moved,
    move_back,
)
from skerry.native.vm import BATCH, PIECE, Vm

__all__ = [
    "BATCH",
    "PIECE",
    "BootOptions",
    "Console",
    "Exited",
    "Failure",
    "JailFacts",
    "KvmFacts",
    "NativeError",
    "Range",
    "Registers",
    "Remains",
    "SharedMemory",
    "Snapshot",
    "Storage",
    "StorageCounts",
    "StorageFile",
    "Stream",
    "Vm",
    "Warming",
    "boot",
    "check_program",
    "enter_jail",
    "is_moved",
    "move_back",
    "open_kvm",
    "prepare_jail",
    "probe",
    "use_connector",
]
