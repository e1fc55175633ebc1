"""What every source file owes its reader: a law on top, a size to be read, no private places."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SERVER = sorted((ROOT / "server").rglob("*.py"))
LINES_MAX = 450
FUNCTION_LINES_MAX = 70

# Written so that this file does not hold what it looks for.
REGISTRY_INDEX = re.compile(
    r"https?://[^/\s\"']+/simple\b|pythonhosted[.]org|registry[.]npmjs[.]org"
)
TEXT_SUFFIXES = {".cfg", ".json", ".md", ".mjs", ".py", ".sh", ".toml", ".ts", ".txt", ".yml", ""}
FOREIGN_FOLDERS = {"__pycache__", "node_modules", "dist"}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def tree_files() -> Iterator[Path]:
    """Yield the text files of the tree: what is in folders made by tools does not count."""
    for top in sorted(ROOT.iterdir()):
        if top.is_file():
            yield top
        elif top.name in {".ci", "client-vscode", "docs", "requirements", "server", "tests"}:
            for path in sorted(top.rglob("*")):
                if path.is_file() and not FOREIGN_FOLDERS & set(path.relative_to(top).parts):
                    yield path


def test_a_module_opens_with_what_it_is_for() -> None:
    mute = [name(path) for path in SERVER if not ast.get_docstring(parsed(path))]
    assert mute == []


def test_a_module_can_be_read_at_one_go() -> None:  # which two things live in it otherwise?
    lines = {name(path): path.read_text("utf-8").count("\n") for path in SERVER}
    assert {module: count for module, count in lines.items() if count > LINES_MAX} == {}


def test_a_function_can_be_read_at_one_go() -> None:
    lines = {
        f"{name(path)}:{node.lineno} {node.name}": (node.end_lineno or 0) - node.lineno
        for path in SERVER
        for node in functions(parsed(path))
    }
    assert {place: count for place, count in lines.items() if count > FUNCTION_LINES_MAX} == {}


def test_no_file_names_a_registry_or_the_place_of_this_checkout() -> None:
    found = []
    for path in tree_files():
        if path.suffix in TEXT_SUFFIXES:
            text = path.read_text("utf-8", errors="replace")
            if REGISTRY_INDEX.search(text) or f"{ROOT}/" in text:
                found.append(name(path))
    assert found == []
