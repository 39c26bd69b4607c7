"""skerry doctor: what it finds on this machine, and on machines that lack something."""

import json
import resource

import pytest

from skerry import native
from skerry.cli import main
from skerry.commands import doctor

FACTS = native.KvmFacts(
    ring0_stub=True,
    reset_holds=True,
    has_clock=True,
    xcr0=7,
    dirty_ring=65536,
    sync_regs=7,
    exit_ns=1500,
)


@pytest.fixture
def facts(monkeypatch):
    """facts(KvmFacts or an exception): what the probe finds from now on."""

    def find(what):
        def probe():
            if isinstance(what, Exception):
                raise what
            return what

        monkeypatch.setattr(native, "probe", probe)

    return find


def by_name(findings):
    return {each.name: each for each in findings}


def test_this_machine_can_serve():
    healthy, findings = doctor.examine()
    found = by_name(findings)
    assert healthy
    assert {"/dev/kvm", "KVM kind", "register sync", "open files"} <= found.keys()
    assert found["reset"].found.startswith("holds")


def test_a_machine_with_all_that_is_needed_gets_no_advice_about_kvm(facts):
    facts(FACTS)
    healthy, findings = doctor.examine()
    found = by_name(findings)
    assert healthy
    assert found["KVM kind"].found == "hardware"
    assert found["request round trip"].found == "1.5 us"
    assert {found[name].advice for name in ("KVM kind", "reset", "dirty ring")} == {""}


def test_a_kvm_whose_reset_does_not_hold_cannot_serve(facts, capsys):
    values = {name: getattr(FACTS, name) for name in FACTS.__slots__}
    facts(native.KvmFacts(**values | {"reset_holds": False}))
    assert main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "- reset: DOES NOT HOLD" in lines
    assert lines[lines.index("- reset: DOES NOT HOLD") + 1].startswith("    to do: ")
    assert lines[-1] == "skerry cannot serve here"


def test_a_kvm_that_lacks_something_cannot_serve(facts, capsys):
    facts(native.NativeError("KVM_CAP_DIRTY_LOG_RING", "missing", 95))
    assert main(["doctor", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["can_serve"] is False
    rows = {each["name"]: each for each in found["findings"]}
    assert rows["KVM"]["found"] == "KVM_CAP_DIRTY_LOG_RING: missing"
    assert rows["KVM"]["advice"]


def test_a_machine_without_kvm_is_told_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "_KVM", tmp_path / "kvm")
    finding = doctor.look_at_device()
    assert finding.found == "missing"
    assert "modprobe" in finding.advice


def test_a_user_without_permission_is_told_how_to_get_it(monkeypatch):
    monkeypatch.setattr(doctor.os, "access", lambda path, mode: False)
    finding = doctor.look_at_device()
    assert finding.found == "no permission"
    assert "usermod" in finding.advice


@pytest.mark.parametrize(
    ("soft", "hard", "advice"),
    [(20000, 20000, ""), (256, 20000, "ulimit -n 20000"), (256, 512, "ulimit -n 512")],
)
def test_few_open_files_are_pointed_out(monkeypatch, soft, hard, advice):
    monkeypatch.setattr(resource, "getrlimit", lambda what: (soft, hard))
    finding = doctor.look_at_files()
    assert finding.found == f"{soft} of at most {hard}"
    assert finding.advice == advice


def test_no_limit_of_open_files_reads_as_such(monkeypatch):
    nothing = resource.RLIM_INFINITY
    monkeypatch.setattr(resource, "getrlimit", lambda what: (nothing, nothing))
    assert doctor.look_at_files() == doctor.Finding("open files", "no limit")
    monkeypatch.setattr(resource, "getrlimit", lambda what: (256, nothing))
    finding = doctor.look_at_files()
    assert finding.found == "256 of at most any number"
    assert finding.advice == "ulimit -n 65536"
