"""The table of commands: what it refuses, what it takes, and that the page tells the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from pygls.exceptions import JsonRpcException

from holdfast.lsp import reference
from holdfast.lsp.commands import COMMANDS, Command, arguments, command

ROWS = list(COMMANDS.values())
PAGE = Path(__file__).parents[2] / "docs" / "protocol.md"

# What LSP knows for each member, and one value of every other kind.
KINDS: list[Any] = [None, True, 17, 2.5, "text", ["text"], {"a": 1}]


def takes(row: Command, member: str, value: Any) -> bool:
    """Tell whether a member's own type takes a value, with all other members as they should be."""
    try:
        msgspec.convert({**row.example, member: value}, row.params)
    except msgspec.ValidationError:
        return False
    return True


def wrong_members() -> list[tuple[str, str, Any]]:
    return [
        (row.name, field.encode_name, value)
        for row in ROWS
        for field in msgspec.structs.fields(row.params)
        for value in KINDS
        if not takes(row, field.encode_name, value)
    ]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_example_is_a_valid_argument(row: Command) -> None:
    assert isinstance(arguments(row, [row.example]), row.params)
    known = {field.encode_name for field in msgspec.structs.fields(row.params)}
    assert set(row.example) <= known


def test_every_member_refuses_most_kinds_of_values() -> None:
    members = {(name, member) for name, member, _ in wrong_members()}
    assert members == {
        (row.name, field.encode_name)
        for row in ROWS
        for field in msgspec.structs.fields(row.params)
    }


@pytest.mark.parametrize(("name", "member", "value"), wrong_members())
def test_a_wrong_value_is_refused_by_its_name(name: str, member: str, value: Any) -> None:
    row = command(name)
    with pytest.raises(JsonRpcException) as refusal:
        arguments(row, [{**row.example, member: value}])
    assert refusal.value.code == -32602
    assert refusal.value.message.startswith(f"{name}: ")
    assert member in refusal.value.message
    assert refusal.value.data["kind"] == "InvalidParams"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_missing_member_is_named(row: Command) -> None:
    for field in msgspec.structs.fields(row.params):
        if field.required:
            given = {k: v for k, v in row.example.items() if k != field.encode_name}
            with pytest.raises(JsonRpcException, match=field.encode_name):
                arguments(row, [given])


@pytest.mark.parametrize("given", [None, [], [None], [{}]])
def test_no_argument_means_an_empty_object(given: list[Any] | None) -> None:
    row = command("holdfast.session.list")
    assert arguments(row, given) == row.params()


@pytest.mark.parametrize("given", [["text"], [17], [[]], [{}, {}]])
def test_whatever_is_not_one_object_is_refused(given: list[Any]) -> None:
    with pytest.raises(JsonRpcException):
        arguments(command("holdfast.session.list"), given)


def test_unknown_members_are_ignored_for_newer_clients() -> None:
    row = command("holdfast.session.state")
    assert arguments(row, [{"sessionId": "s", "fromTheFuture": [1]}]) == row.params(session_id="s")


def test_an_unknown_command_is_refused_with_its_kind() -> None:
    with pytest.raises(JsonRpcException) as refusal:
        command("holdfast.session.explode")
    assert (refusal.value.code, refusal.value.data["kind"]) == (-32602, "UnknownCommand")


def test_the_protocol_page_says_what_the_tables_say() -> None:
    """Run `python -m holdfast.lsp.reference > docs/protocol.md` when this fails."""
    assert PAGE.read_text("utf-8") == reference.render()


def test_the_protocol_page_has_every_command_and_both_notifications() -> None:
    page = PAGE.read_text("utf-8")
    for name in [*COMMANDS, "holdfast/event", "holdfast/status"]:
        assert f"`{name}`" in page
