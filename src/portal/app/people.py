"""How people come in, of the parts that the settings name."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache
from typing import TypeVar

from portal.app.cluster import Cluster
from portal.app.ground import Ground
from portal.core.agent import Agent
from portal.core.clock import micros
from portal.core.items import JsonObject
from portal.core.tool_ports import Fetcher
from portal.interfaces.web.entrance import Entrance
from portal.security.credentials import Credentials
from portal.security.described_clients import DescribedClients
from portal.security.identities import Acquaintance
from portal.security.oauth import Asked, OAuth, Spent
from portal.security.oidc import Begun, Provider
from portal.security.passkeys import Challenge, PasskeyDoor
from portal.security.passwords import Attempts, PasswordDoor
from portal.security.pending import KeptPending, Pending
from portal.security.people import Membership
from portal.security.throttle import Allowed, Throttle
from portal.settings import Settings
from portal.settings.people import OidcSettings
from portal.storage.pending import StoredPending

T = TypeVar("T")


def allowed_by(settings: Settings) -> Allowed:
    """What everybody may at the doors of HTTP."""
    chosen = settings.limits
    return Allowed(
        person=chosen.person,
        address=chosen.address,
        person_at_once=chosen.person_at_once,
        address_at_once=chosen.address_at_once,
    )


def _pending(
    ground: Ground, kind: str, pack: Callable[[T], JsonObject], unpack: Callable[[JsonObject], T]
) -> Pending[T]:
    """Where the next request may come to another server, in the database."""
    if ground.cluster.notices is None:
        return Pending()
    return KeptPending(kept=StoredPending(database=ground.storage.database), kind=kind, pack=pack, unpack=unpack)


def _provider(ground: Ground, settings: OidcSettings) -> Provider:
    pending = _pending(ground, f"oidc {settings.issuer}", asdict, lambda kept: Begun(**kept))
    return Provider(settings=settings, now=micros, pending=pending)


def told_around(cluster: Cluster) -> Callable[[Sequence[str], str], None]:
    """Have the other servers know at once who is not to come in any more."""

    def tell(ended: Sequence[str], shut_out: str) -> None:
        if cluster.notices is not None:
            cluster.notices.tell("people", {"ended": list(ended), "shut_out": shut_out})

    return tell


def hear_of_people(ground: Ground, credentials: Credentials) -> None:
    """The same the other way round."""
    if ground.cluster.notices is None:
        return

    def heard(sender: str, body: JsonObject) -> None:
        credentials.forget(*body["ended"])
        if body["shut_out"]:
            credentials.look_anew(body["shut_out"])
            ground.cluster.heard("rights")

    ground.cluster.notices.on("people", heard)
    ground.cluster.renew({"credentials": credentials.doubt})


def open_entrance(ground: Ground, agent: Agent, local_token: str) -> Entrance:
    """What the doors need of it. `local_token` is what the command line beside this server signs in with."""
    storage, rights, chosen = ground.storage, ground.rights, ground.settings.people
    credentials = Credentials(
        users=storage.users,
        session_days=ground.settings.server.session_days,
        local_token=local_token,
        rights=rights,
        audit=storage.audit,
        told=told_around(ground.cluster),
        tasks=ground.cluster.tasks,
    )
    hear_of_people(ground, credentials)
    attempts = Attempts(most=chosen.attempts, seconds=chosen.attempt_minutes * 60, counts=ground.cluster.counts)
    passwords = PasswordDoor(passwords=storage.passwords, attempts=attempts)
    membership = Membership(
        people=storage.people,
        users=storage.users,
        credentials=credentials,
        passwords=passwords,
        audit=storage.audit,
        stop=agent.cancel_of,
        noted=rights.note,
        logins_known=any(one.match_email for one in chosen.oidc.values()),
    )
    acquaintance = Acquaintance(
        identities=storage.identities, people=storage.people, users=storage.users, credentials=credentials
    )
    challenges = _pending(ground, "passkey", Challenge.packed, Challenge.unpacked)
    return Entrance(
        credentials=credentials,
        membership=membership,
        users=storage.users,
        passwords=passwords,
        kept_passwords=storage.passwords,
        passkeys=PasskeyDoor(passkeys=storage.passkeys, users=storage.users, pending=challenges),
        kept_passkeys=storage.passkeys,
        providers={name: (one, _provider(ground, one)) for name, one in chosen.oidc.items()},
        acquaintance=acquaintance,
        throttle=Throttle(limiter=ground.limiter, allowed=allowed_by(ground.settings)),
        shares=storage.shares,
        oauth=_oauth(ground, credentials) if ground.settings.mcp.oauth else None,
    )


def _oauth(ground: Ground, credentials: Credentials) -> OAuth:
    """What lets programs in to `/mcp`."""

    @cache
    def guard() -> Fetcher:
        from portal.security.outbound import Guard

        return Guard(ground.settings)

    return OAuth(
        clients=DescribedClients(clients=ground.storage.clients, fetcher=guard, limiter=ground.limiter),
        refreshes=ground.storage.refreshes,
        credentials=credentials,
        questions=_pending(ground, "question", Asked.packed, Asked.unpacked),
        codes=_pending(ground, "code", Asked.packed, Asked.unpacked),
        spent=_pending(ground, "spent", Spent.packed, Spent.unpacked),
        limiter=ground.limiter,
    )
