"""A look at the clock of programs for as long as one likes: it stays this machine's."""
