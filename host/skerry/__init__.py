"""skerry: an edge compute host. README.md shows it, ARCHITECTURE.md explains it."""

__version__ = "0.1.0"
