"""What the processes of skerry say to each other."""

import msgspec

from skerry.config import Program
from skerry.counts import Counts
from skerry.started import Origin
from skerry.wanted import Fetched, Wanted

# --- The supervisor to the boot process ---


class Boot(msgspec.Struct, tag=True):
    """Start (config); the answers name it by (id). The descriptors are those of its
    Files, then those of (old), the parcel of the same program as it was started before,
    if it was. (linked): they have a loader."""

    id: int
    config: Program
    old: bytes | None
    linked: bool


class HandOver(msgspec.Struct, tag=True):
    """(id) is to take over what the storage before it knows: nobody asks that now."""

    id: int


class Move(msgspec.Struct, tag=True):
    """The parcel of (id) is here: the storage before it is over."""

    id: int


Order = Boot | HandOver | Move


# --- Processes that run guests to the supervisor ---


class Jailed(msgspec.Struct, tag=True):
    """This process is in its jail; (layers) says what holds. (no_group) is why it has
    no control group of its own, or ""."""

    layers: str
    no_group: str


# --- The boot process to the supervisor ---


class Begun(msgspec.Struct, tag=True):
    """The start of (id) has begun: who dies now may have died of it."""

    id: int


class Prepared(msgspec.Struct, tag=True):
    """(id) waits for requests, and for HandOver."""

    id: int


class Booted(msgspec.Struct, tag=True):
    """(id) waits for requests; (data), the descriptors and (seat) are its parcel. With
    (origin) "handed", the storage before it takes no call, and waits for Move."""

    id: int
    data: bytes
    seat: int | None
    version: str
    ready_ms: float
    origin: Origin = "new"


class Moved(msgspec.Struct, tag=True):
    """What Move asked for is done."""

    id: int


class NotBooted(msgspec.Struct, tag=True):
    """(id) did not start, because of (reason) in (step)."""

    id: int
    step: str
    reason: str


class Unfit(msgspec.Struct, tag=True):
    """Nothing can be served on this machine; (text) says why, and what to do."""

    text: str


BootNews = Jailed | Begun | Prepared | Booted | Moved | NotBooted | Unfit


# --- The supervisor to the process that fetches ---


class Get(msgspec.Struct, tag=True):
    """Bring what (config) needs from elsewhere; the answers name it by (id)."""

    id: int
    config: Program


# --- The process that fetches to the supervisor ---


class Getting(msgspec.Struct, tag=True):
    """(done) bytes of a file of (id) have come, of (size) if that is known."""

    id: int
    done: int
    size: int | None


class Got(msgspec.Struct, tag=True):
    """All that (id) needs is there; (origin) says where it comes from, (reasons) why
    some of it is the copy from before."""

    id: int
    origin: str
    reasons: list[str]


class NotGot(msgspec.Struct, tag=True):
    """(id) cannot be started, because of (reason) in (step)."""

    id: int
    step: str
    reason: str


GetterNews = Getting | Got | NotGot


# --- The supervisor to a worker ---


class Add(msgspec.Struct, tag=True):
    """Keep the program in parcel (data) and the descriptors, as (id)."""

    id: int
    data: bytes


class Use(msgspec.Struct, tag=True):
    """From now on serve these: (name, id), or (name, None) for one that did not start.
    Who is not among them has left. Requests to those that are (held), by id, wait; if
    one leaves, they go to who has its name then."""

    programs: list[tuple[str, int | None]]
    held: list[int] = []


class Settle(msgspec.Struct, tag=True):
    """Tell when (programs), which are held, have nothing in flight any more, or after
    (seconds)."""

    programs: list[int]
    seconds: float


class Ask(msgspec.Struct, tag=True):
    """Tell what you have counted."""


class Drain(msgspec.Struct, tag=True):
    """Accept nobody, finish what is in flight within (seconds), and end."""

    seconds: float


class Outgoing(msgspec.Struct, tag=True):
    """Its descriptors lead to the fetcher from now on: one for what programs fetch, and
    one for the connections of their sockets."""


Command = Add | Use | Settle | Ask | Drain | Outgoing


# --- A worker to the supervisor ---


class Serving(msgspec.Struct, tag=True):
    """What Use asked for is done."""


class Settled(msgspec.Struct, tag=True):
    """What Settle asked for is so, or its time is over."""


class Draining(msgspec.Struct, tag=True):
    """Nobody is accepted any more."""


class Counted(msgspec.Struct, tag=True):
    """Open connections, and what each program has done, by name."""

    connections: int
    programs: dict[str, Counts]


WorkerNews = Jailed | Serving | Settled | Draining | Counted


# --- The supervisor to the fetcher ---


class Allow(msgspec.Struct, tag=True):
    """The allowed_hosts of programs, by name; who is not among them has none."""

    programs: dict[str, list[str]]


class Join(msgspec.Struct, tag=True):
    """The two descriptors lead to a worker: see Outgoing."""


FetcherCommand = Allow | Join


# --- A worker to the fetcher, and back ---


class Fetch(msgspec.Struct, tag=True):
    """Fetch (wanted) for (program); the answer names it by (id)."""

    id: int
    program: str
    wanted: Wanted


class Forget(msgspec.Struct, tag=True):
    """Nobody waits for (id) any more."""

    id: int


FromWorker = Fetch | Forget


class Brought(msgspec.Struct, tag=True):
    """What has come of (id)."""

    id: int
    fetched: Fetched
