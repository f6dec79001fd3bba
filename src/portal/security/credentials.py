"""Keys, sessions and one-time links: made here, shown once, known afterwards by their SHA-256 alone.

Secrets are 256 random bits, so a plain hash is enough: there is nothing to guess.
"""

import asyncio
import hashlib
import hmac
import logging
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

from portal.core.audit import line
from portal.core.clock import micros
from portal.core.ids import new_id
from portal.core.items import JsonObject
from portal.core.people import RANKS
from portal.core.ports import Users
from portal.core.records import CredentialRecord, Role, UserRecord
from portal.core.terms import Standing, Terms
from portal.core.tool_ports import Audit
from portal.errors import BadRequest, NotFound, RateLimited, StorageFull, StorageReadOnly, Unauthenticated
from portal.security.access import MCP, METRICS
from portal.security.known import KnownCallers, Secret
from portal.security.limiter import Limiter
from portal.security.rights import Rights

_log = logging.getLogger(__name__)

KEY_PREFIX = "portal-"
LINK_MINUTES = 60
INVITATION_MINUTES = 7 * 24 * 60
_MICROS = 1_000_000
_SEEN = 10_000
_TOUCH_MICROS = 60 * _MICROS
_REFUSALS = 60
"""Lines a minute on each way to sign in."""
_UNBOUNDED = Terms()


async def _always() -> bool:
    return True


def _over(way: str) -> Unauthenticated:
    if way == "link":
        return Unauthenticated("This sign-in link was used already or has expired.", code="invalid_link")
    return Unauthenticated("That was changed just now: sign in anew.", code="invalid_credentials")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a request comes from, as every door sees it."""

    owner: str
    """The user's id."""
    kind: Literal["key", "session", "local", "ollama", "open"]
    """`ollama`: the token of Ollama's API; `open`: a program of this machine without a credential. Both act as the
    owner, and on that API alone."""
    credential_id: str
    role: Role = "member"
    """What the person may here; never more than the credential may."""
    since: int = 0
    """How many had been shut out when this one was let in."""
    owns: bool = False
    """Whether the person is the owner, whatever the credential may."""
    standing: Standing | None = None
    """What bounds it; None where nothing does."""
    read_only: bool = False
    rate: int = 0
    """Requests a minute of the key itself; 0 is any number."""
    rates: Sequence[tuple[str, int]] = ()
    """Those of its person, by name."""
    bounded: bool = False
    """Whether it is a key that may less than its person, or for less long."""
    alone: str = ""
    """The only path it is good for; empty for one that is good for many."""


def hash_of(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class Credentials:
    """Makes and checks what stands for a person. `local_token` is this server process's own, for the command line."""

    def __init__(
        self,
        *,
        users: Users,
        session_days: int,
        local_token: str,
        rights: Rights | None = None,
        audit: Audit | None = None,
        lines: Limiter | None = None,
        told: Callable[[Sequence[str], str], None] = lambda ended, shut_out: None,
        tasks: asyncio.TaskGroup | None = None,
    ) -> None:
        """`rights` tells what bounds people; without it only keys are bounded, and nothing counts budgets. `audit` has
        a line of everything that is made, used to come in, or ended; of sign-ins refused as many as `lines` lets.
        `told` hears of credentials that are over, and of people who are looked at anew. `tasks`: see KnownCallers."""
        self._told = told
        self._users = users
        self._audit = audit
        self._rights = rights
        self._session_micros = session_days * 86_400 * _MICROS
        self._local_hash = hash_of(local_token)
        self._known = KnownCallers(look_up=self._looked_up, tasks=tasks)
        self._seen: dict[str, str] = {}
        self._owner = ""
        self._revocations = 0
        self._revoked: set[str] = set()
        self._shut_out: dict[str, int] = {}
        self._lines, self._untold = lines or Limiter(), Counter[str]()

    async def create_key(
        self,
        owner: str,
        name: str,
        *,
        terms: Terms = _UNBOUNDED,
        expires_at: int | None = None,
        more: JsonObject | None = None,
    ) -> tuple[CredentialRecord, str]:
        """A new API key and its secret, shown this once; what its terms do not bound, it may as its owner. `more` is
        kept beside the terms: the `resource` it is good for alone, and `until` when this secret is.

        Raises:
            BadRequest: the name is empty or too long, or it would be over already.
            Conflict: this owner has a key of that name.
        """
        if expires_at is not None and expires_at <= micros():
            raise BadRequest("A key cannot end before it begins.", param="expires_at")
        if not 0 < len(name.strip()) <= 100:
            raise BadRequest("A key needs a name of 1 to 100 characters.", param="name")
        secret, kept = KEY_PREFIX + secrets.token_urlsafe(32), {**terms.stored(), **(more or {})}
        record = self._record(owner, "key", name.strip(), hint=secret[-4:], expires_at=expires_at, terms=kept)
        await self._users.add_credential(record, hash_of(secret))
        until = {"expires_at": expires_at} if expires_at is not None else {}
        await self._note(owner, "key.created", record.id, name=record.name, **record.terms, **until)
        return record, secret

    async def create_link(self, owner: str, *, minutes: int = LINK_MINUTES) -> tuple[CredentialRecord, str]:
        """A one-time sign-in token."""
        secret = secrets.token_urlsafe(32)
        expires = micros() + minutes * 60 * _MICROS
        record = self._record(owner, "link", "sign-in link", expires_at=expires)
        await self._users.add_credential(record, hash_of(secret))
        await self._note(owner, "link.created", record.id, expires_at=expires)
        return record, secret

    async def sign_in(self, link: str, *, device: str) -> tuple[CredentialRecord, str]:
        """Use up a one-time token for a session; `device` is what the list of sessions calls it.

        Raises:
            Unauthenticated: the link is unknown, used or expired.
        """
        hashed = hash_of(link)

        async def taken() -> bool:
            return await self._users.take_link(hashed) is not None

        try:
            if (found := await self._users.find_credential("link", hashed)) is None:
                raise _over("link")
            return await self.open_session(found.owner, device=device, way="link", holds=taken)
        except Unauthenticated:
            await self.refused("link", device=device)
            raise

    async def open_session(
        self, owner: str, *, device: str, way: str, holds: Callable[[], Awaitable[bool]] = _always
    ) -> tuple[CredentialRecord, str]:
        """A session of somebody who has proved in this way who they are, and its secret. `holds` is asked once it is
        there whether that proof is good still, so that it ends whatever was done to end sessions by it meanwhile.

        Raises:
            Unauthenticated: it is not.
        """
        secret = secrets.token_urlsafe(32)
        expires = micros() + self._session_micros
        record = self._record(owner, "session", device[:200] or "browser", expires_at=expires)
        await self._users.add_credential(record, hash_of(secret))
        if not await holds():
            with suppress(NotFound):  # it was ended with the others
                await self._users.revoke(owner, record.id)
            raise _over(way)
        await self._note(owner, "sign-in.done", record.id, way=way, device=record.name)
        return record, secret

    async def refused(self, way: str, *, device: str = "", **detail: object) -> None:
        """Somebody wanted to sign in and was not let: a line of nobody's. Where that goes on and on the audit, which is
        only ever added to, does not grow with it: how many had no line of their own is in the next."""
        try:
            self._lines.take(way, _REFUSALS)
        except RateLimited:
            self._untold[way] += 1
            return
        if untold := self._untold.pop(way, 0):
            detail["untold"] = untold
        if device:
            detail["device"] = device[:200]
        _log.warning("a sign-in was refused: %s", way, extra={"event": "sign-in"})
        await self._note("", "sign-in.refused", way, **detail)

    async def _note(self, owner: str, action: str, subject: str, /, **detail: object) -> None:
        if self._audit is not None:
            await self._audit.record(line(owner, action, subject, detail))

    @staticmethod
    def _record(
        owner: str,
        kind: Literal["key", "session", "link"],
        name: str,
        *,
        hint: str = "",
        expires_at: int | None = None,
        terms: JsonObject | None = None,
    ) -> CredentialRecord:
        prefix = {"key": "key", "session": "sess", "link": "link"}[kind]
        return CredentialRecord(
            id=new_id(prefix),
            owner=owner,
            kind=kind,
            name=name,
            created_at=micros(),
            hint=hint,
            expires_at=expires_at,
            terms=terms or {},
        )

    async def by_token(self, token: str) -> Caller:
        """The caller behind a bearer token: an API key, or this server's local token.

        Raises:
            Unauthenticated: it is neither.
        """
        hashed = hash_of(token)
        if hmac.compare_digest(hashed, self._local_hash):
            return await self.as_owner("local")
        caller = await self._known.caller(("key", hashed))
        if caller is None:
            raise Unauthenticated("Incorrect API key. Make one with `portal keys create NAME`.")
        return caller

    async def key_of(self, token: str) -> CredentialRecord | None:
        """The key that this is the secret of; None where it is none's."""
        return await self._users.find_credential("key", hash_of(token))

    async def as_owner(self, kind: Literal["local", "ollama", "open"]) -> Caller:
        """Who acts as the owner without a credential of the owner's own making."""
        self._owner = self._owner or (await self._users.owner()).id
        return Caller(self._owner, kind, kind, "owner", owns=True)

    async def is_admin(self, caller: Caller) -> bool:
        """Whether the person behind it runs this Portal."""
        return caller.role in ("owner", "admin")

    async def by_session(self, secret: str) -> Caller | None:
        """The caller behind a session cookie; None when it is unknown or over."""
        return await self._known.caller(("session", hash_of(secret)))

    async def _looked_up(self, secret: Secret) -> Caller | None:
        kind, before = secret[0], self._revocations
        found = await self._users.find_credential(*secret)
        if found is None or 0 < found.terms.get("until", 0) < micros():
            return None
        try:
            person = await self._users.get(found.owner)
        except NotFound:
            return None
        found = await self._touched(found)
        caller = await self._caller(kind, found, person, before)
        if before == self._revocations:
            self._remember(secret, caller, found)
        return caller

    async def _caller(
        self, kind: Literal["key", "session"], found: CredentialRecord, person: UserRecord, since: int
    ) -> Caller:
        terms, own = Terms.of(found.terms), Terms.of(person.terms)
        standing = await self._rights.of_key(person, found) if self._rights else None
        role = person.role if terms.runs_portal or RANKS[person.role] <= RANKS["member"] else "member"
        rates = [(f"person {person.id} itself", own.rate)] if own.rate else ()
        read_only = terms.read_only or own.read_only
        owns = person.role == "owner"
        bounded = kind == "key" and (terms.bounded or found.expires_at is not None)
        return Caller(
            found.owner,
            kind,
            found.id,
            role,
            since,
            owns,
            standing,
            read_only,
            terms.rate,
            rates,
            bounded,
            MCP if found.terms.get("resource") else METRICS if terms.metrics else "",
        )

    def _remember(self, secret: Secret, caller: Caller, found: CredentialRecord) -> None:
        if len(self._seen) >= _SEEN:
            del self._seen[next(iter(self._seen))]
        self._seen[caller.credential_id] = caller.owner
        self._known.remember(secret, caller, found)

    async def _touched(self, record: CredentialRecord) -> CredentialRecord:
        when = micros()
        if record.last_used_at is not None and when - record.last_used_at < _TOUCH_MICROS:
            return record
        expires = when + self._session_micros if record.kind == "session" else record.expires_at
        try:
            await self._users.touch(record.id, when, expires_at=expires)
        except (StorageFull, StorageReadOnly):  # what is there can still be read, and deleted
            return record
        return replace(record, last_used_at=when, expires_at=expires)

    async def revoke(self, owner: str, credential_id: str) -> None:
        """End a key or session at once. Raises NotFound."""
        await self._users.revoke(owner, credential_id)
        self.forget(credential_id)
        self._told([credential_id], "")
        await self._note(owner, "credential.revoked", credential_id)

    async def sign_out_everywhere(self, owner: str, *, but: str) -> int:
        """End at once all sessions and unused links of somebody but one session; how many."""
        ended = await self._users.revoke_others(owner, but)
        self.forget(*ended)
        self._told(ended, "")
        await self._note(owner, "sign-in.ended", "everywhere", ended=len(ended))
        return len(ended)

    def forget(self, *credential_ids: str) -> None:
        """These are over; whoever comes next is looked up anew."""
        self._revocations += 1
        self._revoked.update(credential_ids)
        self._known.clear()

    def shut_out(self, owner: str) -> None:
        """Somebody's role or admission has changed: whatever they have open ends, and what they come with next is
        looked at anew."""
        self.look_anew(owner)
        self._told((), owner)

    def look_anew(self, owner: str) -> None:
        """The same where another server has found out."""
        self._revocations += 1
        self._shut_out[owner] = self._revocations
        self._known.clear()

    async def doubt(self) -> None:
        """What another server told of may have been missed: look up whoever came in here before, once the database can
        be asked."""
        await self._users.owner()
        self.forget()
        for owner in set(self._seen.values()):
            kinds = [await self._users.credentials(owner, kind) for kind in ("key", "session")]
            there = {record.id for records in kinds for record in records}
            self.forget(*(one for one, whose in self._seen.items() if whose == owner and one not in there))
            try:
                gone = (await self._users.get(owner)).suspended_at is not None
            except NotFound:
                gone = True
            if gone:
                self.look_anew(owner)
        self._seen = {one: whose for one, whose in self._seen.items() if one not in self._revoked}

    def is_revoked(self, caller: Caller) -> bool:
        """Whether what this caller came in with was revoked since: asked again wherever a connection stays open."""
        return caller.credential_id in self._revoked or caller.since < self._shut_out.get(caller.owner, 0)
