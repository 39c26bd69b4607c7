"""What is put back after every request: a second request finds nothing of the first."""

import pytest

pytestmark = pytest.mark.core


def test_reset_forgets_what_the_last_request_wrote(guest):
    vm = guest('static int n; START {} HANDLE { reply("%d", n++); }')
    assert [vm.text() for _ in range(3)] == ["0", "0", "0"]
