"""C++ names as people write them, as far as that is simple.

Itanium C++ ABI, 5.1. Of a mangled name this reads what names the function; its types
stay out, and a name with templates or operators stays as it is: reading all of the
grammar would take a program, and names that expand without end, time.
"""

import re

_NUMBER = re.compile(r"\d{1,3}")
_QUALIFIERS = re.compile(r"[rVK]*[RO]?")
_STRUCTORS = {"C": "{0}", "D": "~{0}"}


def demangle(name: str) -> str:
    """ "space::function" for "_ZN5space8functionEi"; (name) if that is not simple."""
    if not name.startswith("_Z"):
        return name
    parts, at, nested = [], 2, name.startswith("N", 2)
    if nested:
        found = _QUALIFIERS.match(name, at + 1)
        at = found.end() if found else at
    if name.startswith("L", at) and not nested:
        at += 1  # static
    while found := _NUMBER.match(name, at):
        at = found.end() + int(found[0])
        parts.append(name[found.end() : at])
        if not nested:
            break
    structor = _STRUCTORS.get(name[at : at + 1]) if nested and parts else None
    if structor and name[at + 1 : at + 2] in tuple("0123"):
        parts.append(structor.format(parts[-1]))
        at += 2
    is_whole = bool(parts) and at <= len(name) and "" not in parts
    is_simple = name.startswith("E", at) if nested else not name.startswith("I", at)
    if not (is_whole and is_simple):
        return name
    shown = ["(anonymous)" if part.startswith("_GLOBAL__N") else part for part in parts]
    return "::".join(shown)
