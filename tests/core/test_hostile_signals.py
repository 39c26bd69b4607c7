"""Hostile programs and signals: frames, stacks and handlers that are none, storms.
The request ends or goes on, the next one is right, and nothing is left."""

from collections.abc import Iterator

import pytest
from support import hostile
from support.attacks.signals import ATTACKS, WAYS
from support.clones import EMULATED
from support.guests import Guest

pytestmark = pytest.mark.core

BRIEF = 1.0 if EMULATED else 0.1  # seconds


@pytest.fixture(scope="module")
def guests() -> Iterator[dict[bool, Guest]]:
    """The program, with much time for a request, and with little; nothing is left."""
    text = hostile.source(ATTACKS, WAYS)
    with (
        hostile.nothing_left(),
        hostile.start(text, limit=120.0) as patient,
        hostile.start(text, limit=3 * BRIEF, storage_time=BRIEF / 2) as brief,
    ):
        yield {False: patient, True: brief}


@pytest.mark.parametrize("way", WAYS)
def test_hostile_signals_harm_nobody_else(guests, way):
    guest = guests[WAYS[way] == hostile.TIME]
    for place in "rht":
        hostile.attack(guest, place, way, WAYS[way])
    hostile.attack_storage(guest, way)


def test_a_program_serves_that_is_frozen_behind_its_signals():
    hostile.assert_survives_start_up(ATTACKS, WAYS)
