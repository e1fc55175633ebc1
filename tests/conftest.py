"""What all tests share: a home of their own, an environment without keys, and how to search.

Law: no test reads or writes the files of the person who runs it, and none can spend their key.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# In CI the same examples every time; at a desk new ones, with the blob to replay a failure.
settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    print_blob=True,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("desk", deadline=None, print_blob=True, max_examples=50)
settings.load_profile("ci" if os.environ.get("CI") else "desk")

# HOLDFAST_TRANSCRIPTS names a corpus that tests may read, so it stays. A proxy would be asked for
# the servers that tests run on the loopback.
_KEPT = frozenset({"HOLDFAST_TRANSCRIPTS"})
_FOREIGN_PREFIXES = ("ANTHROPIC_", "CLAUDE_", "HOLDFAST_", "XDG_")
_FOREIGN_SUFFIXES = ("_PROXY",)


def _move_to(home: Path, patch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        foreign = name.upper().startswith(_FOREIGN_PREFIXES)
        if name not in _KEPT and (foreign or name.upper().endswith(_FOREIGN_SUFFIXES)):
            patch.delenv(name)
    patch.setenv("HOME", str(home))
    patch.setenv("USERPROFILE", str(home))
    patch.setenv("XDG_DATA_HOME", str(home / "data"))
    patch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    patch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    patch.setenv("XDG_STATE_HOME", str(home / "state"))
    patch.setenv("XDG_RUNTIME_DIR", str(home / "runtime"))


@pytest.fixture(scope="session", autouse=True)
def _foreign_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Leave the person's home also in fixtures that outlive a test."""
    with pytest.MonkeyPatch.context() as patch:
        _move_to(tmp_path_factory.mktemp("home"), patch)
        yield


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every test an empty home directory and return it."""
    directory = tmp_path / "home"
    directory.mkdir()
    _move_to(directory, monkeypatch)
    return directory
