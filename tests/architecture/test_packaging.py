"""A fresh clone can be built: locks, targets and license are what `pyproject.toml` says."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
RUNTIME = PYPROJECT["project"]["dependencies"]
BUILD = PYPROJECT["build-system"]["requires"]
DEV = PYPROJECT["project"]["optional-dependencies"]["dev"]

# The targets that people and scripts rely on, as far as they exist.
TARGETS = {"setup", "run", "test", "lint", "bench"}


def pins(lock: str) -> dict[str, str]:
    """Return what a lock file pins: names and versions, each with a hash at least."""
    text = (ROOT / "requirements" / lock).read_text("utf-8")
    return dict(
        re.findall(r"^([a-z0-9.-]+)==(\S+) \\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)
    )


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [("lock.txt", [*RUNTIME, *BUILD]), ("dev.txt", [*RUNTIME, *BUILD, *DEV])],
)
def test_a_lock_pins_all_that_is_declared_within_its_range(lock: str, wanted: list[str]) -> None:
    pinned = pins(lock)
    for requirement in map(Requirement, wanted):
        assert pinned[canonicalize_name(requirement.name)] in requirement.specifier


def test_tests_run_on_the_versions_that_people_get() -> None:
    assert pins("dev.txt").items() >= pins("lock.txt").items()


@pytest.mark.parametrize("lock", ["lock.txt", "dev.txt"])
def test_a_lock_says_nothing_of_where_packages_come_from(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text("utf-8")
    settings = re.findall(r"^\s*(?:-i|-f|--\S*(?:url|host|links)\S*)", text, re.MULTILINE)
    assert (settings, re.findall(r"\w+://", text)) == ([], [])


def test_the_targets_people_rely_on_say_what_they_do() -> None:
    run = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, check=True, text=True)
    described = dict(re.findall(r"^make (\w+) +(\S.*)$", run.stdout, re.MULTILINE))
    assert described.keys() >= TARGETS
    phony = re.findall(r"^\.PHONY: (\w+)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert set(phony) == set(described)


def test_the_license_is_the_whole_apache_license() -> None:
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert PYPROJECT["project"]["license"] == "Apache-2.0"


def test_the_package_says_that_it_is_typed() -> None:
    assert (ROOT / "server" / "holdfast" / "py.typed").is_file()


def test_the_changelog_has_an_entry_for_this_version() -> None:
    version = PYPROJECT["project"]["version"]
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")
