"""The memory of another process."""

import ctypes

_libc = ctypes.CDLL(None, use_errno=True)
_PAGE = 4096


class _Range(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


def read_memory(pid: int, address: int, size: int) -> bytes:
    """Up to (size) bytes of process (pid); fewer, or none, where there is no more."""
    data, room = b"", ctypes.create_string_buffer(_PAGE)
    ours = _Range(ctypes.addressof(room))
    while len(data) < size and 0 <= address + len(data) < 1 << 47:
        at = address + len(data)
        # No further than the page: the next one may not be there.
        ours.size = min(size - len(data), _PAGE - at % _PAGE)
        theirs = _Range(at, ours.size)
        count = _libc.process_vm_readv(
            pid, ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0
        )
        if count <= 0:
            break
        data += room.raw[:count]
    return data
