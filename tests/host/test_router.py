"""Which program a request reaches: compared with a slow and obvious way to say it."""

from hypothesis import given
from hypothesis import strategies as st

from skerry.router import _KNOWN_HOSTS, Router

NAMES = st.text("abAB.-", min_size=1, max_size=3)
HOSTS = st.one_of(
    st.just(b""),
    st.builds(
        lambda name, port: f"{name}{port}".encode(),
        NAMES,
        st.sampled_from(["", ":", ":80", ":8080"]),
    ),
    st.sampled_from([b"localhost:8080", b"[::1]:80", b":80"]),
)
TARGETS = st.one_of(
    st.sampled_from([b"/", b"*", b"//", b"/?", b"/?a/b"]),
    st.builds(
        lambda name, rest: f"/{name}{rest}".encode(),
        NAMES,
        st.sampled_from(["", "/", "?x", "/y?z", "?/", "//", "%20"]),
    ),
)


def obvious(names, host, target):
    """What the class's description says, word by word."""
    site = host.split(b":")[0].decode().lower()
    for name in names:
        if name.lower() == site:
            return name
    path = target[1:].decode().split("?")[0]
    segment = path.split("/")[0]
    return segment if segment in names else None


@given(st.lists(NAMES, unique=True), st.lists(st.tuples(HOSTS, TARGETS), min_size=1))
def test_a_request_reaches_the_program_that_the_rules_say(names, requests):
    router = Router({name: name for name in names}, None)
    for host, target in requests * 2:
        assert router.match(host, target) == obvious(names, host, target)


def test_a_host_that_names_a_program_wins_over_the_path():
    router = Router({"a": 1, "b": 2}, 0)
    assert router.match(b"b", b"/a") == 2
    assert router.match(b"c", b"/a") == 1
    assert router.match(b"c", b"/c") == 0


def test_of_names_that_differ_in_case_a_host_means_the_first():
    router = Router({"App": 1, "app": 2}, 0)
    for host in (b"app", b"APP", b"App:1"):
        assert router.match(host, b"/") == 1
    for target, program in ((b"/App", 1), (b"/app", 2), (b"/APP", 0)):
        assert router.match(b"", target) == program


def test_any_number_of_hosts_takes_no_more_than_a_little_memory():
    router = Router({"a": 1}, 0)
    for i in range(3 * _KNOWN_HOSTS):
        assert router.match(b"host%d" % i, b"/a/x") == 1
    assert len(router._by_host) <= _KNOWN_HOSTS
    assert router.match(b"a", b"/") == 1
