"""Streamed responses over loopback: a bare uvloop server that writes the same pieces
over ours, interleaved in one run.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

# Not this file's directory: its http.py would stand in for the stdlib's http.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import guests, load, options, report, server

FLOOR = (sys.executable, "bench/stream_server.py")
MIB = 16  # of one response
CONNECTIONS = 4


def configure() -> Path:
    """A configuration of the program that streams."""
    file = guests.BUILD / "stream.json"
    program = guests.build("stream")
    file.write_text(json.dumps({"stream": {"filename": str(program)}}))
    return file


def measure(args: argparse.Namespace) -> load.Comparison:
    ours = server.skerry(configure(), "--workers", "1")
    with server.running(ours) as port, server.running(FLOOR) as floor_port:
        return load.compare(
            f"http://127.0.0.1:{floor_port}/",
            f"http://127.0.0.1:{port}/stream",
            seconds=args.seconds,
            count=args.rounds,
            cpu=server.cpus()[1],
            connections=CONNECTIONS,
        )


def arguments() -> argparse.Namespace:
    return options.of_pairs(__doc__, rounds=5, seconds=2).parse_args()


def main() -> int:
    load.require()
    found = measure(arguments())
    floor, ours = found.floor_rate * MIB, found.our_rate * MIB
    print(f"bare uvloop {floor:.0f} MiB/s, ours {ours:.0f} MiB/s")
    figures = {"stream_floor_over_ours": found.ratio}
    report.table(figures, sys.stdout)
    report.save(figures, {"stream_floor_over_ours": asdict(found)})
    return 1 if found.errors else 0


if __name__ == "__main__":
    sys.exit(main())
