"""Preparing a compaction: the ladder from the API's own compaction down to a sentence.

Law: it always ends in a summary, within its deadline, whatever the model does (P5). Nothing in here
changes the session: what was found out is posted, and the state machine decides and commits.
"""

from holdfast.agent.compaction.hurry import Hurry
from holdfast.agent.compaction.ladder import FLOOR, prepare
from holdfast.agent.compaction.task import Task

__all__ = ["FLOOR", "Hurry", "Task", "prepare"]
