"""A strict local Messages API over real HTTP, with scripted answers and faults.

Law: it refuses what the API refuses, with the API's words, and is written from the specification
alone: it shares no code with the product it tests. Tests, the demo and `holdfast simulator` use it.
"""

from holdfast.simulator.faults import FAULTS, UnknownFault
from holdfast.simulator.log import LogEntry
from holdfast.simulator.refusals import WORDINGS
from holdfast.simulator.script import (
    BlockItem,
    Fault,
    Match,
    RedactedThinkingItem,
    Respond,
    Script,
    ScriptError,
    ServerToolUseItem,
    Step,
    TextItem,
    ThinkingItem,
    ToolUseItem,
)
from holdfast.simulator.server import Simulator, serve

__all__ = [
    "FAULTS",
    "WORDINGS",
    "BlockItem",
    "Fault",
    "LogEntry",
    "Match",
    "RedactedThinkingItem",
    "Respond",
    "Script",
    "ScriptError",
    "ServerToolUseItem",
    "Simulator",
    "Step",
    "TextItem",
    "ThinkingItem",
    "ToolUseItem",
    "UnknownFault",
    "serve",
]
