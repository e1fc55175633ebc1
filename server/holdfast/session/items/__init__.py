"""A session as a person sees it: what was said, thought, called and noticed, as a list of items.

Law: pure. `Items` folds journal events to items and to changes of items; editors only render them,
so that no client needs to know the journal's vocabulary.
"""

from __future__ import annotations

from holdfast.session.items.fold import Items
from holdfast.session.items.shapes import (
    Action,
    Append,
    Change,
    Item,
    NoticeItem,
    PromptItem,
    Put,
    Remove,
    TextItem,
    ThinkingItem,
    ToolItem,
)
from holdfast.session.items.tools import whole_output

__all__ = [
    "Action",
    "Append",
    "Change",
    "Item",
    "Items",
    "NoticeItem",
    "PromptItem",
    "Put",
    "Remove",
    "TextItem",
    "ThinkingItem",
    "ToolItem",
    "whole_output",
]
