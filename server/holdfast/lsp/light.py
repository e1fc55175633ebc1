"""Loads LSP's types at half their price (S1).

Law: nothing in this package compares or prints protocol values, so they need neither `__eq__` nor
`__repr__`; and they live for one message, so they need no slots, for which attrs makes each class
a second time. Half of a pygls server's start is attrs making 554 classes. Only public means are
used: the decorator is called with other arguments while the one module loads.
"""

from __future__ import annotations

import importlib
import sys
from functools import partial
from typing import Any, Final

import attrs

PROTOCOL_TYPES: Final = "lsprotocol.types"


def import_protocol_types() -> None:
    """Load the types, unless someone has done so already. To be called before pygls is loaded."""
    if PROTOCOL_TYPES in sys.modules:
        return
    module: Any = attrs
    define = module.define
    module.define = partial(define, eq=False, repr=False, slots=False)
    try:
        importlib.import_module(PROTOCOL_TYPES)
    finally:
        module.define = define
