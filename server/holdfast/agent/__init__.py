"""The moving parts: drivers, compaction, supervisor, recovery, approvals.

Law: sessions belong to the supervisor, not to a connection or a window. Each session has one owner
task and one mailbox; only the owner appends. Effects are carried out after their events are
durable, and nothing is shown before it is in the journal.
"""
