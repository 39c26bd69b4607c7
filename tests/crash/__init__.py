"""The crash test: whatever dies, nothing that was acknowledged is lost.

Clients change state in programs, processes are killed meanwhile, and every answer is
held against what it promised. `python -m tests.crash --help` runs it by hand.
"""
