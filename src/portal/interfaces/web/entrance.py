"""How people come in, as the page's routes know it."""

from dataclasses import dataclass

from portal.core.people import Passwords
from portal.security.credentials import Credentials
from portal.security.passwords import PasswordDoor
from portal.security.people import Membership


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """Who is let in, and by what."""

    credentials: Credentials
    membership: Membership
    passwords: PasswordDoor
    kept: Passwords
