"""How people come in, as the page's routes know it."""

from collections.abc import Mapping
from dataclasses import dataclass

from portal.core.people import Passkeys, Passwords
from portal.core.ports import Users
from portal.core.sharing import Shares
from portal.security.credentials import Credentials
from portal.security.identities import Acquaintance
from portal.security.oauth import OAuth
from portal.security.oidc import Provider
from portal.security.passkeys import PasskeyDoor
from portal.security.passwords import PasswordDoor
from portal.security.people import Membership
from portal.security.throttle import Throttle
from portal.settings.people import OidcSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """Who is let in, and by what."""

    credentials: Credentials
    membership: Membership
    users: Users
    passwords: PasswordDoor
    kept_passwords: Passwords
    passkeys: PasskeyDoor
    kept_passkeys: Passkeys
    providers: Mapping[str, tuple[OidcSettings, Provider]]
    acquaintance: Acquaintance
    throttle: Throttle
    shares: Shares
    oauth: OAuth | None = None
    """Lets programs in; None where that is turned off."""
