"""The mailbox of a session's owner: inputs in the order in which they came.

Law: a letter is answered once, when what it says is durable or refused. Letters of a request carry
its number, so that what an aborted request still sends can be told from what the next one sends.
"""

from __future__ import annotations

import asyncio

from holdfast.session import inputs as inp


class Letter:
    """An input, with whoever waits for it and the request it came from."""

    __slots__ = ("_done", "given", "request_no")

    def __init__(
        self, given: inp.Input, done: asyncio.Future[None] | None, request_no: int | None
    ) -> None:
        self.given = given
        self._done = done
        self.request_no = request_no

    def succeed(self) -> None:
        """Tell the sender that the input is durable."""
        if self._done is not None and not self._done.done():
            self._done.set_result(None)

    def fail(self, error: Exception) -> None:
        """Tell the sender that nothing of the input happened."""
        if self._done is not None and not self._done.done():
            self._done.set_exception(error)


class Mailbox:
    """Letters that wait for the owner."""

    def __init__(self) -> None:
        self._letters: asyncio.Queue[Letter] = asyncio.Queue()

    def __len__(self) -> int:
        return self._letters.qsize()

    async def send(self, given: inp.Input) -> None:
        """Put a letter in and wait for its answer. Raises what the letter is failed with."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._letters.put_nowait(Letter(given, done, None))
        await done

    def post(self, given: inp.Input, request_no: int | None = None) -> None:
        """Put a letter in that nobody waits for."""
        self._letters.put_nowait(Letter(given, None, request_no))

    async def next(self) -> Letter:
        """Take the oldest letter out, waiting for one."""
        return await self._letters.get()

    def tell(self, error: Exception, kind: type[inp.Input]) -> bool:
        """Answer the letters of a kind with an error and leave them to be taken; say if any are."""
        letters = [self._letters.get_nowait() for _ in range(len(self))]
        for letter in letters:
            if isinstance(letter.given, kind):
                letter.fail(error)
            self._letters.put_nowait(letter)
        return any(isinstance(letter.given, kind) for letter in letters)

    def refuse(self, error: Exception, kinds: tuple[type[inp.Input], ...] | None = None) -> None:
        """Fail the waiting letters, all or those of some kinds; the others stay, in order."""
        for letter in [self._letters.get_nowait() for _ in range(len(self))]:
            if kinds is None or isinstance(letter.given, kinds):
                letter.fail(error)
            else:
                self._letters.put_nowait(letter)
