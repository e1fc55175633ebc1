"""What the command line refuses to do, said in one line with the next step."""

from __future__ import annotations


class Refused(Exception):
    """A command cannot be done as it was given; the message says why, and what to do instead."""
