"""S12 and what it is worth: the local digest of 100 MB, and what share of the facts stands in it.

S12: a session of 100 MB, made of the committed transcripts' messages with ids and paths of their
own, as blocks that nobody has decoded. Their outputs are lengthened by each other, to the bytes a
message that recorded sessions of over 100 000 tokens have. The floor is msgspec's parse of the same
messages, one by one, dropped. That is the narrower yardstick: orjson, which the goal names, is no
dependency, and needs more time for the same bytes.

Retention: see `retention.py`. All sessions of the corpus and of HOLDFAST_TRANSCRIPTS, each in a
digest of 8 000 tokens; the row is the worst session of at most 200 000 tokens.
"""

from __future__ import annotations

import gc
import itertools
import statistics
import time

import msgspec
from retention import BUDGET_TOKENS, Retention, measure, sessions, table
from table import Row, print_table

from holdfast.conversation.activity import output_of
from holdfast.conversation.digest import digest
from holdfast.conversation.history import Block, History, Message
from holdfast.conversation.tokens import estimate_text

ROUNDS = 9
BYTES = 100_000_000
MESSAGE_BYTES = 2_400
"""Of the ten longest recorded sessions at hand: between 1 450 and 4 260."""
RENAMED = ("toolu_", "/Users/", "/home/")
"""What tells one copy of a transcript from another: ids of calls, and paths."""


def long_session() -> History:
    """Return a session of 100 MB."""
    templates = tuple(
        message for _, history, _ in sessions(corpus_only=True) for message in history
    )
    templates = lengthened(templates)
    made: list[Message] = []
    size = number = 0
    while size < BYTES:
        number += 1
        for message in templates:
            blocks = tuple(Block(renamed(block.raw, number)) for block in message.blocks)
            made.append(Message(message.role, blocks))
            size += sum(len(block.raw) for block in blocks)
    return tuple(made)


def lengthened(templates: History) -> History:
    """Return messages with results as long as long sessions have them, of the same texts."""
    outputs = [output_of(b) for m in templates for b in m.blocks if b.type == "tool_result"]
    missing = MESSAGE_BYTES * len(templates) - sum(len(m.wire) for m in templates)
    more = missing // len(outputs)
    supply = itertools.cycle(outputs)

    def longer(block: Block) -> Block:
        if block.type != "tool_result":
            return block
        words = output_of(block)
        length = len(words) + more
        while len(words) < length:
            words += next(supply)
        return Block.of({**block.data, "content": words[:length]})

    return tuple(Message(m.role, tuple(map(longer, m.blocks))) for m in templates)


def renamed(raw: str, number: int) -> str:
    for mark in RENAMED:
        raw = raw.replace(mark, f"{mark}{number}x")
    return raw


def fresh(history: History) -> History:
    """Return the same history in strings that nothing is known of."""
    return tuple(
        Message(message.role, tuple(Block(block.raw[:-1] + "}") for block in message.blocks))
        for message in history
    )


def cost() -> list[Row]:
    """Measure the digest of 100 MB: processor time against parsing, and the clock."""
    session = long_session()
    lines = [message.wire.encode() for message in session]
    decode = msgspec.json.Decoder().decode
    ours, clock, floor = [], [], []
    for _ in range(ROUNDS + 1):
        history = fresh(session)
        gc.collect()
        started, began = time.process_time(), time.perf_counter()
        shown = digest(history, BUDGET_TOKENS)
        ours.append((time.process_time() - started) * 1e3)
        clock.append((time.perf_counter() - began) * 1e3)
        assert estimate_text(shown) <= BUDGET_TOKENS
        del history
        gc.collect()
        started = time.process_time()
        for line in lines:
            decode(line)
        floor.append((time.process_time() - started) * 1e3)
    mine, parse, wall = (statistics.median(figures[1:]) for figures in (ours, floor, clock))
    size = f"{sum(map(len, lines)) / 1e6:.0f} MB"
    what = f"digest of {size}, {len(session)} messages / parse them"
    return [
        Row("S12", what, mine, parse, "ms CPU", mine / parse, "at most 2.0x", mine <= 2 * parse),
        Row(
            "S12", f"digest of {size}: on the clock / a second", wall, 1000, "ms",
            wall / 1000, "at most 1.0x", wall <= 1000,
        ),
    ]  # fmt: skip


def retention() -> list[Row]:
    """Measure what stands in the digests of real sessions, and print a line for each."""
    every = list(sessions())
    measured = [measure(*session) for session in every]
    thrice = [measure(*session, parts=3) for session in every]
    print(table(measured), end="\n\n", flush=True)
    judged = [one for one in measured if one.is_judged]
    again = [one for one in thrice if one.is_judged]
    return [
        _facts("worst session's facts in its digest / all", [min(judged, key=_share)]),
        _facts(f"facts of {len(judged)} sessions in their digests / all", judged),
        _facts("the same, compacted three times: worst session", [min(again, key=_share)]),
        _whole(
            f"last exchanges of {len(measured)} sessions, to the letter / all",
            sum(one.exchange_kept for one in measured), len(measured),
        ),
        _whole(
            "open items in digests / all",
            sum(one.open_kept for one in measured), sum(one.open_items for one in measured),
        ),
    ]  # fmt: skip


def _share(one: Retention) -> float:
    return one.share


def _facts(what: str, measured: list[Retention]) -> Row:
    kept, facts = sum(one.kept for one in measured), sum(one.facts for one in measured)
    share = kept / facts if facts else 1.0
    return Row("facts", what, kept, facts, "", share, "more than 0.95x", share > 0.95)


def _whole(what: str, kept: int, facts: int) -> Row:
    share = kept / facts if facts else 1.0
    return Row("facts", what, kept, facts, "", share, "1.00x", kept == facts)


def rows() -> list[Row]:
    """Measure and return the rows."""
    return [*retention(), *cost()]


if __name__ == "__main__":
    print_table(rows())
