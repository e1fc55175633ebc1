"""Holdfast: a language server that owns AI coding sessions, so that they never die."""

__version__ = "0.1.0"
