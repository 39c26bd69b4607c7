"""The watch on the clock, for a moment."""

from clock.watch import CLOCKS, Seen, watch


def test_a_programs_clock_is_between_two_readings_of_this_machines():
    *_, seen = watch(seconds=0.5, pause=0.1)
    for name in CLOCKS:
        assert seen[name].readings >= 20
        assert (seen[name].outside, seen[name].back) == (0, 0)


def test_a_reading_outside_and_a_step_back_are_seen():
    seen = Seen()
    seen.add(100, 105, 120)
    assert (seen.outside, seen.between, seen.back) == (0, 20, 0)
    seen.add(120, 90, 130)
    assert (seen.outside, seen.between, seen.back) == (30, 10, 1)
    seen.add(140, 190, 150)
    assert (seen.outside, seen.between, seen.back) == (40, 10, 1)
