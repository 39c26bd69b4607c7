"""Hostile programs and descriptors: as many as there are, sets of sets, endless pipes.
The request ends or goes on, the next one is right, and nothing is left."""

from collections.abc import Iterator, Sequence

import pytest
from support import hostile
from support.attacks.descriptors import ATTACKS, WAYS
from support.guests import Guest

pytestmark = pytest.mark.core


@pytest.fixture(scope="module")
def guests() -> Iterator[Sequence[Guest]]:
    with hostile.started(ATTACKS, WAYS) as both:
        yield both


@pytest.mark.parametrize("way", WAYS)
def test_hostile_descriptors_harm_nobody_else(guests, way):
    hostile.attack_everywhere(guests, way, WAYS[way])


def test_a_program_serves_that_is_frozen_without_a_free_descriptor():
    hostile.assert_survives_start_up(ATTACKS, WAYS)
