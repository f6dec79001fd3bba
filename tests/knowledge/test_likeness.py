"""How alike requests and tools are, and that nobody waits for it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import numpy as np
import pytest
from tests.knowledge.bag import BagEmbedder

from portal.core.tools import ToolSpec
from portal.knowledge.likeness import EmbeddedLikeness, described, packaged, packed, shortened, turned, unpacked
from portal.knowledge.minilm import MiniLM


def spec(name: str, description: str) -> ToolSpec:
    return ToolSpec(name=name, description=description, parameters={}, risk="read", toolset="one")


MAIL = spec("post__send_mail", "Send a letter to a person.  Over\nSMTP. Slow.")
FILE = spec("disk__readFile", "Read a text")


@asynccontextmanager
async def at_work(likeness: EmbeddedLikeness) -> AsyncIterator[EmbeddedLikeness]:
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(likeness.run())
        yield likeness
        running.cancel()


async def known(likeness: EmbeddedLikeness, request: str, specs: Sequence[ToolSpec]) -> Sequence[float]:
    """What it says once it has had the time."""
    while not (alike := await likeness.of(request, specs)):
        await asyncio.sleep(0)
    return alike


async def test_a_request_is_most_like_the_tool_that_does_it() -> None:
    async with at_work(EmbeddedLikeness(embedder=MiniLM(), seconds=60)) as likeness:
        alike = await known(likeness, "drop Anna a line that I am late", [FILE, MAIL])

    assert alike[1] > alike[0]


async def test_nothing_is_known_before_the_tools_were_embedded_and_each_is_embedded_once() -> None:
    bag = BagEmbedder()
    likeness = EmbeddedLikeness(embedder=bag, seconds=60)
    assert await likeness.of("send a letter", [MAIL, FILE]) == ()
    assert await likeness.of("send a letter", []) == ()
    assert bag.asked == []

    async with at_work(likeness):
        first = await known(likeness, "send a letter", [MAIL, FILE])
        await known(likeness, "read a text", [FILE, MAIL, FILE])

    assert max(first) == first[0]
    assert [list(texts) for texts in bag.asked] == [
        [""],
        [described(MAIL), described(FILE)],
        ["send a letter"],
        ["read a text"],
    ]


def test_a_tool_is_described_by_its_name_and_its_first_sentence() -> None:
    assert described(MAIL) == "send mail: Send a letter to a person"
    assert described(FILE) == "read file: Read a text"


def test_a_long_request_is_read_at_both_ends() -> None:
    assert shortened("short") == "short"
    assert shortened("a" * 5000 + "b" * 5000) == "a" * 150 + " " + "b" * 150


async def test_so_many_tools_as_nobody_has_are_not_compared() -> None:
    bag = BagEmbedder()

    assert await EmbeddedLikeness(embedder=bag).of("x", [MAIL] * 2001) == ()
    assert bag.asked == []


async def test_of_tools_that_come_and_go_old_ones_are_dropped() -> None:
    bag = BagEmbedder()
    async with at_work(EmbeddedLikeness(embedder=bag, seconds=60, most=1)) as likeness:
        for at in range(3):
            await known(likeness, "x", [spec(f"tool_{at}", "")])
        await known(likeness, "x", [spec("tool_0", "")])

    assert [*bag.asked].count([described(spec("tool_0", ""))]) == 2


class Sleeper(BagEmbedder):
    """Takes as long as it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.awake = asyncio.Event()
        self.awake.set()

    async def embed(self, texts: Sequence[str]):
        await self.awake.wait()
        return await super().embed(texts)


async def test_tools_that_are_dropped_meanwhile_are_compared_all_the_same() -> None:
    class Interrupted(BagEmbedder):
        async def embed(self, texts: Sequence[str]):
            if list(texts) == ["letter"]:
                await known(likeness, "x", [spec("other", "")])
            return await super().embed(texts)

    likeness = EmbeddedLikeness(embedder=Interrupted(), seconds=60, most=1)
    async with at_work(likeness):
        for one in (MAIL, FILE):
            await known(likeness, "x", [one])
        assert len(await likeness.of("letter", [MAIL])) == 1


async def test_nobody_waits_for_an_embedder_that_sleeps_and_it_is_woken() -> None:
    sleeper = Sleeper()
    likeness = EmbeddedLikeness(embedder=sleeper, seconds=0.01)
    async with at_work(likeness):
        await known(likeness, "x", [MAIL])
        sleeper.awake.clear()
        assert await likeness.of("letter", [MAIL]) == ()
        sleeper.awake.set()
        while sleeper.asked.count([""]) < 2:
            await asyncio.sleep(0)
        await known(likeness, "letter", [MAIL])


async def test_an_embedder_that_fails_leaves_the_choice_to_the_words(caplog: pytest.LogCaptureFixture) -> None:
    bag = BagEmbedder()
    likeness = EmbeddedLikeness(embedder=bag, seconds=60)
    async with at_work(likeness):
        await known(likeness, "x", [MAIL])
        bag.away = True
        assert await likeness.of("x", [MAIL]) == ()
        assert await likeness.of("x", [MAIL, FILE]) == ()
        while "by words alone" not in caplog.text:
            await asyncio.sleep(0)
        assert await likeness.of("x", [MAIL, FILE]) == ()


def test_what_is_packed_is_unpacked_for_its_embedder_alone() -> None:
    bag = BagEmbedder()
    turn = np.random.default_rng(1).normal(size=(257, 256)).astype(np.float32)

    assert unpacked(packed(bag, turn), bag) == pytest.approx(turn, abs=0.03)
    assert unpacked(packed(MiniLM(), turn), bag) == pytest.approx(np.zeros((257, 256)))


def test_what_comes_with_portal_turns_requests_but_does_not_change_them_beyond_recognition() -> None:
    turn = unpacked(packaged(), MiniLM())
    assert turn.shape == (385, 384)
    some = np.eye(384, dtype=np.float32)

    alike = (turned(some, turn) * some).sum(axis=1)

    assert 0.1 < alike.mean() < 1
