"""Real pictures and PDFs, made with Pillow or by hand, and ways of damaging them."""

from __future__ import annotations

import base64
import io
import random
import struct
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from PIL import Image

from holdfast.conversation.history import Block

TYPES: Final = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}


@cache
def drawn(form: str, width: int = 8, height: int = 6, mode: str = "RGB", **options: Any) -> bytes:
    """A picture with a gradient, in a format of Pillow's."""
    ramp = Image.linear_gradient("L").resize((width, height))
    image = Image.merge("RGB", (ramp, ramp.rotate(180), Image.new("L", ramp.size, 99)))
    return saved(image.convert(mode), form, **options)


@cache
def noise(form: str, width: int, height: int, **options: Any) -> bytes:
    """A picture that no encoding makes small."""
    data = random.Random(width * height).randbytes(width * height * 3)
    return saved(Image.frombytes("RGB", (width, height), data), form, **options)


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def animation(form: str, frames: int = 3) -> bytes:
    colours = [Image.new("RGB", (8, 6), (n * 60, 0, 0)) for n in range(frames)]
    return saved(colours[0], form, save_all=True, append_images=colours[1:])


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header promises more pixels than anyone can hold."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b""))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


def pdf(pages: int = 1, *, encrypted: bool = False, packed: bool = False) -> bytes:
    """A PDF with empty pages; `packed` keeps them in an object stream, as newer writers do."""
    kids = " ".join(f"{3 + n} 0 R" for n in range(pages))
    leaves = [f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /N {n} >>" for n in range(pages)]
    body = "%PDF-1.5\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n"
    body += f"2 0 obj\n<< /Type /Pages /Kids [{kids}] /Count {pages} >>\nendobj\n"
    out = body.encode()
    if packed:
        stream = zlib.compress("\n".join(leaves).encode())
        out += f"9 0 obj\n<< /Type /ObjStm /Length {len(stream)} >>\nstream\n".encode()
        out += stream + b"\nendstream\nendobj\n"
    else:
        for number, leaf in enumerate(leaves, start=3):
            out += f"{number} 0 obj\n{leaf}\nendobj\n".encode()
    key = " /Encrypt 7 0 R" if encrypted else ""
    return out + f"trailer\n<< /Root 1 0 R{key} >>\n%%EOF\n".encode()


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def source_of(data: bytes | str, media_type: str) -> dict[str, Any]:
    text = data if isinstance(data, str) else encoded(data)
    return {"type": "base64", "media_type": media_type, "data": text}


def image(data: bytes | str, media_type: str = "image/png", **more: Any) -> Block:
    return Block.of({"type": "image", "source": source_of(data, media_type), **more})


def paper(data: bytes | str, **more: Any) -> Block:
    return Block.of({"type": "document", "source": source_of(data, "application/pdf"), **more})


def result(*items: Block | dict[str, Any], tool_id: str = "t1", **more: Any) -> Block:
    content = [dict(item.data) if isinstance(item, Block) else item for item in items]
    return Block.of({"type": "tool_result", "tool_use_id": tool_id, "content": content, **more})


def opened(block: Block) -> Image.Image:
    """The picture of a block, decoded to its last pixel."""
    found = Image.open(io.BytesIO(base64.b64decode(block.get("source")["data"])))
    found.load()
    return found


DAMAGES: Final[dict[str, Callable[[str], str]]] = {
    "line ends": lambda text: "\r\n".join(text[n : n + 76] for n in range(0, len(text), 76)),
    "a data address": lambda text: f"data:image/png;base64,{text}",
    "no padding": lambda text: text.rstrip("="),
    "the alphabet of addresses": lambda text: text.replace("+", "-").replace("/", "_"),
    "blanks around": lambda text: f" {text}\n",
}
"""Ways of writing base64 that the API refuses and that lose nothing."""
