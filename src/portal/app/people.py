"""How people come in, of the parts that the settings name."""

from portal.core.agent import Agent
from portal.core.clock import micros
from portal.interfaces.web.entrance import Entrance
from portal.security.credentials import Credentials
from portal.security.identities import Acquaintance
from portal.security.oidc import Provider
from portal.security.passkeys import PasskeyDoor
from portal.security.passwords import Attempts, PasswordDoor
from portal.security.people import Membership
from portal.settings import Settings
from portal.storage.open import Storage


def open_entrance(settings: Settings, storage: Storage, credentials: Credentials, agent: Agent) -> Entrance:
    """What the page's routes need of it."""
    chosen = settings.people
    attempts = Attempts(most=chosen.attempts, seconds=chosen.attempt_minutes * 60)
    passwords = PasswordDoor(passwords=storage.passwords, attempts=attempts)
    membership = Membership(
        people=storage.people,
        users=storage.users,
        credentials=credentials,
        passwords=passwords,
        audit=storage.audit,
        stop=agent.cancel_of,
    )
    acquaintance = Acquaintance(
        identities=storage.identities, people=storage.people, users=storage.users, credentials=credentials
    )
    return Entrance(
        credentials=credentials,
        membership=membership,
        users=storage.users,
        passwords=passwords,
        kept_passwords=storage.passwords,
        passkeys=PasskeyDoor(passkeys=storage.passkeys, users=storage.users),
        kept_passkeys=storage.passkeys,
        providers={name: (one, Provider(settings=one, now=micros)) for name, one in chosen.oidc.items()},
        acquaintance=acquaintance,
    )
