"""What one server changes holds on the others: at once, and where that was missed a little later."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
from tests.cluster.conftest import SEAL_KEY, Server, opened
from tests.cluster.test_turns import begun
from tests.interfaces.web.test_oauth import address, browser_of, exchanged, registered

from portal.app import open_portal
from portal.app.sealing import SEAL, bring_home
from portal.core.model import TextDelta
from portal.errors import SettingsError, StorageError, TakenOver
from portal.security.pending import KeptPending
from portal.settings import load_settings
from portal.storage.open import open_storage
from portal.storage.pending import StoredPending
from portal.testing.openai_server import OpenAIServer

Pair = tuple[Server, Server]


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.02)


async def answered(api: aiohttp.ClientSession, path: str) -> int:
    async with api.get(path) as answer:
        return answer.status


async def made(api: aiohttp.ClientSession, path: str, **body: Any) -> dict[str, Any]:
    async with api.post(path, json=body) as answer:
        assert answer.status in (200, 201), await answer.text()
        found: dict[str, Any] = await answer.json()
        return found


async def test_what_happens_on_one_is_heard_on_the_other(pair: Pair) -> None:
    first, second = pair
    with second.test.portal.bus.subscribe(second.test.owner) as news:
        record = await made(first.api, "/portal/v1/conversations", title="Plans")
        async with asyncio.timeout(30):
            while (event := await news.get()) is not None and event["type"] != "conversation.changed":
                continue
    assert event is not None
    assert event["id"] == record["id"]


async def test_what_another_version_says_otherwise_is_passed_over(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    first, second = pair
    with second.test.portal.bus.subscribe(second.test.owner) as news:
        first.test.portal.bus.relay(None, "odd", 5)  # type: ignore[arg-type]
        first.test.portal.bus.publish(None, "tools.changed")
        async with asyncio.timeout(30):
            while (event := await news.get()) is not None and event["type"] != "tools.changed":
                assert event["type"] != "resync", "the others are still heard"


async def test_a_revoked_key_is_refused_everywhere_at_once(pair: Pair) -> None:
    first, second = pair
    key = await made(first.api, "/portal/v1/keys", name="lent")
    headers = {"Authorization": f"Bearer {key['key']}"}
    async with aiohttp.ClientSession(second.test.url, headers=headers) as api:
        assert await answered(api, "/v1/models") == 200
        async with first.api.delete(f"/portal/v1/keys/{key['id']}") as answer:
            assert answer.status == 200

        async def refused() -> bool:
            return await answered(api, "/v1/models") == 401

        await until(refused, seconds=10)


async def test_what_was_missed_about_keys_is_looked_up(pair: Pair) -> None:
    first, second = pair
    key = await made(first.api, "/portal/v1/keys", name="lent")
    caller = await second.test.portal.credentials.by_token(key["key"])
    await first.test.portal.storage.users.revoke(first.test.owner, key["id"])  # nobody is told
    assert not second.test.portal.credentials.is_revoked(caller)
    await second.test.portal.credentials.doubt()
    assert second.test.portal.credentials.is_revoked(caller)


async def test_somebody_suspended_is_out_everywhere(pair: Pair) -> None:
    first, second = pair
    person = await made(first.api, "/portal/v1/users", name="Ben", role="member")
    _, secret = await first.test.portal.credentials.create_key(person["id"], "bens")
    async with aiohttp.ClientSession(second.test.url, headers={"Authorization": f"Bearer {secret}"}) as api:
        assert await answered(api, "/v1/models") == 200
        async with first.api.patch(f"/portal/v1/users/{person['id']}", json={"suspended": True}) as answer:
            assert answer.status == 200

        async def out() -> bool:
            return await answered(api, "/v1/models") == 401

        await until(out, seconds=10)


async def test_workspaces_come_and_go_everywhere(pair: Pair) -> None:
    first, second = pair
    async with first.api.put("/portal/v1/workspaces/cook", json={"instructions": "You cook."}) as answer:
        assert answer.status == 200

    async def there() -> bool:
        return await answered(second.api, "/portal/v1/workspaces/cook") == 200

    async def gone() -> bool:
        return await answered(second.api, "/portal/v1/workspaces/cook") == 404

    await until(there)
    async with first.api.delete("/portal/v1/workspaces/cook") as answer:
        assert answer.status == 200
    await until(gone)


async def test_a_model_server_with_its_key_is_used_everywhere(pair: Pair) -> None:
    first, second = pair
    async with OpenAIServer(models=["shared"], api_key="sk-of-the-server") as models:
        added = {"kind": "openai_compatible", "url": models.url, "name": "ours", "api_key": "sk-of-the-server"}
        await made(first.api, "/portal/v1/backends", **added)

        async def known() -> bool:
            return any(one.id == "shared" for one in second.test.portal.models.list())

        await until(known)
        async with first.api.delete("/portal/v1/backends/ours") as answer:
            assert answer.status == 200

        async def gone() -> bool:
            return not await known()

        await until(gone)


async def test_budgets_hold_across_servers(pair: Pair) -> None:
    first, second = pair
    key = await made(first.api, "/portal/v1/keys", name="small", requests=3)
    headers = {"Authorization": f"Bearer {key['key']}"}
    body = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}

    async def call(server: Server) -> int:
        server.model.answer("yes")
        async with (
            aiohttp.ClientSession(server.test.url, headers=headers) as api,
            api.post("/v1/chat/completions", json=body) as answer,
        ):
            await answer.read()
            return answer.status

    assert [await call(first), await call(second), await call(first)] == [200, 200, 200]

    async def spent() -> bool:
        return await call(second) == 429

    await until(spent, seconds=10)


async def test_rates_and_failures_to_sign_in_are_counted_together(pair: Pair) -> None:
    first, second = pair
    async with first.api.put("/portal/v1/me/password", json={"password": "correct horse battery"}) as answer:
        assert answer.status in (200, 204), await answer.text()

    async def wrong(server: Server) -> int:
        body = {"login": "nobody", "password": "wrong wrong wrong"}
        async with aiohttp.ClientSession(server.test.url) as api, api.post("/sign-in/password", json=body) as answer:
            return answer.status

    for _ in range(5):
        assert await wrong(first) == 401
        assert await wrong(second) == 401

    async def waits() -> bool:
        return [await wrong(first), await wrong(second)] == [429, 429]

    await until(waits, seconds=10)


async def test_what_is_begun_on_one_is_finished_once_on_any(pair: Pair) -> None:
    def pending(server: Server, kind: str = "code") -> KeptPending[dict[str, Any]]:
        kept = StoredPending(database=server.test.portal.storage.database)
        return KeptPending(kept=kept, kind=kind, pack=dict, unpack=dict)

    first, second = (pending(one) for one in pair)
    token = await first.begin({"nonce": "n"})
    assert await pending(pair[0], "question").finish(token) is None, "it is no token of another kind"
    assert await second.finish(token) == {"nonce": "n"}
    assert await first.finish(token) is None
    assert await second.finish("unknown") is None
    kept = StoredPending(database=pair[0].test.portal.storage.database)
    await kept.keep("late", {"x": 1}, until=5)
    assert await kept.take("late", now=6) is None
    await kept.keep("later", {"x": 1}, until=5)
    await kept.sweep(now=6)
    assert await kept.take("later", now=4) is None


async def test_a_code_that_comes_again_is_noticed_by_any_server(pair: Pair) -> None:
    first, second = pair
    async with httpx.AsyncClient(base_url=first.test.url) as here, httpx.AsyncClient(base_url=second.test.url) as there:
        client = await registered(here)
        browser = await browser_of(second.test, second.test.owner)
        async with browser.http:
            told = await browser.decide(address(second.test, client))
        assert (await exchanged(here, client, told["code"])).status_code == 200

        async def named() -> list[str]:
            async with first.api.get("/portal/v1/keys") as answer:
                return [one["name"] for one in (await answer.json())["data"]]

        assert "Desk (MCP)" in await named()
        assert (await exchanged(there, client, told["code"])).json()["error"] == "invalid_grant"
        assert "Desk (MCP)" not in await named()


async def test_a_sign_in_link_is_good_on_any_server_once(pair: Pair) -> None:
    first, second = pair
    _, secret = await first.test.portal.credentials.create_link(first.test.owner)
    record, _ = await second.test.portal.credentials.sign_in(secret, device="browser")
    assert record.owner == first.test.owner


async def test_servers_with_another_key_are_refused(pair: Pair, database: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="sealing key is not the one of its database"):
        async with opened(tmp_path / "c", database, seal_key="77" * 32):
            pass
    with pytest.raises(SettingsError, match="64 hexadecimal digits"):
        async with opened(tmp_path / "d", database, seal_key="secret"):
            pass


async def test_secrets_of_a_server_that_was_alone_are_taken_along(database: str, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o700)
    (tmp_path / "a" / "secrets.json").write_text('{"backend:mine": "sk-1"}')
    async with opened(tmp_path / "a", database) as one:
        secrets = one.test.portal.storage.database
        (row,) = await secrets.fetch("SELECT name, sealed FROM sealed_secrets")
        assert row["name"] == "backend:mine"
        assert "sk-1" not in row["sealed"]
        assert await one.test.portal.storage.key_values.get(SEAL)
        assert (tmp_path / "a" / "secrets.json").read_bytes() == b"{}"
        settings, storage = one.test.portal.settings, one.test.portal.storage
        await bring_home(settings, storage)
        assert await storage.database.fetch("SELECT name FROM sealed_secrets") == []
        assert "sk-1" in (tmp_path / "a" / "secrets.json").read_text()


async def test_the_duty_goes_over_when_a_server_ends(database: str, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        second = None
        async with opened(tmp_path / "a", database) as first:
            second = await stack.enter_async_context(opened(tmp_path / "b", database))
            async with first.api.get("/portal/v1/cluster") as answer:
                found = (await answer.json())["data"]
            assert [(one["here"], one["leads"]) for one in found] == [(True, True), (False, False)]

        async def leads() -> bool:
            async with second.api.get("/portal/v1/cluster") as answer:
                return [(one["here"], one["leads"]) for one in (await answer.json())["data"]] == [(True, True)]

        await until(leads)


async def test_the_duty_goes_over_before_a_server_ends(pair: Pair) -> None:
    first, second = pair
    first.test.portal.drain()

    async def leads() -> bool:
        async with first.api.get("/portal/v1/cluster") as answer:
            found = (await answer.json())["data"]
        return [(one["here"], one["leads"]) for one in found] == [(True, False), (False, True)]

    await until(leads)
    assert second.test.portal.storage.fence.term > first.test.portal.storage.fence.term == 0


async def test_others_do_not_see_the_servers(pair: Pair) -> None:
    first, _ = pair
    person = await made(first.api, "/portal/v1/users", name="Ben", role="member")
    _, secret = await first.test.portal.credentials.create_key(person["id"], "bens")
    async with aiohttp.ClientSession(first.test.url, headers={"Authorization": f"Bearer {secret}"}) as api:
        assert await answered(api, "/portal/v1/cluster") == 403


async def test_a_server_that_was_taken_for_gone_writes_nothing_more(pair: Pair) -> None:
    first, second = pair
    storage = first.test.portal.storage
    first.model.script(TextDelta("Hel"), gate := asyncio.Event(), TextDelta("lo"))
    response_id = await begun(first)
    before = storage.fence.instance
    await second.test.portal.storage.database.batch([*_gone(before)])  # as another server does that finds it gone

    async def ended() -> bool:
        async with second.api.get(f"/v1/responses/{response_id}") as answer:
            return bool((await answer.json())["status"] == "incomplete")

    await until(ended)
    gate.set()

    async def again() -> bool:
        return storage.fence.instance not in ("", before) and first.test.portal.agent.running(response_id) is None

    await until(again)
    async with first.api.get(f"/v1/responses/{response_id}") as answer:
        assert (await answer.json())["incomplete_details"] == {"reason": "interrupted"}
    first.model.answer("well")
    body = {"model": "tiny", "input": "again"}
    async with first.api.post("/v1/responses", json=body) as answer:
        assert (await answer.json())["status"] == "completed"


def _gone(instance: str) -> Any:
    from portal.storage.database import Statement

    return [Statement("DELETE FROM instances WHERE id = :id", {"id": instance})]


async def test_whoever_lost_the_duty_claims_nothing(pair: Pair) -> None:
    first, second = pair
    storage = first.test.portal.storage
    storage.fence.term -= 1
    with pytest.raises(TakenOver):
        await storage.runs.claim(0, 1)
    with pytest.raises(TakenOver):
        await storage.outbox.finish("dlv_x")
    with pytest.raises(TakenOver):
        await second.test.portal.storage.runs.interrupted()


async def test_a_server_waits_for_the_migration(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    chosen = {"data_dir": tmp_path / "a", "database": database, "seal_key": SEAL_KEY}
    monkeypatch.setattr("portal.storage.opening._WAITS", 1)
    with pytest.raises(StorageError, match="run `portal migrate` once"):
        async with open_portal(load_settings({**chosen, "migrate": False}), backends=[]):
            pass
    async with open_storage(load_settings(chosen)):
        pass
    async with open_portal(load_settings({**chosen, "migrate": False}), backends=[]) as portal:
        assert portal.storage.fence.instance
