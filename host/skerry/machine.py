"""Whether this machine can serve at all."""

import os
from pathlib import Path

from skerry import native
from skerry.errors import SkerryError

_KVM = Path("/dev/kvm")


class CannotServe(SkerryError):
    """This machine, or its state, does not allow serving; says what to do."""


def check_device(device: Path = _KVM) -> None:
    """Raises CannotServe if (device) is not there for us. Does not open it."""
    if not device.exists():
        raise CannotServe(
            f"{device} is missing: load the module kvm_intel or kvm_amd, or enable "
            "virtualisation in the firmware; run skerry doctor to see more"
        )
    if not os.access(device, os.R_OK | os.W_OK):
        raise CannotServe(
            f"{device}: permission denied: add this user to the group kvm "
            "(usermod -aG kvm USER) and log in again, or set Group=kvm in the unit"
        )


def open_machine() -> None:
    """Opens the device, for a process that may not do it later, or raises
    CannotServe."""
    try:
        native.open_kvm()
    except native.NativeError as error:
        raise _unusable(error) from None


def check_machine() -> None:
    """Proves that reset holds on this KVM, or raises CannotServe."""
    try:
        facts = native.probe()
    except native.NativeError as error:
        raise _unusable(error) from None
    if not facts.reset_holds:
        raise CannotServe(
            "this KVM does not put machines back reliably: a test request saw what "
            "the one before it left; skerry does not serve here"
        )


def _unusable(error: native.NativeError) -> CannotServe:
    return CannotServe(
        f"KVM cannot be used: {error}\nrun skerry doctor to see what to do"
    )
