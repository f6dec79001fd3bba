"""A database that is away, through the public doors: a clear refusal that says when to come again, and all goes on by
itself once it is back."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.storage.postgres_proxy import proxied

from portal.backends.scripted import ScriptedBackend, echo
from portal.testing.portal import TestPortal, open_test_portal
from portal.testing.postgres import PostgresServer
from portal.testing.records import used

HI = [{"role": "user", "content": "hi"}]


async def ask(http: aiohttp.ClientSession, method: str, path: str, body: object = None) -> tuple[int, str, Any]:
    async with http.request(method, path, json=body) as answer:
        return answer.status, answer.headers.get("Retry-After", ""), await answer.json()


def doors(portal: TestPortal) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(portal.url, headers=portal.headers, timeout=aiohttp.ClientTimeout(60))


@pytest.mark.slow
async def test_a_database_that_is_away_and_comes_back(postgres: PostgresServer, tmp_path: Path) -> None:
    backend = ScriptedBackend(models=["tiny"], default=echo)
    async with (
        proxied(postgres.database()) as proxy,
        open_test_portal(tmp_path, backends=[backend], settings={"database": proxy.url}) as portal,
        doors(portal) as http,
    ):
        status, _, first = await ask(http, "POST", "/v1/responses", {"model": "tiny", "input": "before"})
        assert status == 200
        await proxy.stop()
        asked = [
            ("GET", "/portal/v1/conversations", None),
            ("POST", "/portal/v1/conversations", {"title": "lost"}),
            ("POST", "/v1/responses", {"model": "tiny", "input": "while away"}),
            ("GET", f"/v1/responses/{first['id']}", None),
        ]
        async with asyncio.TaskGroup() as group:
            refused = [group.create_task(ask(http, *one)) for one in asked]
            plain = group.create_task(ask(http, "POST", "/v1/chat/completions", {"model": "tiny", "messages": HI}))
            health = group.create_task(ask(http, "GET", "/health"))
        for one in refused:
            status, after, body = one.result()
            assert (status, after) == (503, "5"), body
            assert body["error"]["code"] == "storage_unavailable"
            assert "cannot be reached" in body["error"]["message"]
        assert plain.result()[0] == 200
        assert health.result()[0] in (200, 503)  # whether it has been noticed yet
        await proxy.start()
        while (await ask(http, "GET", "/portal/v1/conversations"))[0] != 200:
            pass
        status, _, again = await ask(
            http, "POST", "/v1/responses", {"model": "tiny", "input": "after", "previous_response_id": first["id"]}
        )
        assert status == 200
        assert again["status"] == "completed"
        status, _, stored = await ask(http, "GET", f"/v1/responses/{again['id']}")
        assert stored["output"] == again["output"]
        _, _, talks = await ask(http, "GET", "/portal/v1/conversations")
        assert [one["title"] for one in talks["data"] if one["title"] == "lost"] == []
        assert await used(portal.portal.storage, portal.owner)
