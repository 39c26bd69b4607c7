"""How many descriptors a worker needs, and may have."""

import resource

from skerry.config import Config
from skerry.http import Limits, descriptors

_OWN = 64  # the event loop's, the channel's, the log's
_CLONE = 2  # a VM and its vCPU
_PROGRAM = 8  # memory, shared memory, storage


def needed(config: Config) -> int:
    """The most descriptors that a worker has open, when all it may do happens."""
    programs = sum(_PROGRAM + each.concurrency * _CLONE for each in config.programs)
    return _OWN + programs + Limits().connections


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
