"""The report marks what is over its limit and forgets no figure."""

import io
import json

import pytest

from bench import report


@pytest.fixture
def latest(tmp_path, monkeypatch):
    path = tmp_path / "results" / "latest.json"
    monkeypatch.setattr(report, "LATEST", path)
    return path


@pytest.mark.parametrize(
    ("value", "mark"), [(1.15, "ok"), (1.16, "over"), (None, "not measured")]
)
def test_a_limit_is_the_last_value_that_is_ok(value, mark):
    assert report.verdict("call_reset_over_floor", value) == mark


def test_the_table_shows_value_limit_and_mark():
    out = io.StringIO()
    report.table({"reset_us": 2.5, "boot_ms": None}, out)
    first, second = out.getvalue().splitlines()
    assert "2.50 us" in first and "at most 2 " in first and "over" in first
    assert "not measured" in second


def test_a_later_run_keeps_the_figures_that_it_did_not_measure(latest):
    report.save({"reset_us": 1.0})
    report.save({"boot_ms": 11.0}, {"boot_ms": [1, 2]})
    kept = json.loads(latest.read_text())
    assert kept["figures"]["reset_us"]["verdict"] == "ok"
    assert kept["figures"]["boot_ms"]["verdict"] == "over"
    assert kept["details"] == {"boot_ms": [1, 2]}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"figures": 3, "details": {}}'])
def test_a_damaged_file_is_written_anew(latest, text):
    latest.parent.mkdir()
    latest.write_text(text)
    report.save({"reset_us": 1.0})
    assert list(json.loads(latest.read_text())["figures"]) == ["reset_us"]
