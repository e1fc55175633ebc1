"""The way to an API, for the stories in an editor. Law: its weather is what was last asked for.

Started with the API's port, it prints its own address. Each line of its input is a fault of
`network.faults`, or `clear`; it is said back when it is in force.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from network.stage import Stage


async def main(upstream: int) -> None:
    """Stand in the way until the input ends."""
    with TemporaryDirectory() as folder:
        async with Stage(Path(folder)) as stage:
            place = await stage.set("refused", upstream)
            await place.clear()
            sys.stdout.write(f"{place.base_url}\n")
            sys.stdout.flush()
            while wanted := (await asyncio.to_thread(sys.stdin.readline)).strip():
                await (place.clear() if wanted == "clear" else place.become(wanted))
                sys.stdout.write(f"{wanted}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
