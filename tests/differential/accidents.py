"""Single faults that take some doing, one named accident each.

Law: an accident changes one thing, by chance alone, and says whether it found something to change.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Final

from differential.histories import MARK, Request
from differential.pictures import image, png
from differential.places import (
    Chance,
    Mutation,
    any_block,
    contents_of,
    insert,
    places_of,
    spell_as_blocks,
    texts_of,
)
from holdfast.simulator.rules.request import THINKING_TYPES

# --- messages -----------------------------------------------------------------------------------


def lose_a_message(request: Request, chance: Chance) -> bool:
    del request.messages[chance.randrange(len(request.messages))]
    return True


def lose_the_first_message(request: Request, _chance: Chance) -> bool:
    del request.messages[0]
    return True


def cut_the_history(request: Request, chance: Chance) -> bool:
    del request.messages[chance.randrange(len(request.messages)) :]
    return True


def repeat_a_message(request: Request, chance: Chance) -> bool:
    at = chance.randrange(len(request.messages))
    request.messages.insert(at, deepcopy(request.messages[at]))
    return True


def swap_two_messages(request: Request, chance: Chance) -> bool:
    if len(request.messages) < 2:
        return False
    at = chance.randrange(len(request.messages) - 1)
    request.messages[at : at + 2] = request.messages[at : at + 2][::-1]
    return True


def say_it_in_the_other_role(request: Request, chance: Chance) -> bool:
    message = chance.choice(request.messages)
    others = {"user", "assistant", "system"} - {message["role"]}
    message["role"] = chance.choice(sorted(others))
    return True


def empty_a_message(request: Request, chance: Chance) -> bool:
    chance.choice(request.messages)["content"] = chance.choice(([], ""))
    return True


def let_the_assistant_have_the_last_word(request: Request, _chance: Chance) -> bool:
    request.messages.append({"role": "assistant", "content": [{"type": "text", "text": "so"}]})
    return True


def end_in_thinking(request: Request, _chance: Chance) -> bool:
    thought = {"type": "thinking", "thinking": "", "signature": ""}
    said = [{"type": "text", "text": "so"}, thought]
    request.messages.append({"role": "assistant", "content": said})
    return True


def end_in_space(request: Request, _chance: Chance) -> bool:
    request.messages.append({"role": "assistant", "content": "The answer is "})
    return True


def end_in_nothing(request: Request, _chance: Chance) -> bool:
    request.messages.append({"role": "assistant", "content": []})
    return True


def _note(request: Request, at: int, content: object) -> bool:
    request.messages.insert(at, {"role": "system", "content": content})
    return True


def put_a_system_message_somewhere(request: Request, chance: Chance) -> bool:
    return _note(request, chance.randint(0, len(request.messages)), "be brief")


def put_an_empty_system_message_somewhere(request: Request, chance: Chance) -> bool:
    return _note(request, chance.randint(0, len(request.messages)), [])


def remove_a_tool_that_never_was(request: Request, _chance: Chance) -> bool:
    """Needs the header of inline tools; without it the block itself is unknown."""
    gone = {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "gone"}}
    return _note(request, len(request.messages), [gone])


def put_a_picture_into_a_system_message(request: Request, chance: Chance) -> bool:
    return _note(request, chance.randint(1, len(request.messages)), [image()])


# --- blocks -------------------------------------------------------------------------------------


def lose_a_block(request: Request, chance: Chance) -> bool:
    places = places_of(request)
    if not places:
        return False
    i, j = chance.choice(places)
    del request.messages[i]["content"][j]
    return True


def repeat_a_block(request: Request, chance: Chance) -> bool:
    places = places_of(request)
    if not places:
        return False
    i, j = chance.choice(places)
    content = request.messages[i]["content"]
    content.insert(j, deepcopy(content[j]))
    return True


def reverse_the_blocks(request: Request, chance: Chance) -> bool:
    long = [content for _, content in contents_of(request) if len(content) > 1]
    if not long:
        return False
    chance.choice(long).reverse()
    return True


def move_a_block(request: Request, chance: Chance) -> bool:
    places = places_of(request)
    if not places:
        return False
    i, j = chance.choice(places)
    block = request.messages[i]["content"].pop(j)
    return insert(request, chance, block)


def empty_a_text(request: Request, chance: Chance) -> bool:
    return _retext(request, chance, "")


def blank_a_text(request: Request, chance: Chance) -> bool:
    return _retext(request, chance, chance.choice((" ", "\n\n", "\t", "\u00a0")))


def _retext(request: Request, chance: Chance, text: str) -> bool:
    spell_as_blocks(request)
    texts = list(texts_of(request))
    if not texts:
        return False
    chance.choice(texts)["text"] = text
    return True


def cut_an_emoji_in_half(request: Request, chance: Chance) -> bool:
    return _retext(request, chance, chance.choice(("cut \ud83d", "\ude00 off", "a\ud83d\ud83db")))


def forget_what_kind_of_block_it_is(request: Request, chance: Chance) -> bool:
    block = any_block(request, chance)
    return block is not None and block.pop("type", None) is not None


def add_a_field(request: Request, chance: Chance) -> bool:
    kinds = ("text", "image", "document", "search_result", "tool_result")
    block = any_block(request, chance, *kinds)
    if block is None:
        return False
    block[chance.choice(("id", "index", "_meta", "citation"))] = chance.choice((None, 1, "x"))
    return True


def forget_a_field(request: Request, chance: Chance) -> bool:
    block = any_block(request, chance)
    fields = {
        "text": ["text"], "image": ["source"], "document": ["source"], "tool_reference": [],
        "search_result": ["source", "title", "content"], "container_upload": ["file_id"],
        "tool_use": ["id", "name", "input"], "server_tool_use": ["id", "name", "input"],
        "mcp_tool_use": ["id", "name", "input", "server_name"], "tool_result": ["tool_use_id"],
        "web_search_tool_result": ["tool_use_id", "content"], "thinking": ["thinking"],
        "code_execution_tool_result": ["tool_use_id", "content"], "redacted_thinking": ["data"],
        "mcp_tool_result": ["tool_use_id"],
    }  # fmt: skip
    names = fields.get(block["type"], []) if block is not None else []
    if block is None or not names:
        return False
    del block[chance.choice(names)]
    return True


def put_a_number_where_a_text_belongs(request: Request, chance: Chance) -> bool:
    names = ("text", "id", "name", "tool_use_id", "thinking", "data", "file_id", "title")
    block = any_block(request, chance)
    found = [name for name in names if block is not None and name in block]
    if block is None or not found:
        return False
    block[chance.choice(found)] = chance.choice((7, None, ["x"], {}))
    return True


# --- calls and results --------------------------------------------------------------------------


def rename_an_id(request: Request, chance: Chance) -> bool:
    """Give one half of a pair another id."""
    kinds = ("tool_use", "tool_result", "server_tool_use", "web_search_tool_result")
    block = any_block(request, chance, *kinds)
    if block is None:
        return False
    block["id" if "id" in block else "tool_use_id"] = "srvtoolu_other"
    return True


def use_an_id_twice(request: Request, chance: Chance) -> bool:
    calls = [
        request.messages[i]["content"][j]
        for i, j in places_of(request, "tool_use", "server_tool_use", "mcp_tool_use")
    ]
    if len(calls) < 2:
        return False
    first, second = chance.sample(calls, 2)
    old = second["id"]
    second["id"] = first["id"]
    for _, content in contents_of(request):
        for block in content:
            if block.get("tool_use_id") == old:
                block["tool_use_id"] = first["id"]
    return True


def spell_an_id_like_another_provider(request: Request, chance: Chance) -> bool:
    block = any_block(request, chance, "tool_use", "server_tool_use", "mcp_tool_use")
    if block is None:
        return False
    old, new = block["id"], chance.choice(("functions.edit:3", "", "a b", "ü"))
    block["id"] = new
    for _, content in contents_of(request):
        for other in content:
            if other.get("tool_use_id") == old:
                other["tool_use_id"] = new
    return True


def say_something_before_a_result(request: Request, chance: Chance) -> bool:
    places = places_of(request, "tool_result")
    if not places:
        return False
    i, j = chance.choice(places)
    request.messages[i]["content"].insert(j, {"type": "text", "text": "first"})
    return True


def answer_twice(request: Request, chance: Chance) -> bool:
    places = places_of(request, "tool_result")
    if not places:
        return False
    i, j = chance.choice(places)
    content = request.messages[i]["content"]
    again = {**deepcopy(content[j]), "content": "again", "is_error": False}
    again.pop("cache_control", None)
    content.insert(chance.randint(j + 1, len(content)), again)
    return True


def lose_a_pair_of_server_blocks(request: Request, chance: Chance) -> bool:
    """Lose one half of a server call: the call or its result."""
    kinds = ("server_tool_use", "web_search_tool_result", "mcp_tool_use", "mcp_tool_result")
    places = places_of(request, *kinds)
    if not places:
        return False
    i, j = chance.choice(places)
    del request.messages[i]["content"][j]
    return True


def fail_with_a_picture(request: Request, chance: Chance) -> bool:
    block = any_block(request, chance, "tool_result")
    if block is None:
        return False
    block.update(is_error=True, content=[{"type": "text", "text": "see"}, image()])
    return True


def put_a_strange_block_into_a_result(request: Request, chance: Chance) -> bool:
    block = any_block(request, chance, "tool_result")
    if block is None:
        return False
    strange = ({"type": "hologram"}, {"type": "tool_use", "id": "t", "name": "n", "input": {}})
    block.update(is_error=False, content=[deepcopy(chance.choice(strange))])
    return True


def refer_to_a_tool_that_is_gone(request: Request, chance: Chance) -> bool:
    block = any_block(request, chance, "tool_result")
    if block is None:
        return False
    block.update(is_error=False, content=[{"type": "tool_reference", "tool_name": "gone"}])
    return True


def lose_the_web_search_tool(request: Request, _chance: Chance) -> bool:
    request.tools = [tool for tool in request.tools if tool["name"] != "web_search"]
    return True


# --- media, marks, compactions ------------------------------------------------------------------


def show_many_pictures_and_a_large_one(request: Request, chance: Chance) -> bool:
    """The 21st picture makes large old ones illegal (R60)."""
    spell_as_blocks(request)
    large = insert(request, chance, image(png(2001, 2)), "user")
    request.messages.append({"role": "user", "content": [image()] * 20})
    return large


def cut_a_picture_short(request: Request, chance: Chance) -> bool:
    whole = png(64, 64, 1)
    data = whole[: chance.randint(0, len(whole) - 13)]
    return insert(request, chance, image(data), "user")


def damage_a_picture(request: Request, chance: Chance) -> bool:
    data = bytearray(png(64, 64, 1))
    data[chance.randint(41, len(data) - 17)] ^= 0x55
    return insert(request, chance, image(bytes(data)), "user")


def mark_too_many_blocks(request: Request, chance: Chance) -> bool:
    del chance
    blocks = [{"type": "text", "text": "x", "cache_control": dict(MARK)} for _ in range(5)]
    request.messages.append({"role": "user", "content": blocks})
    return True


def mark_for_an_hour_after_five_minutes(request: Request, chance: Chance) -> bool:
    del chance
    for _, content in contents_of(request):
        for block in content:
            block.pop("cache_control", None)
    blocks = [
        {"type": "text", "text": "x", "cache_control": {**MARK, "ttl": ttl}} for ttl in ("5m", "1h")
    ]
    request.messages.append({"role": "user", "content": blocks})
    return True


def move_the_compaction(request: Request, chance: Chance) -> bool:
    places = places_of(request, "compaction")
    if not places:
        return False
    i, j = places[0]
    block = request.messages[i]["content"].pop(j)
    return insert(request, chance, block, "user", "assistant")


def forget_the_header_of_a_beta(request: Request, chance: Chance) -> bool:
    kinds = ("compaction", "mcp_tool_use", "tool_addition", "tool_removal")
    if not request.betas or not places_of(request, *kinds):
        return False
    request.betas -= {chance.choice(sorted(request.betas))}
    return True


def go_on_with_another_model(request: Request, chance: Chance) -> bool:
    other = ("claude-haiku-4-5", "claude-opus-4-7", "claude-sonnet-5", "claude-opus-5-5")
    request.model = chance.choice(other)
    return True


# --- thinking -----------------------------------------------------------------------------------


def lose_a_thought(request: Request, chance: Chance) -> bool:
    places = places_of(request, *THINKING_TYPES)
    if not places:
        return False
    i, j = chance.choice(places)
    if len(request.messages[i]["content"]) == 1:
        return False
    del request.messages[i]["content"][j]
    return True


def swap_two_thoughts(request: Request, chance: Chance) -> bool:
    thoughts = [request.messages[i]["content"][j] for i, j in places_of(request, *THINKING_TYPES)]
    if len(thoughts) < 2:
        return False
    first, second = chance.sample(thoughts, 2)
    kept = dict(first)
    first.clear()
    first.update(second)
    second.clear()
    second.update(kept)
    return True


def change_what_was_said_before(request: Request, chance: Chance) -> bool:
    block = any_block(request, chance, "text")
    if block is None or not places_of(request, *THINKING_TYPES):
        return False
    block["text"] += " (edited)"
    return True


SEALED: Final[tuple[Mutation, ...]] = (
    lose_a_message,
    lose_the_first_message,
    cut_the_history,
    repeat_a_message,
    swap_two_messages,
    say_it_in_the_other_role,
    empty_a_message,
    let_the_assistant_have_the_last_word,
    end_in_thinking,
    end_in_space,
    end_in_nothing,
    put_a_system_message_somewhere,
    put_an_empty_system_message_somewhere,
    put_a_picture_into_a_system_message,
    remove_a_tool_that_never_was,
    lose_a_block,
    repeat_a_block,
    reverse_the_blocks,
    move_a_block,
    empty_a_text,
    blank_a_text,
    rename_an_id,
    use_an_id_twice,
    spell_an_id_like_another_provider,
    say_something_before_a_result,
    answer_twice,
    lose_a_pair_of_server_blocks,
    fail_with_a_picture,
    put_a_strange_block_into_a_result,
    refer_to_a_tool_that_is_gone,
    lose_the_web_search_tool,
    show_many_pictures_and_a_large_one,
    cut_a_picture_short,
    damage_a_picture,
    mark_too_many_blocks,
    mark_for_an_hour_after_five_minutes,
    move_the_compaction,
    forget_the_header_of_a_beta,
    go_on_with_another_model,
)
"""Accidents after which everything is signed anew."""

UNSEALED: Final[tuple[Mutation, ...]] = (
    cut_an_emoji_in_half,
    forget_what_kind_of_block_it_is,
    add_a_field,
    forget_a_field,
    put_a_number_where_a_text_belongs,
    swap_two_thoughts,
    change_what_was_said_before,
    lose_a_thought,
)
"""Accidents that leave the signatures as they were."""
