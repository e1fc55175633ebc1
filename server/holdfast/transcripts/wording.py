"""What the grammar's findings say to a person: plain words first, then the API's.

Law: the API's sentence is always there, whole; a rule without plain words has only that. Nothing
here decides anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from holdfast.conversation.findings import Finding

IDS_MAX: Final = 3
"""How many ids of calls are named in front; the API's sentence names them all."""

_PLAIN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "A31": "a result refers to a tool that is not there",
        "R5": "a text holds half of a character",
        "R7": "the session is too large for one request",
        "R8": "a block has a field that the API does not know",
        "R9": "a field of a block is missing, or has a wrong type",
        "R20": "two messages of one role stand in a row",
        "R21": "the first message is not the user's",
        "R22": "the last message is the assistant's",
        "R23": "the session cannot end with these words of the assistant",
        "R31": "a block has a type that the API does not know",
        "R32": "a text is empty",
        "R33": "a text is blank",
        "R34": "a message is empty",
        "R35": "a message is empty",
        "R36": "a block stands in a message of the wrong role",
        "R37": "a document stands in a message of the wrong role",
        "R38": "the user's message has citations",
        "R39": "a message ends in thinking",
        "R40": "a call has no result",
        "R42": "a result answers no call of the message before it",
        "R43": "a call has more than one result",
        "R44": "two calls have one id",
        "R45": "the id of a call is not one that the API takes",
        "R46": "the name of a tool is not one that the API takes",
        "R47": "the input of a call is no object",
        "R48": "the result of a call that failed is not text, or empty",
        "R51": "a call of the API's own tools has no result",
        "R52": "a call of the API's own tools has no result",
        "R55": "a result answers no call of the API's own tools",
        "R59": "a picture cannot be read, or is not of the type that it claims to be",
        "R60": "a picture is too wide or too high",
        "R61": "a picture has too many bytes",
        "R62": "there are too many pictures or pages",
        "R63": "a PDF cannot be read",
        "R64": "a picture or a document is linked to, and the link may lead nowhere",
        "R71": "thinking has no signature that the API takes",
        "R81": "a cache mark is malformed",
        "R94": "the summary of a compaction has no signature that the API takes",
    }
)
_PLURAL: Final[Mapping[str, str]] = MappingProxyType({"R40": "{count} calls have no results"})


def said_of(finding: Finding) -> str:
    """Return what is wrong in plain words, with the ids of calls, then the API's sentence."""
    plain = _PLAIN.get(finding.rule)
    if plain is None:
        return finding.detail
    count = len(finding.ids)
    if count > 1:
        plain = _PLURAL.get(finding.rule, plain).format(count=count)
    named = ", ".join(filter(None, finding.ids[:IDS_MAX]))
    if count > IDS_MAX:
        named += ", …"
    about = f" ({named})" if named else ""
    return f"{plain}{about}. The API says: {finding.detail}"
