"""Programs that are known by an address: what is there is believed only as far as it must be."""

from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from portal.core.oauth import Client
from portal.core.outbound import OutboundRequest, OutboundResponse
from portal.errors import RateLimited, ToolError
from portal.security.described_clients import LARGEST, DescribedClients
from portal.security.limiter import Limiter
from portal.security.oauth import OAuthError

DESK = "https://app.example/oauth/client.json"
TOLD = {"client_id": DESK, "client_name": "Desk", "redirect_uris": ["http://127.0.0.1:3000/callback"]}


class Web:
    """One document, and who asked for it."""

    def __init__(self, body: Any, *, status: int = 200, cut: bool = False) -> None:
        self.body, self.status, self.cut = body, status, cut
        self.asked: list[OutboundRequest] = []

    async def fetch(self, request: OutboundRequest) -> OutboundResponse:
        self.asked.append(request)
        if self.body is None:
            raise ToolError("10.0.0.1 is not a public address.")
        body = self.body if isinstance(self.body, bytes) else orjson.dumps(self.body)
        return OutboundResponse(url=request.url, status=self.status, headers={}, body=body, cut=self.cut)

    async def check(self, url: str) -> Sequence[str]:
        raise NotImplementedError


class Registered:
    """Programs that registered."""

    def __init__(self) -> None:
        self.known: dict[str, Client] = {}

    async def add(self, client: Client, *, most: int, idle_before: int) -> None:
        self.known[client.id] = client

    async def get(self, client_id: str) -> Client | None:
        return self.known.get(client_id)


def described(web: Web) -> DescribedClients:
    return DescribedClients(clients=Registered(), fetcher=lambda: web, limiter=Limiter())


async def test_it_is_fetched_once_and_tells_who_vouches_for_it() -> None:
    web = Web(TOLD)
    clients = described(web)
    client = await clients.get(DESK)
    assert client is not None
    assert (client.id, client.name) == (DESK, "Desk (app.example)")
    assert client.redirects == TOLD["redirect_uris"]
    assert await clients.get(DESK) == client
    (asked,) = web.asked
    assert (asked.largest, asked.allowed("https://elsewhere.example/")) == (LARGEST, False)


async def test_those_that_registered_are_known_as_before() -> None:
    web = Web(None)
    clients = described(web)
    client = Client(id="client_1", name="Old", redirects=["https://a.example/"], created_at=1)
    await clients.add(client, most=1, idle_before=0)
    assert await clients.get("client_1") == client
    assert await clients.get("client_2") is None
    assert web.asked == []


@pytest.mark.parametrize(
    ("web", "why"),
    [
        (Web(None), "not a public address"),
        (Web(TOLD, status=404), "The answer is 404"),
        (Web(TOLD, cut=True), "too large"),
        (Web(b"<html>"), "not JSON"),
        (Web([TOLD]), "not JSON that names"),
        (Web({**TOLD, "client_id": DESK + "/"}), "names this address"),
        (Web({**TOLD, "redirect_uris": []}), "redirect_uris"),
        (Web({**TOLD, "redirect_uris": ["javascript:alert(1)"]}), "redirect_uris"),
        (Web({**TOLD, "redirect_uris": [7]}), "redirect_uris"),
        (Web({**TOLD, "client_secret": "x"}), "without a secret"),
        (Web({**TOLD, "token_endpoint_auth_method": "client_secret_post"}), "without a secret"),
    ],
)
async def test_what_cannot_be_believed_is_refused(web: Web, why: str) -> None:
    with pytest.raises(OAuthError, match=why) as refused:
        await described(web).get(DESK)
    assert refused.value.code == "invalid_client"


@pytest.mark.parametrize(
    "address",
    [
        "https://app.example",
        "https://app.example/",
        "https://app.example/a/../b",
        "https://app.example/a#b",
        "https://ann:word@app.example/a",
        "https://app.example:99999/a",
        "https:///a",
        "https://app.example/a b",
    ],
)
async def test_an_address_that_is_none_is_not_asked(address: str) -> None:
    web = Web({**TOLD, "client_id": address})
    with pytest.raises(OAuthError, match="needs a path"):
        await described(web).get(address)
    assert web.asked == []


async def test_nobody_has_it_fetch_without_end() -> None:
    web = Web(TOLD)
    clients = described(web)
    limited = 0
    for number in range(40):
        try:
            await clients.get(f"{DESK}?{number}")
        except OAuthError:
            continue
        except RateLimited:
            limited += 1
    assert 0 < len(web.asked) == 40 - limited < 30
