"""What a request means is asked where its words leave open what it is, and never waited for."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.routing.test_router import BIG, CODER, Says, ask, router

from portal.backends.scripted import ScriptedBackend
from portal.core.ask import Ask
from portal.core.workspaces import Workspace
from portal.errors import BackendError
from portal.knowledge.minilm import MiniLM
from portal.routing.classifier import packaged_classifier
from portal.routing.judgement import TASKS, Judgement
from portal.routing.second_look import READ, SECONDS, SecondLook, mixed, packaged, packed, shortened, unpacked
from portal.testing.portal import open_test_portal

CODING = Workspace(name="auto-coding", task="coding", prefer=("coder*",))


class Means:
    """An embedder under the packaged one's name whose vectors mean one task."""

    name = MiniLM.name
    dimensions = MiniLM.dimensions

    def __init__(self, task: str = "coding", *, waits: bool = False, error: str = "") -> None:
        layer = unpacked(packaged(), MiniLM())
        assert layer is not None
        towards = layer[1:, TASKS.index(task)]
        self._vector = towards / np.linalg.norm(towards)
        self.asleep, self._error = waits, error
        self.asked: list[str] = []

    async def embed(self, texts: Sequence[str]) -> Any:
        self.asked += texts
        if self._error:
            raise BackendError(self._error)
        if self.asleep and texts != [""]:
            await asyncio.Event().wait()
        self.asleep = False
        return np.stack([self._vector] * len(texts))


class Late(Means):
    """One that takes longer than a live request waits."""

    async def embed(self, texts: Sequence[str]) -> Any:
        await asyncio.sleep(2 * SECONDS)
        return await super().embed(texts)


class Other(Means):
    """One that the layer is not made for."""

    name = "other"


def unsure(task: str = "creative", **scores: float) -> Judgement:
    return Judgement(task=task, confidence=0.3, difficulty=0.7, scores={task: 0.3, **scores}, needs=frozenset({"x"}))


async def test_what_it_means_decides_between_what_the_words_leave_open() -> None:
    judged = await SecondLook(embedder=Means(), seconds=60).judge("turn this around", unsure(coding=0.29))
    assert (judged.task, judged.difficulty, judged.needs) == ("coding", 0.7, frozenset("x"))
    assert judged.confidence == judged.scores["coding"] > judged.scores["creative"]
    assert sum(judged.scores.values()) == pytest.approx(1)


async def test_what_the_words_rule_out_stays_out() -> None:
    assert (await SecondLook(embedder=Means(), seconds=60).judge("x", unsure(coding=0.0))).task == "creative"


async def test_the_packaged_layer_knows_what_plain_words_say() -> None:
    look, open_ = SecondLook(embedder=MiniLM(), seconds=60), unsure("general", **dict.fromkeys(TASKS[1:], 0.29))
    for task, text in {
        "coding": "my loop never ends and eats all the memory, what is wrong with this function",
        "creative": "a bedtime tale about a shy dragon",
        "math": "what do I get when I integrate x squared from zero to three",
        "research": "which phone has the best camera this year, compare reviews",
    }.items():
        assert (await look.judge(text, open_)).task == task


async def test_one_that_sleeps_is_not_waited_for_but_woken() -> None:
    asleep = Means(waits=True)
    look = SecondLook(embedder=asleep, seconds=0.01)
    first = unsure(coding=0.29)
    assert await look.judge("turn this around", first) is first
    running = asyncio.Task(look.run())
    while asleep.asleep:
        await asyncio.sleep(0)
    assert (await look.judge("turn this around", first)).task == "coding"
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_who_has_time_waits_for_it() -> None:
    first, look = unsure(coding=0.29), SecondLook(embedder=Late())
    assert await look.judge("turn this around", first) is first
    assert (await look.judge("turn this around", first, patient=True)).task == "coding"


async def test_one_that_fails_or_is_another_changes_nothing() -> None:
    first = unsure(coding=0.29)
    assert await SecondLook(embedder=Means(error="away"), seconds=60).judge("turn this around", first) is first
    assert await SecondLook(embedder=Other(), seconds=60).judge("turn this around", first) is first


async def test_only_what_is_unsure_and_stands_alone_is_looked_at() -> None:
    embedder = Means()

    async def made(judge: Says, **asked: Any) -> str:
        one = await router(BIG, CODER, workspaces=[CODING], judge=judge)
        one.look_again(SecondLook(embedder=embedder, seconds=60))
        return str((await one.decide(ask("auto", "turn this around", **asked))).task)

    assert await made(Says("creative", confidence=0.9)) == "creative"
    assert embedder.asked == []
    assert await made(Says("creative", confidence=0.3)) == "coding"
    turns = [{"role": "user", "content": text} for text in ("Write a poem", "turn this around")]
    one = await router(BIG, CODER, workspaces=[CODING], judge=Says("creative", confidence=0.3))
    one.look_again(SecondLook(embedder=embedder, seconds=60))
    assert (await one.decide(Ask(model="auto", messages=turns))).task == "creative"
    assert (await one.decide(ask("big", "turn this around"))).task is None
    assert embedder.asked == ["turn this around"]


async def test_a_request_that_leaves_it_open_goes_where_its_meaning_points(tmp_path: Path) -> None:
    text = "turn this around"
    assert packaged_classifier().judge(text).confidence < 0.5
    preferred = {"auto-coding": {"task": "coding", "prefer": ["coder*"]}}
    settings = {"classifier": {"enabled": True}, "workspaces": preferred}
    backend = ScriptedBackend(models=[BIG, CODER])
    async with (
        open_test_portal(tmp_path / "data", backends=[backend], settings=settings, embedder=Means()) as portal,
        httpx.AsyncClient(base_url=portal.url, headers=portal.headers) as client,
    ):
        body = {"model": "auto", "messages": [{"role": "user", "content": text}]}
        told = (await client.post("/api/dry-run", json=body)).json()
    assert (told["task"], told["resolved_model"]) == ("coding", "coder:7b")
    assert "looks like coding by its meaning" in told["reason"]


def test_the_layer_is_small_and_kept_as_it_was() -> None:
    assert len(packaged()) < 20_000
    layer = unpacked(packaged(), MiniLM())
    assert layer is not None
    assert layer.shape == (1 + MiniLM.dimensions, len(TASKS))
    assert packed(MiniLM(), layer) == packaged()


def test_long_requests_are_read_at_both_ends() -> None:
    assert shortened("short") == "short"
    assert shortened("a" * 999 + "b" * 999) == f"{'a' * READ} {'b' * READ}"


def test_a_judgement_without_scores_is_left_to_the_meaning() -> None:
    scores = [float(task == "math") for task in TASKS]
    assert mixed(Judgement(task="general", confidence=0.1, difficulty=0.5), scores).task == "math"
