"""The command line: results on stdout, one line with the next step on stderr, honest exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

CORPUS = Path(__file__).parent.parent / "corpora" / "claude-code"
TRANSCRIPT = CORPUS / "cipher-box-2.1.49_d9bd077a.jsonl"


def holdfast(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "holdfast", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
    )


def test_a_transcript_is_imported_listed_shown_exported_and_deleted() -> None:
    before = TRANSCRIPT.read_bytes()
    imported = holdfast("import", str(TRANSCRIPT), "--json")
    session_id = json.loads(imported.stdout)["sessionId"]
    listed = json.loads(holdfast("sessions", "--json").stdout)
    assert [(s["sessionId"], s["phase"]) for s in listed] == [(session_id, "idle")]
    assert session_id in holdfast("sessions").stdout
    messages = json.loads(holdfast("sessions", "show", session_id, "--json").stdout)
    assert len(messages) == 26
    for name in ("jsonl", "markdown", "claude-code"):
        assert holdfast("sessions", "export", session_id, "--format", name).stdout
    assert holdfast("sessions", "delete", session_id).returncode == 0
    assert json.loads(holdfast("sessions", "--json").stdout) == []
    assert TRANSCRIPT.read_bytes() == before, "P8: opening never writes"


@pytest.mark.parametrize(
    "arguments",
    [
        ("sessions", "show", "s_nothing"),
        ("sessions", "show"),
        ("import", "/nonexistent.jsonl"),
        ("simulator", "--script", "/nonexistent.json"),
        ("demo", "--live"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line_with_exit_code_2(
    arguments: tuple[str, ...],
) -> None:
    done = holdfast(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("holdfast: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_setting_is_named_and_nothing_stops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOLDFAST_STORE", "postgresql://elsewhere")
    done = holdfast("sessions")
    assert done.returncode == 0
    assert "HOLDFAST_STORE" in done.stderr


def test_a_file_that_is_no_store_is_refused_and_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "other.db"
    path.write_text("not a store\n")
    monkeypatch.setenv("HOLDFAST_STORE", f"sqlite:///{path}")
    done = holdfast("sessions")
    assert done.returncode == 2
    assert "HOLDFAST_DATA_DIR" in done.stderr, "the next step"
    assert path.read_text() == "not a store\n"
