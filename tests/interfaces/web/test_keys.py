"""What bounds keys and people, at every door: scopes, rates, budgets, an end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from tests.interfaces.web.conftest import Door

from portal.backends.scripted import ScriptedBackend, echo
from portal.core.ask import Ask
from portal.core.clock import micros
from portal.errors import Forbidden, RateLimited
from portal.storage.database import Statement
from portal.testing.portal import TestPortal, open_test_portal

pytestmark = pytest.mark.asyncio(loop_scope="module")
HI = [{"role": "user", "content": "hi"}]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def backend() -> ScriptedBackend:
    return ScriptedBackend(models=["tiny", "large", "tiny-two"], default=echo)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def portal(tmp_path_factory: pytest.TempPathFactory, backend: ScriptedBackend) -> AsyncIterator[TestPortal]:
    settings = {
        "workspaces": {"big": {"prefer": ["large"]}, "any": {}},
        "anthropic": {"aliases": {"claude-*": "large"}},
    }
    async with open_test_portal(tmp_path_factory.mktemp("portal"), backends=[backend], settings=settings) as running:
        yield running


@asynccontextmanager
async def keyed(portal: TestPortal, me: Door, **bounds: Any) -> AsyncIterator[Door]:
    """A program with a key of the owner's that is bounded like this."""
    name = f"key {micros()}"
    key = (await me("POST", "/portal/v1/keys", {"name": name, **bounds}, 201))["key"]
    async with aiohttp.ClientSession(portal.url, headers={"Authorization": f"Bearer {key}"}) as client:
        yield Door(client)


def ways(model: str) -> list[tuple[str, Any]]:
    """Every door through which a model is asked."""
    return [
        ("/v1/chat/completions", {"model": model, "messages": HI}),
        ("/v1/completions", {"model": model, "prompt": "hi"}),
        ("/v1/responses", {"model": model, "input": "hi"}),
        ("/v1/responses", {"model": model, "input": "hi", "background": True}),
        ("/v1/messages", {"model": model, "messages": HI, "max_tokens": 9}),
        ("/api/chat", {"model": model, "messages": HI, "stream": False}),
        ("/api/generate", {"model": model, "prompt": "hi", "stream": False}),
    ]


async def status(door: Door, path: str, body: Any) -> int:
    async with door.client.post(path, json=body) as answer:
        await answer.read()
        return answer.status


async def test_a_key_for_some_models_reaches_no_other_by_any_way(
    portal: TestPortal, backend: ScriptedBackend, me: Door
) -> None:
    async with keyed(portal, me, scopes=["models:tiny*"]) as door:
        for path, body in ways("tiny"):
            assert await status(door, path, body) == 200, path
        backend.requests.clear()
        for path, body in [*ways("large"), *ways("scripted/large"), *ways("large:latest")]:
            assert await status(door, path, body) in (403, 404), path
        named = [{"role": "user", "content": "@model:large hi"}]
        assert await status(door, "/v1/chat/completions", {"model": "auto", "messages": named}) == 403
        assert await status(door, "/v1/responses", {"model": "auto", "input": "@model:large hi"}) == 403
        alias = {"model": "claude-x", "messages": HI, "max_tokens": 9}
        assert await status(door, "/v1/messages", alias) == 403
        assert backend.requests == []
        for path, body in [*ways("auto"), *ways("big"), *ways("any")]:
            if path not in ("/v1/completions", "/api/generate"):
                assert await status(door, path, body) == 200, (path, body)
        assert {one.model for one in backend.requests} <= {"tiny", "tiny-two"}
        listed = {one["id"] for one in (await door("GET", "/v1/models"))["data"]}
        assert "tiny" in listed
        assert "large" not in listed
        async with door.client.ws_connect("/v1/responses") as socket:
            await socket.send_json({"type": "response.create", "model": "large", "input": "hi"})
            told = await socket.receive_json()
            assert told["type"] == "error"


async def test_a_key_for_a_workspace_names_nothing_else(portal: TestPortal, me: Door) -> None:
    async with keyed(portal, me, scopes=["workspaces:big"]) as door:
        assert await status(door, "/v1/chat/completions", {"model": "big", "messages": HI}) == 200
        for name in ("auto", "any", "tiny", "large"):
            assert await status(door, "/v1/chat/completions", {"model": name, "messages": HI}) == 403, name
            assert await status(door, "/api/chat", {"model": name, "messages": HI}) == 403, name


async def test_a_key_that_reads_changes_nothing(portal: TestPortal, me: Door) -> None:
    async with keyed(portal, me, scopes=["read-only"]) as door:
        await door("GET", "/portal/v1/conversations")
        for path, body in ways("tiny"):
            assert await status(door, path, body) == 403
        await door.refused("POST", "/portal/v1/keys", {"name": "more"}, status=403)
        await door.refused("DELETE", "/portal/v1/memories", status=403)
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await door.client.ws_connect("/v1/responses")


async def test_a_key_runs_portal_only_if_it_says_so(portal: TestPortal, me: Door) -> None:
    async with keyed(portal, me, scopes=["models:*"]) as door:
        for path in ("/portal/v1/users", "/portal/v1/mcp/servers", "/portal/v1/channels/pairings"):
            await door.refused("GET", path, status=403)
        await door.refused("POST", "/portal/v1/keys", {"name": "more"}, status=403)
    async with keyed(portal, me, scopes=["admin"]) as door:
        await door("GET", "/portal/v1/users")
    async with keyed(portal, me) as door:
        await door("GET", "/portal/v1/users")
    for wrong in (["everything"], ["models:"], ["tools"]):
        await me.refused("POST", "/portal/v1/keys", {"name": "x", "scopes": wrong}, status=400)


async def test_a_key_for_metrics_is_good_for_nothing_else(
    portal: TestPortal, backend: ScriptedBackend, me: Door
) -> None:
    elsewhere = {"X-Forwarded-For": "203.0.113.5"}
    async with keyed(portal, me, scopes=["metrics"]) as door:
        async with door.client.get("/metrics", headers=elsewhere) as answer:
            assert answer.status == 200
            assert "portal_build_info" in await answer.text()
        backend.requests.clear()
        for path, body in ways("tiny"):
            assert await status(door, path, body) == 403, path
        assert backend.requests == []
        for path in ("/portal/v1/me", "/portal/v1/conversations", "/portal/v1/users", "/v1/models", "/openapi.json"):
            refusal = await door.refused("GET", path, status=403)
            assert (refusal["code"], refusal["message"]) == ("scope", "This key is good for /metrics alone.")
        await door.refused("POST", "/portal/v1/keys", {"name": "more"}, status=403)
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await door.client.ws_connect("/v1/responses")


@pytest.mark.parametrize("bounds", [{"scopes": ["models:tiny"]}, {"requests": 5}, {"expires_at": 4e9}])
async def test_a_bounded_key_is_no_way_to_more(portal: TestPortal, me: Door, bounds: dict[str, Any]) -> None:
    ways_in = [
        ("POST", "/portal/v1/keys", {"name": "more"}),
        ("POST", "/portal/v1/links", {}),
        ("PATCH", "/portal/v1/me", {"login": "owner"}),
        ("PUT", "/portal/v1/me/password", {"password": "correct horse"}),
        ("POST", "/portal/v1/me/passkeys/options", {}),
        ("POST", "/portal/v1/channels/codes", {}),
        ("POST", "/portal/v1/schedules", {"when": "every day at 8:00", "prompt": "hi", "model": "large"}),
    ]
    async with keyed(portal, me, **bounds) as door:
        for method, path, body in ways_in:
            refusal = await door.refused(method, path, body, status=403)
            assert refusal["code"] == "scope", path
        await door("GET", "/portal/v1/me")
        assert await status(door, *ways("tiny")[0]) == 200


async def test_a_key_ends(portal: TestPortal, me: Door) -> None:
    ended = {"name": "x", "expires_at": micros() / 1e6 - 60}
    await me.refused("POST", "/portal/v1/keys", ended, status=400)
    until = micros() / 1e6 + 3600
    made = await me("POST", "/portal/v1/keys", {"name": "hour", "expires_at": until}, 201)
    assert abs(made["expires_at"] - until) < 1
    database = portal.portal.storage.database
    ending = Statement("UPDATE credentials SET expires_at = 1 WHERE id = :id", {"id": made["id"]})
    await database.batch([ending])
    async with aiohttp.ClientSession(portal.url, headers={"Authorization": f"Bearer {made['key']}"}) as client:
        await Door(client)("GET", "/v1/models", status=401)


async def test_a_rate_is_told_and_held(portal: TestPortal, me: Door) -> None:
    async with keyed(portal, me, rate=5) as door:
        for left in range(4, -1, -1):
            async with door.client.get("/v1/models") as answer:
                assert answer.status == 200
                assert answer.headers["x-ratelimit-limit-requests"] == "5"
                assert answer.headers["x-ratelimit-remaining-requests"] == str(left)
        for path, body in ways("tiny"):
            async with door.client.post(path, json=body) as answer:
                assert answer.status == 429, path
                assert int(answer.headers["retry-after"]) >= 1
    async with keyed(portal, me, rate=5) as door:
        body = {"model": "tiny", "messages": HI, "max_tokens": 9}
        async with door.client.post("/v1/messages", json=body) as answer:
            assert answer.headers["anthropic-ratelimit-requests-limit"] == "5"


async def test_a_socket_is_no_way_around_a_rate(portal: TestPortal, me: Door) -> None:
    async with keyed(portal, me, rate=5) as door, door.client.ws_connect("/v1/responses") as socket:
        kinds: list[str] = []
        for _ in range(5):
            await socket.send_json({"type": "response.create", "model": "tiny", "input": "hi"})
            while True:
                told = await socket.receive_json()
                if told["type"] in ("response.completed", "error"):
                    kinds.append(told["type"])
                    break
        assert kinds == ["response.completed"] * 4 + ["error"]
        assert "rate_limit" in str(told)


@pytest.mark.parametrize("bounds", [{"requests": 2}, {"tokens": 3}])
async def test_a_budget_is_spent_and_stays_spent(
    tmp_path_factory: pytest.TempPathFactory, backend: ScriptedBackend, bounds: dict[str, int]
) -> None:
    folder = tmp_path_factory.mktemp("budget")
    async with open_test_portal(folder, backends=[backend]) as portal:
        async with aiohttp.ClientSession(portal.url, headers=portal.headers) as client:
            made = await Door(client)("POST", "/portal/v1/keys", {"name": "daily", **bounds}, 201)
        async with aiohttp.ClientSession(portal.url, headers={"Authorization": f"Bearer {made['key']}"}) as client:
            door = Door(client)
            first = ways("tiny")[0]
            answers = [await status(door, *first) for _ in range(3)]
            assert (answers[0], answers[2]) == (200, 429)
            for path, body in ways("tiny"):
                assert await status(door, path, body) == 429, path
            async with client.ws_connect("/v1/responses") as socket:
                await socket.send_json({"type": "response.create", "model": "tiny", "input": "hi"})
                assert (await socket.receive_json())["type"] == "error"
            await door("GET", "/v1/models")
    async with (
        open_test_portal(folder, backends=[backend]) as portal,
        aiohttp.ClientSession(portal.url, headers={"Authorization": f"Bearer {made['key']}"}) as client,
        client.post(first[0], json=first[1]) as answer,
    ):
        refusal = await answer.json()
        assert answer.status == 429
        assert refusal["error"]["code"] == "insufficient_quota"
        assert 0 < int(answer.headers["retry-after"]) <= 86_400


async def test_what_is_only_tried_costs_nothing(portal: TestPortal, me: Door) -> None:
    body = {"model": "any", "messages": HI}
    async with keyed(portal, me, requests=1) as door:
        for path in ("/api/dry-run", "/portal/v1/route") * 2:
            assert await status(door, path, body) == 200
        await door("GET", "/portal/v1/route/replay")
        assert await status(door, *ways("tiny")[0]) == 200
        assert await status(door, *ways("tiny")[0]) == 429
        assert await status(door, "/api/dry-run", body) == 200


async def test_trying_a_workspace_and_summing_up_are_calls_like_any(portal: TestPortal, me: Door) -> None:
    trial, compact = {"prompt": "hi"}, {"model": "tiny", "input": "hi"}
    for path, body in (("/portal/v1/workspaces/any/test", trial), ("/v1/responses/compact", compact)):
        async with keyed(portal, me, requests=1) as door:
            assert [await status(door, path, body) for _ in range(2)] == [200, 429], path
            assert await status(door, *ways("tiny")[0]) == 429
    async with keyed(portal, me, scopes=["workspaces:big"]) as door:
        assert await status(door, "/portal/v1/workspaces/any/test", trial) == 403
        assert await status(door, "/portal/v1/workspaces/big/test", trial) == 200
    async with keyed(portal, me, scopes=["models:tiny*"]) as door:
        assert await status(door, "/v1/responses/compact", {**compact, "model": "large"}) == 403


async def test_what_nobody_may_use_hides_no_list(portal: TestPortal, me: Door) -> None:
    """As where the models that somebody may use are on a server that is away."""
    async with keyed(portal, me, scopes=["models:elsewhere*"]) as door:
        listed = {one["id"] for one in (await door("GET", "/v1/models"))["data"]}
        assert "big" in listed
        assert not listed & {"tiny", "large"}
        (big,) = [one for one in (await door("GET", "/portal/v1/workspaces"))["data"] if one["name"] == "big"]
        assert big["now"]["model"] is None
        assert "may use" in big["now"]["reason"]
        assert (await door("GET", "/portal/v1/workspaces/big"))["now"] == big["now"]
        assert "big:latest" in {one["name"] for one in (await door("GET", "/api/tags"))["models"]}


async def test_headers_of_a_client_change_nothing(portal: TestPortal, me: Door) -> None:
    async with keyed(portal, me, scopes=["models:tiny"]) as door:
        for name in ("x-api-key", "x-portal-user", "x-user-id", "x-forwarded-user", "x-model"):
            headers = {name: portal.key if name == "x-api-key" else portal.owner}
            body = {"model": "large", "messages": HI}
            async with door.client.post("/v1/chat/completions", json=body, headers=headers) as answer:
                assert answer.status == 403, name


async def test_a_person_is_bounded_with_and_without_a_request(portal: TestPortal, me: Door, stranger: Door) -> None:
    user = (await stranger("GET", "/portal/v1/me"))["user"]["id"]
    limits = {"scopes": ["models:tiny*"], "requests": 1, "rate": 600}
    told = await me("PATCH", f"/portal/v1/users/{user}", {"limits": limits})
    assert told["limits"] == {"scopes": ["models:tiny*"], "rate": 600, "requests": 1, "tokens": 0}
    body = {"model": "large", "messages": HI}
    assert await status(stranger, "/v1/chat/completions", body) == 403
    assert await status(stranger, "/v1/chat/completions", {**body, "model": "tiny"}) == 200
    assert await status(stranger, "/v1/chat/completions", {**body, "model": "tiny"}) == 429
    alone = Ask(model="large", owner=user)
    with pytest.raises(Forbidden):  # as a schedule or chat platform asks, where no request carries it
        portal.portal.router.route(alone)
    with pytest.raises(RateLimited):
        await portal.portal.router.decide(Ask(model="tiny", owner=user))
    await me("PATCH", f"/portal/v1/users/{user}", {"limits": {}})
    assert await status(stranger, "/v1/chat/completions", body) == 200


async def test_what_bounds_one_request_does_not_bound_the_next_on_its_connection(portal: TestPortal, me: Door) -> None:
    bounded = (await me("POST", "/portal/v1/keys", {"name": "pipe", "scopes": ["models:tiny"]}, 201))["key"]
    reader, writer = await asyncio.open_connection("127.0.0.1", int(portal.url.rpartition(":")[2]))
    for key, last in ((bounded, "keep-alive"), (portal.key, "close")):  # both at once, as some proxies send them
        head = f"Host: 127.0.0.1\r\nAuthorization: Bearer {key}\r\nConnection: {last}"
        writer.write(f"GET /v1/models HTTP/1.1\r\n{head}\r\n\r\n".encode())
    first, _, second = (await reader.read()).decode().rpartition("HTTP/1.1 200 OK")
    writer.close()
    assert '"large"' not in first
    assert '"large"' in second
