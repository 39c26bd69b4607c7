"""A hundred programs in one configuration: started side by side, paid for when used."""

from support.client import wait_until
from support.programs import HELLO
from support.server import Server, write_config

HUNDRED = {f"p{number}": HELLO for number in range(100)}


def test_a_hundred_programs_start_and_cost_no_clone_until_they_are_asked(tmp_path):
    with Server(write_config(tmp_path, HUNDRED), workers=2) as server:
        before = server.status()["programs"]
        assert {each["state"] for each in before} == {"ready"}
        assert sum(each["clones_free"] + each["clones_busy"] for each in before) == 0
        asked = ["p0", "p50", "p99"]
        assert [server.get(f"/{name}").status for name in asked] == [200] * 3

        def with_clones():
            found = server.status()["programs"]
            return [each["name"] for each in found if each["clones_free"]]

        wait_until(lambda: with_clones() == asked)
        wait_until(lambda: with_clones() == [])
