"""skerry: an edge compute host. README.md shows it, ARCHITECTURE.md explains it."""

from importlib.metadata import version

__version__ = version("skerry")
