"""What all built-in tools share: typed arguments, one guard, one shape of questions.

Law: arguments are foreign JSON of any shape (A27). They become a frozen struct or an error result;
no tool sees anything else. Whatever goes wrong inside a tool becomes a result too (port: `run` is
total); only cancellation passes.
"""

from __future__ import annotations

import errno
import fnmatch
import glob
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, Generic, TypeVar

import msgspec

from holdfast.conversation import encoding
from holdfast.tools import output, paths
from holdfast.tools.errors import ToolFailure
from holdfast.tools.port import Question, ToolContext, ToolOutput

logger = logging.getLogger(__name__)

ArgumentsT = TypeVar("ArgumentsT", bound=msgspec.Struct)

DETAIL_BYTES_MAX: Final = 8_000
UNPARSED: Final = "_unparsed"  # where the turn puts arguments that were no JSON object (A27)


class BaseTool(ABC, Generic[ArgumentsT]):
    """A built-in tool. Subclasses declare what it is and implement `perform`."""

    name: str
    mutates: bool = False
    leaves_trace: bool = False
    description: ClassVar[str]
    properties: ClassVar[Mapping[str, Any]]
    required: ClassVar[tuple[str, ...]]
    arguments_type: type[ArgumentsT]

    @property
    def definition(self) -> Mapping[str, Any]:
        """The tool in the API's shape. Always the same bytes: the prompt's prefix rests on them."""
        return {
            "name": self.name,
            "description": self.description,
            "input_schema": {
                "type": "object",
                "properties": self.properties,
                "required": list(self.required),
                "additionalProperties": False,
            },
        }

    def target(self, arguments: Mapping[str, Any], context: ToolContext | None = None) -> str:
        """Return the path or command line that patterns are matched against; `""` if unusable.

        With a context, paths are resolved, so that no other spelling slips past a rule.
        """
        try:
            return self.target_of(self.parse(arguments), context)
        except ToolFailure:
            return ""

    def question(self, arguments: Mapping[str, Any], context: ToolContext) -> Question:
        """Return what a person is asked. Total."""
        target = self.target(arguments, context)
        try:
            title, detail = self.ask(self.parse(arguments), context)
        except ToolFailure as failure:
            title, detail = f"Run `{self.name}` with arguments it will refuse?", str(failure)
        return Question(
            title=output.one_line(title),
            detail=output.clip(output.safe(detail), DETAIL_BYTES_MAX),
            pattern=exactly(target),
        )

    def changes(self, arguments: Mapping[str, Any], context: ToolContext) -> Path | None:
        """Return the one file that a call would change; None when it is not exactly one."""
        try:
            return self.changed_by(self.parse(arguments), context)
        except ToolFailure:
            return None

    def changed(
        self, arguments: Mapping[str, Any], context: ToolContext, before: str | None
    ) -> str:
        """Return the text of its file after a call. Raises `ToolFailure`."""
        return self.text_after(self.parse(arguments), context, before)

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolOutput:
        """Run one call. Total: everything but cancellation becomes a `ToolOutput`."""
        try:
            return await self.perform(self.parse(arguments), context)
        except ToolFailure as failure:
            return output.failed(str(failure), context)
        except OSError as error:
            return output.failed(in_words(error, context), context)
        except Exception as error:
            logger.exception("tool failed inside", extra={"tool": self.name})
            return output.failed(
                f"The tool {self.name!r} failed inside ({type(error).__name__}). "
                "Whether it had any effect is unknown; check before you try again.",
                context,
            )

    def parse(self, arguments: object) -> ArgumentsT:
        """Return typed arguments. Raises `ToolFailure` naming what does not fit."""
        if isinstance(arguments, Mapping) and UNPARSED in arguments:
            raise ToolFailure("The arguments were not valid JSON, so the call was not run.")
        try:
            clean = encoding.without_lone_surrogates(arguments)
            return msgspec.convert(clean, self.arguments_type)
        except msgspec.ValidationError as error:
            raise ToolFailure(f"Invalid arguments for {self.name!r}: {error}.") from error
        except RecursionError as error:
            raise ToolFailure(f"Invalid arguments for {self.name!r}: nested too deep.") from error

    @abstractmethod
    def target_of(self, arguments: ArgumentsT, context: ToolContext | None) -> str:
        """Return what permission patterns are matched against."""

    def changed_by(self, arguments: ArgumentsT, context: ToolContext) -> Path | None:  # noqa: ARG002 - for subclasses
        """Return the one file that a call would change; tools that change one say which."""
        return None

    def text_after(
        self,
        arguments: ArgumentsT,  # noqa: ARG002 - for subclasses
        context: ToolContext,  # noqa: ARG002 - for subclasses
        before: str | None,  # noqa: ARG002 - for subclasses
    ) -> str:
        """Return what a file becomes; tools that change one file say it."""
        raise ToolFailure(f"{self.name!r} does not change one file.")

    def ask(self, arguments: ArgumentsT, context: ToolContext) -> tuple[str, str]:  # noqa: ARG002 - for subclasses
        """Return title and detail of the question; mutating tools say more."""
        return f"Allow `{self.name}`?", encoding.encode(msgspec.to_builtins(arguments))

    @abstractmethod
    async def perform(self, arguments: ArgumentsT, context: ToolContext) -> ToolOutput:
        """Do it. May raise `ToolFailure`, `OSError` and, after cleaning up, cancellation."""


def exactly(target: str) -> str:
    """Return the pattern that matches `target` and nothing else."""
    pattern = glob.escape(target)
    assert fnmatch.fnmatchcase(target, pattern)
    return pattern


def in_words(error: OSError, context: ToolContext) -> str:
    """Say what the operating system refused, naming the file relative to the workspace."""
    place = paths.shown(str(error.filename), context) if error.filename else ""
    match error.errno:
        case errno.ENOENT:
            return f"{place or 'The path'} does not exist."
        case errno.EISDIR:
            return f"{place or 'The path'} is a directory, not a file."
        case errno.ENOTDIR:
            return f"{place or 'A part of the path'} is not a directory."
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return f"No permission for {place or 'this path'} ({error.strerror})."
        case errno.ENOSPC | errno.EDQUOT:
            return "The disk is full. Free some space and try again."
        case _:
            reason = error.strerror or str(error) or type(error).__name__
            return f"{place}: {reason}." if place else f"{reason}."
