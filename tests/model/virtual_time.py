"""An event loop whose clock jumps over every wait, so that limits of minutes are tested in none.

Only for code without sockets: a wait for those would be jumped over too. What is given to a thread
is done in place.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Never blocks: what would have been waited for is added to the clock."""

    jumped_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "nothing is scheduled: this would wait for ever"
        self.jumped_s += max(timeout, 0.0)
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.jumped_s

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:
        done: asyncio.Future[Any] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 -- it belongs to who waits
            done.set_exception(error)
        return done


def run(coroutine: Coroutine[Any, Any, T]) -> tuple[T, float]:
    """Run to the end; return the result and the virtual seconds that passed."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        result = runner.run(coroutine)
        return result, runner.get_loop().time()
