"""File descriptors: every connection takes one, and every guest takes some."""

import resource


def raise_limit() -> int:
    """Raises this process's limit as far as it may, unless that is done: a jail lets
    nobody set it. Returns the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def most_connections(wanted: int) -> int:
    """How many connections to allow when (wanted) would be right: at most three
    quarters of the descriptors, as a program that cannot make guests cannot answer."""
    return min(wanted, raise_limit() // 4 * 3)
