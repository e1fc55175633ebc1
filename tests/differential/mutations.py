"""All single faults by name: the accidents, and the plain ones, which set, take or add one thing.

Law: a mutation changes one thing, by chance alone, and says whether it found something to change.
`SEALED` ones are signed again afterwards, as if the damaged history were what was said, so that the
binding of thinking does not hide the fault; `UNSEALED` ones leave every signature as it is.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Final

from differential import accidents
from differential.histories import MARK, Request
from differential.pictures import Json, image, pdf, png
from differential.places import Chance, Mutation, any_block, insert
from holdfast.simulator.rules.request import THINKING_TYPES


def _with(kinds: tuple[str, ...], **changes: object) -> Mutation:
    """A mutation that sets fields of one block of these kinds."""

    def mutate(request: Request, chance: Chance) -> bool:
        block = any_block(request, chance, *kinds)
        if block is None:
            return False
        block.update(deepcopy(changes))
        return True

    return mutate


def _without(kinds: tuple[str, ...], name: str) -> Mutation:
    """A mutation that takes one field from one block of these kinds."""

    def mutate(request: Request, chance: Chance) -> bool:
        block = any_block(request, chance, *kinds)
        return block is not None and block.pop(name, None) is not None

    return mutate


def _inserted(block: Json, *roles: str) -> Mutation:
    """A mutation that puts a block somewhere into a message of these roles."""
    return lambda request, chance: insert(request, chance, deepcopy(block), *roles)


def _image_source(**changes: object) -> Mutation:
    def mutate(request: Request, chance: Chance) -> bool:
        block = any_block(request, chance, "image")
        if block is None or block["source"]["type"] != "base64":
            return False
        block["source"].update(changes)
        return True

    return mutate


THOUGHT: Final[Json] = {"type": "thinking", "thinking": "", "signature": ""}
CALL: Final[Json] = {"type": "tool_use", "id": "toolu_stray", "name": "run", "input": {}}
RESULT: Final[Json] = {"type": "tool_result", "tool_use_id": "toolu_stray", "content": "x"}
SEARCH: Final[Json] = {
    "type": "server_tool_use", "id": "srvtoolu_stray", "name": "web_search", "input": {},
}  # fmt: skip
FOUND: Final[Json] = {
    "type": "web_search_tool_result", "tool_use_id": "srvtoolu_stray", "content": [],
}  # fmt: skip
CALLS: Final = ("tool_use", "server_tool_use", "mcp_tool_use")

SEALED: Final[dict[str, Mutation]] = {
    **{mutation.__name__: mutation for mutation in accidents.SEALED},
    "a_call_of_the_user": _inserted(CALL, "user"),
    "a_result_of_the_assistant": _inserted(RESULT, "assistant"),
    "a_stray_call": _inserted(CALL, "assistant"),
    "a_stray_result": _inserted(RESULT, "user"),
    "a_stray_server_call": _inserted(SEARCH, "assistant"),
    "a_stray_server_result": _inserted(FOUND, "assistant"),
    "a_server_result_of_the_user": _inserted(FOUND, "user"),
    "a_picture_of_the_assistant": _inserted(image(), "assistant"),
    "a_document_of_the_assistant": _inserted(pdf(), "assistant"),
    "thinking_of_the_user": _inserted(THOUGHT, "user"),
    "another_compaction": _inserted({"type": "compaction", "content": "more"}, "user"),
    "a_blank_text": _inserted({"type": "text", "text": "\n\n"}, "assistant"),
    "a_name_that_others_refuse": _with(("tool_use",), name="files.edit"),
    "a_quoting_user": _with(("text",), citations=[{"type": "char_location"}]),
    "a_result_of_a_toolset": _with(("tool_result",), toolset_name="computer"),
    "a_failure_without_words": _with(("tool_result",), is_error=True, content=""),
    "a_failure_of_blank_words": _with(("tool_result",), is_error=True, content=" "),
    "a_mark_on_nothing": _inserted({"type": "text", "text": "", "cache_control": MARK}, "user"),
    "a_picture_of_another_type": _image_source(media_type="image/bmp"),
    "a_picture_under_a_wrong_name": _inserted(image(png(), "image/jpeg"), "user"),
    "a_picture_that_is_none": _inserted(image(b"hello"), "user"),
    "a_picture_in_broken_base64": _image_source(data="iVBOR\nw0KGgo="),
    "a_picture_of_no_bytes": _image_source(data=""),
    "a_picture_of_8001_pixels": _inserted(image(png(8001, 2)), "user"),
    "a_picture_of_2001_pixels": _inserted(image(png(2001, 2)), "user"),
    "a_picture_in_a_file": _inserted(
        {"type": "image", "source": {"type": "url", "url": "file:///a.png"}}, "user"
    ),
    "a_document_of_601_pages": _inserted(pdf(601), "user"),
    "a_document_of_101_pages": _inserted(pdf(101), "user"),
    "a_document_that_is_no_pdf": _inserted(
        {**pdf(), "source": {**pdf()["source"], "data": "aGVsbG8="}}, "user"
    ),
}  # fmt: skip
"""Faults that thinking does not hide: what is signed is signed anew."""

UNSEALED: Final[dict[str, Mutation]] = {
    **{mutation.__name__: mutation for mutation in accidents.UNSEALED},
    "an_unknown_block": _inserted({"type": "hologram", "data": "x"}),
    "a_block_type_that_is_null": _with((), type=None),
    "a_name_too_long": _with(("tool_use",), name="n" * 201),
    "a_name_too_long_for_an_mcp_tool": _with(("mcp_tool_use",), name="n" * 300),
    "a_field_that_the_api_may_add": _with((*CALLS, *THINKING_TYPES), summary="x"),
    "a_field_that_a_client_added": _with((*CALLS, *THINKING_TYPES), parsed_output=None),
    "a_field_whose_name_was_damaged": _with(("tool_use",), **{"ca\ufffder": {"type": "direct"}}),
    "no_name": _with(("tool_use",), name=""),
    "an_input_that_is_a_text": _with(CALLS, input='{"path": "a'),
    "an_input_that_is_a_list": _with(CALLS, input=[]),
    "an_input_that_is_null": _with(CALLS, input=None),
    "a_key_that_is_half_an_emoji": _with(("tool_use",), input={"\ud83d": 1}),
    "an_error_flag_that_is_a_text": _with(("tool_result",), is_error="true"),
    "a_result_that_is_an_object": _with(("tool_result",), content={"text": "x"}),
    "a_caller_nobody_knows": _with(("tool_use",), caller={"type": "code"}),
    "a_caller_that_was_never_there": _with(
        ("tool_use",),
        caller={"type": "code_execution_20260521", "tool_id": "srvtoolu_gone"},
    ),
    "a_mark_of_another_kind": _with(("text",), cache_control={"type": "persistent"}),
    "a_mark_for_a_day": _with(("text",), cache_control={**MARK, "ttl": "24h"}),
    "a_mark_with_a_field_too_many": _with(("text",), cache_control={**MARK, "scope": "all"}),
    "a_mark_on_thinking": _with(("thinking",), cache_control=MARK),
    "thinking_without_its_signature": _without(("thinking",), "signature"),
    "thinking_with_an_empty_signature": _with(("thinking",), signature=""),
    "thinking_with_a_forged_signature": _with(("thinking",), signature="forged"),
    "thinking_with_other_words": _with(("thinking",), thinking="something else"),
    "redacted_thinking_without_data": _with(("redacted_thinking",), data=""),
    "a_source_of_no_kind": _with(("image", "document"), source={"type": "clipboard"}),
    "a_source_that_is_a_text": _with(("image", "document"), source="a.png"),
    "a_compaction_without_words": _with(("compaction",), content=""),
    "a_compaction_with_other_words": _with(("compaction",), content="something else"),
    "a_compaction_with_a_forged_signature": _with(("compaction",), signature="forged"),
    "a_compaction_with_a_field_too_many": _with(("compaction",), citations=None),
}
"""Faults of shape, which are found before anything signed is looked at, and faults of signing."""

MUTATIONS: Final = {**SEALED, **UNSEALED}
