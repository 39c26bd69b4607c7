"""The supervisor: starts, watches and replaces the processes that do the work."""
