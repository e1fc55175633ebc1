"""What it costs to survive each class of poisoned histories: the numbers behind the survival page.

Law: written here once, asserted by `test_poisoned_histories.py` for every case, printed by
`survival.py`; a number that no test holds is not on the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from e2e.damage import ENDS, JOURNAL, SENT, Survived

SURVIVED: Final[Mapping[str, Survived]] = {
    "A01 a call without a result": Survived(
        0, SENT, ("R40: inserted a result for the call toolu_1",)
    ),
    "A02 a call without a result, long ago": Survived(
        0, SENT, ("R40: inserted a result for the call toolu_1",)
    ),
    "A03 a result without a call": Survived(
        0, SENT, ("R42: turned a result that answers no call into text",)
    ),
    "A04 a server call without a result": Survived(
        0, SENT, ("R51: turned half a server call (`server_tool_use`) into text",)
    ),
    "A04 a server result without a call": Survived(
        0, SENT, ("R51: turned half a server call (`web_search_tool_result`) into text",)
    ),
    "A05 two calls with one id": Survived(
        0, SENT, ("R44: renamed the call id 'toolu_1' to 'toolu_…'",)
    ),
    "A06 an id of another provider": Survived(
        0, SENT, ("R45: renamed the call id 'functions.edit:3' to 'toolu_…'",)
    ),
    "A06 an empty id": Survived(0, SENT, ("R45: renamed the call id '' to 'toolu_…'",)),
    "A07 two results for one call": Survived(
        0, SENT, ("R43: turned a result that answers no call into text",)
    ),
    "A08 thinking in another order": Survived(
        0, JOURNAL, ("view: no thinking of another conversation is sent",)
    ),
    "A08 thinking that is said to be modified": Survived(
        1, JOURNAL, ("R70: left out the thinking of earlier answers",)
    ),
    "A09 a signature that was cut": Survived(
        0, JOURNAL, ("view: no thinking of another conversation is sent",)
    ),
    "A09 thinking without a signature": Survived(
        0, JOURNAL, ("view: no thinking of another conversation is sent",)
    ),
    "A09 thinking of another conversation": Survived(
        0, JOURNAL, ("view: no thinking of another conversation is sent",)
    ),
    "A09 thinking that another account has signed": Survived(
        1, JOURNAL, ("R71: left out the thinking of earlier answers",)
    ),
    "A10 a tool loop that does not begin with thinking": Survived(0, SENT, ()),
    "A11 an empty text": Survived(0, SENT, ("R33: dropped blank text",)),
    "A12 a blank text": Survived(0, SENT, ("R33: dropped blank text",)),
    "A13 a prefill that ends in a space": Survived(0, SENT, ()),
    "A14 the assistant has the last word": Survived(0, SENT, ()),
    "A15 a cache mark on an empty text": Survived(0, SENT, ("R33: dropped blank text",)),
    "A16 six cache marks": Survived(0, SENT, ("R79: took out a cache mark (6 times)",)),
    "A17 a picture of 8 MB": Survived(0, SENT, ("intake: made 1 of 1 pictures fit",)),
    "A17 pictures in a prompt": Survived(
        0,
        SENT,
        ("intake: made 2 of 3 pictures fit", "intake: said in words what 1 of 3 pictures was"),
    ),
    "A18 21 pictures and a large one": Survived(0, SENT, ("intake: made 1 of 21 pictures fit",)),
    "A18 a picture of 8001 pixels": Survived(0, SENT, ("intake: made 1 of 1 pictures fit",)),
    "A19 a PNG that is called a JPEG": Survived(0, SENT, ("intake: made 1 of 1 pictures fit",)),
    "A19 a picture of a type nobody takes": Survived(
        0, SENT, ("R59: left out an image: it is no image of a type that the API takes",)
    ),
    "A20 a picture that stops halfway": Survived(0, SENT, ("intake: made 1 of 1 pictures fit",)),
    "A20 a picture with a wrong byte": Survived(1, SENT, ("R59: only named images and documents",)),
    "A20 a picture that is none": Survived(
        0, SENT, ("R59: left out an image: it is no image of a type that the API takes",)
    ),
    "A20 a damaged picture in a prompt": Survived(
        0, SENT, ("intake: said in words what 1 of 1 pictures was",)
    ),
    "A21 two documents of 60 pages": Survived(
        0, SENT, ("R62: left out media: one request holds at most 100 pages",)
    ),
    "A21 documents in two prompts": Survived(
        0, SENT, ("R62: left out media: one request holds at most 100 pages",)
    ),
    "A22 a file of 3 MB in a result": Survived(0, JOURNAL, ("compacted",)),
    "A22 a command that prints 3 MB": Survived(0, ENDS, ()),
    "A23 half an emoji": Survived(
        0, SENT, ("intake: replaced half a character by the sign for one",)
    ),
    "A23 half an emoji in a key": Survived(
        0, SENT, ("intake: replaced half a character by the sign for one",)
    ),
    "A23 half an emoji in a prompt": Survived(
        0, SENT, ("intake: replaced half a character by the sign for one",)
    ),
    "A24 a prompt that is too long": Survived(0, JOURNAL, ("compacted",)),
    "A25 a body of 33 MB": Survived(0, SENT, ("intake: made 4 of 4 pictures fit",)),
    "A26 one of three calls answered": Survived(
        0,
        SENT,
        (
            "R40: inserted a result for the call toolu_1",
            "R40: inserted a result for the call toolu_3",
        ),
    ),
    "A26 a refusal in a gateway's own words": Survived(
        1, SENT, ("quarantine: turned a block that the API refused into text",)
    ),
    "A27 an input that is cut JSON": Survived(0, SENT, ("R47: mended a `tool_use` block",)),
    "A28 a call without a name": Survived(0, SENT, ("R46: mended a `tool_use` block",)),
    "A28 a name of 300 characters": Survived(0, JOURNAL, ("R46: mended a `tool_use` block",)),
    "A29 a tool that the endpoint refuses": Survived(
        1, SENT, ("tools: left the tool glob out: the API refuses it",)
    ),
    "A30 the tools that are offered": Survived(0, SENT, ()),
    "A31 a reference to a tool that is gone": Survived(
        0, SENT, ("A31: mended a `tool_result` block",)
    ),
    "A32 two messages of the user in a row": Survived(2, SENT, ()),
    "A33 an answer to a call that was never made": Survived(
        0,
        SENT,
        (
            "R42: turned a result that answers no call into text",
            "R40: inserted a result for the call call_1",
        ),
    ),
    "A34 a model that is gone": Survived(1, SENT, ("asked a person: modelGone",)),
    "A35 the empty answer of a refusal": Survived(0, SENT, ()),
    "A35 a refusal without content": Survived(0, SENT, ()),
    "A35 an answer that the filter blocks": Survived(1, SENT, ()),
    "V8 blank text of the user": Survived(
        0,
        SENT,
        (
            "R33: dropped blank text",
            "R34: dropped an empty message",
            "R34: kept two assistant messages apart",
        ),
    ),
    "V8 an input that is a text": Survived(0, SENT, ("R47: mended a `tool_use` block",)),
    "V8 a block nobody knows": Survived(0, SENT, ("R31: turned a `hologram` block into text",)),
    "V8 a lost first line": Survived(0, SENT, ("R21: inserted a first message of the user",)),
    "V8 a lost first line with a call": Survived(
        0, SENT, ("R42: turned a result that answers no call into text",)
    ),
    "V8 a refused picture": Survived(1, SENT, ("R59: only named images and documents",)),
    "V8 a repeated tool id": Survived(
        0, SENT, ("R44: renamed the call id 'toolu_1' to 'toolu_…'",)
    ),
    "V8 a refusal nobody has seen, without a place": Survived(
        1, JOURNAL, ("withheld: withheld a part that the API refuses (2 times)",)
    ),
    "V8 a refusal nobody has seen, of a message": Survived(
        1, JOURNAL, ("withheld: withheld a part that the API refuses (2 times)",)
    ),
    "V8 a refusal nobody has seen, of a block": Survived(
        1, JOURNAL, ("withheld: withheld a part that the API refuses (2 times)",)
    ),
    "V8 a picture of 6 MB": Survived(0, SENT, ("intake: made 1 of 1 pictures fit",)),
}
"""By class and damage: refused requests, what is kept, what was changed."""
