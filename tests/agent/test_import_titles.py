"""An imported session has a name by which its person finds it (D12)."""

from __future__ import annotations

import json
from pathlib import Path

from holdfast.agent import intake
from holdfast.session import events as ev


def _created(path: Path, *lines: dict[str, object]) -> ev.SessionCreated:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    event = intake.transcript_events(path, None, None)[0]
    assert isinstance(event, ev.SessionCreated)
    return event


def _said(role: str, text: str, uuid: str, parent: str | None) -> dict[str, object]:
    message = {"role": role, "content": [{"type": "text", "text": text}]}
    return {"type": role, "uuid": uuid, "parentUuid": parent, "message": message}


def test_a_session_without_a_name_is_called_by_its_first_prompt(tmp_path: Path) -> None:
    lines = (_said("user", "Find the kelp.", "a", None), _said("assistant", "Here.", "b", "a"))
    assert _created(tmp_path / "0d9f.jsonl", *lines).title == "Find the kelp."


def test_its_own_name_counts_more(tmp_path: Path) -> None:
    lines = (_said("user", "Find the kelp.", "a", None), {"type": "ai-title", "aiTitle": "Kelp"})
    assert _created(tmp_path / "0d9f.jsonl", *lines).title == "Kelp"


def test_an_empty_file_is_called_by_its_own_name(tmp_path: Path) -> None:
    assert _created(tmp_path / "0d9f.jsonl").title == "0d9f"
