"""The verbs of the command line, one file each: add(parsers), and what it runs."""
