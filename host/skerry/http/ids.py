"""What a request is called, here and at whoever sent it: X-Request-Id."""

import itertools
import re
import secrets

NAME = b"x-request-id"
_SANE = re.compile(rb"[!#-&(-~]{1,128}")  # printable, without spaces and quotes
# This process's own 48 random bits, then a number: no system call for each.
_LINE = b"X-Request-Id: " + secrets.token_hex(6).encode() + b"-%x\r\n"

# new_line() is the header line of an id that no other request has. Every request has
# one made: so this is an iterator's own step, without a frame.
new_line = map(_LINE.__mod__, itertools.count(1)).__next__


def line_of(value: bytes) -> bytes | None:
    """The header line of the id that a client has given, None if it is none."""
    return b"X-Request-Id: %b\r\n" % value if _SANE.fullmatch(value) else None
