"""The keys of a program in a configuration: the one table that lists them."""

import json
from dataclasses import dataclass

from skerry.egress import parse_entry
from skerry.jsonc import Value
from skerry.records import Either, Part, Record, Several
from skerry.values import (
    Choice,
    Flag,
    Integer,
    Kind,
    Number,
    Pairs,
    Pattern,
    Schema,
    Text,
    Texts,
    wrong,
)

# The group that always exists.
COMPUTE = "compute"

# What an answer that has changed storage waits for, where storage has a file: the call
# is in the file and outlives every process; or it outlives the machine too.
PROCESS, FSYNC = "process", "fsync"

# An entry with any of these is a program; one with none of them is a group.
PROGRAM_ONLY = frozenset({"group", "uri", "filename"})

# What becomes of storage when another build of a program takes over, and the two do not
# hand it over themselves: the update is refused; or storage begins anew.
REFUSE, FRESH = "refuse", "fresh"

SECONDS = Number(0.001, 3600, "s")
DIGEST = Pattern("[0-9a-fA-F]{64}", "a SHA-256 of 64 hexadecimal digits")
URI = Pattern(r"(https?|file)://[!-~]+", "a URI: http://, https:// or file://")
FIELD = Pattern(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", "the name of a header")
LINE = Pattern(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+: [ -~]*", 'a header, "Name: value"')
INSIDE = Pattern(r"/[^\0]*", "a path in the guest, beginning with /")
PATH = Record(
    'an object with "real"',
    {
        "real": Part(Text(), needed=True),
        "virtual": Part(INSIDE),
        "prefix": Part(Flag()),
        "writable": Part(Flag(), False),
    },
)
ARG = Either(
    'a string, or {"header": NAME}',
    Text(),
    Record('an object with "header"', {"header": Part(FIELD, needed=True)}),
)
WARMUP = Record(
    'an object such as {"num_requests": 10}',
    {
        "num_requests": Part(Integer(1, 100000), 1),
        "url": Part(Pattern("/[!-~]*", "a path such as /"), "/"),
        "method": Part(Pattern("[A-Z]+", "a method such as GET"), "GET"),
        "headers": Part(Several("a list of headers", LINE, 64), ()),
    },
)
DOWNLOAD = Record(
    'an object with "uri" and "filename"',
    {
        "uri": Part(URI, needed=True),
        "filename": Part(Text(), needed=True),
        "sha256": Part(DIGEST),
    },
)


@dataclass(frozen=True, slots=True)
class Host:
    """An entry of allowed_hosts."""

    expected: str = 'a host such as "example.com", "*.example.com:8443", "10.1.0.0/16"'

    def read(self, value: Value) -> str:
        text = Text(self.expected).read(value)
        try:
            parse_entry(text)
        except ValueError:
            raise wrong(self.expected, value) from None
        return text

    def schema(self) -> Schema:
        return Pattern(r"[0-9A-Za-z.:*/\[\]_-]+", self.expected).schema()


@dataclass(frozen=True, slots=True)
class Key:
    """What one key may hold (kind), what it is when absent, and what it means."""

    kind: Kind
    default: object
    meaning: str


KEYS = {
    "group": Key(Text(), COMPUTE, "the group whose keys are this program's defaults"),
    "uri": Key(URI, None, "where the program comes from; cached in filename"),
    "filename": Key(
        Text(), None, "the program's file; relative to the configuration; $HOME, $PWD"
    ),
    "sha256": Key(DIGEST, None, "of the program that may run; another one is refused"),
    "download": Key(
        Several("a list of files to fetch", DOWNLOAD, 64),
        (),
        "files to fetch before the start: {uri, filename, sha256}",
    ),
    "key": Key(
        Pattern("[!-~]{16,256}", "16 to 256 printable characters"),
        None,
        "who knows it may upload another build; absent: nobody",
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
    "live_update": Key(
        Choice((REFUSE, FRESH)),
        REFUSE,
        "of storage that another build does not take over",
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
    "address_space": Key(
        Integer(1, 65536, "GB"), 1024, "what the program may map, used or not"
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
    "arg": Key(ARG, "", "a request's arg; or the name of the header that has it"),
    "ephemeral": Key(Flag(), True, "put a clone back after each request"),
    "control_ephemeral": Key(Flag(), False, "let the program itself choose that"),
    "warmup": Key(WARMUP, None, "requests made before the machine is frozen"),
    "cold_start_file": Key(
        Text(), None, "keeps the frozen machine, for a faster next start"
    ),
    "hugepages": Key(Flag(), False, "ask the kernel for huge pages"),
    "allowed_paths": Key(
        Several("a list of paths", Either("a path, or an object", Text(), PATH), 64),
        (),
        "files that the program may read: a path, or {real, virtual, prefix, writable}",
    ),
    "current_working_directory": Key(INSIDE, "/", "where relative paths begin"),
    "allowed_hosts": Key(
        Several("a list of hosts", Host(), 256),
        (),
        "hosts that sys_fetch and sockets may reach; sys_fetch this one always",
    ),
    "allow_debug": Key(Flag(), False, "KVM_DEBUG=1, and breakpoints are reported"),
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
