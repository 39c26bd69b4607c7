"""The options that several measurements have."""

import argparse
import shlex

from bench import server


def of_pairs(doc: str, rounds: int, seconds: int) -> argparse.ArgumentParser:
    """Those of a measurement by pairs of runs, which (doc) begins to describe."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=rounds, help="pairs of runs")
    parser.add_argument("--seconds", type=int, default=seconds, help="of one run")
    return parser


def add_ours(parser: argparse.ArgumentParser) -> None:
    """What is measured."""
    parser.add_argument(
        "--ours",
        type=shlex.split,
        default=server.SKERRY,
        help="another command to measure; its figures are shown and not kept",
    )
