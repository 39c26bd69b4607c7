"""Load that changes all the time on programs that use everything, and a look at what it
leaves behind."""
