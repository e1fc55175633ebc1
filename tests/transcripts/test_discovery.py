"""Sessions are found where they lie: by scanning, by exact id, in any spelling (D12-D16, D18)."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.transcripts import discovery, folders
from holdfast.transcripts.discovery import DAY_S, Catalogue, Session
from holdfast.transcripts.glance import END_BYTES, glance
from transcripts.transcript_files import Transcript

NOW = 1_800_000_000.0
SESSION = Transcript().user("u1", "Find the kelp.").says("a1", "m1", "Here.")


class Home:
    """The configuration directory of a user."""

    def __init__(self, root: Path) -> None:
        self.config = root / ".claude"
        self.catalogue = Catalogue((self.config,))

    def put(self, name: str, content: bytes, *, project: str = "-w", age_days: float = 1) -> Path:
        path = self.config / "projects" / project / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        used = NOW - age_days * DAY_S
        os.utime(path, (used, used))
        return path

    def settings(self, text: str) -> None:
        (self.config / "settings.json").write_text(text)

    def sessions(self) -> list[Session]:
        return self.catalogue.sessions(NOW)

    def digests(self) -> dict[Path, str]:
        found = (path for path in self.config.rglob("*") if path.is_file())
        return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def in_folder(cwd: Path | str) -> bytes:
    return Transcript().user("u1", "hi", cwd=str(cwd)).bytes()


def test_a_line_of_the_list_says_what_a_person_looks_for(home: Home) -> None:
    path = home.put("0d9f", SESSION.bytes(), age_days=2)
    (found,) = home.sessions()
    assert (found.path, found.session_id, found.title) == (path, "0d9f", "Find the kelp.")
    assert (found.cwd, found.version, found.size) == ("/w", "2.1.49", path.stat().st_size)
    assert (found.used_at, found.health) == (NOW - 2 * DAY_S, "healthy")


def test_the_session_used_last_comes_first_over_all_projects(home: Home) -> None:
    for name, age in (("old", 9), ("new", 1), ("middle", 5)):
        home.put(name, SESSION.bytes(), project=f"-{name}", age_days=age)
    assert [found.session_id for found in home.sessions()] == ["new", "middle", "old"]


@pytest.mark.survives("D21")
def test_P8_looking_changes_no_file_and_no_time(home: Home) -> None:
    path = home.put("torn", SESSION.bytes()[:-9])
    home.put("nul", b"\0" * 999)
    before, times = home.digests(), path.stat()
    home.sessions()
    home.catalogue.find("s1")
    assert home.digests() == before
    assert path.stat().st_mtime_ns == times.st_mtime_ns


@pytest.mark.survives("D14")
@pytest.mark.parametrize("index", ["", "{", '{"sessions": []}', '{"version": 99}'])
def test_D14_an_index_that_is_stale_empty_or_broken_hides_nothing(home: Home, index: str) -> None:
    home.put("0d9f", SESSION.bytes())
    (home.config / "projects" / "-w" / "sessions-index.json").write_text(index)
    assert [found.session_id for found in home.sessions()] == ["0d9f"]


@pytest.mark.survives("D14")
def test_D14_what_changed_is_seen_at_the_next_look(home: Home) -> None:
    home.put("0d9f", SESSION.bytes(), age_days=3)
    assert home.sessions()[0].title == "Find the kelp."
    named = SESSION.bytes() + b'{"type":"custom-title","customTitle":"Kelp","sessionId":"s1"}\n'
    home.put("0d9f", named, age_days=2)
    home.put("other", SESSION.bytes())
    assert [found.title for found in home.sessions()] == ["Find the kelp.", "Kelp"]


@pytest.mark.survives("D12")
def test_D12_a_session_is_found_by_its_id_in_whichever_project_it_lies(home: Home) -> None:
    home.put("other", SESSION.bytes(), project="-a")
    path = home.put("0d9f", b'{"type":"pr-link","url":"x"}\n' + SESSION.bytes(), project="-b")
    assert home.catalogue.find("0d9f") == [path]


@pytest.mark.survives("D12")
def test_D12_a_file_of_another_name_is_found_by_the_id_in_it(home: Home) -> None:
    far_in = Transcript().user("u1", "x" * 300_000).user("u2", "y", sessionId="4bd1")
    path = home.put("renamed", far_in.bytes())
    home.put("quoting", Transcript().user("u1", 'the id "4bd1" and "sessionId":"4bd1"').bytes())
    assert home.catalogue.find("4bd1") == [path]


@pytest.mark.survives("D13")
def test_D13_only_the_exact_id_counts_never_a_part_of_one_and_never_the_latest(home: Home) -> None:
    home.put("0d9f-1", SESSION.bytes())
    home.put("0d9f-2", SESSION.bytes())
    assert home.catalogue.find("0d9f") == []
    assert home.catalogue.find("") == []
    assert home.catalogue.find('s1"') == []


@pytest.mark.survives("D13")
def test_D13_of_several_ids_in_a_file_its_name_counts_and_all_are_told(home: Home) -> None:
    both = Transcript().user("u1", "a", sessionId="parent").user("u2", "b", sessionId="child")
    path = home.put("child", both.bytes())
    (found,) = home.sessions()
    assert (found.session_id, found.ids) == ("child", ("parent", "child"))
    assert home.catalogue.find("child") == home.catalogue.find("parent") == [path]


def test_files_of_sub_agents_are_no_sessions(home: Home) -> None:
    home.put("agent-a1b2", SESSION.bytes())
    home.put("agent-c3d4", SESSION.bytes(), project="-w/0d9f/subagents")
    assert home.sessions() == []


SPELLINGS = {
    "c:/users/me/sea weed": [
        "C:\\Users\\Me\\Sea Weed", "c:\\Users\\Me\\Sea Weed\\", "C:/Users/Me/Sea Weed",
        "/mnt/c/Users/Me/Sea Weed", "/cygdrive/c/Users/Me/Sea Weed",
        "\\\\?\\C:\\Users\\Me\\Sea Weed",
        "file:///c%3A/Users/Me/Sea%20Weed", "/c:/Users/Me/./Sea Weed",
    ],
    "/home/me/kelp": [
        "/home/me/kelp", "/home/me//kelp/", "/home/me/x/../kelp", "file:///home/me/kelp",
        "\\\\wsl$\\Ubuntu\\home\\me\\kelp", "\\\\wsl.localhost\\Debian\\home\\me\\kelp",
        "//wsl.localhost/Ubuntu/home/me/kelp",
    ],
    "//server/share/kelp": [
        "\\\\Server\\Share\\Kelp", "//server/share/kelp/", "\\\\?\\UNC\\server\\share\\kelp",
        "file://server/share/kelp",
    ],
    "c:/": ["C:\\", "c:", "/mnt/c", "/mnt/c/", "file:///C:/"],
}  # fmt: skip


@pytest.mark.survives("D16")
@pytest.mark.parametrize("key", SPELLINGS)
def test_D16_every_spelling_of_one_folder_has_one_key(key: str) -> None:
    assert {folders.key(spelling) for spelling in SPELLINGS[key]} == {key}


@pytest.mark.survives("D16")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("C:\\a", "D:\\a"), ("/srv/Kelp", "/srv/kelp"), ("/mnt/cd/a", "C:\\d\\a"),
        ("/srv/a-b", "/srv/a/b"), ("/srv/a\\b", "/srv/a/b"), ("/mnt", "/mnt/c"), ("/c/a", "C:\\a"),
    ],
)  # fmt: skip
def test_D16_two_folders_never_have_one_key(one: str, other: str) -> None:
    assert folders.key(one) != folders.key(other)


@given(st.text(max_size=40) | st.text("/\\:.cC~?w$ ", max_size=20))
@settings(max_examples=300, deadline=None)
def test_D16_a_key_is_its_own_key_whatever_the_spelling(spelling: str) -> None:
    key = folders.key(spelling)
    assert folders.key(key) == key


@pytest.mark.survives("D16")
def test_D16_a_folder_is_the_same_behind_a_link(home: Home, tmp_path: Path) -> None:
    project = tmp_path / "kelp"
    project.mkdir()
    (tmp_path / "link").symlink_to(project)
    home.put("a", in_folder(tmp_path / "link"))
    home.put("b", in_folder(project))
    for spelled in (project, tmp_path / "link"):
        found = discovery.of_folder(home.sessions(), spelled)
        assert {(each.session_id, relation) for each, relation in found} == {
            ("a", "here"), ("b", "here"),
        }  # fmt: skip


def repository(folder: Path, remote: str) -> Path:
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "config").write_text(f'[remote "origin"]\n\turl = {remote}\n')
    return folder


@pytest.mark.survives("D15")
def test_D15_sessions_of_another_clone_of_the_repository_are_a_hint(
    home: Home, tmp_path: Path
) -> None:
    one = repository(tmp_path / "one", "git@kelp.example:sea/weed.git")
    other = repository(tmp_path / "other", "https://me@kelp.example/sea/weed")
    stranger = repository(tmp_path / "stranger", "https://kelp.example/sea/urchin")
    tree = tmp_path / "tree"
    tree.mkdir()
    place = one / ".git" / "worktrees" / "tree"
    place.mkdir(parents=True)
    (place / "commondir").write_text("../..\n")
    (tree / ".git").write_text(f"gitdir: {place}\n")
    for folder in (one, other, stranger, tree):
        home.put(folder.name, in_folder(folder))
    found = discovery.of_folder(home.sessions(), one)
    assert (found[0][0].session_id, found[0][1]) == ("one", "here")
    assert {(each.session_id, relation) for each, relation in found[1:]} == {
        ("other", "same repository"), ("tree", "same repository"),
    }  # fmt: skip


@pytest.mark.survives("D15")
def test_D15_a_project_that_was_moved_keeps_its_sessions_in_sight(
    home: Home, tmp_path: Path
) -> None:
    before = tmp_path / "before" / "kelp"
    before.mkdir(parents=True)
    home.put("a", in_folder(before), project="-a-name-that-is-never-decoded")
    after = tmp_path / "after" / "kelp"
    after.parent.mkdir()
    assert discovery.of_folder(home.sessions(), after) == [], "its folder is still there"
    before.rename(after)
    ((found, relation),) = discovery.of_folder(home.sessions(), after)
    assert (found.session_id, relation) == ("a", "perhaps moved")


@pytest.mark.parametrize("cwd", ["/a\0b", "/k\ud83d", "~nobody/x", "C:\\x", "", "x" * 9000],
                         ids=["nul", "surrogate", "tilde", "drive", "none", "long"])  # fmt: skip
def test_a_folder_that_can_be_none_here_raises_nothing(
    home: Home, tmp_path: Path, cwd: str
) -> None:
    home.put("odd", in_folder(cwd))
    assert discovery.of_folder(home.sessions(), tmp_path) == []


@pytest.mark.survives("D18")
@pytest.mark.parametrize(
    ("settings_text", "days"),
    [
        (None, 30), ("{}", 30), ('{"cleanupPeriodDays": 90}', 90), ('{"cleanupPeriodDays": 0}', 0),
        ('{"cleanupPeriodDays": "7"}', 30), ('{"cleanupPeriodDays": true}', 30), ("{torn", 30),
        ("[]", 30),
    ],
)  # fmt: skip
def test_D18_the_days_until_deletion_follow_the_settings_and_the_time_of_the_file(
    home: Home, settings_text: str | None, days: float
) -> None:
    home.put("0d9f", SESSION.bytes(), age_days=12)
    if settings_text is not None:
        home.settings(settings_text)
    assert home.sessions()[0].deleted_in_days == pytest.approx(days - 12)


@pytest.mark.survives("D18")
def test_D18_a_copy_that_was_kept_outlives_the_sweep_and_looks_new(
    home: Home, tmp_path: Path
) -> None:
    path = home.put("0d9f", SESSION.bytes(), age_days=29)
    kept = discovery.keep(path, tmp_path / "kept")
    assert path.stat().st_mtime == NOW - 29 * DAY_S, "the file's own time is left as it is"
    assert kept.stat().st_mtime != path.stat().st_mtime
    assert kept.stat().st_mode & 0o077 == 0
    path.unlink()
    assert kept.read_bytes() == SESSION.bytes()


@pytest.mark.survives("D18")
def test_D18_the_same_state_is_kept_once_and_a_later_one_beside_it(
    home: Home, tmp_path: Path
) -> None:
    path = home.put("0d9f", SESSION.bytes(), age_days=3)
    first = discovery.keep(path, tmp_path / "kept")
    assert discovery.keep(path, tmp_path / "kept") == first
    home.put("0d9f", b"", age_days=2)
    second = discovery.keep(path, tmp_path / "kept")
    assert (first.read_bytes(), second.read_bytes()) == (SESSION.bytes(), b"")
    assert sorted((tmp_path / "kept").iterdir()) == sorted([first, second])


def test_a_copy_that_cannot_be_made_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nothing"):
        discovery.keep(tmp_path / "nothing.jsonl", tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_the_configuration_directory_is_the_one_named_and_the_usual_ones(tmp_path: Path) -> None:
    usual, named = tmp_path / ".claude", tmp_path / "elsewhere"
    for directory in (usual, named):
        (directory / "projects").mkdir(parents=True)
    environ = {"CLAUDE_CONFIG_DIR": str(named)}
    assert discovery.config_dirs({}, tmp_path) == (usual,)
    assert discovery.config_dirs(environ, tmp_path) == (named, usual)
    assert discovery.config_dirs({"CLAUDE_CONFIG_DIR": str(usual)}, tmp_path) == (usual,)
    assert discovery.config_dirs({}, tmp_path / "nobody") == ()


CALL = Transcript().user("u1", "go").calls("a1", "m1", "t1")
CALLED = CALL.bytes()
HEALTH: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "empty"),
    "only side records": (Transcript().side("mode", mode="x").bytes(), "empty"),
    "whole": (SESSION.bytes(), "healthy"),
    "without a last line break": (SESSION.bytes()[:-1], "healthy"),
    "torn": (SESSION.bytes()[:-30], "torn"),
    "a run of NUL": (SESSION.bytes() + b"\0" * 99 + b"\n", "damaged"),
    "NUL to the end": (SESSION.bytes() + b"\0" * 99, "torn"),
    "glued records": (SESSION.bytes().replace(b"}\n{", b"}{"), "damaged"),
    "no UTF-8": (SESSION.bytes().replace(b"kelp", b"k\xff"), "damaged"),
    "an open call": (CALLED, "interrupted"),
    "an answered call": (Transcript(CALL.lines[:], "a1").result("u2", "t1").bytes(), "healthy"),
}


@pytest.mark.parametrize("what", HEALTH)
def test_health_is_what_can_be_seen_at_the_ends(what: str) -> None:
    content, health = HEALTH[what]
    assert glance(content, b"").health == health


def test_a_file_of_any_size_is_looked_at_at_its_ends_only(home: Home) -> None:
    middle = Transcript().user("u2", "x" * (3 * END_BYTES), parent="u1").bytes()
    title = b'{"type":"ai-title","aiTitle":"Kelp","sessionId":"s1"}\n'
    damage = b"}{ damage out of sight\n"
    home.put("0d9f", CALLED + middle + damage + middle + SESSION.bytes() + title)
    (found,) = home.sessions()
    assert (found.title, found.health, found.cwd) == ("Kelp", "healthy", "/w")


@given(st.binary(max_size=300), st.binary(max_size=300), st.integers(0, 400), st.integers(0, 400))
@settings(max_examples=200, deadline=None)
def test_a_glance_raises_for_no_bytes(noise: bytes, more: bytes, start: int, stop: int) -> None:
    assert glance(noise + CALLED[start:stop] + more, b"").health
    assert glance(CALLED[start:] + noise, more + CALLED[:stop]).health


JSON: st.SearchStrategy[Any] = st.none() | st.integers() | st.lists(st.text(), max_size=2)


@given(st.dictionaries(st.sampled_from([*CALL.lines[0], "customTitle", "lastPrompt"]), JSON))
@settings(max_examples=100, deadline=None)
def test_fields_of_wrong_types_say_nothing(fields: dict[str, Any]) -> None:
    assert glance(json.dumps({"type": "user", **fields}).encode() + b"\n", b"").title == ""
