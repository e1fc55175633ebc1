"""Banners as an editor gets them: what they offer can be called as it stands (P10)."""

from __future__ import annotations

import pytest

from holdfast.agent.api import Status
from holdfast.lsp import wire
from holdfast.lsp.commands import arguments, command
from holdfast.session import banners
from holdfast.session.banners import Action
from session.all_banners import pauses, waits

ACTIONS = {
    (a.command, str(a.argument)): a for banner in (*pauses(), *waits()) for a in banner.actions
}


@pytest.mark.parametrize("action", ACTIONS.values(), ids=lambda action: action.command)
def test_every_action_names_a_command_and_its_argument_fits(action: Action) -> None:
    row = command(action.command)
    if action.argument is not None:
        assert isinstance(arguments(row, [action.argument]), row.params)


def test_a_banner_goes_over_the_wire_with_what_applies_to_it() -> None:
    banner = banners.waiting("s_1", reason="overloaded", attempt=2, due=5, failure=None, since=3)
    assert wire.plain(Status("s_1", "waiting", label="waiting", banner=banner)) == {
        "sessionId": "s_1",
        "phase": "waiting",
        "label": "waiting",
        "banner": {
            "tone": "warning",
            "title": "Trying again",
            "text": "The API is overloaded. Attempt 2 comes next. "
            "Wait, or choose another model; the turn goes on by itself.",
            "due": 5,
            "actions": [
                {
                    "title": "Retry now",
                    "command": "holdfast.turn.retry",
                    "argument": {"sessionId": "s_1"},
                    "primary": True,
                },
                {
                    "title": "Diagnose",
                    "command": "holdfast.doctor.run",
                    "argument": {"sessionId": "s_1"},
                    "primary": False,
                },
                {
                    "title": "Other model or endpoint",
                    "command": "holdfast.model.select",
                    "primary": False,
                },
                {
                    "title": "Stop",
                    "command": "holdfast.turn.stop",
                    "argument": {"sessionId": "s_1"},
                    "primary": False,
                },
            ],
            "since": 3,
        },
    }
