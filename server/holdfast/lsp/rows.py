"""A row of the table of commands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

if TYPE_CHECKING:
    from holdfast.lsp import params as p

Handler: TypeAlias = Callable[[Any, Any], Awaitable[Any]]


@attrs.frozen
class Command:
    """One command. `example` and `result` are an argument and its answer, for people."""

    name: str
    params: type[p.Params]
    handler: Handler
    summary: str
    example: Mapping[str, Any]
    result: Mapping[str, Any]
