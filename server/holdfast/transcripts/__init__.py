"""Session files of other agents: tolerant readers that never write.

Law: reading a transcript never fails because of what is in it and never changes it (P8). What
cannot be read is a note with its place; what is damaged comes through as it is, for `repair` to
mend.
"""
