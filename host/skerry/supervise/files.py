"""How many descriptors a worker needs, and may have."""

import resource

from skerry.config import Config, Program
from skerry.files import has_opener
from skerry.http import Limits, descriptors

_OWN = 64  # the event loop's, the channel's, the log's
_CLONE = 2  # a VM and its vCPU
_PROGRAM = 9  # memory, shared memory, storage, opener
_FILES = 192  # that start-up and calls of one machine may have open (files.h)


def needed(config: Config) -> int:
    """The most descriptors that a worker has open, when all it may do happens."""
    programs = sum(_of_program(each) for each in config.programs)
    return _OWN + programs + Limits().connections


def _of_program(program: Program) -> int:
    machines = 1 + program.storage if has_opener(program) else 0
    return _PROGRAM + program.concurrency * _CLONE + machines * _FILES


def raise_limit(config: Config) -> str:
    """Raises our limit, which workers inherit, as far as we may. Returns a warning if
    that is not enough for (config), or ""."""
    hard = descriptors.raise_limit()
    need = needed(config)
    if hard == resource.RLIM_INFINITY or need <= hard:
        return ""
    return (
        f"a worker may open {hard} files, and needs up to {need} (two for each clone "
        f"that concurrency allows, one for each connection): set LimitNOFILE={need} in "
        f"the unit, or ulimit -n {need} as root before the start"
    )
