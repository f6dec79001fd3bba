"""What a small model says is taken with care: grounded in what was said, within the list, or not at all."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from portal.backends.scripted import CUT, ScriptedBackend
from portal.core.completion import Completions
from portal.core.decision import Candidate, Route
from portal.core.memories import Wanted
from portal.core.model import TextDelta
from portal.core.recall import Seeking
from portal.core.workspaces import Workspace
from portal.errors import StorageError
from portal.memory.proposals import Proposals
from portal.memory.small_model import SmallModel
from portal.testing.portal import TestPortal, open_test_portal
from portal.testing.records import OWNER

from .conftest import Rig


@pytest.fixture
def backend() -> ScriptedBackend:
    return ScriptedBackend(models=["tiny"])


@pytest.fixture
async def portal(tmp_path: Path, backend: ScriptedBackend) -> AsyncIterator[TestPortal]:
    async with open_test_portal(tmp_path, backends=[backend]) as running:
        yield running


def model(portal: TestPortal, name: str = "tiny") -> SmallModel:
    completions = Completions(usage=portal.portal.storage.usage)
    return SmallModel(models=portal.portal.router, completions=completions, model=name)


def route(portal: TestPortal) -> Route:
    backend, info = portal.portal.router.find("tiny")
    return Route(requested="auto", candidates=[Candidate(backend, info)], reason="it answered")


@pytest.mark.parametrize(
    ("answer", "places"),
    [
        ("1", [0]),
        ("2, 1", [0, 1]),
        ("NONE", []),
        ("none of them, 2", []),
        ("7, 0, 2", [1]),
        ("2\n1 because", [1]),
        ("", []),
        ("<think>1</think>2", [1]),
        ("I cannot say", []),
    ],
)
async def test_verdicts(portal: TestPortal, backend: ScriptedBackend, answer: str, places: list[int]) -> None:
    backend.answer(answer)
    assert list(await model(portal).contradicted(OWNER, "I moved", ["one", "two"])) == places


async def test_nobody_is_asked_without_a_model_or_a_question(portal: TestPortal, backend: ScriptedBackend) -> None:
    assert await model(portal, "").contradicted(OWNER, "I moved", ["one"]) == []
    assert await model(portal).contradicted(OWNER, "I moved", []) == []
    assert await model(portal, "nothing-like-it").contradicted(OWNER, "I moved", ["one"]) == []
    assert backend.requests == []
    backend.script(CUT)
    assert await model(portal).contradicted(OWNER, "I moved", ["one"]) == []


async def test_proposals_keep_to_what_was_said(portal: TestPortal, backend: ScriptedBackend) -> None:
    backend.answer("1. I work at Acme\n* I own a boat\nok\n- I have two cats.\n" + "x" * 400)
    said = "I work at Acme and have two cats"
    assert await model(portal, "").proposed(OWNER, said, route(portal)) == ["I work at Acme", "I have two cats"]
    backend.answer("NONE")
    assert await model(portal).proposed(OWNER, said, route(portal)) == []


class Ears:
    """Proposals over a rig's keeper, with a portal's model."""

    def __init__(self, rig: Rig, portal: TestPortal) -> None:
        self.rig, self.portal = rig, portal
        self.proposals = Proposals(keeper=rig.keeper, model=model(portal))

    async def hear(self, text: str, **fields: object) -> list[str]:
        """What is proposed afterwards."""
        known: dict[str, object] = {"owner": OWNER, "workspace": Workspace(name="auto"), "response_id": "resp_1"}
        async with asyncio.TaskGroup() as group:
            seeking = Seeking(**{**known, "text": text, **fields})  # type: ignore[arg-type]
            self.proposals.begin(group, seeking, route(self.portal))
        return [one.text for one in (await self.rig.keeper.list(OWNER, Wanted(status="proposed"))).data]


async def test_who_is_heard(rig: Rig, portal: TestPortal, backend: ScriptedBackend) -> None:
    ears, said = Ears(rig, portal), "I work at Acme as a nurse"
    assert await ears.hear(said) == []  # off until it is turned on
    await rig.keeper.switch(OWNER, {"propose": True})
    for fields in ({"private": True}, {"kept": False}, {"workspace": Workspace(name="auto", memory=False)}):
        assert await ears.hear(said, **fields) == []
    for text in ("Hi there", "x" * 5000, "Remember that I work at Acme"):
        assert await ears.hear(text) == []
    assert backend.requests == []
    backend.answer("I work at Acme")
    assert await ears.hear(said) == ["I work at Acme"]
    (one,) = (await rig.keeper.list(OWNER, Wanted(status="proposed"))).data
    assert (one.source, one.confidence) == ("resp_1", 0.6)
    assert await rig.active() == []
    await rig.storage.database.aclose()  # type: ignore[attr-defined]
    with pytest.raises(StorageError):  # of the test's own look; the failed turn's end was quiet
        await ears.hear(said)


async def test_a_server_that_stops_waits_for_no_proposal(
    rig: Rig, portal: TestPortal, backend: ScriptedBackend
) -> None:
    await rig.keeper.switch(OWNER, {"propose": True})
    ears = Ears(rig, portal)
    backend.script(asyncio.Event(), TextDelta("I work at Acme"))
    async with asyncio.TaskGroup() as group:
        seeking = Seeking(
            owner=OWNER, workspace=Workspace(name="auto"), response_id="resp_1", text="I work at Acme as a nurse"
        )
        ears.proposals.begin(group, seeking, route(portal))
        await backend.wait_running(1)
        ears.proposals.cancel()
    assert (await rig.keeper.list(OWNER, Wanted(status="proposed"))).data == []
