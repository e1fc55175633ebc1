"""Mutants of transcripts: what crashes, disks, synchronisers and other programs make of a file.

Law: a mutant is decided by its seed alone. It says which lines of the original it touched; the
bytes of all others still stand in it, so nothing of them may be lost.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final, TypeAlias

import attrs

from media.pictures import noise

Json: TypeAlias = dict[str, Any]
TAIL_BYTES: Final = 200
"""Every cut of the last so many bytes is played."""
LINES_LOST_MAX: Final = 20
STRIPES_MAX: Final = 3
HOLE_BYTES_MAX: Final = 4096
GIANT_CHARS: Final = 3_000_000
NOWHERE: Final = "00000000-0000-4000-8000-00000000dead"
STRANGE: Final = (
    None, 7, -1, 2.5, 10**400, True, False, "", " \n", "x", "\x00", [], [[]], [None], ["x"], [{}],
    {}, {"a": 1}, [{"type": "text"}], {"type": "tool_use"}, {"role": "user"},
)  # fmt: skip
"""Values that may stand where a field has another type."""
DEEP: Final = b"[" * 3_000 + b"]" * 3_000
"""Deeper than any decoder goes; it stands for a value that no program wrote on purpose."""


@attrs.frozen
class Original:
    """A whole file: its lines with their ends."""

    name: str
    lines: tuple[bytes, ...]

    @property
    def content(self) -> bytes:
        """The bytes of the file."""
        return b"".join(self.lines)


@attrs.frozen
class Mutant:
    """A damaged file. `touched` are the numbers, from 1, of lines of the original it damaged."""

    content: bytes
    touched: frozenset[int]


Kind: TypeAlias = Callable[[Original, random.Random], Mutant | None]


def made(lines: list[bytes], *touched: int) -> Mutant:
    """Return a mutant of changed lines; `touched` counts from 0."""
    return Mutant(b"".join(lines), frozenset(number + 1 for number in touched))


# -- cuts ------------------------------------------------------------------------------------------


def cut_tail(original: Original, rng: random.Random) -> Mutant | None:
    """A crash while the file was appended to."""
    return _cut(original, len(original.content) - rng.randint(1, TAIL_BYTES))


def cut_anywhere(original: Original, rng: random.Random) -> Mutant | None:
    """A copy that was not finished."""
    return _cut(original, rng.randrange(len(original.content)))


def _cut(original: Original, length: int) -> Mutant:
    content = original.content[: max(length, 0)]
    whole = content.count(b"\n")
    return Mutant(content, frozenset(range(whole + 1, len(original.lines) + 1)))


def lost_line(original: Original, rng: random.Random) -> Mutant | None:
    """A record that never reached the disk."""
    lines, at = list(original.lines), rng.randrange(len(original.lines))
    del lines[at]
    return made(lines, at)


def lost_lines(original: Original, rng: random.Random) -> Mutant | None:
    """A page of records that never reached the disk."""
    at, count = rng.randrange(len(original.lines)), rng.randint(2, LINES_LOST_MAX)
    lines = [*original.lines[:at], *original.lines[at + count :]]
    return made(lines, *range(at, min(at + count, len(original.lines))))


def lost_head(original: Original, rng: random.Random) -> Mutant | None:
    """A file that begins in the middle of its session."""
    count = rng.randint(1, min(LINES_LOST_MAX, len(original.lines)))
    return made(list(original.lines[count:]), *range(count))


# -- order -----------------------------------------------------------------------------------------


def line_again(original: Original, rng: random.Random) -> Mutant | None:
    """A write that was tried again after it had succeeded."""
    at = rng.randrange(len(original.lines))
    lines = [_ended(line) for line in original.lines]
    lines.insert(rng.choice((at + 1, rng.randint(at + 1, len(lines)))), lines[at])
    return made(lines)


def neighbours_swapped(original: Original, rng: random.Random) -> Mutant | None:
    """Two writes of one moment that came in the other order."""
    if len(original.lines) < 2:
        return None
    lines, at = [_ended(line) for line in original.lines], rng.randrange(len(original.lines) - 1)
    lines[at], lines[at + 1] = lines[at + 1], lines[at]
    return made(lines)


def tail_twice(original: Original, rng: random.Random) -> Mutant | None:
    """A synchroniser that appended what was there already."""
    lines = [_ended(line) for line in original.lines]
    return made([*lines, *lines[-rng.randint(1, min(LINES_LOST_MAX, len(lines))) :]])


# -- bytes -----------------------------------------------------------------------------------------


def zero_bytes_over(original: Original, rng: random.Random) -> Mutant | None:
    """A page that the disk never filled."""
    content = original.content
    start = rng.randrange(len(content))
    stop = min(len(content), start + rng.randint(1, HOLE_BYTES_MAX))
    return _overwritten(original, start, stop, bytes(stop - start))


def zero_bytes_between(original: Original, rng: random.Random) -> Mutant | None:
    """A loss of power while the file grew."""
    lines, at = list(original.lines), rng.randrange(len(original.lines) + 1)
    lines.insert(at, bytes(rng.randint(1, HOLE_BYTES_MAX)))
    return made(lines)


def no_text(original: Original, rng: random.Random) -> Mutant | None:
    """Bytes that are not UTF-8."""
    content = original.content
    start = rng.randrange(len(content))
    junk = rng.choice((b"\xff", b"\xc3", b"\xe2\x82", b"\xed\xa0\x80", rng.randbytes(8)))
    return _overwritten(original, start, min(len(content), start + len(junk)), junk)


def _overwritten(original: Original, start: int, stop: int, new: bytes) -> Mutant:
    content = original.content
    first = content.count(b"\n", 0, start) + 1
    last = content.count(b"\n", 0, stop) + 1
    return Mutant(
        content[:start] + new + content[stop:],
        frozenset(range(first, min(last, len(original.lines)) + 1)),
    )


# -- lines -----------------------------------------------------------------------------------------


def glued(original: Original, rng: random.Random) -> Mutant | None:
    """Records without a line's end between them."""
    lines = list(original.lines)
    for _ in range(rng.randint(1, STRIPES_MAX)):
        at = rng.randrange(len(lines))
        lines[at] = lines[at].rstrip(b"\n")
    return made(lines)


def interleaved(original: Original, rng: random.Random) -> Mutant | None:
    """Two programs that wrote at once, a piece of one behind a piece of the other."""
    if len(original.lines) < 2:
        return None
    lines, at = list(original.lines), rng.randrange(len(original.lines) - 1)
    first, second = lines[at], lines[at + 1]
    one, other = rng.randrange(len(first)), rng.randrange(len(second))
    lines[at : at + 2] = [first[:one] + second[:other] + first[one:] + second[other:]]
    return made(lines, at, at + 1)


def written_into(original: Original, rng: random.Random) -> Mutant | None:
    """A record that another program wrote whole into the middle of one."""
    if len(original.lines) < 2:
        return None
    lines, at = list(original.lines), rng.randrange(len(original.lines) - 1)
    first, second = lines[at], _ended(lines[at + 1])
    place = rng.randrange(1, len(first))
    lines[at : at + 2] = [first[:place] + second + first[place:]]
    return made(lines, at)


def raw_newline(original: Original, rng: random.Random) -> Mutant | None:
    """A line's end inside of a record, as an editor's wrapping of lines puts it."""
    lines, at = list(original.lines), rng.randrange(len(original.lines))
    place = rng.randrange(1, max(len(lines[at]) - 1, 2))
    lines[at] = lines[at][:place] + b"\n" + lines[at][place:]
    return made(lines, at)


def junk_line(original: Original, rng: random.Random) -> Mutant | None:
    """A line that is no record."""
    junk = rng.choice((b"}{", b"[1, 2]", b"null", b'"text"', b"Segmentation fault", b"{}", DEEP))
    lines = [_ended(line) for line in original.lines]
    lines.insert(rng.randint(0, len(lines)), junk + b"\n")
    return made(lines)


def giant_line(original: Original, rng: random.Random) -> Mutant | None:
    """A record with a text that is longer than most sessions."""
    return _with_text(original, rng, lambda text: text + "long " * (GIANT_CHARS // 5))


# -- fields ----------------------------------------------------------------------------------------


def lone_surrogate(original: Original, rng: random.Random) -> Mutant | None:
    """Half of a character, as a cut between the halves of an emoji leaves it."""

    def halved(text: str) -> str:
        place = rng.randint(0, len(text))
        return text[:place] + rng.choice(("\ud83d", "\ude00")) + text[place:]

    return _with_text(original, rng, halved)


def blank_text(original: Original, rng: random.Random) -> Mutant | None:
    """A text of white space only."""
    return _with_text(original, rng, lambda _: rng.choice(("", " ", "\n\n", "\u3000")))


def strange_type(original: Original, rng: random.Random) -> Mutant | None:
    """A field that has another type than it should."""
    return _with_record(original, rng, lambda record: _made_strange(record, rng))


def strange_types(original: Original, rng: random.Random) -> Mutant | None:
    """Many records with such fields."""
    mutant: Mutant | None = Mutant(original.content, frozenset())
    touched: set[int] = set()
    for _ in range(LINES_LOST_MAX):
        lines = tuple(mutant.content.splitlines(keepends=True)) if mutant else ()
        mutant = strange_type(Original(original.name, lines), rng)
        if mutant is None:
            return None
        touched |= mutant.touched
    return Mutant(mutant.content, frozenset(touched))


def nested_deep(original: Original, rng: random.Random) -> Mutant | None:
    """A field that is nested beyond all measure."""
    lines = list(original.lines)
    at = rng.choice([number for number, line in enumerate(lines) if line.startswith(b"{")])
    lines[at] = b'{"deep":' + DEEP + b"," + lines[at][1:]
    return made(lines, at)


def large_picture(original: Original, rng: random.Random) -> Mutant | None:
    """A picture that is too large for the API, in a prompt or in a result."""

    def with_picture(record: Json) -> bool:
        content = record["message"]["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        source = {"type": "base64", "media_type": "image/png", "data": _picture(rng.randint(0, 1))}
        into = next((b for b in blocks if b.get("type") == "tool_result"), None)
        image = {"type": "image", "source": source}
        if into is None:
            record["message"]["content"] = [*blocks, image]
        else:
            said = into.get("content")
            into["content"] = [image] if not isinstance(said, list) else [*said, image]
        return True

    return _with_record(original, rng, with_picture, kinds=("user",))


@cache
def _picture(which: int) -> str:
    width, height = ((1200, 1100), (8_200, 3))[which]
    return base64.b64encode(noise("PNG", width, height)).decode()


# -- the chain -------------------------------------------------------------------------------------


def ring(original: Original, rng: random.Random) -> Mutant | None:
    """Records that follow each other in a ring."""
    links = _links(original)
    if len(links) < 2:
        return None
    first = rng.randrange(len(links) - 1)
    last = rng.choice((first, first + 1, rng.randrange(first, len(links))))
    at, _ = links[first]
    return _hung(original, at, links[last][1])


def phantom_parent(original: Original, rng: random.Random) -> Mutant | None:
    """A record that follows one that is not there."""
    links = _links(original)
    return _hung(original, rng.choice(links)[0], NOWHERE) if links else None


def second_root(original: Original, rng: random.Random) -> Mutant | None:
    """A record in the middle that follows nothing, though it is no prompt that began anew."""
    links = [at for at, _ in _links(original)[1:] if _is_no_beginning(original.lines[at])]
    return _hung(original, rng.choice(links), None) if links else None


def _is_no_beginning(line: bytes) -> bool:
    """Say whether a record is the assistant's, a tool's result or a remark of the program."""
    record = json.loads(line)
    said = record.get("message")
    content = said.get("content") if isinstance(said, dict) else None
    blocks = content if isinstance(content, list) else []
    answers = any(block.get("type") == "tool_result" for block in blocks)
    return answers or record.get("type") in {"assistant", "system"}


def half_a_compaction(original: Original, rng: random.Random) -> Mutant | None:
    """A compaction without its summary, which may name wrongly what it follows."""
    links = _links(original)
    if len(links) < 2:
        return None
    place = rng.randrange(1, len(links))
    at = links[place][0]
    record = json.loads(original.lines[at])
    above = rng.choice((record["parentUuid"], NOWHERE, rng.choice(links[place:])[1]))
    boundary = {
        **{name: record[name] for name in ("sessionId", "cwd", "timestamp") if name in record},
        "parentUuid": None,
        "logicalParentUuid": above,
        "isSidechain": False,
        "type": "system",
        "subtype": "compact_boundary",
        "uuid": NOWHERE,
        "compactMetadata": {"trigger": "auto"},
    }
    hung = _hung(original, at, NOWHERE).content.splitlines(keepends=True)
    return made([*hung[:at], _line(boundary), *hung[at:]], at)


def no_id(original: Original, rng: random.Random) -> Mutant | None:
    """A record that lost its id."""

    def without(record: Json) -> bool:
        return record.pop("uuid", None) is not None

    return _with_record(original, rng, without)


def id_twice(original: Original, rng: random.Random) -> Mutant | None:
    """Two different records with one id."""
    links = _links(original)
    if len(links) < 2:
        return None
    (_, uuid), (at, _) = sorted(rng.sample(links, 2))
    return _set(original, at, lambda record: record.update(uuid=uuid))


def _links(original: Original) -> list[tuple[int, str]]:
    """Return place and id of the records that follow another."""
    found = []
    for at, record in _records(original):
        uuid = record.get("uuid")
        if isinstance(uuid, str) and not record.get("isSidechain") and record.get("parentUuid"):
            found.append((at, uuid))
    return found


def _hung(original: Original, at: int, parent: str | None) -> Mutant:
    return _set(original, at, lambda record: record.update(parentUuid=parent))


# -- records ---------------------------------------------------------------------------------------


def _records(original: Original) -> Iterator[tuple[int, Json]]:
    for at, line in enumerate(original.lines):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            yield at, record


def _set(original: Original, at: int, change: Callable[[Json], object]) -> Mutant:
    record = json.loads(original.lines[at])
    change(record)
    lines = list(original.lines)
    lines[at] = _line(record)
    return made(lines, at)


def _with_record(
    original: Original,
    rng: random.Random,
    change: Callable[[Json], bool],
    kinds: tuple[str, ...] = ("user", "assistant"),
) -> Mutant | None:
    """Change a record that speaks, or any where `kinds` is empty. False: it cannot be changed."""
    names = tuple(b'"type":"' + kind.encode() + b'"' for kind in kinds)
    spoken = [at for at, line in enumerate(original.lines) if any(name in line for name in names)]
    rng.shuffle(spoken)
    for at in spoken:
        try:
            record = json.loads(original.lines[at])
        except (ValueError, RecursionError):
            continue
        if not isinstance(record, dict) or not isinstance(record.get("message"), dict):
            continue
        if not isinstance(record["message"].get("content"), str | list):
            continue
        if change(record):
            lines = list(original.lines)
            lines[at] = _line(record)
            return made(lines, at)
    return None


def _with_text(
    original: Original, rng: random.Random, change: Callable[[str], str]
) -> Mutant | None:
    def changed(record: Json) -> bool:
        content = record["message"]["content"]
        if isinstance(content, str):
            record["message"]["content"] = change(content)
            return True
        texts = [b for b in content if isinstance(b, dict) and isinstance(b.get("text"), str)]
        if texts:
            block = rng.choice(texts)
            block["text"] = change(block["text"])
        return bool(texts)

    return _with_record(original, rng, changed)


def _made_strange(record: Json, rng: random.Random) -> bool:
    holder: Any = record
    key: Any = rng.choice(list(record))
    for _ in range(rng.randint(0, 5)):
        if rng.random() < 0.5 and holder is record:
            key = "message"
        inside = holder[key]
        if isinstance(inside, dict) and inside:
            holder, key = inside, rng.choice(list(inside))
        elif isinstance(inside, list) and inside:
            holder, key = inside, rng.randrange(len(inside))
        else:
            break
    if rng.random() < 0.1 and isinstance(holder, dict):
        del holder[key]
    else:
        holder[key] = rng.choice(STRANGE)
    return True


def _line(record: Json) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def _ended(line: bytes) -> bytes:
    return line if line.endswith(b"\n") else line + b"\n"


KINDS: Final[tuple[Kind, ...]] = (
    cut_tail, cut_tail, cut_tail, cut_tail, cut_anywhere, lost_line, lost_lines, lost_head,
    line_again, neighbours_swapped, tail_twice, zero_bytes_over, zero_bytes_between, no_text, glued,
    interleaved, written_into, raw_newline, junk_line, giant_line, lone_surrogate, blank_text,
    strange_type, strange_type, strange_types, nested_deep, large_picture, ring, phantom_parent,
    second_root, half_a_compaction, no_id, id_twice,
)  # fmt: skip
"""The kinds in turn; the most frequent damage comes more often."""


def mutant(original: Original, number: int, seed: int) -> tuple[str, Mutant] | None:
    """Return the name of the kind and mutant `number` of a file, if it has anything to damage."""
    kind = KINDS[number % len(KINDS)]
    rng = random.Random(f"{seed} {number} {original.name}")
    struck = kind(original, rng)
    return None if struck is None else (kind.__name__, struck)
