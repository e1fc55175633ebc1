"""What images and PDFs say of themselves, read from the few bytes that say it (R59-R63)."""

from __future__ import annotations

import binascii

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.conversation import media
from media import pictures as make

FORMS = {
    "PNG": make.drawn("PNG", 31, 17),
    "grey PNG": make.drawn("PNG", 31, 17, "L"),
    "JPEG": make.drawn("JPEG", 31, 17),
    "progressive JPEG": make.drawn("JPEG", 31, 17, progressive=True),
    "JPEG with a comment": make.drawn("JPEG", 31, 17, comment=b"x" * 60_000),
    "GIF": make.drawn("GIF", 31, 17),
    "WEBP": make.drawn("WEBP", 31, 17),
    "lossless WEBP": make.drawn("WEBP", 31, 17, lossless=True),
    "WEBP with alpha": make.drawn("WEBP", 31, 17, "RGBA", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0"),
}
any_bytes = st.one_of(
    st.binary(max_size=80),
    st.builds(
        lambda data, at, byte: data[:at] + bytes([byte]) + data[at + 1 :],
        st.sampled_from([*FORMS.values(), make.pdf(2), make.pdf(2, packed=True)]),
        st.integers(0, 200),
        st.integers(0, 255),
    ),
    st.builds(
        lambda data, cut: data[:cut], st.sampled_from([*FORMS.values()]), st.integers(0, 200)
    ),
)
many = settings(max_examples=150, deadline=None)


@pytest.mark.parametrize("name", FORMS)
def test_R59_type_and_sides_come_from_the_bytes(name: str) -> None:
    data = FORMS[name]
    kind = make.TYPES[next(form for form in make.TYPES if form in name)]
    expected = media.Picture(kind, 31, 17, complete=True)
    assert media.picture(media.Plain(data)) == expected
    assert media.picture_in(make.encoded(data)) == expected


@many
@given(st.binary(max_size=40), st.integers(0, 45), st.integers(0, 45))
def test_a_piece_of_encoded_bytes_is_the_piece_of_the_bytes(
    data: bytes, start: int, length: int
) -> None:
    found = media.Encoded(make.encoded(data))
    assert found.size == len(data)
    assert found.read(start, length) == data[start : start + length]


@many
@given(any_bytes)
def test_looking_is_total_and_does_not_depend_on_how_the_bytes_are_held(data: bytes) -> None:
    assert media.document(data) == (media.document_in(make.encoded(data)) if data else None)
    found = media.picture(media.Plain(data))
    assert found == (media.picture_in(make.encoded(data)) if data else None)


@many
@given(st.sampled_from([*FORMS]), st.data())
def test_A20_a_picture_that_was_cut_is_called_incomplete(name: str, data: st.DataObject) -> None:
    whole = FORMS[name]
    cut = data.draw(st.integers(0, len(whole) - 1))
    found = media.picture(media.Plain(whole[:cut]))
    assert found is None or not found.readable


@pytest.mark.parametrize("name", ["PNG", "JPEG", "GIF", "WEBP"])
def test_A20_what_stands_after_a_picture_does_not_matter(name: str) -> None:
    found = media.picture(media.Plain(FORMS[name] + b"a film" * 9_000))
    assert found is not None
    assert found.readable


def test_only_the_ends_of_a_large_picture_are_decoded() -> None:
    class Counted(media.Encoded):
        decoded = 0

        def read(self, start: int, length: int) -> bytes:
            Counted.decoded += length
            return super().read(start, length)

    text = make.encoded(make.noise("JPEG", 900, 900, quality=95))
    assert media.picture(Counted(text)) == media.Picture("image/jpeg", 900, 900, complete=True)
    assert Counted.decoded < 5_000 < len(text) / 100


@pytest.mark.parametrize("text", ["", "A", "AA=", "AA\n=", "A===", "AA-_", "ÄAAA", "=AAA", "A=AA"])
def test_A20_what_the_api_does_not_take_for_base64(text: str) -> None:
    assert not media.is_base64(text)


@many
@given(st.text("Aa0+/=-_\n ", max_size=12))
def test_what_is_called_base64_can_be_decoded(text: str) -> None:
    if media.is_base64(text):
        assert len(binascii.a2b_base64(text, strict_mode=True)) == media.Encoded(text).size


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("pages", [1, 7, 101])
def test_R62_the_pages_of_a_pdf_are_counted_wherever_they_stand(pages: int, packed: bool) -> None:
    assert media.document(make.pdf(pages, packed=packed)) == media.Document(pages, encrypted=False)


def test_R63_an_encrypted_pdf_says_so() -> None:
    found = media.document(make.pdf(encrypted=True))
    assert found is not None
    assert found.encrypted


def test_R63_a_pdf_whose_pages_cannot_be_unpacked_is_still_a_pdf() -> None:
    broken = make.pdf(3, packed=True).replace(b"stream\n", b"stream\nno zlib")
    assert media.document(broken) == media.Document(0, encrypted=False)


@pytest.mark.parametrize("damage", make.DAMAGES)
def test_A20_dressed_up_base64_is_undressed_without_loss(damage: str) -> None:
    block = make.image(make.DAMAGES[damage](make.encoded(FORMS["PNG"])))
    bare = media.undressed(block.data)
    assert bare["source"] == make.source_of(FORMS["PNG"], "image/png")
    assert media.undressed(bare) is bare
