"""Transcripts of other agents as documents of an editor.

Law: the event loop never parses one. `workers.py` asks a process (`worker.py`) that keeps a `View`
of each open transcript and answers in encoded JSON; `diagnostics.py` decides what is asked when,
`features.py` and `commands.py` pass on what people ask.
"""
