"""Pictures are made fit once: small, upright, whole, of a type that the API takes (A17-A20)."""

from __future__ import annotations

import io
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from holdfast.conversation import media
from holdfast.media import pictures
from media import pictures as make

ORIENTATION = 0x0112


def opened(data: bytes) -> Image.Image:
    found = Image.open(io.BytesIO(data))
    found.load()
    return found


def check_fit(found: pictures.Picture) -> None:
    """What holds for every picture that comes out."""
    header = media.picture(media.Plain(found.data))
    assert header == media.Picture(found.media_type, found.width, found.height, complete=True)
    assert max(found.width, found.height) <= pictures.SIDE_MAX
    assert len(found.data) <= pictures.BYTES_MAX
    assert opened(found.data).size == (found.width, found.height)


@pytest.mark.parametrize("form", make.TYPES)
def test_a_picture_that_is_fit_keeps_its_bytes(form: str) -> None:
    data = make.drawn(form, 300, 200)
    found = pictures.fit(data)
    assert found == pictures.Picture(data, make.TYPES[form], 300, 200)
    assert found.data is data


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.survives("A18")
def test_R60_long_sides_are_scaled_and_that_is_said(form: str) -> None:
    found = pictures.fit(make.drawn(form, 3000, 1500))
    check_fit(found)
    assert (found.width, found.height) == (2000, 1000)
    assert found.notes == ("It was scaled from 3000x1500 to 2000x1000 pixels.",)


@pytest.mark.parametrize(("form", "width"), [("PNG", 1450), ("JPEG", 2000), ("WEBP", 1200)])
@pytest.mark.survives("A17")
def test_R61_pictures_that_no_encoding_makes_small_still_fit(form: str, width: int) -> None:
    data = make.noise(form, width, width, quality=100)
    assert len(data) > pictures.BYTES_MAX
    check_fit(pictures.fit(data))


def test_thirty_pictures_of_the_largest_size_fit_into_one_request() -> None:
    assert 30 * 4 * -(-pictures.BYTES_MAX // 3) < 32 * 1024 * 1024


@pytest.mark.parametrize("form", ["BMP", "TIFF", "AVIF"])
@pytest.mark.survives("A19")
def test_R59_other_types_become_one_that_the_api_takes(form: str) -> None:
    found = pictures.fit(make.drawn(form, 40, 30))
    check_fit(found)
    assert (found.width, found.height, found.notes) == (40, 30, ())


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP"])
def test_an_animation_becomes_its_first_frame_and_that_is_said(form: str) -> None:
    found = pictures.fit(make.animation(form))
    check_fit(found)
    assert found.notes == ("It is the first of several frames; the others are not shown.",)
    assert opened(found.data).convert("RGB").getpixel((3, 3)) == (0, 0, 0)
    assert getattr(opened(found.data), "n_frames", 1) == 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_upright(orientation: int) -> None:
    upright = Image.new("RGB", (40, 20), "blue")
    upright.paste("red", (0, 0, 10, 10))  # top left
    turns = {
        1: [], 2: [Image.Transpose.FLIP_LEFT_RIGHT], 3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM], 5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90], 7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }[orientation]  # fmt: skip
    stored = upright
    for turn in turns:
        stored = stored.transpose(turn)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    data = make.saved(stored, "JPEG", exif=exif, quality=95)
    found = pictures.fit(data)
    check_fit(found)
    shown = opened(found.data).convert("RGB")
    assert shown.size == (40, 20)
    assert shown.getexif().get(ORIENTATION, 1) == 1
    red, _, blue = shown.getpixel((3, 3))
    assert red > 150 > blue
    assert found.notes == ()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16", "CMYK", "F", "I"])
def test_every_kind_of_pixels_can_be_scaled(mode: str) -> None:
    form = "TIFF" if mode in {"CMYK", "F", "I"} else "PNG"
    ramp = Image.linear_gradient("L").resize((2400, 24))
    image = ramp.convert("I").point(lambda v: v * 200).convert("I;16") if mode == "I;16" else (
        ramp.convert("RGB").convert(mode) if mode not in {"I", "F"} else ramp.convert(mode)
    )  # fmt: skip
    found = pictures.fit(make.saved(image, form))
    check_fit(found)
    low, high = opened(found.data).convert("L").getextrema()
    assert low < 40
    assert high > 200


def test_what_can_be_seen_through_stays_so() -> None:
    image = Image.new("RGBA", (2400, 20), (255, 0, 0, 0))
    image.paste((0, 255, 0, 255), (0, 0, 1200, 20))
    shown = opened(pictures.fit(make.saved(image, "PNG")).data).convert("RGBA")
    assert shown.getpixel((1500, 10))[3] == 0
    assert shown.getpixel((500, 10))[3] == 255


BROKEN = {
    "nothing": b"",
    "no picture": b"no picture",
    "a cut PNG": make.drawn("PNG", 300, 200)[:-300],
    "a cut JPEG": make.drawn("JPEG", 300, 200)[:-900],
    "a bomb": make.bomb(50_000, 50_000),
    "more pixels than it has": make.bomb(100, 100),
    "a drawing": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.survives("A20")
def test_A20_what_cannot_be_decoded_is_refused_with_a_reason(name: str) -> None:
    with pytest.raises(pictures.Unreadable) as refused:
        pictures.fit(BROKEN[name])
    assert str(refused.value).startswith("it")


def test_a_bomb_is_refused_by_its_header_alone() -> None:
    with pytest.raises(pictures.Unreadable, match="50000x50000 pixels are more than"):
        pictures.fit(make.bomb(50_000, 50_000))


SAMPLES = [
    make.drawn("PNG", 60, 40), make.drawn("JPEG", 60, 40), make.drawn("GIF", 60, 40),
    make.drawn("WEBP", 60, 40), make.drawn("BMP", 20, 10), make.drawn("TIFF", 20, 10),
    make.animation("GIF"), make.drawn("AVIF", 20, 10),
]  # fmt: skip


def damaged(data: bytes, seed: int) -> bytes:
    """A copy with bytes changed, cut out or cut off."""
    chance = random.Random(seed)
    found = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(found))
        found[at] = chance.randrange(256)
    return bytes(found[: chance.choice([len(found), chance.randrange(len(found))])])


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(SAMPLES), st.integers(0, 2**32))
def test_A20_whatever_the_bytes_a_fit_picture_or_a_reason_comes_out(data: bytes, seed: int) -> None:
    try:
        found = pictures.fit(damaged(data, seed))
    except pictures.Unreadable:
        return
    check_fit(found)
    assert pictures.fit(found.data).data is found.data


def test_the_same_bytes_give_the_same_picture() -> None:
    data: Any = make.drawn("PNG", 2100, 40)
    assert pictures.fit(data) == pictures.fit(bytes(bytearray(data)))
