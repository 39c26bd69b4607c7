"""What a program has found out, here and on the real Linux."""


def results(text: str) -> dict[str, str]:
    """{call: result} of lines "CALL = RESULT"; a CALL that comes again has a number."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        call, result = line.rsplit(" = ", 1)
        count = sum(known.split(" #")[0] == call for known in found)
        found[f"{call} #{count + 1}" if count else call] = result
    return found
