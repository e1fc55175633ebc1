"""What models can do: table, default and the endpoint's own list (§5.3)."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.model.capabilities import from_listing, from_table
from holdfast.model.port import Capabilities


@pytest.mark.parametrize(
    ("model", "window", "output", "source"),
    [
        ("claude-opus-5-5", 1_000_000, 128_000, "table"),
        ("claude-opus-5", 1_000_000, 128_000, "table"),
        ("claude-opus-4-5", 200_000, 64_000, "table"),
        ("claude-opus-4-5-20251101", 200_000, 64_000, "table"),
        ("claude-haiku-4-5-20251001", 200_000, 64_000, "table"),
        ("claude-sonnet-4-5-latest", 200_000, 64_000, "table"),
        ("claude-sonnet-4-5@20250929", 200_000, 64_000, "table"),
        ("us.anthropic.claude-opus-4-5-20251101-v1:0", 200_000, 64_000, "table"),
        ("anthropic/claude-opus-4.6", 1_000_000, 128_000, "table"),
        ("claude-opus-5-9", 200_000, 8_000, "default"),
        ("claude-opus-4-50", 200_000, 8_000, "default"),
        ("my-claude", 200_000, 8_000, "default"),
        ("llama-9", 200_000, 8_000, "default"),
        ("", 200_000, 8_000, "default"),
    ],
)
def test_ids_with_dates_and_prefixes_find_their_row_and_others_the_small_default(
    model: str, window: int, output: int, source: str
) -> None:
    found = from_table(model)
    assert attrs.evolve(found, compaction=False) == Capabilities(model, window, output, source)


def test_a_gateways_list_in_another_vendors_shape_tells_the_sizes_too() -> None:
    """As LiteLLM writes it."""
    entry = {"id": "kelp", "object": "model", "max_input_tokens": 9_000, "max_output_tokens": 700}
    [found] = from_listing({"object": "list", "data": [entry]})
    assert found == Capabilities("kelp", 9_000, 700, "endpoint")


@pytest.mark.parametrize(
    ("model", "compacts"),
    [
        ("claude-opus-5-5", True),
        ("claude-sonnet-5-5", True),
        ("claude-haiku-5-5", True),
        ("claude-fable-5-1", True),
        ("claude-mythos-preview", True),
        ("us.anthropic.claude-opus-4-6-v1:0", True),
        ("claude-fable-5-2", False),
        ("claude-opus-4-5", False),
        ("my-claude", False),
    ],
)
def test_the_table_says_which_models_compact_on_demand(model: str, *, compacts: bool) -> None:
    assert from_table(model).compaction is compacts


@pytest.mark.parametrize(
    ("told", "compacts"),
    [
        ({"compaction": {"supported": True, "summarize": {"supported": True}}}, True),
        ({"compaction": {"supported": True}}, True),
        ({"compaction": {"supported": True, "summarize": {"supported": False}}}, False),
        ({"compaction": {"supported": False}}, False),
        ({"compaction": "yes"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_what_the_endpoint_lists_of_compaction_goes_before_the_table(
    told: Any, *, compacts: bool | None
) -> None:
    for model, known in (("claude-opus-5-5", True), ("claude-fable-5-2", False)):
        (found,) = from_listing({"data": [{"id": model, "capabilities": told}]})
        assert found.compaction is (known if compacts is None else compacts)
        assert found.source == ("table" if compacts is None else "endpoint")


def test_the_endpoints_own_numbers_win_and_missing_ones_come_from_the_table() -> None:
    listing = {
        "data": [
            {"id": "claude-opus-5-5", "max_input_tokens": 500_000, "max_tokens": 32_000},
            {"id": "claude-opus-4-5", "max_input_tokens": 100_000},
            {"id": "claude-haiku-4-5"},
            {"id": "local", "max_input_tokens": 0, "max_tokens": True},
            {"name": "no id"},
            "nonsense",
        ]
    }
    assert from_listing(listing) == (
        Capabilities("claude-opus-5-5", 500_000, 32_000, "endpoint", compaction=True),
        Capabilities("claude-opus-4-5", 100_000, 64_000, "endpoint"),
        Capabilities("claude-haiku-4-5", 200_000, 64_000, "table"),
        Capabilities("local", 200_000, 8_000, "default"),
    )


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none() | st.text(max_size=5) | st.integers(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["data", "id", "max_tokens", "x"]), inner)
        ),
    )
)
def test_any_listing_is_read(listing: Any) -> None:
    for model in from_listing(listing):
        assert model.window_tokens > 0
        assert model.max_output_tokens > 0
