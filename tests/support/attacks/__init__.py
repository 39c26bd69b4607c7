"""What hostile programs do, by subject: the functions, and how each of them ends."""
