"""Calls of programs, native ones and guests, as lines for people."""
