"""Step 8, media: images and documents as far as their own bytes tell (R58 to R64).

Law: an image is what its bytes say, not what its `media_type` says, and is read to its end. Images
inside tool results and documents count like all others.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from holdfast.simulator.models import ModelSpec
from holdfast.simulator.refusals import refuse
from holdfast.simulator.rules.pictures import picture_of
from holdfast.simulator.rules.request import (
    Account,
    JsonObject,
    Located,
    nested_blocks,
    walk_blocks,
)

SIDE_MAX: Final = 8000
SIDE_MAX_MANY: Final = 2000
MANY_IMAGES: Final = 20
_MEBIBYTE: Final = 1024 * 1024
_SMALL_WINDOW: Final = 200_000
_PDF_PAGE: Final = re.compile(rb"/Type\s*/Page(?![a-zA-Z])")


@dataclass(slots=True)
class MediaBudget:
    """What one request may hold: how many images there are, and the pages left."""

    images: int
    pages_max: int
    account: Account
    pages: int = 0

    @classmethod
    def of(cls, messages: list[JsonObject], model: ModelSpec, account: Account) -> MediaBudget:
        """Count the images of a request; 600 of them or pages are legal, 100 at 200k (R62)."""
        images = sum(
            inner["type"] == "image"
            for _, block in walk_blocks(messages)
            for _, inner in (("", block), *_inside_document(block))
        )
        return cls(images, 100 if model.window_tokens <= _SMALL_WINDOW else 600, account)


def check_media(place: Located, budget: MediaBudget) -> None:
    """Check one top-level block and what it holds."""
    if budget.images > budget.pages_max:
        raise refuse("R62b", max=budget.pages_max)
    if place.type == "container_upload":
        _check_file(place.data["file_id"], budget.account)
    _check_block(place.data, place.path, budget)
    for k, inner in enumerate(nested_blocks(place.data)):
        _check_block(inner, f"{place.path}.{place.type}.content.{k}", budget)


def _inside_document(block: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    """Yield the blocks of a document that is made of blocks, with their paths inside it."""
    source = block.get("source") if block["type"] == "document" else None
    content = source.get("content") if isinstance(source, dict) else None
    for k, inner in enumerate(content if isinstance(content, list) else ()):
        yield f"document.source.content.content.{k}", inner


def _check_block(block: JsonObject, path: str, budget: MediaBudget) -> None:
    kind = block["type"]
    if kind not in ("image", "document"):
        return
    source: JsonObject = block["source"]
    match source["type"]:
        case "url" if not source["url"].startswith(("https://", "http://")):
            raise refuse("R64")
        case "file":
            _check_file(source["file_id"], budget.account)
        case "base64" if kind == "image":
            _check_image(source, f"{path}.image.source.base64", budget)
        case "base64":
            _check_pdf(source, f"{path}.pdf.source.base64", budget)
    for inside, inner in _inside_document(block):
        _check_block(inner, f"{path}.{inside}", budget)


def _check_file(identifier: str, account: Account) -> None:
    if identifier in account.expired_files:
        raise refuse("R58b", id=identifier)
    if account.files is not None and identifier not in account.files:
        raise refuse("R58", id=identifier)


def _check_image(source: JsonObject, path: str, budget: MediaBudget) -> None:
    encoded: str = source["data"]
    bytes_max = budget.account.endpoint.image_bytes_max
    if len(encoded) > bytes_max:
        raise refuse("R61", path=path, m=bytes_max // _MEBIBYTE, n=len(encoded), max=bytes_max)
    picture = picture_of(encoded)
    if picture is None:
        raise refuse("R59b")
    if picture.media_type != source["media_type"]:
        raise refuse("R59a", path=path, media_type=source["media_type"])
    for rule, limit, applies in (
        ("R60a", SIDE_MAX, True),
        ("R60b", SIDE_MAX_MANY, budget.images > MANY_IMAGES),
    ):
        if applies and max(picture.width, picture.height) > limit:
            details = {"max_side_length_pixels": limit, "paths": [f"{path}.data"]}
            raise refuse(rule, path=path, details=details)
    if not picture.whole or not min(picture.width, picture.height):
        raise refuse("R59b")


def _check_pdf(source: JsonObject, path: str, budget: MediaBudget) -> None:
    try:
        data = base64.b64decode(source["data"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise refuse("R63") from error
    if not data.startswith(b"%PDF-") or b"/Encrypt" in data:
        raise refuse("R63")
    budget.pages += len(_PDF_PAGE.findall(data))
    if budget.pages + budget.images > budget.pages_max:
        raise refuse("R62", path=path, max=budget.pages_max)
