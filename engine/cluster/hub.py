"""The one place driver and workers of a stage can reach: packs on their way out, news on their way back.

It lives as a Ray actor on the driver's machine, and dies with the driver. Ray Data's source of packs is a read task
that asks it for one after the other (`Source`), so that rows enter the running dataset as the driver plans them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from ray.data import Datasource
from ray.data.block import BlockMetadata
from ray.data.datasource import ReadTask


class Hub:
    """An asyncio actor; see the module's docstring.

    News are tuples of a word and a worker's name, and what it says: `("started", name, handle)`, `("opened", name,
    stats)`, `("closed", name, stats)`, `("failed", name, error)`.
    """

    def __init__(self) -> None:
        self._packs: dict[int, bytes] = {}
        self._put = 0
        self._changed = asyncio.Condition()
        self._begun: dict[int, int] = {}
        self._news: list[tuple[Any, ...]] = []
        self._closing = asyncio.Event()

    async def put(self, packs: dict[int, bytes]) -> None:
        """Further packs, numbered from 0 without gaps."""
        async with self._changed:
            self._packs |= packs
            self._put += len(packs)
            self._changed.notify_all()

    async def get(self, number: int, most: int = 64) -> list[bytes | None]:
        """Packs from `number` on, once there are any.

        None in place of one that is done: only a source that was begun anew asks for it, and Ray keeps what it had.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: number < self._put)
            return [self._packs.get(n) for n in range(number, min(number + most, self._put))]

    async def done(self, numbers: list[int]) -> None:
        """These packs are answered for."""
        for number in numbers:
            self._packs.pop(number, None)
            self._begun.pop(number, None)

    async def begin(self, number: int) -> int:
        """A worker gives a pack to its engine; returns how many times that was done before, by it or any other."""
        self._begun[number] = self._begun.get(number, -1) + 1
        return self._begun[number]

    async def tell(self, *news: Any) -> None:
        """Something the driver is to know."""
        async with self._changed:
            self._news.append(news)
            self._changed.notify_all()

    async def news(self, seen: int) -> list[tuple[Any, ...]]:
        """What was told since the first `seen`, once there is any."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._news) > seen)
            return self._news[seen:]

    async def close(self) -> None:
        """Workers are to close their engines."""
        self._closing.set()

    async def until_closing(self) -> None:
        """Returns when workers are to close their engines."""
        await self._closing.wait()


class Source(Datasource):
    """Ray Data's source of packs: one read task, a block a pack.

    Args:
        hub: handle of the `Hub`.
    """

    def __init__(self, hub: Any):
        self._hub = hub

    def get_name(self) -> str:
        """As Ray's logs call it."""
        return "Requests"

    def estimate_inmemory_data_size(self) -> int | None:
        """Unknown: the driver plans as it goes."""
        return None

    def get_read_tasks(self, parallelism: int, **options: Any) -> list[ReadTask]:
        """One, whatever the parallelism: the driver is one, too."""
        hub = self._hub
        return [ReadTask(lambda: _read(hub), BlockMetadata(None, None, None, None))]


def _read(hub: Any) -> Iterator[Any]:
    import ray

    from engine.cluster.packs import Pack, packed, table

    number = 0
    while True:  # until the driver ends the execution
        for pack in ray.get(hub.get.remote(number)):
            yield table(packed(Pack(number, [])) if pack is None else pack)
            number += 1
