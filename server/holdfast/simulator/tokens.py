"""The token estimate: bytes / 3.5, one function for counting, usage and limits.

Law: every number of tokens that the simulator speaks of comes from here, so that
`count_tokens`, `usage` and "prompt is too long" never contradict each other.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final

from holdfast.simulator.rules.pictures import image_tokens

BYTES_PER_TOKEN: Final = 3.5


def of_bytes(count: int) -> int:
    """Return the estimate for `count` bytes of text, rounded up."""
    return math.ceil(count / BYTES_PER_TOKEN)


def of_text(text: str) -> int:
    """Return the estimate for a text."""
    return of_bytes(len(text.encode("utf-8", "surrogatepass")))


def of_value(value: Any) -> int:
    """Return the estimate for JSON data; images count by their pixels, not by their bytes."""
    images: list[int] = []
    shown = _without_images(value, images)
    return of_text(json.dumps(shown, ensure_ascii=False, separators=(",", ":"))) + sum(images)


def of_prompt(body: Mapping[str, Any]) -> int:
    """Return the estimate for everything that the model is shown: system, tools, messages."""
    return of_value([body.get("system"), body.get("tools"), body["messages"]])


def _without_images(value: Any, images: list[int]) -> Any:
    if isinstance(value, list):
        return [_without_images(item, images) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("type") == "image" and "source" in value:
        images.append(image_tokens(value["source"]))
        return {"type": "image"}
    return {key: _without_images(item, images) for key, item in value.items()}
