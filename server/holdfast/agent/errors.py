"""What the supervisor raises about requests.

Law: each error says in plain words what is wrong, and its `action` is the next step. They stand
apart from the values of `api`, for the table of errors is loaded before `initialize` is answered
and the values are not (S1).
"""

from __future__ import annotations


class AgentError(Exception):
    """Base of these errors. `action` is the next step."""

    action: str = "Look at the log for details."


class NothingToCompact(AgentError):
    """There is no part of the history that a compaction could replace."""

    action = "Go on; a compaction helps once there is more history."


class NotWhileBusy(AgentError):
    """The request needs an idle session."""

    action = "Stop the turn or wait until it ends, then try again."


class UnknownQuestion(AgentError):
    """There is no such question, or it has been answered with something else."""

    action = "Ask holdfast.session.state for the open questions."


class UnknownPrompt(AgentError):
    """The session has no such prompt."""

    action = "Ask holdfast.session.messages for the session's prompts."


class UnknownToolCall(AgentError):
    """The session has no such tool call."""

    action = "Ask holdfast.session.items for the session's tool calls."


class UnknownCompaction(AgentError):
    """The session has no such compaction, or what it covers was rewound."""

    action = "Ask holdfast.session.compactions for the session's compactions."


class BadPrompt(AgentError):
    """A prompt without content, or with content that no request may carry."""

    action = "Send `text` with at least one visible character, or `content` with text or images."


class UnknownModel(AgentError):
    """The endpoint has no such model."""

    action = "Choose a model that holdfast.model.list shows."


class UnknownEndpoint(AgentError):
    """The settings name no such endpoint."""

    action = "Choose an endpoint that holdfast.endpoint.list shows."


class UnsupportedFormat(AgentError):
    """A format that cannot be read or written."""

    action = "Use one of the formats named in the message."
