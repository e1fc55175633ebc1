"""`check`, `repair`, `import` and Claude Code's own sessions on the command line."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from holdfast.cli.main import main
from holdfast.transcripts.discovery import DAY_S
from transcripts.test_formats import LISTS, ROLLOUT, lines
from transcripts.transcript_files import Transcript

WHOLE = Transcript().user("u1", "Find the kelp.").says("a1", "m1", "Here.").bytes()
BROKEN = (
    Transcript().user("u1", "Find.").says("a1", "m1", "Here.").user("u2", [{"type": "text",
    "text": " "}, {"type": "nonsense"}]).says("a2", "m2", "What?").bytes()
)  # fmt: skip


class Machine:
    """A home with sessions of Claude Code, and the command line in it."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self._capsys = capsys

    def put(self, name: str, content: bytes, *, age_days: float = 0.0) -> Path:
        path = self.home / ".claude" / "projects" / "-w" / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        used = time.time() - age_days * DAY_S
        os.utime(path, (used, used))
        return path

    def runs(self, *arguments: str | Path) -> tuple[int, str, str]:
        """Run a command; return its exit status, what it printed, what it complained of."""
        status = main([str(argument) for argument in arguments])
        said = self._capsys.readouterr()
        return status, said.out, said.err

    def json(self, *arguments: str | Path) -> Any:
        return json.loads(self.runs(*arguments, "--json")[1])


@pytest.fixture
def machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Machine:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("HOLDFAST_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    return Machine(tmp_path, capsys)


def test_check_exits_0_for_what_is_healthy_1_for_findings_2_for_what_cannot_be_read(
    machine: Machine,
) -> None:
    whole, broken = machine.put("whole", WHOLE), machine.put("broken", BROKEN)
    assert machine.runs("check", whole)[0] == 0
    assert machine.runs("check", whole, broken)[0] == 1
    status, shown, complaint = machine.runs("check", "/nonexistent/x.jsonl", whole)
    assert (status, complaint.count("\n")) == (2, 1)
    assert "healthy" in shown, "one that cannot be read hides no other"


def test_check_as_json_has_the_shape_that_scripts_rely_on(machine: Machine) -> None:
    broken = machine.put("broken", BROKEN)
    (report,) = machine.json("check", broken)
    assert set(report) == {
        "path", "format", "version", "entries", "messages", "findings", "healthy",
    }  # fmt: skip
    assert (report["path"], report["format"], report["healthy"]) == (
        str(broken), "claude-code", False,
    )  # fmt: skip
    for finding in report["findings"]:
        assert {"rule", "severity", "line", "bytes", "message", "repair"} <= set(finding)
    worst = [f for f in report["findings"] if f["severity"] == "error"]
    assert {finding["line"] for finding in worst} == {3}
    start, stop = worst[0]["bytes"]
    assert b"nonsense" in broken.read_bytes()[start:stop]


def test_check_for_people_names_line_rule_and_repair_and_the_next_command(machine: Machine) -> None:
    broken = machine.put("broken", BROKEN)
    _, shown, _ = machine.runs("check", broken)
    assert "line 3" in shown
    assert "→ " in shown
    assert f"holdfast repair {broken} --output" in shown
    assert max(map(len, shown.splitlines()[:-1])) <= 100


def test_check_takes_a_folder_and_a_session_by_its_id(machine: Machine) -> None:
    machine.put("whole", WHOLE)
    machine.put("broken", BROKEN)
    assert [r["healthy"] for r in machine.json("check", machine.home / ".claude")] == [False, True]
    assert len(machine.json("check", "broken")) == 1


def test_many_findings_of_one_rule_are_counted_not_listed(machine: Machine) -> None:
    transcript = Transcript()
    for number in range(20):
        transcript.user(f"u{number}", [{"type": "nonsense"}]).says(f"a{number}", f"m{number}", "x")
    _, shown, _ = machine.runs("check", machine.put("many", transcript.bytes()))
    assert "15 more" in shown


def test_check_reads_the_other_formats_too(machine: Machine) -> None:
    rollout, messages = machine.put("r", lines(*ROLLOUT)), machine.put("m", LISTS["an array"])
    torn = machine.put("t", LISTS["an array"][:-30])
    reports = machine.json("check", rollout, messages, torn)
    assert [(r["format"], r["messages"], r["healthy"]) for r in reports] == [
        ("codex", 4, True), ("messages", 4, True), ("messages", 3, False),
    ]  # fmt: skip
    assert [f["rule"] for f in reports[2]["findings"] if f["severity"] == "error"] == ["D20"]


@pytest.mark.parametrize("command", ["check", "import"])
def test_what_is_no_transcript_is_said_so_in_one_line(machine: Machine, command: str) -> None:
    status, _, complaint = machine.runs(command, machine.put("words", b"Just words.\n"))
    assert (status, complaint.count("\n")) == (2, 1)
    assert "no transcript" in complaint


def test_repair_writes_a_copy_that_is_healthy_and_leaves_the_file_as_it_is(
    machine: Machine,
) -> None:
    broken, copy = machine.put("broken", BROKEN), machine.home / "copy.jsonl"
    done = machine.json("repair", broken, "--output", copy)
    assert set(done) == {"path", "output", "backup", "repairs", "unrepaired"}
    assert (done["path"], done["output"], done["backup"]) == (str(broken), str(copy), None)
    assert {"rule", "line", "action", "kept"} == set(done["repairs"][0])
    assert done["unrepaired"] == []
    assert broken.read_bytes() == BROKEN
    assert machine.runs("check", copy)[0] == 0


def test_repair_in_place_keeps_a_backup(machine: Machine) -> None:
    broken = machine.put("broken", BROKEN)
    done = machine.json("repair", "broken", "--in-place")
    assert Path(done["backup"]).read_bytes() == BROKEN
    assert machine.runs("check", broken)[0] == 0
    assert len(machine.json("sessions", "--claude-code")) == 1, "the backup is no session"


def test_a_dry_run_writes_nothing(machine: Machine) -> None:
    broken = machine.put("broken", BROKEN)
    status, shown, _ = machine.runs("repair", broken, "--dry-run")
    assert status == 0
    assert "would be made" in shown
    assert [path.name for path in broken.parent.iterdir()] == ["broken.jsonl"]
    assert broken.read_bytes() == BROKEN


def test_repair_of_a_healthy_file_says_that_there_is_nothing_to_do(machine: Machine) -> None:
    whole = machine.put("whole", WHOLE)
    status, shown, _ = machine.runs("repair", whole, "--in-place")
    assert (status, whole.read_bytes()) == (0, WHOLE)
    assert "nothing to repair" in shown


def test_repair_that_cannot_be_done_is_said_with_the_next_step(machine: Machine) -> None:
    broken, rollout = machine.put("broken", BROKEN), machine.put("r", lines(*ROLLOUT))
    for arguments, step in (
        (("repair", broken, "--output", broken), "another --output"),
        (("repair", rollout, "--dry-run"), "holdfast import"),
        (("repair", "no-such-id", "--dry-run"), "sessions list --claude-code"),
    ):
        status, _, complaint = machine.runs(*arguments)
        assert (status, complaint.count("\n")) == (2, 1)
        assert step in complaint


@pytest.mark.survives("D12")
def test_D12_a_session_is_imported_by_its_id_from_whichever_project(machine: Machine) -> None:
    machine.put("0d9f", WHOLE)
    session_id = machine.json("import", "0d9f")["sessionId"]
    assert len(machine.json("sessions", "show", session_id)) == 2
    status, _, complaint = machine.runs("import", "0d9")
    assert (status, complaint.count("\n")) == (2, 1)
    assert "0d9" in complaint


@pytest.mark.survives("D13")
def test_D13_an_id_that_several_files_hold_is_not_guessed(machine: Machine) -> None:
    machine.put("one", WHOLE)
    machine.put("two", WHOLE)
    status, _, complaint = machine.runs("import", "s1")
    assert status == 2
    assert "one.jsonl" in complaint
    assert "two.jsonl" in complaint


def test_claude_codes_sessions_are_listed_the_last_used_first(machine: Machine) -> None:
    machine.put("old", WHOLE, age_days=3)
    path = machine.put("new", BROKEN)
    new, old = machine.json("sessions", "list", "--claude-code")
    assert (new["sessionId"], old["sessionId"]) == ("new", "old")
    assert (new["path"], new["title"], new["size"]) == (str(path), "Find.", len(BROKEN))
    _, shown, _ = machine.runs("sessions", "list", "--claude-code")
    assert shown.index("Find.") < shown.index("Find the kelp.")
    assert "27 days left" in shown


@pytest.mark.survives("D18")
def test_D18_a_session_near_its_deletion_is_marked_and_can_be_kept(machine: Machine) -> None:
    path = machine.put("0d9f", WHOLE, age_days=28)
    _, shown, warning = machine.runs("sessions", "list", "--claude-code")
    assert "! 2 days left" in shown
    assert "holdfast sessions keep" in warning
    kept = Path(machine.json("sessions", "keep", "0d9f")["kept"])
    path.unlink()
    assert kept.is_relative_to(machine.home / "data")
    assert kept.read_bytes() == WHOLE


def test_the_list_can_be_of_one_project(machine: Machine) -> None:
    here = machine.home / "kelp"
    here.mkdir()
    machine.put("mine", Transcript().user("u1", "hi", cwd=str(here)).bytes())
    machine.put("other", WHOLE)
    (only,) = machine.json("sessions", "list", "--folder", here)
    assert (only["sessionId"], only["relation"]) == ("mine", "here")
    assert "No session" in machine.runs("sessions", "--folder", machine.home / "empty")[1]


def test_a_machine_without_claude_code_has_an_empty_list(machine: Machine) -> None:
    assert machine.json("sessions", "--claude-code") == []
    assert machine.runs("sessions", "--claude-code")[0] == 0


def test_P11_words_of_a_file_cannot_command_the_terminal(machine: Machine) -> None:
    title = {"type": "custom-title", "customTitle": "Kelp\x1b[2J\x07 \ud83d\n!", "sessionId": "s1"}
    strange = {"type": "user", "uuid": "u9", "version": "\x1b]0;x\x07", "sessionId": "s1",
               "parentUuid": "\x1b[31m", "message": {"role": "user", "content": "hi"}}  # fmt: skip
    path = machine.put("odd", WHOLE + lines(strange) + json.dumps(title).encode() + b"\n")
    for arguments in (
        ("sessions", "--claude-code"),
        ("check", path),
        ("repair", path, "--dry-run"),
    ):
        _, shown, complaint = machine.runs(*arguments)
        assert "\x1b" not in shown + complaint
        assert "\x07" not in shown + complaint
    assert "Kelp [2J !" in machine.runs("sessions", "--claude-code")[1]


def test_a_folder_without_transcripts_is_said_so(machine: Machine) -> None:
    status, _, complaint = machine.runs("check", machine.home)
    assert (status, complaint.count("\n")) == (2, 1)
