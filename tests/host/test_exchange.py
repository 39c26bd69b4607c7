"""Files that take the places of others, when another build of a program does."""

import os
from dataclasses import replace

import pytest

from skerry.config import defaults
from skerry.files import new_file, open_files
from skerry.supervise.boot import Order
from skerry.supervise.exchange import commit, forget
from skerry.supervise.programs import Edition


class Site:
    """A program that keeps storage in a file, and another build of it, uploaded."""

    def __init__(self, directory):
        self.directory = directory
        self.config = replace(
            defaults("one", directory / "one"),
            storage=True,
            storage_file=directory / "kept",
        )
        self.write(one="old program", kept="old state")
        self.write(**{".one.new": "new program", "kept.new": "new state"})
        old = self.edition("new")
        self.order = Order(self.config, old, directory / ".one.new")

    def edition(self, origin):
        return Edition(1, self.config, b"", (), None, "", 0.0, origin=origin)

    def write(self, **files):
        for name, text in files.items():
            (self.directory / name).write_text(text)

    @property
    def files(self):
        """What all files have, by name."""
        return {each.name: each.read_text() for each in self.directory.iterdir()}


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def test_a_build_that_has_taken_state_over_has_both_names(site):
    commit(site.order, site.edition("handed"))
    assert site.files == {"one": "new program", "kept": "new state"}


def test_state_that_is_left_behind_keeps_a_name(site):
    site.write(**{"kept.old": "older state"})
    commit(site.order, site.edition("fresh"))
    assert site.files == {
        "one": "new program",
        "kept": "new state",
        "kept.old": "old state",
    }


def test_state_that_lives_on_keeps_its_file(site):
    commit(site.order, site.edition("kept"))
    assert site.files == {"one": "new program", "kept": "old state"}


def test_without_an_upload_the_program_keeps_its_file(site):
    commit(replace(site.order, program=None), site.edition("handed"))
    assert site.files["one"] == "old program"
    assert site.files["kept"] == "new state"


@pytest.mark.parametrize("origin", ["handed", "fresh"])
def test_when_one_name_cannot_be_had_neither_is_taken(site, origin):
    (site.directory / "one").unlink()
    (site.directory / "one").mkdir()
    with pytest.raises(OSError):
        commit(site.order, site.edition(origin))
    assert (site.directory / "kept").read_text() == "old state"


def test_what_was_made_for_a_build_that_does_not_serve_goes(site):
    forget(site.order)
    assert "kept.new" not in site.files
    assert site.files["kept"] == "old state"


def test_a_link_to_a_file_stays_a_link(site):
    (site.directory / "kept").rename(site.directory / "real")
    (site.directory / "kept").symlink_to("real")
    (site.directory / "kept.new").rename(site.directory / "real.new")
    commit(site.order, site.edition("handed"))
    assert (site.directory / "kept").is_symlink()
    assert (site.directory / "real").read_text() == "new state"


def test_a_program_that_is_replaced_keeps_its_mode(site):
    (site.directory / "one").chmod(0o750)
    commit(site.order, site.edition("handed"))
    assert (site.directory / "one").stat().st_mode & 0o777 == 0o750


def test_a_build_that_may_replace_state_begins_with_an_empty_file_beside_it(site):
    (site.directory / "kept.new").write_text("left behind by a host that was killed")
    with open_files(site.config, anew=True) as files:
        assert os.fstat(files.storage).st_size == 0
        assert new_file(site.directory / "kept").exists()
    assert site.files["kept"] == "old state"
