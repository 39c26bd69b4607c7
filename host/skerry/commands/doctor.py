"""skerry doctor: what this machine offers, and what to do about what it lacks."""

import argparse
import json
import os
import resource
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from skerry import native

_KVM = Path("/dev/kvm")
_ENOUGH_FILES = 4096


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: (advice) is "" when all is well."""

    name: str
    found: str
    advice: str = ""


def add(parsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = parsers.add_parser(
        "doctor",
        help="print what this machine's KVM can do, and what to do about the rest",
        description="Looks at /dev/kvm, runs a guest to see how this KVM behaves, and "
        "looks at limits. Exit status 0: skerry can serve here, 1: it cannot.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def look_at_device() -> Finding:
    name = str(_KVM)
    if not _KVM.exists():
        return Finding(
            name,
            "missing",
            "enable virtualisation in the firmware, then: modprobe kvm_intel (or "
            "kvm_amd); in a VM, its host must allow nested virtualisation",
        )
    if not os.access(_KVM, os.R_OK | os.W_OK):
        return Finding(
            name, "no permission", "usermod -aG kvm $USER, then log in again"
        )
    return Finding(name, "readable and writable")


def look_at_guest(facts: native.KvmFacts) -> Iterator[Finding]:
    """What a guest has shown."""
    kind = "hardware" if facts.ring0_stub else "software (syscall stays in ring 3)"
    yield Finding("KVM kind", kind)
    yield Finding("dirty ring", f"{facts.dirty_ring} bytes")
    yield Finding("register sync", f"{facts.sync_regs} (7: all)")
    yield Finding("register state", f"XCR0 {facts.xcr0:#x}")
    clock = "inside the guest" if facts.has_clock else "by system calls (slower)"
    yield Finding("clock is read", clock)
    yield Finding("request round trip", f"{facts.exit_ns / 1000:.1f} us")
    if facts.reset_holds:
        yield Finding("reset", "holds: nothing of a request was left behind")
    else:
        advice = "do not serve here: update the kernel, or use another machine"
        yield Finding("reset", "DOES NOT HOLD", advice)


def look_at_pages() -> Finding:
    path = Path("/sys/kernel/mm/transparent_hugepage/shmem_enabled")
    try:
        chosen = path.read_text().partition("[")[2].partition("]")[0]
    except OSError:
        chosen = "unknown"
    return Finding("huge pages for shared memory", f"{chosen} (not needed)")


def look_at_files() -> Finding:
    soft, hard = (
        sys.maxsize if each == resource.RLIM_INFINITY else each
        for each in resource.getrlimit(resource.RLIMIT_NOFILE)
    )
    if soft == sys.maxsize:
        return Finding("open files", "no limit")
    most = "any number" if hard == sys.maxsize else hard
    advice = "" if soft >= _ENOUGH_FILES else f"ulimit -n {min(hard, 65536)}"
    return Finding("open files", f"{soft} of at most {most}", advice)


def examine() -> tuple[bool, list[Finding]]:
    """(skerry can serve here, everything that was found)"""
    findings = [look_at_device()]
    healthy = False
    try:
        facts = native.probe()
    except native.NativeError as error:
        advice = findings[0].advice or "update the kernel, or use another machine"
        findings.append(Finding("KVM", str(error), advice))
    else:
        healthy = facts.reset_holds
        findings.extend(look_at_guest(facts))
    return healthy, [*findings, look_at_pages(), look_at_files()]


def run(arguments: argparse.Namespace) -> int:
    healthy, findings = examine()
    if arguments.json:
        rows = [asdict(each) for each in findings]
        print(json.dumps({"can_serve": healthy, "findings": rows}, indent=2))
    else:
        for each in findings:
            print(f"{'-' if each.advice else '+'} {each.name}: {each.found}")
            if each.advice:
                print(f"    to do: {each.advice}")
        print("skerry can serve here" if healthy else "skerry cannot serve here")
    return 0 if healthy else 1
