"""Media for property tests: sound, damaged, misnamed, dressed up, of every shape."""

from __future__ import annotations

from hypothesis import strategies as st

from holdfast.conversation.history import Block, text
from media import pictures as make

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><text>a kelp</text></svg>'
BYTES = [
    make.drawn("PNG"), make.drawn("JPEG"), make.drawn("GIF"), make.drawn("WEBP"),
    make.drawn("PNG", 30, 3), make.drawn("JPEG", 90, 3), make.noise("PNG", 40, 40),
    make.drawn("BMP"), SVG, b"", b"\0\1",
    make.drawn("PNG")[:40], make.pdf(3), make.pdf(9), make.pdf(encrypted=True), b"words",
]  # fmt: skip
TYPES = ["image/png", "image/jpeg", "image/jpg", "application/pdf", "text/plain", None, 7]
dressed = st.one_of(
    st.sampled_from(BYTES).map(make.encoded),
    st.builds(lambda d, b: make.DAMAGES[d](make.encoded(b)), st.sampled_from(list(make.DAMAGES)),
              st.sampled_from(BYTES)),
    st.text("Aa=/+-_ \n,:;", max_size=9),
)  # fmt: skip
sources = st.one_of(
    st.builds(lambda d, t: {"type": "base64", "media_type": t, "data": d}, dressed,
              st.sampled_from(TYPES)),
    st.builds(lambda d: {"type": "url", "url": f"data:image/png;base64,{d}"}, dressed),
    st.sampled_from([{"type": "url", "url": "https://a"}, {"type": "url", "url": "ftp://a"},
                     {"type": "url", "url": "data:,a%20b"}, {"type": "file", "file_id": "f"},
                     {"type": "base64"}, {"type": "text", "media_type": "text/plain", "data": "w"},
                     None, [], {}, {"type": "base64", "data": 3, "media_type": "image/png"}]),
)  # fmt: skip
items = st.builds(
    lambda kind, source, more: {"type": kind, "source": source, **more},
    st.sampled_from(["image", "document"]),
    sources,
    st.sampled_from([{}, {}, {"title": "a name"}, {"cache_control": {"type": "ephemeral"}}]),
)
media_blocks = st.one_of(
    items.map(Block.of),
    st.lists(items, max_size=4).map(lambda found: make.result(*found)),
    st.just(text("words")),
)
