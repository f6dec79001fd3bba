"""Model servers that fail, lie, hang or are busy, over real sockets: somebody answers, or says clearly why not."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio
from tests.interfaces.openai.conftest import chat_chunks, error_of, sse, usage_rows

from portal.app import open_portal
from portal.backends.http import Deadlines
from portal.backends.ollama import Config as OllamaConfig
from portal.backends.ollama import Ollama
from portal.backends.openai_compatible import Config, OpenAICompatible
from portal.settings import load_settings
from portal.testing.model_server import Answer, Fault
from portal.testing.ollama_server import OllamaModel, OllamaServer
from portal.testing.openai_server import OpenAIServer
from portal.testing.portal import TestPortal, open_test_portal

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT = "/v1/chat/completions"
AUTO: dict[str, Any] = {"model": "auto", "messages": [{"role": "user", "content": "Hi there"}]}
SHORT = Deadlines(connect=5, first_byte=0.3, idle=0.3)
LONG = Deadlines(connect=5, first_byte=60, idle=60)
EAGER = {"retries": 2, "retry_pause": 0.01, "breaker_failures": 3, "breaker_rest": 0.2}


class Rig:
    """Portal before a big model and a small one, each on its own server."""

    def __init__(self, portal: TestPortal, client: httpx.AsyncClient, big: OpenAIServer, small: OllamaServer) -> None:
        self.portal, self.client, self.big, self.small = portal, client, big, small

    async def chat(self, body: dict[str, Any] | None = None, **more: Any) -> httpx.Response:
        return await self.client.post(CHAT, json={**(body or AUTO), **more})

    async def turn(self, **more: Any) -> list[dict[str, Any]]:
        body = {"model": "auto", "input": "Hi there", "stream": True, **more}
        answer = await self.client.post("/v1/responses", json=body, params={"portal_events": 1})
        assert answer.status_code == 200, answer.text
        return sse(answer.text)

    async def backends(self) -> dict[str, dict[str, Any]]:
        rows = (await self.client.get("/portal/v1/models")).json()["backends"]
        return {row["name"]: row for row in rows}


def calls(server: OpenAIServer | OllamaServer) -> list[Any]:
    return [request for request in server.requests if request.path in (CHAT, "/api/chat")]


def said(answer: httpx.Response) -> str:
    if "event-stream" not in answer.headers["content-type"]:
        return str(answer.json()["choices"][0]["message"]["content"])
    return "".join(
        part["delta"].get("content") or "" for chunk in chat_chunks(answer.text) for part in chunk["choices"]
    )


async def opened(
    stack: AsyncExitStack,
    folder: Path,
    *,
    deadlines: Deadlines = LONG,
    max_concurrency: int = 0,
    **faults: Any,
) -> Rig:
    big = await stack.enter_async_context(OpenAIServer(models=["big-70b"]))
    small = await stack.enter_async_context(OllamaServer(models=[OllamaModel(name="small:1b")]))
    portal = await stack.enter_async_context(
        open_test_portal(
            folder / "data",
            settings={
                "faults": {**EAGER, **faults},
                "workspaces": {"auto": {"prefer": ["big-70b"]}},
                "discovery": {"enabled": False, "interval": 3600},
            },
        )
    )
    models = portal.portal.models
    backend = OpenAICompatible(Config(url=big.url, name="box", deadlines=deadlines))
    models.add(backend, max_concurrency=max_concurrency)
    models.add(Ollama(OllamaConfig(url=small.url, name="laptop", deadlines=LONG)))
    await models.refresh()
    client = httpx.AsyncClient(base_url=portal.url, headers=portal.headers, timeout=20)
    return Rig(portal, await stack.enter_async_context(client), big, small)


@pytest_asyncio.fixture(loop_scope="module")
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened_stack:
        yield opened_stack


SILENT, CUT, ODD, TOLD = "sent nothing for 0.3 seconds", "broke off", "backend_protocol_error", "backend_error"
FAILS = {"type": "server_error", "message": "out of memory"}
FAULTS = [
    (Answer(fault=Fault.HANG, text=["x"]), SILENT),
    (Answer(fault=Fault.CUT, text=["x"]), CUT),
    (Answer(fault=Fault.GARBAGE, text=["x"]), ODD),
    (Answer(fault=Fault.HTML), ODD),
    (Answer(fault=Fault.ERROR, text=["x"], error="out of memory"), TOLD),
    (Answer(frames=[json.dumps({"error": FAILS}).encode()], headers={"Content-Type": "application/json"}), TOLD),
    (Answer(status=503, error="loading"), "backend_unavailable"),
    (Answer(status=404, error="no such model"), "backend_rejected"),
    (Answer(status=401, error="no such key: sk-secret"), "did not accept Portal's key"),
    (Answer(status=402, error="pay first"), "no credit left"),
]
"""What the server does, and what is told of it: so each fault is seen to be the one that is meant."""


def named(value: object) -> str:
    return str(value.fault or value.status) if isinstance(value, Answer) else str(value)


@pytest.mark.parametrize(("answer", "told"), FAULTS, ids=named)
@pytest.mark.parametrize("stream", [True, False])
async def test_the_next_model_answers_a_plain_call(
    stack: AsyncExitStack, tmp_path: Path, answer: Answer, told: str, stream: bool
) -> None:
    rig = await opened(stack, tmp_path, deadlines=SHORT, retries=0)
    rig.big.script(answer)
    got = await rig.chat(stream=stream)
    assert got.status_code == 200, got.text
    assert said(got) == "Hi there"
    assert got.headers["x-portal-model"] == "small:1b"
    assert "big-70b failed (" in got.headers["x-portal-reason"]
    assert "so small:1b answers" in got.headers["x-portal-reason"]
    (row,) = await usage_rows(rig.portal)
    assert (row["model"], row["backend"], row["status"]) == ("small:1b", "laptop", "completed")
    (fallback,) = json.loads(row["decision"])["fallbacks"]
    assert (fallback["model"], fallback["backend"]) == ("big-70b", "box")
    assert told in fallback["error"]
    await rig.big.wait_active(0)


@pytest.mark.parametrize(
    ("answer", "status", "told"),
    [
        (Answer(fault=Fault.HANG, text=["x"]), 504, SILENT),
        (Answer(fault=Fault.RESET, text=["x"]), 503, "box"),
        (Answer(fault=Fault.CUT, text=["x"]), 502, "box"),
        (Answer(fault=Fault.GARBAGE, text=["x"]), 502, "box"),
        (Answer(fault=Fault.HTML), 502, "box"),
        (Answer(frames=[json.dumps({"error": FAILS}).encode()]), 502, "out of memory"),
        (Answer(status=503, error="loading"), 503, "loading"),
        (Answer(status=404, error="no such model"), 404, "no such model"),
        (Answer(status=401, error="no such key: sk-secret"), 502, "did not accept Portal's key (401)"),
        (Answer(status=402, error="pay first"), 502, "no credit left for Portal's key (402)"),
    ],
    ids=named,
)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_plain_model_says_what_went_wrong(
    stack: AsyncExitStack, tmp_path: Path, answer: Answer, status: int, told: str, stream: bool
) -> None:
    rig = await opened(stack, tmp_path, deadlines=SHORT, retries=0)
    answer = replace(answer, headers={"Content-Type": "application/json"}) if answer.frames else answer
    rig.big.script(answer, answer)  # a kept connection that is torn down is worth a new one, once
    assert told in error_of(await rig.chat(model="big-70b", stream=stream), status)["message"]
    assert calls(rig.big)[0].body.get("stream", False) is stream
    assert not calls(rig.small)
    assert [row["status"] for row in await usage_rows(rig.portal)] == ["failed"]


@pytest.mark.parametrize(("answer", "told"), FAULTS, ids=named)
async def test_the_next_model_answers_a_turn_and_everybody_is_told_before_its_first_item(
    stack: AsyncExitStack, tmp_path: Path, answer: Answer, told: str
) -> None:
    rig = await opened(stack, tmp_path, deadlines=SHORT, retries=0)
    rig.big.script(answer)
    events = await rig.turn()
    kinds = [event["type"] for event in events]
    assert kinds.count("portal:route") == 2
    assert kinds[-1] == "response.completed"
    route_told = events[len(kinds) - 1 - kinds[::-1].index("portal:route")]
    assert kinds.index("response.output_item.added") > events.index(route_told)
    assert route_told["decision"]["resolved_model"] == "small:1b"
    (fallback,) = route_told["decision"]["fallbacks"]
    assert (fallback["model"], told in fallback["error"]) == ("big-70b", True)
    route = (await rig.client.get(f"/portal/v1/responses/{events[-1]['response']['id']}/route")).json()
    assert route.items() >= route_told["decision"].items()
    assert [event["sequence_number"] for event in events] == list(range(len(events)))


async def test_a_stored_chat_names_the_model_that_answered(stack: AsyncExitStack, tmp_path: Path) -> None:
    rig = await opened(stack, tmp_path, retries=0)
    for stream in (True, False):
        rig.big.script(Answer(status=500, error="boom"))
        got = await rig.chat(store=True, stream=stream)
        assert got.headers["x-portal-model"] == "small:1b"
        assert "big-70b failed" in got.headers["x-portal-reason"]
        assert said(got) == "Hi there"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_passing_failure_is_tried_again_and_nobody_notices(
    stack: AsyncExitStack, tmp_path: Path, stream: bool
) -> None:
    rig = await opened(stack, tmp_path)
    rig.big.script(Answer(fault=Fault.RESET, text=["x"]), Answer(status=500, error="boom"), Answer(text=["Hello"]))
    got = await rig.chat(stream=stream)
    assert said(got) == "Hello"
    assert got.headers["x-portal-model"] == "big-70b"
    assert len(calls(rig.big)) == 3
    assert not calls(rig.small)
    rig.big.script(Answer(fault=Fault.RESET, text=["x"]), Answer(status=500, error="boom"), Answer(text=["Hello"]))
    events = await rig.turn()
    assert [event["type"] for event in events].count("portal:route") == 1
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == "Hello"
    assert len(calls(rig.big)) == 6


@pytest.mark.parametrize("stream", [True, False])
async def test_after_the_first_word_nothing_is_tried_again(stack: AsyncExitStack, tmp_path: Path, stream: bool) -> None:
    rig = await opened(stack, tmp_path)
    fault = Answer(text=["Hel", "lo"], fault=Fault.RESET, after=2)
    rig.big.script(fault)
    got = await rig.chat(stream=stream)
    if stream:
        chunks = chat_chunks(got.text, done=False)
        assert chunks[-1]["error"]["code"] == "backend_interrupted"
    else:
        assert error_of(got, 502)["code"] == "backend_interrupted"
    rig.big.script(fault)
    events = await rig.turn()
    assert events[-1]["type"] == "response.failed"
    assert len(calls(rig.big)) == 2
    assert not calls(rig.small)


async def test_what_the_client_did_goes_back_to_it(stack: AsyncExitStack, tmp_path: Path) -> None:
    rig = await opened(stack, tmp_path)
    for _ in range(4):
        assert error_of(await rig.chat(model="big-70b", temperature=9), 400)["param"] == "temperature"
    assert len(calls(rig.big)) == 4
    assert (await rig.backends())["box"]["resting"] == []


async def test_one_byte_at_a_time_is_only_slow(stack: AsyncExitStack, tmp_path: Path) -> None:
    rig = await opened(stack, tmp_path, deadlines=Deadlines(connect=5, first_byte=10, idle=10))
    rig.big.script(Answer(text=["Hel", "lo"], fault=Fault.DRIP))
    assert said(await rig.chat(stream=True)) == "Hello"


async def test_a_client_that_does_not_read_holds_a_flood_back(stack: AsyncExitStack, tmp_path: Path) -> None:
    rig = await opened(stack, tmp_path)
    rig.big.script(Answer(text=["x" * 10_000] * 3, fault=Fault.FLOOD, after=1))
    address = urlsplit(rig.portal.url)
    _, writer = await asyncio.open_connection(address.hostname, address.port, limit=2**16)
    body = json.dumps({**AUTO, "model": "big-70b", "stream": True}).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {rig.portal.key}\r\n"
    writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    await rig.big.wait_active(1)
    sent = -1
    while sent != rig.big.bytes_sent:
        sent = rig.big.bytes_sent
        await asyncio.sleep(0.3)
    assert 0 < sent < 32 * 2**20  # what fits into the sockets' buffers on the way, and no more
    writer.transport.abort()
    await rig.big.wait_disconnected()
    await rig.big.wait_active(0)


class TestModelsThatComeAndGo:
    async def test_one_that_is_listed_but_not_there(self, stack: AsyncExitStack, tmp_path: Path) -> None:
        rig = await opened(stack, tmp_path)
        rig.big.set_models(["other-7b"])
        async with asyncio.timeout(20):  # looked at again at once, but no more than once a second
            while (await rig.chat(model="other-7b")).status_code != 200:
                assert (await rig.chat()).headers["x-portal-model"] in ("small:1b", "other-7b")
        assert error_of(await rig.chat(model="big-70b"), 404)["code"] == "model_not_found"

    async def test_a_plain_one_gets_the_servers_own_words(self, stack: AsyncExitStack, tmp_path: Path) -> None:
        rig = await opened(stack, tmp_path)
        rig.big.set_models([])
        assert "big-70b" in error_of(await rig.chat(model="big-70b"), 404)["message"]

    async def test_one_that_fails_rests_and_comes_back(self, stack: AsyncExitStack, tmp_path: Path) -> None:
        rig = await opened(stack, tmp_path, retries=0, breaker_rest=0.6)
        rig.big.script(*[Answer(status=500, error="boom")] * 3)
        for _ in range(3):
            assert error_of(await rig.chat(model="big-70b"), 500)["message"] == "boom"
        refused = await rig.chat(model="big-70b")
        assert error_of(refused, 503)["code"] == "model_resting"
        assert "resting" in error_of(refused, 503)["message"]
        assert refused.headers["retry-after"] == "1"
        assert len(calls(rig.big)) == 3
        (resting,) = (await rig.backends())["box"]["resting"]
        assert (resting["model"], resting["failures"]) == ("big-70b", 3)
        instead = await rig.chat()
        assert "big-70b is resting for 1 s after 3 failures, so small:1b answers" in instead.headers["x-portal-reason"]
        async with asyncio.timeout(20):
            while (await rig.chat(model="big-70b")).status_code != 200:
                await asyncio.sleep(0.05)
        assert len(calls(rig.big)) == 4
        assert (await rig.backends())["box"]["resting"] == []

    async def test_a_server_that_was_gone_and_is_back(self, stack: AsyncExitStack, tmp_path: Path) -> None:
        rig = await opened(stack, tmp_path, retries=0)
        await rig.big.stop()
        for _ in range(4):  # a failure lets Portal look there at once: then the model is not listed any more
            assert (await rig.chat(model="big-70b")).status_code in (503, 404)
        assert (await rig.chat()).headers["x-portal-model"] == "small:1b"
        await rig.big.start()
        async with asyncio.timeout(20):
            while (await rig.chat(model="big-70b")).status_code != 200:
                await asyncio.sleep(0.05)
        assert (await rig.chat()).headers["x-portal-model"] == "big-70b"

    async def test_a_trial_whose_client_leaves_makes_room_for_the_next(
        self, stack: AsyncExitStack, tmp_path: Path
    ) -> None:
        rig = await opened(stack, tmp_path, retries=0, breaker_failures=1, breaker_rest=0.01)
        rig.big.script(Answer(status=500), Answer(fault=Fault.HANG, text=["x"]), Answer(text=["Hello"]))
        assert (await rig.chat(model="big-70b")).status_code == 500
        await asyncio.sleep(0.05)
        async with asyncio.TaskGroup() as group:
            trial = group.create_task(rig.chat(model="big-70b"))
            await rig.big.wait_active(1)
            assert error_of(await rig.chat(model="big-70b"), 503)["code"] == "model_resting"
            trial.cancel()
        await rig.big.wait_active(0)
        async with asyncio.timeout(20):
            while (got := await rig.chat(model="big-70b")).status_code != 200:
                await asyncio.sleep(0.01)
        assert said(got) == "Hello"

    @pytest.mark.parametrize("door", [CHAT, "/v1/responses"])
    async def test_a_server_that_says_when_to_come_back(self, stack: AsyncExitStack, tmp_path: Path, door: str) -> None:
        rig = await opened(stack, tmp_path)
        rig.big.script(Answer(status=429, error="too many", headers={"Retry-After": "77"}))
        body = {"model": "big-70b", **({"messages": AUTO["messages"]} if door == CHAT else {"input": "Hi"})}
        first = await rig.client.post(door, json=body)
        assert first.status_code == (429 if door == CHAT else 503)
        assert first.headers["retry-after"] == "77"
        second = await rig.client.post(door, json=body)
        assert error_of(second, 503)["code"] == "model_resting"
        assert 70 < int(second.headers["retry-after"]) <= 77
        assert len(calls(rig.big)) == 1


async def test_two_hundred_clients_that_leave_in_the_middle_leave_nothing(
    stack: AsyncExitStack, tmp_path: Path
) -> None:
    rig = await opened(stack, tmp_path)
    limits = httpx.Limits(max_connections=None)
    clients = await stack.enter_async_context(
        httpx.AsyncClient(base_url=rig.portal.url, headers=rig.portal.headers, timeout=60, limits=limits)
    )
    before = len(asyncio.all_tasks())

    async def leave() -> None:
        body = {**AUTO, "model": "big-70b", "stream": True}
        async with clients.stream("POST", CHAT, json=body) as answer, aclosing(answer.aiter_bytes()) as pieces:
            await anext(pieces)

    for _ in range(2):
        rig.big.script(*(Answer(text=["a", "b"], gate=asyncio.Event(), after=2) for _ in range(100)))
        async with asyncio.TaskGroup() as group:
            for _ in range(100):
                group.create_task(leave())
    await rig.big.wait_disconnected(200)
    await rig.big.wait_active(0)
    async with asyncio.timeout(20):
        while (await rig.backends())["box"]["running"] or len(asyncio.all_tasks()) > before + 5:
            await asyncio.sleep(0.05)
    assert (await rig.backends())["box"]["resting"] == []


class TestWaiting:
    async def test_a_turn_waits_for_its_place_and_says_so(self, stack: AsyncExitStack, tmp_path: Path) -> None:
        rig = await opened(stack, tmp_path, max_concurrency=1)
        gate = asyncio.Event()
        rig.big.script(Answer(text=["one"], gate=gate), Answer(text=["two"]), Answer(text=["three"]))
        async with asyncio.TaskGroup() as group:
            first = group.create_task(rig.chat(model="big-70b", stream=True))
            await rig.big.wait_active(1)
            second = group.create_task(rig.turn(model="big-70b"))
            await self.queued(rig, 1)
            third = group.create_task(rig.chat(model="big-70b", stream=True))
            await self.queued(rig, 2)
            assert len(calls(rig.big)) == 1
            gate.set()
        assert said(first.result()) == "one"
        progress = [event for event in second.result() if event["type"] == "portal:progress"]
        assert [(event["state"], event["detail"]) for event in progress] == [
            ("queued", "box is busy: you are next."),
            ("loading", "box begins."),
        ]
        assert second.result()[-1]["response"]["output"][0]["content"][0]["text"] == "two"
        assert said(third.result()) == "three"
        assert (await rig.backends())["box"] | {"running": 0, "queued": 0, "max_concurrency": 1} == (
            await rig.backends()
        )["box"]

    async def test_who_leaves_gives_up_the_place(self, stack: AsyncExitStack, tmp_path: Path) -> None:
        rig = await opened(stack, tmp_path, max_concurrency=1)
        gate = asyncio.Event()
        rig.big.script(Answer(text=["one"], gate=gate))
        async with asyncio.TaskGroup() as group:
            group.create_task(rig.chat(model="big-70b", stream=True))
            await rig.big.wait_active(1)
            second = group.create_task(rig.chat(model="big-70b", stream=True))
            await self.queued(rig, 1)
            second.cancel()
            await self.queued(rig, 0)
            gate.set()
        assert len(calls(rig.big)) == 1

    async def test_a_full_line_and_one_that_does_not_move(self, stack: AsyncExitStack, tmp_path: Path) -> None:
        rig = await opened(stack, tmp_path, max_concurrency=1, queue_length=1, queue_deadline=0.5)
        gate = asyncio.Event()
        rig.big.script(Answer(text=["one"], gate=gate))
        async with asyncio.TaskGroup() as group:
            group.create_task(rig.chat(model="big-70b", stream=True))
            await rig.big.wait_active(1)
            second = group.create_task(rig.chat(model="big-70b", stream=True))
            await self.queued(rig, 1)
            full = await rig.chat(model="big-70b")
            assert error_of(full, 503)["code"] == "queue_full"
            assert full.headers["retry-after"] == "5"
            assert (await rig.chat()).headers["x-portal-model"] == "small:1b"
            assert error_of(await second, 504)["code"] == "queue_timeout"
            gate.set()
        assert (await rig.backends())["box"]["resting"] == []

    async def queued(self, rig: Rig, count: int) -> None:
        async with asyncio.timeout(20):
            while (await rig.backends())["box"]["queued"] != count:
                await asyncio.sleep(0.01)

    async def test_the_settings_say_how_many(self, tmp_path: Path) -> None:
        backends = [{"kind": "scripted", "name": "box", "max_concurrency": 3}]
        loaded = load_settings({"data_dir": tmp_path, "discovery": {"enabled": False}, "backends": backends})
        async with open_portal(loaded) as portal:
            status = {row.name: row for row in portal.models.status()}
        assert status["box"].max_concurrency == 3


class TestSeveralServers:
    @pytest_asyncio.fixture(loop_scope="module")
    async def pair(self, stack: AsyncExitStack, tmp_path: Path) -> tuple[httpx.AsyncClient, Sequence[OpenAIServer]]:
        servers = [await stack.enter_async_context(OpenAIServer(models=["tiny", "embed"])) for _ in range(2)]
        backends = [
            OpenAICompatible(Config(url=server.url, name=f"s{number}")) for number, server in enumerate(servers)
        ]
        portal = await stack.enter_async_context(open_test_portal(tmp_path / "data", backends=backends))
        client = httpx.AsyncClient(base_url=portal.url, headers=portal.headers, timeout=20)
        return await stack.enter_async_context(client), servers

    async def test_the_least_busy_one_is_asked(self, pair: tuple[httpx.AsyncClient, Sequence[OpenAIServer]]) -> None:
        client, servers = pair
        gate = asyncio.Event()
        for server in servers:
            server.script(*[Answer(text=["x"], gate=gate)] * 2)
        async with asyncio.TaskGroup() as group:
            for number in range(4):
                group.create_task(client.post(CHAT, json={**AUTO, "model": "tiny", "stream": True}))
                async with asyncio.timeout(20):
                    while sum(server.active for server in servers) <= number:
                        await asyncio.sleep(0.01)
                assert servers[number % 2].active == number // 2 + 1
            gate.set()

    async def test_one_that_is_gone_is_no_loss(self, pair: tuple[httpx.AsyncClient, Sequence[OpenAIServer]]) -> None:
        client, servers = pair
        await servers[0].stop()
        got = await client.post(CHAT, json={**AUTO, "model": "tiny"})
        assert said(got) == "Hi there"
        assert "s0 failed (" in got.headers["x-portal-reason"]
        assert "so s1 answers" in got.headers["x-portal-reason"]
        made = await client.post("/v1/embeddings", json={"model": "embed", "input": "x"})
        assert made.status_code == 200, made.text
        assert made.headers["x-portal-model"] == "embed"

    async def test_each_keeps_an_address_of_its_own(
        self, pair: tuple[httpx.AsyncClient, Sequence[OpenAIServer]]
    ) -> None:
        client, servers = pair
        listed = {model["id"] for model in (await client.get("/v1/models")).json()["data"]}
        assert {"tiny", "s1/tiny"} <= listed
        got = await client.post(CHAT, json={**AUTO, "model": "s1/tiny"})
        assert (got.status_code, len(servers[0].requests) == len(servers[1].requests)) == (200, False)
