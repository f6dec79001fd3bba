"""Sessions and keys that somebody made up, changed, or took for the other: refused at every door, and counted."""

import hashlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
import pytest_asyncio

from portal.backends.scripted import ScriptedBackend, echo
from portal.core.approvals import AuditRecord
from portal.testing.portal import TestPortal, open_test_portal

_COOKIE = "portal_session"
_TURN = {"model": "tiny", "input": "hi"}
# That of Ollama is in test_ollama_door.py: programs of this machine need no credential there, nor for metrics.
DOORS = [
    ("GET", "/portal/v1/me", None),
    ("GET", "/v1/models", None),
    ("POST", "/v1/responses", _TURN | {"stream": True}),
    ("POST", "/v1/chat/completions", {"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}),
    ("POST", "/v1/messages", {"model": "tiny", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}),
    ("GET", "/portal/v1/events", None),
    ("POST", "/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}),
    ("DELETE", "/portal/v1/keys/key_1", None),
]


@pytest_asyncio.fixture
async def portal(tmp_path: Path) -> AsyncIterator[TestPortal]:
    backend = ScriptedBackend(models=["tiny"], default=echo)
    async with open_test_portal(tmp_path, backends=[backend], settings={"limits": {"address": 20}}) as running:
        yield running


async def session(portal: TestPortal) -> str:
    """The secret of a session of the owner's."""
    link = urlsplit(await portal.sign_in_link())
    async with aiohttp.ClientSession(portal.url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as client:
        async with client.get(f"{link.path}?{link.query}") as answer:
            assert answer.status == 200
        (found,) = [one.value for one in client.cookie_jar if one.key == _COOKIE]
    return found


def forged(secret: str, others: str) -> Mapping[str, str]:
    """What somebody may try who has seen one of them, or the database."""
    last = "A" if secret[-1] != "A" else "B"
    return {
        "made up": secret[:7] + "x" * (len(secret) - 7),
        "last sign changed": secret[:-1] + last,
        "cut short": secret[:-1],
        "longer": secret + "A",
        "other case": secret.swapcase(),
        "of the other kind": others,
        "what is stored of it": hashlib.sha256(secret.encode()).hexdigest(),
    }


async def refused(portal: TestPortal, headers: Mapping[str, str]) -> None:
    async with aiohttp.ClientSession(portal.url, headers=headers) as client:
        for method, path, body in DOORS:
            async with client.request(method, path, json=body) as answer:
                assert answer.status == 401, (path, headers, await answer.text())
                assert "set-cookie" not in answer.headers
        with pytest.raises(aiohttp.WSServerHandshakeError) as closed:
            await client.ws_connect("/v1/responses")
        assert closed.value.status == 401


async def lines(portal: TestPortal) -> list[AuditRecord]:
    return list((await portal.portal.storage.audit.whole(limit=200)).data)


async def test_a_forged_session_cookie_is_refused_at_every_door(portal: TestPortal) -> None:
    true = await session(portal)
    before = await lines(portal)
    for secret in forged(true, portal.key).values():
        await refused(portal, {"Cookie": f"{_COOKIE}={secret}"})
    assert await lines(portal) == before, "nobody is said to have signed in or done anything"
    async with aiohttp.ClientSession(portal.url, headers={"Cookie": f"{_COOKIE}={true}"}) as client:
        async with client.get("/portal/v1/me") as answer:
            assert answer.status == 200, "the true one is none the worse"
        async with client.post("/portal/v1/sign-out", headers={"Origin": portal.url}) as answer:
            assert answer.status < 400
    await refused(portal, {"Cookie": f"{_COOKIE}={true}"})  # replayed after it was ended


async def test_a_forged_key_is_refused_at_every_door(portal: TestPortal) -> None:
    true = await session(portal)
    before = await lines(portal)
    for secret in forged(portal.key, true).values():
        await refused(portal, {"Authorization": f"Bearer {secret}"})
        await refused(portal, {"x-api-key": secret})
    assert await lines(portal) == before
    async with aiohttp.ClientSession(portal.url, headers=portal.headers) as client, client.get("/v1/models") as answer:
        assert answer.status == 200


async def test_whoever_tries_forged_ones_from_afar_waits(portal: TestPortal) -> None:
    async with aiohttp.ClientSession(portal.url, headers={"X-Forwarded-For": "192.0.2.1"}) as client:
        told: list[int] = []
        wrong = (made for n in range(100) if (made := f"{portal.key[:10]}{n:02}{portal.key[12:]}") != portal.key)
        while 429 not in told:
            async with client.get("/v1/models", headers={"x-api-key": next(wrong)}) as answer:
                told.append(answer.status)
        assert (set(told[:-1]), len(told) > 2) == ({401}, True)
        assert len(told) < 100
    async with aiohttp.ClientSession(portal.url, headers=portal.headers) as client, client.get("/v1/models") as answer:
        assert answer.status == 200, "others do not wait"
