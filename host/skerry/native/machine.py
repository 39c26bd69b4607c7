"""What this machine's KVM does."""

from dataclasses import dataclass

from skerry.native.raw import check, ffi, lib, new_error


@dataclass(frozen=True, slots=True)
class KvmFacts:
    """What this machine's KVM does. See skerry.h."""

    ring0_stub: bool
    reset_holds: bool
    has_clock: bool
    xcr0: int
    dirty_ring: int
    sync_regs: int
    exit_ns: int


def open_kvm() -> None:
    """Opens /dev/kvm, for a process that gets all machines from another one and may not
    open files later."""
    error = new_error()
    check(lib.skerry_open_kvm(error), error)


def probe() -> KvmFacts:
    """Runs a guest to find out; the first call takes some milliseconds."""
    facts, error = ffi.new("struct skerry_kvm_facts *"), new_error()
    check(lib.skerry_probe(facts, error), error)
    return KvmFacts(
        ring0_stub=bool(facts.ring0_stub),
        reset_holds=bool(facts.reset_holds),
        has_clock=bool(facts.has_clock),
        xcr0=facts.xcr0,
        dirty_ring=facts.dirty_ring,
        sync_regs=facts.sync_regs,
        exit_ns=facts.exit_ns,
    )
