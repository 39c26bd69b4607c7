"""The keys of a program in a configuration: the one table that lists them."""

import json
from dataclasses import dataclass

from skerry.values import Choice, Flag, Integer, Kind, Number, Pairs, Text, Texts

# The group that always exists.
COMPUTE = "compute"

# What an answer that has changed storage waits for, where storage has a file: the call
# is in the file and outlives every process; or it outlives the machine too.
PROCESS, FSYNC = "process", "fsync"

# An entry with any of these is a program; one with none of them is a group.
PROGRAM_ONLY = frozenset({"group", "uri", "filename"})

SECONDS = Number(0.001, 3600, "s")


@dataclass(frozen=True, slots=True)
class Key:
    """What one key may hold (kind), what it is when absent, and what it means."""

    kind: Kind
    default: object
    meaning: str


KEYS = {
    "group": Key(Text(), COMPUTE, "the group whose keys are this program's defaults"),
    "uri": Key(Text(), None, "where the program comes from (not fetched yet)"),
    "filename": Key(
        Text(), None, "the program's file; relative to the configuration; $HOME, $PWD"
    ),
    "storage": Key(Flag(), False, "keep state in a storage VM of the same program"),
    "storage_file": Key(
        Text(), None, "keeps the storage from one start to the next; needs storage"
    ),
    "durability": Key(
        Choice((PROCESS, FSYNC)),
        PROCESS,
        "what a storage call in storage_file outlives: a crash, or a power cut too",
    ),
    "shared_memory": Key(
        Integer(0, 1024, "MB", step=2), 0, "memory that all requests share; 0: none"
    ),
    "max_boot_time": Key(SECONDS, 16.0, "time until the program waits for requests"),
    "max_request_time": Key(SECONDS, 8.0, "time for one request"),
    "max_storage_time": Key(SECONDS, 10.0, "time for one storage call"),
    "max_memory": Key(Integer(16, 4096, "MB"), 256, "the program's memory"),
    "max_request_memory": Key(
        Integer(1, 4096, "MB"),
        128,
        "what one request may write to; at most max_memory",
    ),
    "concurrency": Key(Integer(1, 1024), 16, "requests at the same time"),
    # 16 requests for each of 16 clones: who would wait for more is told to come back.
    "max_queue": Key(
        Integer(0, 65536), 256, "requests that wait for one of these to end"
    ),
    "main_arguments": Key(
        Texts(), None, "arguments of main after the name; absent: state file, VM type"
    ),
    "environment": Key(
        Pairs(), (), 'variables; {"KEY": "VALUE"} too; added to those of the group'
    ),
    "stdout": Key(Flag(), True, "print what the program writes"),
}


def table() -> str:
    """KEYS for a terminal: a line for each key, then what it means."""
    return "".join(
        f"{name:20}{key.kind.expected}{default(key)}\n{'':20}{key.meaning}\n"
        for name, key in KEYS.items()
    )


def default(key: Key) -> str:
    return "" if key.default in (None, ()) else f" [{json.dumps(key.default)}]"
