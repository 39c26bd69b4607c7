"""Where a program's requests may go: URLs, and what allowed_hosts says of them.

An entry is a name, an address or a network, and what follows from that:

    example.com           the name; the addresses behind it must be public ones
    *.example.com         every name below it; "*" alone is every name
    10.1.2.3, [fd00::1]   the address, also when a name leads there
    10.1.0.0/16           the network, likewise; "localhost" is 127.0.0.1 and ::1
    ...:8080, ...:*       on this port, on any port; without: on 80 and 443

A name is judged twice: as it is asked for, and by the addresses that it leads to. Who
connects must use the very addresses that were judged, or a name that leads elsewhere
the second time would get through.
"""

import errno
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import urljoin

from skerry.wanted import Failed, Wanted, names_and_values

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_WEB = frozenset((80, 443))
_DEFAULT = {"http": 80, "https": 443}
_LOOPBACK: tuple[Network, ...] = (
    ipaddress.ip_network("127.0.0.1/32"),
    ipaddress.ip_network("::1/128"),
)
# Addresses with another one inside, which may be anything: 6to4, NAT64, Teredo.
_CARRIERS = tuple(
    ipaddress.ip_network(each)
    for each in ("2002::/16", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32")
)
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}\.?")
_PLACE = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:/]+)(/[0-9]+)?(?::([0-9]+|\*))?")
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<target>(?:[/?][!-\"$-~]*)?)(?:#[!-~]*)?",
    re.IGNORECASE,
)


class BadUrl(ValueError):
    """Not a URL of http or https, or one with a user in it."""


@dataclass(frozen=True, slots=True)
class Url:
    """http or https (scheme), (host) without brackets, in lower case and without a dot
    at its end, (port), and (target): path and query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """What a Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT[self.scheme] else f"{host}:{self.port}"

    @property
    def text(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"

    def join(self, location: str) -> "Url":
        """Where a redirect to (location) leads. BadUrl if that is nowhere."""
        try:
            return parse_url(urljoin(self.text, location))
        except ValueError as error:
            raise BadUrl(location) from error


def parse_url(text: str) -> Url:
    """The parts of (text), a whole URL; BadUrl."""
    found = _URL.fullmatch(text)
    if found is None:
        raise BadUrl(text)
    scheme = found["scheme"].lower()
    port = int(found["port"] or _DEFAULT[scheme])
    host = _host(found["host"])
    if host is None or not 1 <= port <= 65535:
        raise BadUrl(text)
    target = found["target"]
    return Url(scheme, host, port, target if target[:1] == "/" else f"/{target}")


def _host(text: str) -> str | None:
    if text.startswith("["):
        literal = address(text[1:-1])
        return str(literal) if literal else None
    name = text.lower().removesuffix(".")
    return name if len(name) <= 253 and _NAME.fullmatch(name) else None


def address(text: str) -> Address | None:
    """(text) as an address, if it is one. One of IPv4 inside of IPv6 is of IPv4."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return plain(found)


def plain(found: Address) -> Address:
    """(found), as which it has to be judged: one of IPv4 inside of IPv6 is of IPv4."""
    return getattr(found, "ipv4_mapped", None) or found


def is_public(found: Address) -> bool:
    """Whether (found) is on the open network, not the operator's own."""
    if isinstance(found, ipaddress.IPv6Address) and found.is_site_local:
        return False
    if any(found in each for each in _CARRIERS if each.version == found.version):
        return False
    return found.is_global and not (
        found.is_multicast
        or found.is_private
        or found.is_loopback
        or found.is_link_local
        or found.is_reserved
        or found.is_unspecified
    )


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: (name) or (networks), on (ports), all when that is None."""

    name: str
    networks: tuple[Network, ...]
    ports: frozenset[int] | None

    def has_port(self, port: int) -> bool:
        return self.ports is None or port in self.ports

    def has_name(self, host: str) -> bool:
        if self.name == "*":
            return True
        if self.name.startswith("*."):
            return host.endswith(self.name[1:])
        return host == self.name

    def has_address(self, found: Address) -> bool:
        return any(found in each for each in self.networks)


def parse_entry(text: str) -> Entry:
    """The entry that (text) is; ValueError when it is none."""
    if bare := _bare_network(text):
        return Entry("", (bare,), _WEB)
    found = _PLACE.fullmatch(text)
    if found is None:
        raise ValueError("not a host")
    host, length, port = found.groups()
    return replace(_entry(host, length or ""), ports=_ports(port))


def _bare_network(text: str) -> Network | None:
    """IPv6 without brackets, so without a port."""
    try:
        return ipaddress.ip_network(text) if text.count(":") > 1 else None
    except ValueError:
        return None


def _entry(host: str, length: str) -> Entry:
    literal = host.strip("[]")
    if length or host.startswith("[") or re.fullmatch(r"[0-9.]+", host):
        return Entry("", (_network(literal + length),), _WEB)
    name = host.lower().removesuffix(".")
    if name == "localhost":
        return Entry(name, _LOOPBACK, _WEB)
    if name != "*" and not _NAME.fullmatch(name.removeprefix("*.")):
        raise ValueError("not a name")
    return Entry(name, (), _WEB)


def _network(text: str) -> Network:
    found = ipaddress.ip_network(text)
    if isinstance(found, ipaddress.IPv6Network) and found.network_address.ipv4_mapped:
        raise ValueError("write it as an address of IPv4")
    return found


def _ports(text: str | None) -> frozenset[int] | None:
    if text is None:
        return _WEB
    if text == "*":
        return None
    if not 1 <= int(text) <= 65535:
        raise ValueError("not a port")
    return frozenset((int(text),))


class Policy:
    """What allowed_hosts, (entries), allow."""

    def __init__(self, entries: Iterable[str] = ()) -> None:
        self._entries = tuple(map(parse_entry, entries))

    def may_ask(self, url: Url) -> bool:
        """Whether it is worth to look (url)'s host up: its addresses come next."""
        literal = address(url.host)
        if literal:
            return self.may_reach(url, literal)
        return any(
            each.has_port(url.port) and (each.has_name(url.host) or each.networks)
            for each in self._entries
        )

    def may_reach(self, url: Url, found: Address) -> bool:
        """Whether (url) may be asked for from (found), which its host leads to."""
        entries = [each for each in self._entries if each.has_port(url.port)]
        if any(each.has_address(found) for each in entries):
            return True
        is_named = not address(url.host) and any(e.has_name(url.host) for e in entries)
        return is_named and is_public(found)

    def may_connect(self, found: Address, port: int) -> bool:
        """Whether a socket may lead to (found), which is plain(). A name says nothing
        of an address that nobody has looked up; "*" is every public one."""
        entries = [each for each in self._entries if each.has_port(port)]
        if any(each.has_address(found) for each in entries):
            return True
        return any(each.name == "*" for each in entries) and is_public(found)


def judge(wanted: Wanted, policy: Policy) -> Url:
    """The URL of (wanted), a request to another host; Failed if it may not be made."""
    names_and_values(wanted.fields)
    try:
        url = parse_url(wanted.url.decode("ascii"))
    except ValueError:
        raise Failed(errno.EINVAL) from None
    if not policy.may_ask(url):
        raise Failed(errno.EACCES)
    return url
