"""What stands in a digest of 8 000 tokens, measured against the raw lines of recorded sessions."""

from __future__ import annotations

import pytest

from benchmarks.retention import BUDGET_TOKENS, measure, sessions, table


@pytest.mark.survives("B14")
@pytest.mark.parametrize("parts", [1, 3])
def test_digests_of_recorded_sessions_keep_their_facts_last_exchange_and_open_items(
    parts: int,
) -> None:
    found = [measure(*session, parts=parts) for session in sessions()]
    shown = table(found)
    assert sum(one.facts for one in found) > 0
    for one in found:
        assert one.digest_tokens <= BUDGET_TOKENS, shown
        assert one.exchange_kept, f"{one.name} lost its last exchange\n{shown}"
        assert one.open_kept == one.open_items, f"{one.name} lost open items\n{shown}"
        assert one.share > 0.95 or not one.is_judged, f"{one.name} lost {one.lost}\n{shown}"
