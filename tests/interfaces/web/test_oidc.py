"""Signing in at a real OpenID Connect provider on loopback."""

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
import pytest_asyncio
from joserfc import jwk, jwt
from oidc_provider_mock import run_server_in_thread
from pydantic import SecretStr

from portal.core.clock import micros
from portal.errors import BadRequest, PortalError, Unauthenticated
from portal.security.oidc import Provider
from portal.settings.people import OidcSettings
from portal.testing.portal import TestPortal, open_test_portal

pytestmark = pytest.mark.asyncio(loop_scope="module")
DAY = 86_400


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with run_server_in_thread(require_nonce=True) as server:
        yield f"http://localhost:{server.server_port}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def portal(tmp_path_factory: pytest.TempPathFactory, issuer: str) -> AsyncIterator[TestPortal]:
    known = {"issuer": issuer, "client_id": "portal", "client_secret": "s3cret"}
    roles = {"staff": "member", "operators": "admin"}
    settings = {
        "people": {
            "oidc": {
                "campus": {
                    **known,
                    "label": "the campus",
                    "create": True,
                    "default_role": "guest",
                    "roles": roles,
                    "match_email": True,
                },
                "closed": known,
                "picky": {**known, "create": True, "required_group": "staff"},
                "gone": {**known, "issuer": "http://127.0.0.1:9"},
            }
        }
    }
    async with open_test_portal(tmp_path_factory.mktemp("portal"), settings=settings) as running:
        yield running


@asynccontextmanager
async def browser(portal: TestPortal) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(portal.url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as client:
        yield client


async def location(client: aiohttp.ClientSession, url: str, **sent: Any) -> str:
    method = "POST" if sent else "GET"
    async with client.request(method, url, data=sent or None, allow_redirects=False) as answer:
        assert answer.status in (302, 303), await answer.text()
        return answer.headers["location"]


async def sign_in(portal: TestPortal, client: aiohttp.ClientSession, subject: str, provider: str = "campus") -> str:
    """Where it ends."""
    there = await location(client, f"/sign-in/oidc/{provider}")
    asked = parse_qs(urlsplit(there).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert {"state", "nonce", "code_challenge"} <= asked.keys()
    return await location(client, await location(client, there, sub=subject))


async def about(client: aiohttp.ClientSession) -> Any:
    async with client.get("/portal/v1/me") as answer:
        return (await answer.json())["user"] if answer.status == 200 else answer.status


async def describe(issuer: str, subject: str, **claims: Any) -> None:
    async with aiohttp.ClientSession() as client, client.put(f"{issuer}/users/{subject}", json=claims) as answer:
        assert answer.status < 300, await answer.text()


async def test_somebody_new_comes_in_with_the_role_of_their_groups(portal: TestPortal, issuer: str) -> None:
    await describe(issuer, "ada", name="Ada", email="Ada@example.com", email_verified=True, groups=["staff"])
    async with browser(portal) as client:
        async with client.get("/sign-in/ways") as answer:
            ways = (await answer.json())["oidc"]
            assert {"name": "campus", "label": "the campus"} in ways
        assert await sign_in(portal, client, "ada") == "/"
        first = await about(client)
        assert (first["name"], first["login"], first["role"]) == ("Ada", "ada@example.com", "member")
        await describe(issuer, "ada", name="Ada", groups=["staff", "operators"])
        async with browser(portal) as phone:
            await sign_in(portal, phone, "ada")
            again = await about(phone)
            assert (again["id"], again["role"]) == (first["id"], "admin")
            await describe(issuer, "ada", name="Ada", groups=[])
            await sign_in(portal, phone, "ada")
            assert (await about(phone))["role"] == "guest"


async def test_a_verified_address_is_somebody_known_and_another_is_not(portal: TestPortal, issuer: str) -> None:
    people = portal.portal
    owner = await people.storage.users.owner()
    headers = {**portal.headers}
    async with aiohttp.ClientSession(portal.url, headers=headers) as me:
        await me.patch("/portal/v1/me", json={"login": "owner@example.com"})
    await describe(issuer, "thief", email="owner@example.com", groups=["operators"])
    await describe(issuer, "boss", email="OWNER@example.com", email_verified=True, groups=["staff"])
    async with browser(portal) as client:
        await sign_in(portal, client, "thief")
        assert (await about(client))["id"] != owner.id
    async with browser(portal) as client:
        await sign_in(portal, client, "boss")
        found = await about(client)
        assert (found["id"], found["role"]) == (owner.id, "owner")


async def test_who_is_not_meant_to_come_in_does_not(portal: TestPortal, issuer: str) -> None:
    await describe(issuer, "eve", name="Eve", groups=["others"])
    async with browser(portal) as client:
        assert await sign_in(portal, client, "eve", "closed") == "/?sign-in=unknown_account"
        assert await sign_in(portal, client, "eve", "picky") == "/?sign-in=not_in_group"
        assert await location(client, "/sign-in/oidc/gone") == "/?sign-in=oidc_unreachable"
        async with client.get("/sign-in/oidc/nowhere") as answer:
            assert answer.status == 404
        assert await sign_in(portal, client, "eve") == "/"
        eve = await about(client)
        async with aiohttp.ClientSession(portal.url, headers=portal.headers) as me:
            await me.patch(f"/portal/v1/users/{eve['id']}", json={"suspended": True})
        assert await sign_in(portal, client, "eve") == "/?sign-in=suspended"
        assert await about(client) == 401


async def test_an_answer_counts_once_and_in_its_browser_only(portal: TestPortal, issuer: str) -> None:
    async with browser(portal) as client, browser(portal) as other:
        there = await location(client, "/sign-in/oidc/campus")
        back = await location(client, there, sub="fred")
        assert await location(other, back) == "/?sign-in=refused"
        assert await location(client, back.replace("state=", "state=x")) == "/?sign-in=refused"
        assert await location(client, f"{back.partition('?')[0]}?error=access_denied") == "/?sign-in=refused"
        assert await location(client, back) == "/"
        client.cookie_jar.update_cookies({"portal_oidc": parse_qs(urlsplit(back).query)["state"][0]})
        assert await location(client, back) == "/?sign-in=invalid_state"
        there = await location(client, "/sign-in/oidc/campus")
        forged = await location(client, there, sub="fred")
        code = parse_qs(urlsplit(forged).query)["code"][0]
        assert await location(client, forged.replace(code, "forged")) == "/?sign-in=oidc_refused"
        there = await location(client, "/sign-in/oidc/campus")
        mixed = await location(client, there, sub="fred")
        assert await location(client, f"{mixed}&iss=https://evil.example") == "/?sign-in=invalid_issuer"


async def test_only_a_token_of_this_provider_for_us_and_now_holds(issuer: str) -> None:
    key = jwk.RSAKey.generate_key(2048, {"kid": "theirs"}, private=True)
    stranger = jwk.RSAKey.generate_key(2048, {"kid": "theirs"}, private=True)
    there = Provider(settings=OidcSettings(issuer=issuer, client_id="portal"), now=micros)
    there._keys = {"keys": [key.as_dict(private=False)]}
    now = micros() // 1_000_000
    good = {"iss": issuer, "aud": "portal", "sub": "ada", "nonce": "n", "iat": now, "exp": now + 60}

    def made(changes: dict[str, Any], *, by: Any = key, alg: str = "RS256") -> str:
        claims = {name: value for name, value in {**good, **changes}.items() if value is not None}
        return jwt.encode({"alg": alg, "kid": "theirs"}, claims, by)

    assert (await there.verified(made({}), nonce="n"))["sub"] == "ada"
    assert (await there.verified(made({"exp": now - 100}), nonce="n"))["sub"] == "ada"  # clocks differ a little
    several = {"aud": ["portal", "other"], "azp": "portal"}
    assert (await there.verified(made(several), nonce="n"))["sub"] == "ada"
    secret = jwk.OctKey.import_key(secrets.token_bytes(32))
    wrong = [
        made({}, by=stranger),
        made({}, by=secret, alg="HS256"),
        made({}).rpartition(".")[0] + ".",
        "nonsense",
        "",
        *(
            made(changes)
            for changes in [
                {"iss": "https://evil.example"},
                {"aud": "another"},
                {"aud": ["portal", "other"]},
                {"azp": "another"},
                {"nonce": "another"},
                {"nonce": None},
                {"sub": None},
                {"exp": None},
                {"exp": now - 200},
                {"iat": now - DAY, "exp": now - DAY + 60},
                {"iat": now + DAY, "exp": now + DAY + 60},
            ]
        ),
    ]
    for token in wrong:
        with pytest.raises(Unauthenticated):
            await there.verified(token, nonce="n")


async def test_a_clock_that_is_off_by_a_day_lets_nobody_in(portal: TestPortal, issuer: str) -> None:
    settings = OidcSettings(issuer=issuer, client_id="portal", client_secret=SecretStr("s3cret"))
    for off in (DAY, -DAY):
        there = Provider(settings=settings, now=lambda off=off: micros() + off * 1_000_000)
        redirect = f"{portal.url}/sign-in/oidc/campus/callback"
        address, state = await there.begin(redirect)
        async with browser(portal) as client:
            code = parse_qs(urlsplit(await location(client, address, sub="ada")).query)["code"][0]
        with pytest.raises(Unauthenticated):
            await there.finish(state=state, code=code, issuer=issuer)


async def test_a_provider_that_calls_itself_something_else_is_refused(issuer: str) -> None:
    other = issuer.replace("localhost", "127.0.0.1")
    there = Provider(settings=OidcSettings(issuer=f"{other}/", client_id="portal"), now=micros)
    about_itself: PortalError | None = None
    try:
        await there.begin("http://localhost/callback")
    except BadRequest as error:
        about_itself = error
    assert about_itself is None or "calls itself" in about_itself.message
    with pytest.raises(ValueError, match="https"):
        OidcSettings(issuer="http://id.example.org", client_id="x")


async def test_nobody_takes_the_address_of_somebody_who_is_yet_to_come(portal: TestPortal, issuer: str) -> None:
    await describe(issuer, "kim", name="Kim", groups=["staff"])
    victim = {"name": "Vic", "email": "vic@example.com", "email_verified": True, "groups": ["staff"]}
    await describe(issuer, "vic", **victim)
    async with browser(portal) as client, browser(portal) as theirs:
        assert await sign_in(portal, client, "kim") == "/"
        page = {"Origin": portal.url}
        async with client.patch("/portal/v1/me", json={"login": "vic@example.com"}, headers=page) as answer:
            assert answer.status == 403
        async with client.patch("/portal/v1/me", json={"name": "Kimberly"}, headers=page) as answer:
            assert answer.status == 200
        await sign_in(portal, theirs, "vic")
        assert (await about(theirs))["id"] != (await about(client))["id"]
