"""Views: what an editor is told about a transcript, on real files and on damaged ones.

`HOLDFAST_TRANSCRIPTS` names a directory with more real ones.
"""

from __future__ import annotations

import io
import json
import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.lsp.transcripts.positions import lone_returns
from holdfast.lsp.transcripts.view import OF_A_RULE_MAX, View
from holdfast.transcripts.findings import check
from holdfast.transcripts.foreign import check as check_any
from lsp.transcript_documents import (
    ALL_DAMAGES,
    REAL,
    STORY,
    WHOLE,
    Asked,
    Document,
    Json,
    damaged,
    name_of,
    of_bytes,
    walk,
)
from transcripts.damages import DAMAGES, Damage, identity
from transcripts.transcript_files import Transcript

ID = re.compile(r'"(tool_use_id|parentUuid|logicalParentUuid|id|uuid)":\s*"([^"\\]+)"')
SMALL = [damage for damage in ALL_DAMAGES if damage.name != "large_picture"]


def raw_of(line: Json) -> bytes:
    return (json.dumps(line, ensure_ascii=False) + "\n").encode(errors="surrogatepass")


def told(*lines: bytes) -> Asked:
    text = b"".join(lines).decode(errors="replace")
    return Asked(View.of_text(Path("/sessions/story.jsonl"), text))


def hostile_lines(name: str) -> list[Json]:
    """Return a call and a result with strange words wherever there may be some."""
    hostile = Transcript()
    block = {"type": "tool_use", "id": "toolu_1", "name": name, "input": {"command": name}}
    hostile.piece(identity(0), "msg_1", block, timestamp=name)
    hostile.result(identity(1), name)
    return hostile.lines


def ids_of(document: Document) -> list[tuple[str, Json]]:
    """Return the fields with ids in them and where their values are."""
    return [(match[1], document.position(match.start(2))) for match in ID.finditer(document.text)]


# -- positions -------------------------------------------------------------------------------------

PIECES = st.sampled_from(["{}", "a", "é", "😀", "\ufeff", "\r", "\n", "\r\n", '{"type":"x"}\n'])


@given(
    pieces=st.lists(PIECES, max_size=20), encoding=st.sampled_from(["utf-8", "utf-16", "utf-32"])
)
@settings(max_examples=150, deadline=None)
def test_every_byte_stands_where_the_editor_shows_it(pieces: list[str], encoding: str) -> None:
    text = "".join(pieces)
    document = Document(text, encoding)
    view = View.of_text(Path("/s.jsonl"), text)
    with view.source.opened(encoding) as places:
        for offset in range(len(text) + 1):
            inside_a_line_end = text[offset - 1 : offset + 1] == "\r\n"
            if not inside_a_line_end:
                found = places.position(len(text[:offset].encode()))
                assert found == document.position(offset)


@given(raw=st.binary(max_size=30), size=st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_carriage_returns_that_end_a_line_are_found_wherever_reading_pauses(
    raw: bytes, size: int
) -> None:
    raw = raw.replace(b"\x00", b"\r").replace(b"\x01", b"\n")

    class Slow(io.BytesIO):
        """A stream that gives few bytes at a time."""

        def read(self, _: int | None = -1) -> bytes:
            return super().read(size)

    expected = [match.start() for match in re.finditer(rb"\r(?!\n)", raw)]
    assert list(lone_returns(Slow(raw))) == expected


def test_a_byte_order_mark_of_a_file_is_no_character(tmp_path: Path) -> None:
    view = of_bytes(tmp_path, b"\xef\xbb\xbf" + STORY)
    where = Document(STORY.decode()).position(STORY.index(identity(1).encode()))
    asked = Asked(view)
    assert asked("references", position=where)  # the first record's child hangs on line 2
    with view.source.opened() as places:
        assert places.position(3 + 5) == {"line": 0, "character": 5}


# -- all answers -----------------------------------------------------------------------------------


def assert_in_document(value: object, document: Document) -> None:
    def visit(found: Json) -> None:
        if found.keys() == {"start", "end"}:
            assert document.offset(found["start"]) <= document.offset(found["end"])
        if "line" in found and "character" in found:
            document.offset(found)
        if "startLine" in found:
            assert 0 <= found["startLine"] < found["endLine"] < len(document.lines)
        if "selectionRange" in found:
            assert found["range"]["start"] == found["selectionRange"]["start"]
            assert found["selectionRange"]["end"]["line"] <= found["range"]["end"]["line"]

    walk(value, visit)


@pytest.mark.parametrize("damage", SMALL, ids=name_of)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_every_range_of_every_answer_lies_in_the_document(damage: Damage, encoding: str) -> None:
    text = damaged(damage, STORY.replace(b"colour", "c😀lour é".encode())).decode()
    document = Document(text, encoding)
    asked = Asked(View.of_text(Path("/s.jsonl"), text), encoding)
    places = [{"line": line, "character": 0} for line in range(len(document.lines))]
    for answer in asked.everything([*places, *(at for _, at in ids_of(document))]):
        assert_in_document(answer, document)


@pytest.mark.parametrize("file", REAL, ids=name_of)
def test_every_range_lies_in_a_real_document(file: Path) -> None:
    document = Document(file.read_bytes().decode(errors="replace"))
    places = [{"line": line, "character": 0} for line in range(0, len(document.lines), 7)]
    for answer in Asked(View.of_path(file)).everything(places[:40]):
        assert_in_document(answer, document)


@given(junk=st.lists(st.one_of(st.binary(max_size=40), st.sampled_from(STORY.splitlines(True)))))
@settings(max_examples=60, deadline=None)
def test_p8_no_content_makes_an_answer_fail(junk: list[bytes]) -> None:
    text = b"".join(junk).decode(errors="replace")
    document = Document(text)
    asked = Asked(View.of_text(Path("/s.jsonl"), text))
    places = [{"line": n, "character": 3} for n in range(len(document.lines))]
    for answer in asked.everything(places):
        assert_in_document(answer, document)


# -- diagnostics -----------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", DAMAGES, ids=name_of)
def test_a_damage_is_diagnosed_on_its_line(damage: Damage, tmp_path: Path) -> None:
    view = of_bytes(tmp_path, damaged(damage))
    parts = list(view.diagnostics("file:///s"))
    found = {(f.rule, f.line, str(f.severity)) for f in check(view.path).findings}
    severities = {1: "error", 2: "warning", 3: "information"}
    said = {
        (each["code"], each["range"]["start"]["line"] + 1, severities[each["severity"]])
        for each in parts[-1]
    }
    assert said == found
    assert damage.rule in {rule for rule, _, _ in said}
    for before, after in pairwise(parts):
        assert after[: len(before)] == before


def test_of_many_findings_of_one_rule_the_first_are_told_and_all_are_counted() -> None:
    count = OF_A_RULE_MAX + 7
    asked = told(*[b'{"type": "torn\n'] * count, STORY)
    *_, found = asked.view.diagnostics(asked.uri)
    assert len(found) == OF_A_RULE_MAX + 1
    assert found[-1]["message"].startswith("7 more findings of D06")
    assert asked("codeLens")[0]["command"]["title"] == f"{count} errors: repair all"
    assert list(asked.view.diagnostics(asked.uri)) == [found]


def test_a_diagnostic_covers_its_line_and_names_what_it_is_about(tmp_path: Path) -> None:
    (damage,) = (each for each in DAMAGES if each.name == "hung_on_a_sub_agent")
    raw = damaged(damage)
    *_, found = of_bytes(tmp_path, raw).diagnostics("file:///s")
    document = Document(raw.decode())
    (told,) = found
    assert document.at(told["range"]) == document.lines[7]
    (related,) = told["relatedInformation"]
    assert document.at(related["location"]["range"]) == document.lines[5]
    assert related["location"]["uri"] == "file:///s"


def test_a_text_that_is_not_saved_is_judged_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "story.jsonl"
    path.write_bytes(STORY)
    broken = damaged(DAMAGES[0]).decode()
    of_text = View.of_text(path, broken)
    *_, found = of_text.diagnostics("file:///s")
    path.write_text(broken)
    *_, saved = View.of_path(path).diagnostics("file:///s")
    assert found == saved != []
    assert of_text.is_current()


def test_a_file_that_has_grown_is_read_on_and_gives_the_answers_of_a_new_view(
    tmp_path: Path,
) -> None:
    lines = STORY.splitlines(keepends=True)
    view = of_bytes(tmp_path, b"".join(lines[:3]))
    assert view.is_current()
    assert View.of_path(view.path, known=view) is view
    for line in lines[3:]:
        with view.path.open("ab") as file:
            file.write(line)
        assert not view.is_current()
        view = View.of_path(view.path, known=view)
        fresh = View.of_path(view.path)
        places = [{"line": n, "character": 20} for n in range(8)]
        assert list(Asked(view).everything(places)) == list(Asked(fresh).everything(places))


@pytest.mark.parametrize(
    "raw",
    [
        b'{"role":"user","content":"one"}\n{"role":"assistant","content":[]}\n{"role":"ass',
        b'{"messages": [\n {"role": "user", "content": "one"},\n {"role": "us',
        b'{"type":"session_meta","payload":{"id":"x"}}\n{"type":"response_item","payl',
    ],
)
def test_transcripts_of_other_formats_are_judged_but_not_mended(raw: bytes, tmp_path: Path) -> None:
    view = of_bytes(tmp_path, raw)
    *_, found = view.diagnostics("file:///s")
    report = check_any(view.path)
    assert report is not None
    assert [each["code"] for each in found] == [finding.rule for finding in report.findings] != []
    document = Document(raw.decode())
    assert_in_document(found, document)
    torn = found[-1]["range"]
    assert document.at(torn) == document.lines[torn["start"]["line"]]
    assert View.of_path(view.path, known=view) is view
    view.path.write_bytes(raw + b"x")
    assert not view.is_current()
    *_, of_text = View.of_text(view.path, document.text).diagnostics("file:///s")
    assert of_text == found
    assert "Repair all" not in str(Asked(view).actions() + Asked(view)("codeLens"))


def test_p8_lone_surrogates_stay_out_of_answers() -> None:
    lines = [json.dumps(line | {"timestamp": "\ud83dT\udc00"}) for line in hostile_lines("\ud800")]
    asked = told("\n".join(lines).encode())
    assert json.loads(lines[0])["timestamp"] == "\ud83dT\udc00"
    for answer in asked.everything([{"line": n, "character": 0} for n in range(2)]):
        json.dumps(answer, ensure_ascii=False).encode()


# -- links -----------------------------------------------------------------------------------------


def is_whole(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def assert_links_are_inverse(asked: Asked, document: Document) -> int:
    uses = 0
    for field, at in ids_of(document):
        for given_at in asked("definition", position=at):
            start = given_at["range"]["start"]
            assert asked("definition", position=start) == [given_at]
            for use in asked("references", position=start):
                assert asked("definition", position=use["range"]["start"]) == [given_at]
                uses += 1
            declared = asked("references", position=start, context={"includeDeclaration": True})
            assert declared[0] == given_at
            starts = [each["range"]["start"] for each in declared]
            if field in {"tool_use_id", "parentUuid"} and is_whole(document.lines[at["line"]]):
                assert at in starts
    return uses


@pytest.mark.parametrize("damage", SMALL, ids=name_of)
def test_definition_and_references_are_inverse(damage: Damage) -> None:
    text = damaged(damage).decode()
    assert assert_links_are_inverse(told(text.encode()), Document(text)) > 0


@pytest.mark.parametrize("file", REAL[:5], ids=name_of)
def test_definition_and_references_are_inverse_in_real_files(file: Path) -> None:
    raw = b"".join(file.read_bytes().splitlines(keepends=True)[:30])
    assert assert_links_are_inverse(told(raw), Document(raw.decode())) > 0


def test_a_result_leads_to_the_call_before_it_when_the_id_is_used_twice() -> None:
    twice = Transcript()
    twice.user(identity(0), "go")
    for number in (1, 3):
        twice.calls(identity(number), f"msg_{number}", "toolu_1")
        twice.result(identity(number + 1), "toolu_1")
    text = "".join(json.dumps(line) + "\n" for line in twice.lines)
    asked, document = told(text.encode()), Document(text)
    for line in (2, 4):
        column = document.lines[line].index("toolu_1")
        (call,) = asked("definition", position={"line": line, "character": column})
        assert call["range"]["start"]["line"] == line - 1
        assert document.at(call["range"]) == "toolu_1"
        (back,) = asked("references", position=call["range"]["start"])
        assert back["range"]["start"] == {"line": line, "character": column}


def test_words_of_a_record_lead_nowhere() -> None:
    asked = told(STORY)
    column = STORY.decode().splitlines()[0].index("first colour")
    at = {"line": 0, "character": column}
    assert asked("definition", position=at) == asked("references", position=at) == []


# -- outline ---------------------------------------------------------------------------------------


def test_prompts_are_symbols_with_the_calls_of_their_turns_below() -> None:
    symbols = told(STORY)("documentSymbol")
    assert [(each["name"], [call["name"] for call in each["children"]]) for each in symbols] == [
        ("What is the first colour? amber", []),
        ("And the second? Look it up: cedar", ["Bash"]),
        ("I like fern green", []),
    ]
    assert [each["range"]["start"]["line"] for each in symbols] == [0, 2, 6]
    assert symbols[1]["children"][0]["detail"] == "ls"
    assert told(STORY)("foldingRange") == [
        {"startLine": first, "endLine": last, "kind": "region"}
        for first, last in ((0, 1), (2, 5), (6, 7))
    ]


def test_a_compaction_and_a_run_of_a_sub_agent_are_entries_of_their_own() -> None:
    told_ = Transcript()
    told_.user(identity(0), "go")
    for number in (1, 2, 3):
        told_.says(identity(number), f"msg_{number}", "aside", isSidechain=True)
    told_.add("system", identity(4), subtype="compact_boundary", parent=None)
    told_.user(identity(5), "What was said so far: ...", isCompactSummary=True)
    told_.user(identity(6), "go on")
    asked = told(*map(raw_of, told_.lines))
    first, compaction, last = asked("documentSymbol")
    (agent,) = first["children"]
    assert (first["name"], agent["name"], agent["detail"]) == ("go", "Sub-agent", "3 records")
    assert (compaction["name"], last["name"]) == ("Compaction", "go on")
    folds = [(each["startLine"], each["endLine"]) for each in asked("foldingRange")]
    assert folds == [(0, 3), (1, 3), (4, 5)]


def test_a_transcript_of_a_sub_agent_is_outlined_like_any_other() -> None:
    lines = [json.loads(line) | {"isSidechain": True} for line in STORY.splitlines()]
    assert len(told(*map(raw_of, lines))("documentSymbol")) == 3


# -- hover and hints -------------------------------------------------------------------------------


def hovered(asked: Asked, line: int, **params: object) -> str:
    contents = asked("hover", position={"line": line, "character": 0}, **params)["contents"]
    assert contents["kind"] == params.get("contentFormat", ["markdown"])[0]  # type: ignore[index]
    return str(contents["value"])


def test_hover_says_what_a_record_is_and_where_its_other_half_is() -> None:
    asked = told(STORY)
    assert "**Prompt**" in hovered(asked, 0)
    call, result = hovered(asked, 3), hovered(asked, 4)
    assert "Calls `Bash`: `ls`" in call
    assert "Its result is on line 5" in call
    assert "`claude-x`" in call
    assert "Answers `Bash` of line 4" in result
    assert "2026-11-01T10:00:04" in result
    plain = hovered(asked, 3, contentFormat=["plaintext"])
    assert "Calls Bash: ls" in plain
    assert "*" not in plain


def test_hover_names_what_is_wrong() -> None:
    (damage,) = (each for each in DAMAGES if each.name == "zero_bytes")
    asked = told(damaged(damage))
    asked.view.settle()
    assert hovered(asked, 6).endswith("Findings: error D05")


@given(name=st.text(alphabet="`*_[]()<>#\\\n ab", min_size=1, max_size=12))
@settings(max_examples=100, deadline=None)
def test_p11_no_word_of_a_file_becomes_markup(name: str) -> None:
    asked = told(*map(raw_of, hostile_lines(name)))
    for line in (0, 1):
        for shown in hovered(asked, line).split("\n"):
            outside = re.sub(r"`[^`]*`", "", shown)
            assert re.fullmatch(r"(\*\*[\w ]+\*\*|[\w .,:·]*) *", outside), shown


def test_hints_tell_time_and_tokens_of_the_lines_that_are_asked_for() -> None:
    usage = {"input_tokens": 10, "cache_read_input_tokens": 1990, "output_tokens": 7}
    lines = [json.loads(line) for line in STORY.splitlines()]
    lines[1]["message"]["usage"] = usage
    asked = told(*map(raw_of, lines))
    range_ = {"start": {"line": 0, "character": 0}, "end": {"line": 2, "character": 0}}
    hints = asked("inlayHint", range=range_)
    assert [(each["position"]["line"], each["label"]) for each in hints] == [
        (0, "10:00:00"),
        (1, "10:00:01 · 2.0k in · 7 out"),
        (2, "10:00:02"),
    ]


def test_the_tokens_of_a_message_in_pieces_are_told_once() -> None:
    pieces = Transcript()
    for number in (1, 2):
        pieces.says(identity(number), "msg_1", "words", timestamp="2026-11-01T10:00:00Z")
        pieces.lines[-1]["message"]["usage"] = {"output_tokens": number}
    hints = told(*map(raw_of, pieces.lines))("inlayHint", range=WHOLE)
    assert [each["label"] for each in hints] == ["10:00:00", "10:00:00 · 2 out"]
