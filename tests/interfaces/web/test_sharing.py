"""A conversation shared by a link: what was said until then and nothing else, for as long as its owner likes."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from tests.interfaces.web.conftest import Door

from portal.backends.scripted import ScriptedBackend, echo
from portal.testing.portal import TestPortal, open_test_portal

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def portal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TestPortal]:
    backend = ScriptedBackend(models=["tiny"], default=echo)
    settings = {"people": {"sharing": True}}
    async with open_test_portal(tmp_path_factory.mktemp("portal"), backends=[backend], settings=settings) as running:
        yield running


async def talk(me: Door, *said: str, place: str = "") -> str:
    place = place or (await me("POST", "/portal/v1/conversations", {"title": "Tea"}, 201))["id"]
    for text in said:
        await me.respond(text, conversation=place)
    return place


async def test_what_was_said_until_then_is_read_by_whoever_has_the_link(portal: TestPortal, me: Door) -> None:
    place = await talk(me, "first", "second")
    address = f"/portal/v1/conversations/{place}/share"
    assert (await me("GET", address))["shared_at"] is None
    url = (await me("POST", address, {}, 201))["url"]
    await talk(me, "later", place=place)
    async with aiohttp.ClientSession() as anybody:
        async with anybody.get(f"{url}/conversation") as answer:
            assert answer.headers["cache-control"] == "no-store"
            told = await answer.json()
        assert told.keys() == {"title", "shared_at", "messages"}
        assert [(one["role"], one["text"]) for one in told["messages"]] == [
            ("user", "first"),
            ("assistant", "first"),
            ("user", "second"),
            ("assistant", "second"),
        ]
        async with anybody.get(url) as answer:
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["x-robots-tag"] == "noindex, nofollow"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert "Tea" not in await answer.text()
        for path in (f"/portal/v1/conversations/{place}", "/portal/v1/me"):
            async with anybody.get(f"{portal.url}{path}") as answer:
                assert answer.status == 401
        lines = [(line["action"], line["subject"]) for line in (await me("GET", "/portal/v1/audit"))["data"]]
        assert ("settings.changed", address) in lines
        again = (await me("POST", address, {}, 201))["url"]
        async with anybody.get(f"{url}/conversation") as answer:
            assert answer.status == 404
        await me("DELETE", address)
        for link in (again, f"{portal.url}/share/none"):
            async with anybody.get(f"{link}/conversation") as answer:
                assert answer.status == 404
    await me.refused("DELETE", address, status=404)


async def test_a_link_ends_with_its_conversation_and_its_owner(portal: TestPortal, me: Door, stranger: Door) -> None:
    place = await talk(stranger, "theirs")
    await me.refused("POST", f"/portal/v1/conversations/{place}/share", {}, status=404)
    await me.refused("GET", f"/portal/v1/conversations/{place}/share", status=404)
    url = (await stranger("POST", f"/portal/v1/conversations/{place}/share", {}, 201))["url"]
    user = (await stranger("GET", "/portal/v1/me"))["user"]["id"]

    async def status() -> int:
        async with aiohttp.ClientSession() as anybody, anybody.get(f"{url}/conversation") as answer:
            return answer.status

    assert await status() == 200
    await me("PATCH", f"/portal/v1/users/{user}", {"suspended": True})
    assert await status() == 404
    await me("PATCH", f"/portal/v1/users/{user}", {"suspended": False})
    assert await status() == 200
    await stranger("POST", "/portal/v1/conversations/delete", {"ids": [place]})
    assert await status() == 404


async def test_it_is_off_unless_the_settings_say_otherwise(tmp_path_factory: pytest.TempPathFactory) -> None:
    backend = ScriptedBackend(models=["tiny"], default=echo)
    async with (
        open_test_portal(tmp_path_factory.mktemp("off"), backends=[backend]) as portal,
        aiohttp.ClientSession(portal.url, headers=portal.headers) as client,
    ):
        me = Door(client)
        place = await talk(me, "hello")
        refusal = await me.refused("POST", f"/portal/v1/conversations/{place}/share", {}, status=403)
        assert refusal["code"] == "sharing_off"
        assert (await me("GET", f"/portal/v1/conversations/{place}/share"))["allowed"] is False
