"""skerry: an edge compute host. See README.md, and ARCHITECTURE.md for its structure."""

from importlib.metadata import version

__version__ = version("skerry")
