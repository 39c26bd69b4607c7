"""What a program is started with: what its main gets, and what its machine has."""

from skerry import native
from skerry.config import FromHeader, Warmup
from skerry.config import Program as Config
from skerry.started import Started

MB, GB = 1 << 20, 1 << 30
_STATE_FILE = "state"
# A function that is found when it is first called would be found again in each request,
# as what was found is put back.
_BIND_NOW = ["LD_BIND_NOW=1"]


def arguments(config: Config, kind: str) -> list[str]:
    """argv: the name, then what is configured, else state file and kind."""
    if config.main_arguments is not None:
        return [config.name, *config.main_arguments]
    return [config.name, _STATE_FILE, kind]


def environment(config: Config, kind: str) -> list[str]:
    """What every program finds in its environment, then what is configured."""
    return [
        f"KVM_NAME={config.name}",
        f"KVM_GROUP={config.group}",
        f"KVM_TYPE={kind}",
        f"KVM_STATE={_STATE_FILE}",
        f"KVM_DEBUG={config.allow_debug:d}",
        "LC_ALL=C",
        "USER=root",
        *config.environment,
    ]


def boot_options(
    started: Started, elf: bytes, kind: str, loader: int = -1
) -> native.BootOptions:
    """Those of (elf), which is booted to be of (kind); a dynamically linked one asks
    (loader) for files meanwhile."""
    config = started.config
    linking = _BIND_NOW if loader >= 0 else []
    return native.BootOptions(
        name=config.name,
        elf=elf,
        argv=arguments(config, kind),
        environment=[*linking, *environment(config, kind)],
        max_memory=config.max_memory * MB,
        address_space=config.address_space * GB,
        max_request_memory=config.max_request_memory * MB,
        max_boot_time=config.max_boot_time,
        is_storage=kind == "storage",
        debug=config.allow_debug,
        opener=started.opener if loader < 0 else loader,
        directory=config.current_working_directory,
        arg=config.arg if isinstance(config.arg, str) else "",
        arg_header=config.arg.header if isinstance(config.arg, FromHeader) else "",
        ephemeral=config.ephemeral,
        control_ephemeral=config.control_ephemeral,
        hugepages=config.hugepages,
        warmup=_warming(config.warmup) if config.warmup else None,
        trace=started.trace,
    )


def _warming(warmup: Warmup) -> native.Warming:
    headers = "".join(f"{each}\r\n" for each in warmup.headers)
    return native.Warming(warmup.num_requests, warmup.method, warmup.url, headers)
