"""Passkeys (WebAuthn): a device proves that it holds a key, and that its user was there."""

import logging
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from portal.core.clock import micros
from portal.core.items import JsonObject
from portal.core.people import PasskeyRecord, Passkeys
from portal.core.ports import Users
from portal.core.records import UserRecord
from portal.errors import BadRequest, Unauthenticated
from portal.extras import add_command
from portal.security.pending import Pending

if TYPE_CHECKING:
    from webauthn.registration.verify_registration_response import VerifiedRegistration

log = logging.getLogger(__name__)

_MOST = 50
"""Passkeys of one person."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a browser is to answer."""

    value: bytes
    origin: str
    owner: str
    """Whose passkey is to be added; empty where somebody wants to come in."""

    def packed(self) -> JsonObject:
        """As JSON."""
        return {"value": self.value.hex(), "origin": self.origin, "owner": self.owner}

    @classmethod
    def unpacked(cls, packed: JsonObject) -> "Challenge":
        """Of what `packed` made."""
        return cls(bytes.fromhex(packed["value"]), packed["origin"], packed["owner"])


class PasskeyDoor:
    """Adds passkeys and knows people by them. `origin` is always the page's own, as the browser shows it."""

    def __init__(self, *, passkeys: Passkeys, users: Users, pending: Pending[Challenge] | None = None) -> None:
        self._passkeys, self._users = passkeys, users
        self._pending = pending or Pending()

    @property
    def there(self) -> bool:
        """Whether the library is installed."""
        return find_spec("webauthn") is not None

    async def adding(self, user: UserRecord, *, origin: str) -> tuple[str, JsonObject]:
        """What the browser makes a passkey from, and the token to bring it back with. Raises BadRequest."""
        library = _library()
        from webauthn.helpers import base64url_to_bytes
        from webauthn.helpers.structs import (
            AuthenticatorSelectionCriteria,
            PublicKeyCredentialDescriptor,
            ResidentKeyRequirement,
            UserVerificationRequirement,
        )

        known = await self._passkeys.list(user.id)
        if len(known) >= _MOST:
            raise BadRequest(f"One person has at most {_MOST} passkeys.")
        options = library.generate_registration_options(
            rp_id=_host(origin),
            rp_name="Portal",
            user_id=user.id.encode(),
            user_name=user.login or user.name,
            user_display_name=user.name,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(id=base64url_to_bytes(one.id)) for one in known],
        )
        token = await self._pending.begin(Challenge(options.challenge, origin, user.id))
        return token, orjson.loads(library.options_to_json(options))

    async def add(self, owner: str, token: str, credential: JsonObject, *, name: str) -> PasskeyRecord:
        """Keep what the browser made. Raises BadRequest, Conflict."""
        library = _library()
        from webauthn.helpers.exceptions import WebAuthnException

        challenge = await self._pending.finish(token)
        if challenge is None or challenge.owner != owner:
            raise BadRequest("This was begun too long ago: try again.", code="passkey_expired")
        try:
            verified: VerifiedRegistration = library.verify_registration_response(
                credential=credential,
                expected_challenge=challenge.value,
                expected_rp_id=_host(challenge.origin),
                expected_origin=challenge.origin,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, KeyError, TypeError) as error:
            raise BadRequest(f"This passkey cannot be used: {error}", code="invalid_passkey") from error
        from webauthn.helpers import bytes_to_base64url

        made = PasskeyRecord(
            id=bytes_to_base64url(verified.credential_id),
            owner=owner,
            name=name.strip()[:100] or "passkey",
            public_key=verified.credential_public_key,
            uses=verified.sign_count,
            created_at=micros(),
        )
        await self._passkeys.add(made)
        return made

    async def entering(self, *, origin: str) -> tuple[str, JsonObject]:
        """What the browser asks a passkey with, and the token to bring the answer back with. Raises BadRequest."""
        library = _library()
        from webauthn.helpers.structs import UserVerificationRequirement

        options = library.generate_authentication_options(
            rp_id=_host(origin), user_verification=UserVerificationRequirement.REQUIRED
        )
        token = await self._pending.begin(Challenge(options.challenge, origin, ""))
        return token, orjson.loads(library.options_to_json(options))

    async def enter(self, token: str, credential: JsonObject) -> UserRecord:
        """Who that is.

        Raises:
            Unauthenticated: the answer is forged, old, given before, or of a passkey that is not known or was copied.
        """
        library = _library()
        from webauthn.helpers.exceptions import WebAuthnException

        challenge = await self._pending.finish(token)
        known = await self._passkeys.get(str(credential.get("id", "")))
        if challenge is None or challenge.owner or known is None:
            raise _refused()
        try:
            verified = library.verify_authentication_response(
                credential=credential,
                expected_challenge=challenge.value,
                expected_rp_id=_host(challenge.origin),
                expected_origin=challenge.origin,
                credential_public_key=known.public_key,
                credential_current_sign_count=known.uses,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, KeyError, TypeError) as error:
            log.warning("a passkey was refused: %s", error)
            raise _refused() from error
        user = await self._users.get(known.owner)
        if user.suspended_at is not None or not await self._passkeys.used(known, verified.new_sign_count):
            raise _refused()
        return user


def _library() -> Any:
    try:
        import webauthn
    except ImportError as error:
        raise BadRequest(f"Passkeys need an extra: `{add_command('people')}`.") from error
    return webauthn


def _refused() -> Unauthenticated:
    return Unauthenticated("This passkey is not known here, or its answer came too late.", code="invalid_passkey")


def _host(origin: str) -> str:
    return urlsplit(origin).hostname or ""
