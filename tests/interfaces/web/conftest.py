from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from portal.backends.scripted import ScriptedBackend, echo
from portal.core.clock import micros
from portal.core.ids import new_id
from portal.storage.database import Statement
from portal.testing.portal import TestPortal, open_test_portal

OTHERS = """INSERT INTO users (id, name, role, created_at, preferences) VALUES (:id, 'Mallory', 'member', :now, '{}')"""


@dataclass(frozen=True)
class Door:
    """/portal/v1 and /v1 as one person with a key."""

    client: aiohttp.ClientSession

    async def __call__(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        async with self.client.request(method, path, json=body) as answer:
            assert answer.status == status, (method, path, answer.status, await answer.text())
            return await answer.json()

    async def refused(self, method: str, path: str, body: Any = None, *, status: int) -> dict[str, Any]:
        """The error of a refusal in OpenAI's form."""
        found = await self(method, path, body, status)
        assert found.keys() == {"error"}
        assert found["error"].keys() == {"message", "type", "param", "code"}
        error: dict[str, Any] = found["error"]
        return error

    async def respond(self, text: str = "hello there", **fields: Any) -> Any:
        return await self("POST", "/v1/responses", {"model": "tiny", "input": text, **fields})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def backend() -> ScriptedBackend:
    return ScriptedBackend(models=["tiny"], default=echo)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def portal(tmp_path_factory: pytest.TempPathFactory, backend: ScriptedBackend) -> AsyncIterator[TestPortal]:
    async with open_test_portal(tmp_path_factory.mktemp("portal"), backends=[backend]) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def me(portal: TestPortal) -> AsyncIterator[Door]:
    async with aiohttp.ClientSession(portal.url, headers=portal.headers) as client:
        yield Door(client)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stranger(portal: TestPortal) -> AsyncIterator[Door]:
    """A second person, with a key of theirs."""
    identity = new_id("user")
    await portal.portal.storage.database.batch([Statement(OTHERS, {"id": identity, "now": micros()})])
    _, key = await portal.portal.credentials.create_key(identity, "theirs")
    async with aiohttp.ClientSession(portal.url, headers={"Authorization": f"Bearer {key}"}) as client:
        yield Door(client)


def unnumbered(event: Any) -> Any:
    """An event of the bus without its number."""
    return {name: value for name, value in event.items() if name != "sequence_number"}
