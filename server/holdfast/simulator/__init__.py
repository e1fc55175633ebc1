"""A strict local Messages API over real HTTP, with scripted answers and faults.

Law: it refuses what the API refuses, with the API's words, and is written from the specification
alone: it shares no code with the product it tests. Tests, the demo and `holdfast simulator` use it.
"""

from holdfast.simulator.endpoints import ENDPOINTS
from holdfast.simulator.faults import FAULTS, UnknownFault
from holdfast.simulator.injected import InjectedRule
from holdfast.simulator.log import LogEntry
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
from holdfast.simulator.wordings import WORDINGS

__all__ = [
    "ENDPOINTS",
    "FAULTS",
    "WORDINGS",
    "BlockItem",
    "Fault",
    "InjectedRule",
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
