"""Work that is spread over turns of the event loop."""

import asyncio
from functools import partial

from app.turns import Turns


def test_work_is_done_in_order_and_a_few_pieces_in_a_turn() -> None:
    async def scenario() -> None:
        turns, done, counts = Turns(), list[int](), list[int]()
        for number in range(20):
            turns.add(partial(done.append, number))
        while len(turns):
            before = len(done)
            await asyncio.sleep(0)
            counts.append(len(done) - before)
        assert done == list(range(20))
        assert max(counts) < 10

    asyncio.run(scenario())


def test_work_that_fails_does_not_stop_the_rest() -> None:
    async def scenario() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        turns, done = Turns(), list[int]()
        turns.add(lambda: 1 / 0)
        for number in range(10):
            turns.add(partial(done.append, number))
        await asyncio.sleep(0.05)
        turns.add(partial(done.append, 10))
        await asyncio.sleep(0.05)
        assert done == list(range(11))

    asyncio.run(scenario())


def test_work_that_must_be_done_now_is_done_in_order_and_once() -> None:
    async def scenario() -> None:
        turns, done = Turns(), list[int]()
        for number in range(20):
            turns.add(partial(done.append, number))
        turns.finish()
        assert done == list(range(20))
        await asyncio.sleep(0.02)
        turns.add(partial(done.append, 20))
        await asyncio.sleep(0.02)
        assert done == list(range(21))

    asyncio.run(scenario())
