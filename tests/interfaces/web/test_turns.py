"""Where the time of turns went, over the API: one's own for everybody, everybody's for admins."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from portal.backends.openai_compatible import Config, OpenAICompatible
from portal.backends.scripted import ScriptedBackend
from portal.core.clock import micros
from portal.core.model import TextDelta
from portal.errors import (
    BackendInterrupted,
    BackendProtocolError,
    BackendUnavailable,
)
from portal.testing.model_server import Answer
from portal.testing.openai_server import OpenAIServer
from portal.testing.portal import TestPortal, open_test_portal
from portal.testing.records import used, user

_HOUR = 3600


@asynccontextmanager
async def client_of(portal: TestPortal, who: str) -> AsyncIterator[aiohttp.ClientSession]:
    _, key = await portal.portal.credentials.create_key(who, f"test-{who}")
    async with aiohttp.ClientSession(portal.url, headers={"Authorization": f"Bearer {key}"}) as client:
        yield client


async def ask(client: aiohttp.ClientSession, text: str) -> None:
    async with client.post("/v1/responses", json={"model": "tiny", "input": text}) as answer:
        await answer.read()


async def got(client: aiohttp.ClientSession, path: str, status: int = 200) -> Any:
    async with client.get(path) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


async def test_everybody_sees_their_own_and_admins_all(tmp_path: Path) -> None:
    backend = ScriptedBackend(models=["tiny"])
    backend.answer("A secret answer.")
    backend.script(BackendUnavailable("It is down."))
    backend.answer("Another.")
    people = (user(id="user_ada", name="Ada"), user(id="user_bob", name="Bob"), user(id="user_eve", role="admin"))
    async with open_test_portal(tmp_path, backends=[backend]) as portal:
        for one in people:
            await portal.portal.storage.people.add(one)
        async with (
            client_of(portal, "user_ada") as ada,
            client_of(portal, "user_bob") as bob,
            client_of(portal, "user_eve") as eve,
        ):
            for asker in (ada, bob, bob):
                await ask(asker, "A secret question.")
            page = await got(eve, "/portal/v1/turns?sort=recent&limit=2")
            rest = await got(eve, f"/portal/v1/turns?sort=recent&limit=2&cursor={page['next']}")
            rows = [*page["data"], *rest["data"]]
            failed = (await got(eve, "/portal/v1/turns?sort=failed"))["data"]
            slow = (await got(eve, "/portal/v1/turns"))["data"]
            later = await got(eve, f"/portal/v1/turns?since={micros() / 1e6 + _HOUR}")
            await got(eve, "/portal/v1/turns?sort=odd", 400)
            await got(ada, "/portal/v1/turns", 403)
            hers = rows[-1]["response_id"]
            trace = await got(ada, f"/portal/v1/responses/{hers}/trace")
            assert await got(eve, f"/portal/v1/responses/{hers}/trace") == trace
            await got(bob, f"/portal/v1/responses/{hers}/trace", 404)
            await got(eve, "/portal/v1/responses/resp_none/trace", 404)
    assert [row["person"] for row in rows] == ["Bob", "Bob", "Ada"]
    assert [(row["error"], row["status"], row["model"]) for row in failed] == [("It is down.", "failed", "tiny")]
    assert [row["ms"] for row in slow] == sorted((row["ms"] for row in slow), reverse=True)
    assert later["data"] == []
    assert trace["spans"][0]["kind"] == "turn"
    assert "secret" not in str(rows) + str(trace)


async def test_a_plain_call_says_why_it_failed(tmp_path: Path) -> None:
    backend = ScriptedBackend(models=["tiny"])
    backend.script(BackendUnavailable("It is down."))
    backend.script(TextDelta("Half of "), BackendInterrupted("It broke off."))
    backend.answer("Whole.")
    async with (
        open_test_portal(tmp_path, backends=[backend]) as portal,
        aiohttp.ClientSession(portal.url, headers=portal.headers) as client,
    ):
        for stream in (False, True, False):
            said = {"model": "tiny", "messages": [{"role": "user", "content": "A secret."}], "stream": stream}
            async with client.post("/v1/chat/completions", json=said) as answer:
                await answer.read()
        await used(portal.portal.storage)
        failed = (await got(client, "/portal/v1/turns?sort=failed"))["data"]
        recent = (await got(client, "/portal/v1/turns?sort=recent"))["data"]
        trace = await got(client, f"/portal/v1/responses/{failed[0]['response_id']}/trace")
    assert [row["error"] for row in failed] == ["It broke off.", "It is down."]
    assert [row["error"] for row in recent] == ["", "It broke off.", "It is down."]
    assert trace["error"] == "It broke off."
    assert "secret" not in str(recent) + str(trace)


_ANSWERS = [
    Answer(status=413, error="Bad input: A secret."),
    Answer(status=500, error="Failed to parse at 3: A secret."),
    Answer(frames=[b"A secret, in no form of any API."], headers={"Content-Type": "application/json"}),
    Answer(frames=[b'{"error": {"message": "A secret.", "code": 400}}'], headers={"Content-Type": "application/json"}),
    Answer(frames=[b'data: {"error": {"message": "A secret."}}\n\n'], headers={"Content-Type": "text/event-stream"}),
]


async def test_what_a_server_repeats_of_a_plain_call_is_kept_nowhere(tmp_path: Path) -> None:
    said = {"model": "tiny", "messages": [{"role": "user", "content": "A secret."}], "stream": True}
    asked = {**said, "max_tokens": 9}
    async with OpenAIServer(models=["tiny"]) as server:
        backend = OpenAICompatible(Config(url=server.url, name="first"))
        settings = {"faults": {"retries": 0, "breaker_failures": 99}}
        async with (
            open_test_portal(tmp_path, backends=[backend], settings=settings) as portal,
            aiohttp.ClientSession(portal.url, headers=portal.headers) as client,
        ):
            for path, body in (("chat/completions", said), ("messages", asked)):
                for answer in _ANSWERS:
                    server.script(answer)
                    async with client.post(f"/v1/{path}", json=body) as told:
                        assert "ecret" in await told.text(), "the client itself is told all"
            await used(portal.portal.storage)
            rows = await portal.portal.storage.database.fetch("SELECT * FROM usage_log")
            failed = (await got(client, "/portal/v1/turns?sort=failed"))["data"]
    assert [row["status"] for row in rows] == 2 * len(_ANSWERS) * ["failed"]
    assert len(failed) == len(rows)
    assert "ecret" not in str(rows) + str(failed)
    assert all(row["error"] for row in failed)


async def test_what_a_server_repeats_is_not_in_why_another_one_answered(tmp_path: Path) -> None:
    first, second = ScriptedBackend(models=["tiny"], name="one"), ScriptedBackend(models=["tiny"], name="two")
    failure = BackendProtocolError("It answered: A secret.")
    for one in (first, second):
        one.script(failure)
        one.answer("Whole.")
    said = {"model": "tiny", "messages": [{"role": "user", "content": "A secret."}]}
    async with (
        open_test_portal(tmp_path, backends=[first, second]) as portal,
        aiohttp.ClientSession(portal.url, headers=portal.headers) as client,
    ):
        async with client.post("/v1/chat/completions", json=said) as answer:
            await answer.read()
        await used(portal.portal.storage)
        (row,) = await portal.portal.storage.database.fetch("SELECT decision FROM usage_log")
    assert "fallbacks" in row["decision"]
    assert "ecret" not in row["decision"]
