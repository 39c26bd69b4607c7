"""Hostile programs and memory: the kernel's pages, all there is, pieces without end.
The request ends or goes on, the next one is right, and nothing is left."""

from collections.abc import Iterator, Sequence

import pytest
from support import hostile
from support.attacks.memory import ATTACKS, WAYS
from support.guests import Guest

pytestmark = pytest.mark.core


@pytest.fixture(scope="module")
def guests() -> Iterator[Sequence[Guest]]:
    with hostile.started(ATTACKS, WAYS) as both:
        yield both


@pytest.mark.parametrize("way", WAYS)
def test_hostile_mappings_harm_nobody_else(guests, way):
    hostile.attack_everywhere(guests, way, WAYS[way])


def test_a_program_serves_that_is_frozen_behind_its_mappings():
    hostile.assert_survives_start_up(ATTACKS, WAYS)
