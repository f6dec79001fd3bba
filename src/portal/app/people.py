"""How people come in, of the parts that the settings name."""

from portal.app.ground import Ground
from portal.core.agent import Agent
from portal.core.clock import micros
from portal.interfaces.web.entrance import Entrance
from portal.security.credentials import Credentials
from portal.security.identities import Acquaintance
from portal.security.oidc import Provider
from portal.security.passkeys import PasskeyDoor
from portal.security.passwords import Attempts, PasswordDoor
from portal.security.people import Membership
from portal.security.throttle import Allowed, Throttle
from portal.settings import Settings


def allowed_by(settings: Settings) -> Allowed:
    """What everybody may at the doors of HTTP."""
    chosen = settings.limits
    return Allowed(
        person=chosen.person,
        address=chosen.address,
        person_at_once=chosen.person_at_once,
        address_at_once=chosen.address_at_once,
    )


def open_entrance(ground: Ground, agent: Agent, local_token: str) -> Entrance:
    """What the doors need of it. `local_token` is what the command line beside this server signs in with."""
    storage, rights, chosen = ground.storage, ground.rights, ground.settings.people
    credentials = Credentials(
        users=storage.users,
        session_days=ground.settings.server.session_days,
        local_token=local_token,
        rights=rights,
        audit=storage.audit,
    )
    attempts = Attempts(most=chosen.attempts, seconds=chosen.attempt_minutes * 60)
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
        throttle=Throttle(limiter=ground.limiter, allowed=allowed_by(ground.settings)),
        shares=storage.shares,
    )
