"""A program that uses everything, under load that changes all the time. By hand, for a
minute: make soak."""

from soak.asks import NAMES, Seen
from soak.story import soak


def test_every_answer_is_right_and_nothing_is_left_behind(tmp_path):
    seen = Seen()
    story = soak(tmp_path, seconds=5, seed=1, workers=2, seen=seen)
    assert story.answers > 0
    assert seen.crashes > 0
    assert {f"{name} count" for name in NAMES} <= seen.counts.keys()
