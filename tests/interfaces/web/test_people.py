"""People: added, invited, suspended, changed and deleted; passwords; what each role may."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from tests.interfaces.web.conftest import Door

from portal.backends.scripted import ScriptedBackend
from portal.core.model import TextDelta
from portal.testing.portal import TestPortal

pytestmark = pytest.mark.asyncio(loop_scope="module")

USERS = "/portal/v1/users"
PASSWORD = "correct horse"


@asynccontextmanager
async def browser(portal: TestPortal) -> AsyncIterator[Door]:
    """A browser that keeps its cookies, as a page of Portal's sends."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(portal.url, headers={"Origin": portal.url}, cookie_jar=jar) as client:
        yield Door(client)


async def added(me: Door, name: str, **fields: Any) -> Any:
    return await me("POST", USERS, {"name": name, "login": name.lower(), **fields}, 201)


@asynccontextmanager
async def invited(portal: TestPortal, user: Any) -> AsyncIterator[Door]:
    """Their browser, after they opened their invitation."""
    async with browser(portal) as theirs:
        async with theirs.client.get(user["url"], allow_redirects=False) as answer:
            assert answer.headers["location"] == "/"
        yield theirs


async def test_an_invitation_signs_in_once(portal: TestPortal, me: Door) -> None:
    ada = await added(me, "Ada")
    assert (ada["role"], ada["login"], ada["suspended"]) == ("member", "ada", False)
    async with invited(portal, ada) as theirs:
        about = await theirs("GET", "/portal/v1/me")
        assert (about["user"]["name"], about["user"]["role"], about["user"]["password"]) == ("Ada", "member", False)
        assert (await theirs("GET", "/portal/v1/sessions"))["data"][0]["current"]
    async with browser(portal) as again, again.client.get(ada["url"], allow_redirects=False) as answer:
        assert answer.headers["location"] == "/?sign-in=expired"
    assert ada["id"] in [one["id"] for one in (await me("GET", USERS))["data"]]


async def test_a_password_signs_in_and_its_change_ends_the_other_sessions(portal: TestPortal, me: Door) -> None:
    bob = await added(me, "Bob")
    async with invited(portal, bob) as theirs, browser(portal) as phone:
        await theirs.refused("PUT", "/portal/v1/me/password", {"password": "short"}, status=400)
        await theirs("PUT", "/portal/v1/me/password", {"password": PASSWORD})
        assert (await phone("GET", "/sign-in/ways"))["password"] is True
        await phone("POST", "/sign-in/password", {"login": " BOB ", "password": PASSWORD})
        assert (await phone("GET", "/portal/v1/me"))["user"]["id"] == bob["id"]
        wrong = {"current": "another", "password": "correct battery"}
        await theirs.refused("PUT", "/portal/v1/me/password", wrong, status=401)
        changed = await theirs("PUT", "/portal/v1/me/password", {"current": PASSWORD, "password": "correct battery"})
        assert changed["signed_out"] == 1
        await phone("GET", "/portal/v1/me", status=401)
        await theirs("GET", "/portal/v1/me")
        old = {"login": "bob", "password": PASSWORD}
        refusal = await phone.refused("POST", "/sign-in/password", old, status=401)
        nobody = await phone.refused("POST", "/sign-in/password", {**old, "login": "nobody"}, status=401)
        assert refusal == nobody
        await phone("POST", "/sign-in/password", {"login": "bob", "password": "correct battery"})
        assert (await theirs("POST", "/portal/v1/me/sign-out-everywhere"))["signed_out"] == 1
        await phone("GET", "/portal/v1/me", status=401)


async def test_a_page_of_others_cannot_sign_a_browser_in(portal: TestPortal) -> None:
    async with aiohttp.ClientSession(portal.url, headers={"Origin": "https://evil.example"}) as client:
        refusal = await Door(client).refused("POST", "/sign-in/password", {"login": "x", "password": "y"}, status=403)
    assert refusal["code"] == "origin_not_allowed"


async def test_tries_are_counted_by_account(portal: TestPortal, me: Door) -> None:
    await added(me, "Carol", invite=False)
    carol = (await me("GET", USERS))["data"][-1]
    await me("PATCH", f"{USERS}/{carol['id']}", {"password": PASSWORD})
    async with browser(portal) as theirs:
        for _ in range(portal.portal.settings.people.attempts):
            async with theirs.client.post("/sign-in/password", json={"login": "carol", "password": "x"}) as answer:
                status = answer.status
                if status == 429:
                    break
                assert status == 401
        async with theirs.client.post("/sign-in/password", json={"login": "carol", "password": PASSWORD}) as answer:
            assert answer.status == 429
            assert int(answer.headers["retry-after"]) > 0


async def test_who_is_suspended_is_out_at_once(portal: TestPortal, backend: ScriptedBackend, me: Door) -> None:
    dan = await added(me, "Dan")
    async with invited(portal, dan) as theirs:
        key = (await theirs("POST", "/portal/v1/keys", {"name": "laptop"}, 201))["key"]
        backend.script(TextDelta("slow"), asyncio.Event())
        running = await theirs.respond(background=True)
        async with theirs.client.get("/portal/v1/events") as events:
            assert await events.content.readline()

            await me("PATCH", f"{USERS}/{dan['id']}", {"suspended": True})

            await events.read()  # it ends
        await theirs("GET", "/portal/v1/me", status=401)
        async with aiohttp.ClientSession(portal.url, headers={"Authorization": f"Bearer {key}"}) as client:
            await Door(client)("GET", "/v1/models", status=401)
        stored = await portal.portal.storage.responses.get(dan["id"], running["id"])
        assert stored.response.status == "cancelled"
        await me("PATCH", f"{USERS}/{dan['id']}", {"suspended": False})
        await theirs("GET", "/portal/v1/me")


async def test_admins_manage_those_below_them(portal: TestPortal, me: Door) -> None:
    eve, fred, guest = (
        await added(me, "Eve", role="admin"),
        await added(me, "Fred", role="admin"),
        await added(me, "Gus", role="guest"),
    )
    owner = portal.owner
    async with invited(portal, eve) as theirs:
        assert len((await theirs("GET", USERS))["data"]) >= 4
        await theirs("PATCH", f"{USERS}/{guest['id']}", {"role": "member"})
        for target in (fred["id"], owner, eve["id"]):
            await theirs.refused("PATCH", f"{USERS}/{target}", {"suspended": True}, status=403)
            await theirs.refused("DELETE", f"{USERS}/{target}?everything=true", status=403)
        await theirs.refused("PATCH", f"{USERS}/{guest['id']}", {"role": "admin"}, status=403)
        await theirs.refused("POST", USERS, {"name": "H", "role": "admin"}, status=403)
        await me("PATCH", f"{USERS}/{eve['id']}", {"role": "member"})
        await theirs.refused("GET", USERS, status=403)
    await me.refused("PATCH", f"{USERS}/{owner}", {"suspended": True}, status=403)
    await me.refused("POST", USERS, {"name": "I", "login": "fred"}, status=409)
    await me.refused("POST", USERS, {"name": "I", "login": "two words"}, status=400)
    actions = [one["action"] for one in (await me("GET", "/portal/v1/audit"))["data"]]
    assert {"user.added", "user.invited", "user.changed"} <= {*actions}


async def test_guests_chat_and_nothing_else(portal: TestPortal, me: Door) -> None:
    async with invited(portal, await added(me, "Gina", role="guest")) as theirs:
        assert (await theirs.respond("hi"))["status"] == "completed"
        await theirs("GET", "/portal/v1/conversations")
        for path in ("/portal/v1/keys", "/portal/v1/schedules", "/portal/v1/knowledge", "/v1/vector_stores", USERS):
            assert "uests may chat" in (await theirs.refused("GET", path, status=403))["message"] or path == USERS
        await theirs.refused("POST", "/portal/v1/keys", {"name": "x"}, status=403)


async def test_members_change_nothing_of_the_installation(portal: TestPortal, me: Door) -> None:
    async with invited(portal, await added(me, "Hal")) as theirs:
        await theirs("PATCH", "/portal/v1/me", {"name": "Hal the Second"})
        await theirs.refused("PATCH", "/portal/v1/me", {"name": " "}, status=400)
        for method, path, body in [
            ("GET", USERS, None),
            ("POST", "/portal/v1/backends", {"kind": "ollama", "url": "http://127.0.0.1:1"}),
            ("DELETE", "/portal/v1/backends/x", None),
            ("POST", "/portal/v1/pulls", {"source": "x"}),
            ("POST", "/portal/v1/embedded/install", {}),
            ("POST", "/portal/v1/knowledge/vs_1/sources", {"place": "/etc"}),
            ("GET", "/portal/v1/mcp/servers", None),
            ("POST", "/api/pull", {"model": "x"}),
        ]:
            async with theirs.client.request(method, path, json=body) as answer:
                assert answer.status == 403, path


async def test_somebody_is_deleted_with_all_or_leaves_it_to_another(portal: TestPortal, me: Door) -> None:
    ivy, joe = await added(me, "Ivy"), await added(me, "Joe")
    async with invited(portal, ivy) as theirs:
        talk = await theirs("POST", "/portal/v1/conversations", {"title": "Ours"}, 201)
    for wish in ("", "?everything=true&heir=x", f"?heir={ivy['id']}"):
        await me.refused("DELETE", f"{USERS}/{ivy['id']}{wish}", status=400)
    await me("DELETE", f"{USERS}/{ivy['id']}?heir={joe['id']}")
    async with invited(portal, joe) as theirs:
        assert (await theirs("GET", f"/portal/v1/conversations/{talk['id']}"))["title"] == "Ours"
        await me("DELETE", f"{USERS}/{joe['id']}?everything=true")
        await theirs("GET", "/portal/v1/me", status=401)
    await me.refused("GET", f"{USERS}/{joe['id']}", status=404)
