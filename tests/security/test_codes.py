"""Codes of OAuth that come twice, wherever the first one is: whoever brings them keeps nothing."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.interfaces.web.test_oauth import BACK, CHALLENGE, VERIFIER

from portal.core.oauth import Refresh
from portal.security.credentials import Credentials
from portal.security.limiter import Limiter
from portal.security.oauth import Asked, OAuth, OAuthError, Spent
from portal.security.pending import KeptPending, Pending
from portal.settings import Settings
from portal.storage.oauth import StoredRefreshes
from portal.storage.open import Storage, open_storage
from portal.storage.pending import StoredPending
from portal.testing.records import OWNER, user

HERE = "http://portal.test/mcp"
Meddle = Callable[[], Awaitable[None]]


class Codes(KeptPending[Asked]):
    """Where something happens as soon as one was taken."""

    then: Meddle | None = None

    async def finish(self, token: str) -> Asked | None:
        found = await super().finish(token)
        if self.then is not None:
            await self.then()
        return found


class Refreshing(StoredRefreshes):
    """Where something happens as soon as there is a key."""

    then: Meddle | None = None

    async def add(self, secret_hash: str, refresh: Refresh) -> None:
        await super().add(secret_hash, refresh)
        if self.then is not None:
            await self.then()


def server(storage: Storage, refreshes: StoredRefreshes, codes: Pending[Asked]) -> OAuth:
    kept = StoredPending(database=storage.database)
    return OAuth(
        clients=storage.clients,
        refreshes=refreshes,
        credentials=Credentials(users=storage.users, session_days=1, local_token="local"),
        questions=KeptPending(kept=kept, kind="question", pack=Asked.packed, unpack=Asked.unpacked),
        codes=codes,
        spent=KeptPending(kept=kept, kind="spent", pack=Spent.packed, unpack=Spent.unpacked),
        limiter=Limiter(),
    )


def codes(storage: Storage) -> Codes:
    kept = StoredPending(database=storage.database)
    return Codes(kept=kept, kind="code", pack=Asked.packed, unpack=Asked.unpacked)


async def code_of(oauth: OAuth) -> dict[str, Any]:
    """What a program brings that a person let in."""
    client = await oauth.register("Desk", [BACK], address="here")
    wanted = oauth.asked(
        client,
        redirect=BACK,
        kind="code",
        challenge=CHALLENGE,
        method="S256",
        state="",
        scope="",
        resource=HERE,
        ours=HERE,
    )
    _, code = await oauth.answer(await oauth.ask(wanted, OWNER), OWNER, scope="")
    return {"code": code, "client_id": client.id, "redirect": BACK, "verifier": VERIFIER, "resource": HERE}


@pytest.mark.parametrize("where", ["the code is taken", "there is a key"])
async def test_a_code_that_comes_again_in_the_middle_gets_nobody_anything(tmp_path: Path, where: str) -> None:
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        await storage.people.add(user(id=OWNER))
        taking, refreshing = codes(storage), Refreshing(database=storage.database)
        first = server(storage, refreshing, taking)
        second = server(storage, storage.refreshes, codes(storage))
        brought = await code_of(first)

        async def again() -> None:
            taking.then = refreshing.then = None
            with pytest.raises(OAuthError, match="used already"):
                await second.exchange(**brought)

        if where == "the code is taken":
            taking.then = again
        else:
            refreshing.then = again
        with pytest.raises(OAuthError, match="twice at once"):
            await first.exchange(**brought)
        assert await storage.users.credentials(OWNER, "key") == []


async def test_a_code_that_comes_again_later_takes_the_key_away(tmp_path: Path) -> None:
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        await storage.people.add(user(id=OWNER))
        oauth = server(storage, storage.refreshes, codes(storage))
        brought = await code_of(oauth)
        await oauth.exchange(**brought)
        assert [one.name for one in await storage.users.credentials(OWNER, "key")] == ["Desk (MCP)"]
        with pytest.raises(OAuthError, match="used already"):
            await oauth.exchange(**brought)
        assert await storage.users.credentials(OWNER, "key") == []
