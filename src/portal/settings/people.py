"""Settings of several people on one installation."""

from pydantic import Field

from portal.settings.section import Section


class PeopleSettings(Section):
    """People: how they sign in."""

    attempts: int = Field(
        10,
        gt=0,
        description="Failures to sign in with a password, of one account or one address, until it has to wait.",
    )
    attempt_minutes: float = Field(15, gt=0, description="Minutes for which such failures count.")
